"""Five ways to break the protocol, built into an orchestrator process by replacing parts of the registry.

The database would refuse most of them by its own rules, so each mutant first takes those rules away: it is
the checker that is to be tried. `points` place the strike that the defect cannot survive, so that the mutant
is caught by design and not by luck; `expected` are the rules of which at least one must be found broken.
"""

import time
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any
from unittest import mock

from sqlalchemy import ColumnElement, Connection, bindparam, delete, select, update

from tuner.errors import ClaimLostError
from tuner.experiment import Evaluation, Experiment, Provenance, State, Study
from tuner.registry import Claim, Recovered, claims, engine
from tuner.registry.owners import Owner
from tuner.registry.schema import attempts, experiments
from tuner.registry.sqlite_registry import SqliteRegistry

__all__ = ["MUTANTS", "Mutant"]

Reach = Callable[[str], None]


@dataclass(frozen=True)
class Mutant:
    """A defect.

    Attributes:
        says: what is wrong, in a few words.
        install: builds it into this process; is given what to call at a point.
        points: where an orchestrator strikes itself: point -> "kill" or "stop".
        expected: the invariants of which at least one must be found broken.
        drops: what would refuse the defect in the database, taken away first.
    """

    says: str
    install: Callable[[Reach], None]
    points: dict[str, str]
    expected: Collection[str]
    drops: tuple[str, ...] = field(default=())


def _no_fence(_: Reach) -> None:
    def any_claim() -> ColumnElement[bool]:
        return experiments.c.id == bindparam("held_id")

    claims._fence = any_claim


def _ack_before_commit(_: Reach) -> None:
    """As a group commit that goes wrong: the result is promised now and written with the next step."""
    complete = SqliteRegistry.complete
    pending: list[tuple[Claim, Evaluation, Provenance]] = []

    def promise(
        self: SqliteRegistry, claim: Claim, evaluation: Evaluation, provenance: Provenance
    ) -> Experiment:
        if not evaluation.value < float("inf"):
            return complete(self, claim, evaluation, provenance)  # refused at once, as it should be
        pending.append((claim, evaluation, provenance))
        return replace(claim.experiment, state=State.COMPLETE, value=evaluation.value)

    def after_commit(step: Callable[..., Any]) -> Callable[..., Any]:
        def late(self: SqliteRegistry, *given: Any, **named: Any) -> Any:
            while pending:
                with suppress(ClaimLostError):
                    complete(self, *pending.pop())
            return step(self, *given, **named)

        return late

    SqliteRegistry.complete = promise  # type: ignore[method-assign]
    for name in ("claim", "counts", "recover"):
        setattr(SqliteRegistry, name, after_commit(getattr(SqliteRegistry, name)))


def _same_attempt(_: Reach) -> None:
    recover = claims.recover

    def forget(connection: Connection, is_dead: Callable[[Owner], bool], now: float) -> list[Recovered]:
        taken = recover(connection, is_dead, now)
        mine = experiments.c.public_id.in_([one.public_id for one in taken])
        lost = select(experiments.c.id).where(mine).scalar_subquery()
        connection.execute(
            delete(attempts).where(
                attempts.c.experiment_id.in_(lost),
                attempts.c.number
                == select(experiments.c.attempt)
                .where(experiments.c.id == attempts.c.experiment_id)
                .scalar_subquery(),
            )
        )
        connection.execute(update(experiments).where(mine).values(attempt=experiments.c.attempt - 1))
        return taken

    claims.recover = forget


def _deferred_begin(_: Reach) -> None:
    claim = claims.claim

    def begin(connection: Connection) -> None:
        if connection.get_execution_options().get("registry_write"):
            connection.exec_driver_sql("BEGIN DEFERRED")

    def read_then_write(
        connection: Connection, study: Study, n: int, owner: tuple[int, str], now: float
    ) -> list[Claim]:
        oldest = select(experiments.c.id).where(experiments.c.state == State.WAITING.value).limit(n)
        if not connection.execute(oldest).all():
            return []
        time.sleep(0.02)
        return claim(connection, study, n, owner, now)

    engine._begin = begin
    claims.claim = read_then_write


def _split_finish(reach: Reach) -> None:
    complete = SqliteRegistry.complete

    def in_two(
        self: SqliteRegistry, claim: Claim, evaluation: Evaluation, provenance: Provenance
    ) -> Experiment:
        with (
            mock.patch.object(claims, "_close_attempt"),
            mock.patch.object(claims, "_store_measurements"),
        ):
            done = complete(self, claim, evaluation, provenance)
        reach("half")
        with self.database.write() as connection:
            claims._close_attempt(connection, claim, "complete", None, self._clock())
            claims._store_measurements(connection, claim, evaluation.measurements)
        return done

    SqliteRegistry.complete = in_two  # type: ignore[method-assign]


MUTANTS = {
    "no-fence": Mutant(
        "fence removed",
        _no_fence,
        {"executed": "stop"},
        {"I3", "I4"},
        ("experiments_finished_stay", "experiments_finish_from_running", "attempts_closed_stay"),
    ),
    "early-ack": Mutant("acknowledgement before commit", _ack_before_commit, {"acked": "kill"}, {"I4"}),
    "same-attempt": Mutant(
        "recovery without a new attempt",
        _same_attempt,
        {"executed": "kill"},
        {"I6"},
        ("experiments_attempt_rises", "attempts_are_kept"),
    ),
    "deferred-begin": Mutant("deferred begin, claim reads then writes", _deferred_begin, {}, {"B2"}),
    "split-finish": Mutant("finish in two transactions", _split_finish, {"half": "kill"}, {"I6", "I3"}),
}
