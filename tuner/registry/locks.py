"""Locks that a write asks for on a server. SQLite lets one writer in, who needs none of them."""

from collections.abc import Collection

from sqlalchemy import Connection, select, text

from tuner.registry.schema import APPLICATION_ID, experiments

__all__ = ["lock_experiments", "lock_out_writers"]

# An advisory lock of PostgreSQL, which ends with the transaction. Half of its key is the schema.
_WRITERS = text(f"SELECT pg_advisory_xact_lock({APPLICATION_ID}, hashtext(current_schema()))")


def lock_out_writers(connection: Connection) -> None:
    """Wait until nobody else is here, and let nobody in until this transaction ends.

    To be called before any row is locked or written: else two who wait for each other would never end.
    """
    if connection.dialect.name != "sqlite":
        connection.execute(_WRITERS)


def lock_experiments(connection: Connection, ids: Collection[int]) -> None:
    """Lock these rows in the order of their ids, as everybody does who changes several of them."""
    if len(ids) > 1 and connection.dialect.name != "sqlite":
        rows = select(experiments.c.id).where(experiments.c.id.in_(ids)).order_by(experiments.c.id)
        connection.execute(rows.with_for_update(key_share=True)).all()
