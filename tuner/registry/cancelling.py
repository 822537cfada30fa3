"""Ending what waits, unrun. Functions of an open connection."""

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, insert, update

from tuner.experiment import Experiment, Outcome, State
from tuner.registry import claims, codec, queries, versions
from tuner.registry.locks import lock_experiments
from tuner.registry.schema import attempts, experiments
from tuner.registry.sql import reading

__all__ = ["cancel"]

_BATCH = 500
"""How many values stand in one IN (...)."""

# Only what runs can finish, so each is taken for an attempt that ends at once.
_TAKE = claims.TAKE.where(
    experiments.c.id.in_(bindparam("of_experiments", expanding=True)),
    experiments.c.state == State.WAITING.value,
)
_END = (
    update(experiments)
    .where(experiments.c.id.in_(bindparam("of_experiments", expanding=True)))
    .values(
        state=State.FAILED.value,
        outcome=Outcome.CANCELLED.value,
        error=bindparam("as_message"),
        owner_id=None,
        finished_at=bindparam("at"),
    )
)


def cancel(
    connection: Connection, wanted: Sequence[Experiment], message: str, owner_id: int, now: float
) -> list[Experiment]:
    """See `Registry.cancel`."""
    message = codec.clean_text(message)
    cancelled: list[Experiment] = []
    lock_experiments(connection, [each.id for each in wanted])
    for start in range(0, len(wanted), _BATCH):
        ids = [each.id for each in wanted[start : start + _BATCH]]
        taken = connection.execute(_TAKE, {"of_experiments": ids, "by_owner": owner_id, "at": now}).all()
        if not taken:
            continue
        connection.execute(
            insert(attempts),
            [
                {
                    "experiment_id": row.id,
                    "number": row.attempt,
                    "owner_id": owner_id,
                    "started_at": now,
                    "ended_at": now,
                    "ending": "failed",
                    "message": message,
                }
                for row in taken
            ],
        )
        ended = [row.id for row in taken]
        connection.execute(_END, {"of_experiments": ended, "as_message": message, "at": now})
        cancelled += queries.by_ids(reading(connection), ended)
    places = {each.id: -place for place, each in enumerate(reversed(wanted))}  # the first, of one given twice
    cancelled.sort(key=lambda one: places[one.id])
    if cancelled:
        of = f"{len(cancelled)} waiting experiment{'' if len(cancelled) == 1 else 's'}"
        ids_told = [each.public_id for each in cancelled[:_BATCH]]
        versions.log(connection, "cancelled", f"{of} {message}", 0.7, {"experiments": ids_told}, now)
    return cancelled
