# ruff: noqa: D102 - the contract in `base` holds the docstrings
"""A reader over any SQL database: each method asks one question of `queries` or `lookups`."""

from abc import abstractmethod
from collections.abc import Collection
from contextlib import AbstractContextManager

from tuner.experiment import Confirmation, Experiment, Measurement, Params, Provenance, State, Study
from tuner.registry import lookups, queries
from tuner.registry.base import RegistryReader
from tuner.registry.records import (
    Attempt,
    Deployment,
    Effort,
    Event,
    FailedAlike,
    HoldoutRead,
    Lesson,
    ModelVersion,
    Pattern,
    Run,
)
from tuner.registry.sql import Read

__all__ = ["SqlReader"]


class SqlReader(RegistryReader):
    """What is left to a subclass: how a statement gets to its database, and `close`."""

    @abstractmethod
    def reading(self) -> AbstractContextManager[Read]:
        """Lend what runs statements; each sees the latest commit. Errors come out in our words."""

    # ---- studies and runs

    def find_study(self, name: str) -> Study | None:
        with self.reading() as read:
            return lookups.find_study(read, name)

    def studies(self) -> list[Study]:
        with self.reading() as read:
            return lookups.list_studies(read)

    def find_run(self, experiment: Experiment) -> Run | None:
        with self.reading() as read:
            return None if experiment.run_id is None else lookups.get_run(read, experiment.run_id)

    # ---- queries

    def get_experiment(self, prefix: str) -> Experiment:
        with self.reading() as read:
            return queries.get_experiment(read, prefix)

    def experiments(
        self,
        study: Study | None = None,
        *,
        states: Collection[State] | None = None,
        run: Run | None = None,
        limit: int | None = None,
        newest_first: bool = False,
    ) -> list[Experiment]:
        with self.reading() as read:
            return queries.list_experiments(
                read, study, states=states, run=run, limit=limit, newest_first=newest_first
            )

    def counts(self, study: Study, run: Run | None = None) -> dict[State, int]:
        with self.reading() as read:
            return queries.counts(read, study, run)

    def provenances(self, study: Study) -> list[tuple[Provenance, int]]:
        with self.reading() as read:
            return queries.provenances_of(read, study)

    def counts_by_method(self, study: Study) -> dict[str, dict[State, int]]:
        with self.reading() as read:
            return queries.counts_by_method(read, study)

    def best(
        self, study: Study, n: int = 1, provenance: Provenance | None = None, *, method: str | None = None
    ) -> list[Experiment]:
        with self.reading() as read:
            return queries.best(read, study, n, provenance, method)

    def front(self, study: Study, provenance: Provenance | None = None) -> list[Experiment]:
        with self.reading() as read:
            return queries.front(read, study, provenance)

    def n_infeasible(self, study: Study, provenance: Provenance | None = None) -> int:
        with self.reading() as read:
            return queries.n_infeasible(read, study, provenance)

    def find_scored(
        self,
        study: Study,
        provenance: Provenance,
        *,
        params: Params | None = None,
        method: str | None = None,
    ) -> Experiment | None:
        with self.reading() as read:
            return queries.find_scored(read, study, provenance, params=params, method=method)

    def effort(self, study: Study) -> Effort:
        with self.reading() as read:
            return queries.effort(read, study)

    def failures(self, study: Study) -> list[FailedAlike]:
        with self.reading() as read:
            return queries.failures(read, study)

    def measurements(self, experiment: Experiment) -> list[Measurement]:
        with self.reading() as read:
            return queries.measurements_of(read, experiment)

    def attempts(self, experiment: Experiment) -> list[Attempt]:
        with self.reading() as read:
            return queries.attempts_of(read, experiment)

    def confirmations(self, study: Study, provenance: Provenance | None = None) -> list[Confirmation]:
        with self.reading() as read:
            return queries.confirmations_of(read, study, provenance)

    # ---- memory

    def patterns(self) -> list[Pattern]:
        with self.reading() as read:
            return lookups.patterns_of(read)

    def lessons(self) -> list[Lesson]:
        with self.reading() as read:
            return lookups.lessons_of(read)

    # ---- model versions, ledger, looks at the holdout, events

    def find_active(self, pipeline: str) -> ModelVersion | None:
        with self.reading() as read:
            return lookups.find_active(read, pipeline)

    def versions(self, pipeline: str) -> list[ModelVersion]:
        with self.reading() as read:
            return lookups.versions_of(read, pipeline)

    def deployments(self, pipeline: str) -> list[Deployment]:
        with self.reading() as read:
            return lookups.deployments_of(read, pipeline)

    def holdout_reads(self, pipeline: str) -> list[HoldoutRead]:
        with self.reading() as read:
            return lookups.holdout_reads_of(read, pipeline)

    def events(self, limit: int = 100, *, kind: str | None = None) -> list[Event]:
        with self.reading() as read:
            return lookups.latest_events(read, limit, kind)
