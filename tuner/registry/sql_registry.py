# ruff: noqa: D102 - the contract in `base` holds the docstrings
"""The registry on an SQL database: each method is one transaction around the function that does the work."""

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tuner.errors import ClaimLostError, UsageError
from tuner.experiment import (
    Evaluation,
    Experiment,
    Failure,
    Measurement,
    Params,
    Provenance,
    State,
    Study,
    Suggestion,
)
from tuner.registry import cancelling, claims, proposals, queries, studies, versions
from tuner.registry.base import (
    Attempt,
    Claim,
    Deployment,
    Effort,
    Event,
    Limits,
    ModelVersion,
    Recovered,
    Registry,
    Run,
    StudySpec,
)
from tuner.registry.engine import Database
from tuner.registry.owners import Lifeline

if TYPE_CHECKING:
    from tuner.registry.postgres.engine import PostgresDatabase

__all__ = ["SqlRegistry"]


class SqlRegistry(Registry):
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

    # ---- studies and runs

    def open_study(self, spec: StudySpec) -> Study:
        found = self.find_study(spec.name)  # without the write lock in the usual case
        if found is not None:
            studies.check_same(found, spec)
            return found
        with self.database.write() as connection:
            return studies.open_study(connection, spec, self._clock())

    def find_study(self, name: str) -> Study | None:
        with self.database.read() as connection:
            return studies.find_study(connection, name)

    def studies(self) -> list[Study]:
        with self.database.read() as connection:
            return studies.list_studies(connection)

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
        results: Sequence[tuple[Claim, Evaluation | Failure]],
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

    # ---- queries

    def get_experiment(self, prefix: str) -> Experiment:
        with self.database.read() as connection:
            return queries.get_experiment(connection, prefix)

    def experiments(
        self,
        study: Study | None = None,
        *,
        states: Collection[State] | None = None,
        run: Run | None = None,
        limit: int | None = None,
        newest_first: bool = False,
    ) -> list[Experiment]:
        with self.database.read() as connection:
            return queries.list_experiments(
                connection, study, states=states, run=run, limit=limit, newest_first=newest_first
            )

    def counts(self, study: Study, run: Run | None = None) -> dict[State, int]:
        with self.database.read() as connection:
            return queries.counts(connection, study, run)

    def provenances(self, study: Study) -> list[tuple[Provenance, int]]:
        with self.database.read() as connection:
            return queries.provenances_of(connection, study)

    def best(self, study: Study, n: int = 1, provenance: Provenance | None = None) -> list[Experiment]:
        with self.database.read() as connection:
            return queries.best(connection, study, n, provenance)

    def find_scored(
        self,
        study: Study,
        provenance: Provenance,
        *,
        params: Params | None = None,
        method: str | None = None,
    ) -> Experiment | None:
        with self.database.read() as connection:
            return queries.find_scored(connection, study, provenance, params=params, method=method)

    def effort(self, study: Study) -> Effort:
        with self.database.read() as connection:
            return queries.effort(connection, study)

    def measurements(self, experiment: Experiment) -> list[Measurement]:
        with self.database.read() as connection:
            return queries.measurements_of(connection, experiment)

    def attempts(self, experiment: Experiment) -> list[Attempt]:
        with self.database.read() as connection:
            return queries.attempts_of(connection, experiment)

    # ---- model versions, ledger, events

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

    def find_active(self, pipeline: str) -> ModelVersion | None:
        with self.database.read() as connection:
            return versions.find_active(connection, pipeline)

    def versions(self, pipeline: str) -> list[ModelVersion]:
        with self.database.read() as connection:
            return versions.versions_of(connection, pipeline)

    def deployments(self, pipeline: str) -> list[Deployment]:
        with self.database.read() as connection:
            return versions.deployments_of(connection, pipeline)

    def log(self, kind: str, message: str, *, salience: float = 0.5, **data: Any) -> None:
        with self.database.write_beside_others() as connection:
            versions.log(connection, kind, message, salience, data, self._clock())

    def events(self, limit: int = 100) -> list[Event]:
        with self.database.read() as connection:
            return versions.latest_events(connection, limit)

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
