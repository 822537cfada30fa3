"""Five ways to break the protocol, built into an orchestrator process by replacing parts of the registry.

The database would refuse most of them by its own rules, so each mutant first takes those rules away: it is
the checker that is to be tried. `points` place the strike that the defect cannot survive, so that the mutant
is caught by design and not by luck; `expected` are the rules of which at least one must be found broken.
"""

import math
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from unittest import mock

from sqlalchemy import Connection, delete, select, tuple_, update

from tuner.errors import ClaimLostError
from tuner.experiment import Evaluation, Experiment, Failure, Provenance, State, Study
from tuner.registry import Claim, Recovered, claims, engine
from tuner.registry.schema import attempts, experiments, owners
from tuner.registry.sql_registry import SqlRegistry

__all__ = ["MUTANTS", "Mutant"]

Reach = Callable[[str], None]
Results = Sequence[tuple[Claim, Evaluation | Failure]]

_KEY = (attempts.c.experiment_id, attempts.c.number)


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

    def caught_by(self, violations: Sequence[str]) -> list[str]:
        """The invariants that were found broken, out of those that it must break."""
        return sorted({violation.split()[0] for violation in violations} & set(self.expected))


def _replace(where: object, name: str, by: Callable[..., Any]) -> None:
    mock.patch.object(where, name, by).start()


def _no_fence(_: Reach) -> None:
    finish = claims.finish

    def present(connection: Connection, held: Claim) -> Claim:
        """The claim that would be accepted for the same experiment."""
        row = connection.execute(
            select(experiments.c.attempt, owners.c.token)
            .outerjoin(owners, owners.c.id == experiments.c.owner_id)
            .where(experiments.c.id == held.experiment.id)
        ).one()
        return Claim(replace(held.experiment, attempt=row.attempt), row.token or "")

    def overwrite(connection: Connection, held: Claim, value: float) -> None:
        of_it = (experiments.c.id == held.experiment.id, experiments.c.state == State.COMPLETE.value)
        connection.execute(update(experiments).where(*of_it).values(value=value))

    def unfenced(connection: Connection, results: Results, *given: Any) -> list[Experiment | ClaimLostError]:
        ended = finish(connection, results, *given)
        for place, (held, result) in enumerate(results):
            if isinstance(ended[place], ClaimLostError) and isinstance(result, Evaluation):
                [again] = finish(connection, [(present(connection, held), result)], *given)
                if isinstance(again, ClaimLostError):
                    overwrite(connection, held, result.value)
                ended[place] = replace(held.experiment, state=State.COMPLETE, value=result.value)
        return ended

    def unasked(*_: Any) -> None:
        """What is reported on the way would be fenced too; without it, the result is what counts."""

    _replace(claims, "finish", unfenced)
    _replace(claims, "measure", unasked)


def _ack_before_commit(_: Reach) -> None:
    """A group commit that goes wrong: the results are promised now and written with the next step."""
    finish = SqlRegistry.finish
    pending: list[tuple[Results, Provenance]] = []

    def promise(
        self: SqlRegistry, results: Results, provenance: Provenance
    ) -> list[Experiment | ClaimLostError]:
        if not all(map(_is_scored, results)):
            return finish(self, results, provenance)  # refused at once, as it should be, or a failure
        pending.append((results, provenance))
        return [
            replace(claim.experiment, state=State.COMPLETE, value=result.value)
            for claim, result in results
            if isinstance(result, Evaluation)
        ]

    def after_commit(step: Callable[..., Any]) -> Callable[..., Any]:
        def late(self: SqlRegistry, *given: Any) -> Any:
            while pending:
                finish(self, *pending.pop())
            return step(self, *given)

        return late

    _replace(SqlRegistry, "finish", promise)
    for name in ("claim", "counts", "recover"):
        _replace(SqlRegistry, name, after_commit(getattr(SqlRegistry, name)))


def _same_attempt(_: Reach) -> None:
    recover = claims.recover

    def forgetful(connection: Connection, *given: Any) -> list[Recovered]:
        taken = recover(connection, *given)
        of_them = experiments.c.public_id.in_([one.public_id for one in taken])
        latest = select(experiments.c.id, experiments.c.attempt).where(of_them)
        connection.execute(delete(attempts).where(tuple_(*_KEY).in_(latest)))
        connection.execute(update(experiments).where(of_them).values(attempt=experiments.c.attempt - 1))
        return taken

    _replace(claims, "recover", forgetful)


def _deferred_begin(_: Reach) -> None:
    claim = claims.claim

    def begin(connection: Connection) -> None:
        if connection.get_execution_options().get("registry_write"):
            connection.exec_driver_sql("BEGIN DEFERRED")

    def read_then_write(connection: Connection, study: Study, n: int, *given: Any) -> list[Claim]:
        oldest = select(experiments.c.id).where(experiments.c.state == State.WAITING.value).limit(n)
        if not connection.execute(oldest).all():
            return []
        time.sleep(0.02)
        return claim(connection, study, n, *given)

    _replace(engine, "_begin", begin)
    _replace(claims, "claim", read_then_write)


def _split_finish(reach: Reach) -> None:
    finish = SqlRegistry.finish

    def in_two(
        self: SqlRegistry, results: Results, provenance: Provenance
    ) -> list[Experiment | ClaimLostError]:
        if all(map(_is_scored, results)):
            with self.database.write() as connection:
                these = tuple_(*_KEY).in_([(claim.experiment.id, claim.attempt) for claim, _ in results])
                ended = {"ended_at": time.time(), "ending": State.COMPLETE.value}
                connection.execute(update(attempts).where(these, attempts.c.ended_at.is_(None)).values(ended))
            reach("half")
        return finish(self, results, provenance)

    _replace(SqlRegistry, "finish", in_two)


def _is_scored(ended: tuple[Claim, Evaluation | Failure]) -> bool:
    """Whether it is a result that the registry takes."""
    return isinstance(ended[1], Evaluation) and math.isfinite(ended[1].value)


MUTANTS = {
    "no-fence": Mutant(
        "fence removed",
        _no_fence,
        {"executed": "stop"},
        {"I3", "I4"},
        ("experiments_finished_stay",),
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
    "split-finish": Mutant(
        "finish in two transactions", _split_finish, {"half": "kill"}, {"I6"}, ("attempts_closed_stay",)
    ),
}
