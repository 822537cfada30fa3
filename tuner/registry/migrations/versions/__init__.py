"""Migrations, numbered like the schema that they lead to. A released one never changes."""
