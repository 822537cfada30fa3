"""What makes a file ours, for those who only look at one and need no SQLAlchemy for it."""

__all__ = ["APPLICATION_ID", "SCHEMA_VERSION", "TABLES"]

APPLICATION_ID = 0x52545231
"""Marks a file as ours ("RTR1"); SQLite keeps it at byte 68 of the file."""

SCHEMA_VERSION = 6
"""Kept in SQLite's `user_version`; one step for each file in `migrations/versions`."""

TABLES = frozenset(
    {
        "attempts",
        "confirmations",
        "counts",
        "deployments",
        "efforts",
        "events",
        "experiments",
        "holdout_reads",
        "lessons",
        "measurements",
        "model_versions",
        "owners",
        "patterns",
        "provenances",
        "runs",
        "scored",
        "shapes",
        "studies",
    }
)
"""The tables of the present schema, which `schema` describes."""
