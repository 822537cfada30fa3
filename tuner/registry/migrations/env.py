"""Alembic runs this, on the connection and in the transaction of `tuner.registry.migrate`."""

from alembic import context

from tuner.registry.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
