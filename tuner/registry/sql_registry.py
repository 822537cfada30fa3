# ruff: noqa: D102 - the contract in `base` holds the docstrings
"""The registry on an SQL database: each method is one transaction around the function that does the work."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuner.errors import ClaimLostError, UsageError
from tuner.experiment import (
    Confirmation,
    Evaluation,
    Experiment,
    Failure,
    Measurement,
    Params,
    Partial,
    Provenance,
    Study,
    Suggestion,
)
from tuner.registry import cancelling, claims, confirming, proposals, remembering, studies, versions
from tuner.registry.base import (
    Claim,
    Deployment,
    HoldoutRead,
    Lesson,
    Limits,
    ModelVersion,
    Pattern,
    Recovered,
    Registry,
    RegistryReader,
    Run,
    StudySpec,
)
from tuner.registry.engine import Database
from tuner.registry.owners import Lifeline
from tuner.registry.sql import Read, reading
from tuner.registry.sql_reader import SqlReader
from tuner.registry.sqlite_file import OpenFile

if TYPE_CHECKING:
    from tuner.registry.postgres.engine import PostgresDatabase

__all__ = ["SqlRegistry", "file_of"]


class SqlRegistry(SqlReader, Registry):
    """Safe under several threads and processes. `clock` gives Unix seconds."""

    def __init__(
        self, database: "Database | PostgresDatabase", lifeline: Lifeline, clock: Callable[[], float]
    ) -> None:
        self.database = database
        self._clock = clock
        self._lifeline = lifeline
        self.owner = lifeline.token
        self._owner_id: int | None = None
        self._registering = threading.Lock()

    def close(self) -> None:
        self._lifeline.release()
        self.database.close()

    @contextmanager
    def reading(self) -> Iterator[Read]:
        with self.database.read() as connection:
            yield reading(connection)

    # ---- studies and runs

    def open_study(self, spec: StudySpec) -> Study:
        found = self.find_study(spec.name)  # without the write lock in the usual case
        if found is not None:
            studies.check_same(found, spec)
            return found
        with self.database.write() as connection:
            return studies.open_study(connection, spec, self._clock())

    def start_run(
        self, study: Study, *, method: str | None, n_wanted: int, seed: int, info: Mapping[str, Any]
    ) -> Run:
        owner_id = self._ensure_owner()
        with self.database.write() as connection:
            now = self._clock()
            return studies.start_run(
                connection,
                study,
                method=method,
                n_wanted=n_wanted,
                seed=seed,
                info=info,
                owner_id=owner_id,
                now=now,
                is_dead=self._lifeline.judge(connection, now),
            )

    def end_run(self, run: Run) -> None:
        with self.database.write() as connection:
            studies.end_run(connection, run, self._clock())

    # ---- experiments

    def add(
        self,
        study: Study,
        suggestions: Sequence[Suggestion],
        *,
        run: Run | None = None,
        repeat: bool = False,
    ) -> list[Experiment]:
        with proposals.nothing_collected():
            candidates = proposals.prepare(suggestions)
            with self.database.write() as connection:
                return proposals.add(connection, study, candidates, run=run, repeat=repeat, now=self._clock())

    def claim(self, study: Study, n: int = 1) -> list[Claim]:
        if n < 0:
            raise UsageError(f"`n >= 0` must hold for a claim, but got n={n}.")
        owner_id = self._ensure_owner()
        with self.database.write_beside_others() as connection:
            return claims.claim(connection, study, n, (owner_id, self.owner), self._clock())

    def measure(self, claim: Claim, measurements: Sequence[Measurement]) -> None:
        with self.database.write_beside_others() as connection:
            claims.measure(connection, claim, measurements)

    def finish(
        self,
        results: Sequence[tuple[Claim, Evaluation | Failure | Partial]],
        provenance: Provenance,
        limits: Limits | None = None,
    ) -> list[Experiment | ClaimLostError]:
        with self.database.write_beside_others() as connection:
            return claims.finish(connection, results, provenance, limits or Limits(), self._clock())

    def complete(self, claim: Claim, evaluation: Evaluation, provenance: Provenance) -> Experiment:
        with self.database.write_beside_others() as connection:
            done = claims.finish(connection, [(claim, evaluation)], provenance, Limits(), self._clock())
        return _only(done)

    def fail(self, claim: Claim, failure: Failure, limits: Limits | None = None) -> Experiment:
        with self.database.write_beside_others() as connection:
            done = claims.finish(connection, [(claim, failure)], None, limits or Limits(), self._clock())
        return _only(done)

    def release(self, claims_: Sequence[Claim]) -> int:
        with self.database.write_beside_others() as connection:
            return claims.release(connection, claims_, self._clock())

    def cancel(self, experiments: Sequence[Experiment], message: str) -> list[Experiment]:
        owner_id = self._ensure_owner()
        with self.database.write() as connection:
            return cancelling.cancel(connection, experiments, message, owner_id, self._clock())

    def add_confirmation(self, confirmation: Confirmation) -> Confirmation:
        with self.database.write() as connection:
            return confirming.add_confirmation(connection, confirmation, self._clock())

    def heartbeat(self) -> None:
        owner_id = self._ensure_owner()
        with self.database.write_beside_others() as connection:
            self._lifeline.beat(connection, owner_id, self._clock())

    def recover(self) -> list[Recovered]:
        with self.database.write() as connection:
            now = self._clock()
            taken = claims.recover(connection, self._lifeline.judge(connection, now), now)
        with self.database.read() as connection:
            self._lifeline.sweep(connection)
        return taken

    # ---- memory

    def add_pattern(self, experiment: str, traits: Mapping[str, Any]) -> Pattern:
        with self.database.write() as connection:
            return remembering.add_pattern(connection, experiment, traits, self._clock())

    def add_lesson(self, lesson: Lesson) -> Lesson:
        with self.database.write() as connection:
            return remembering.add_lesson(connection, lesson, self._clock())

    # ---- model versions, ledger, looks at the holdout, events

    def stage_version(
        self, pipeline: str, params: Params, *, manifest: Mapping[str, Any], experiment: str | None = None
    ) -> ModelVersion:
        with self.database.write() as connection:
            return versions.stage(
                connection, pipeline, params, manifest=manifest, experiment=experiment, now=self._clock()
            )

    def activate(
        self,
        version: ModelVersion,
        *,
        action: str,
        who: str,
        reason: str,
        manifest: Mapping[str, Any] | None = None,
        gates: Sequence[Mapping[str, Any]] = (),
        expect_active: int | None = None,
    ) -> Deployment:
        with self.database.write() as connection:
            return versions.activate(
                connection,
                version,
                action=action,
                who=who,
                reason=reason,
                manifest=manifest,
                gates=gates,
                expect_active=expect_active,
                now=self._clock(),
            )

    def discard_version(self, version: ModelVersion) -> None:
        with self.database.write() as connection:
            versions.discard(connection, version)

    def add_holdout_read(self, read: HoldoutRead) -> HoldoutRead:
        with self.database.write_beside_others() as connection:
            return confirming.add_holdout_read(connection, read, self._clock())

    def log(self, kind: str, message: str, *, salience: float = 0.5, **data: Any) -> None:
        with self.database.write_beside_others() as connection:
            versions.log(connection, kind, message, salience, data, self._clock())

    # ---- who we are

    def _ensure_owner(self) -> int:
        """The row of this owner; written at the first need, after the lock that proves it alive is held."""
        with self._registering:
            if self._owner_id is None:
                with self.database.write() as connection:
                    owner_id = self._lifeline.register(connection, self._clock())
                self._owner_id = owner_id  # not before it is committed
            return self._owner_id


def _only(ended: Sequence[Experiment | ClaimLostError]) -> Experiment:
    [one] = ended
    if isinstance(one, ClaimLostError):
        raise one
    return one


def file_of(registry: RegistryReader) -> Path | None:
    """The SQLite file that a registry is in; None of one on a server."""
    where = registry.database if isinstance(registry, SqlRegistry) else registry
    return where.path if isinstance(where, OpenFile) else None
