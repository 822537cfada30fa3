"""The contract of every registry: the one truth about what was tried and what is deployed.

Protocol of one experiment, safe under several processes that may die or stall at any instruction:

    add      a suggestion becomes a WAITING row; a configuration already in the study is left as it is
    claim    one statement in one immediate transaction: WAITING -> RUNNING, attempt + 1, owner set
    finish   `complete`, `fail` or many at once, fenced by (owner, attempt): only the present claim can write
    release  RUNNING -> WAITING by its owner: an interruption, not held against the experiment
    cancel   WAITING -> FAILED at a user's wish: claimed and ended in one transaction, so that none is run
    recover  RUNNING -> WAITING where the owner is dead: by a kernel lock on this host, else by its lease

Execution is at least once; the result is exactly once. Time comes from the `clock` given to the registry.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from tuner.errors import ClaimLostError, StorageError
from tuner.experiment import (
    Confirmation,
    Evaluation,
    Experiment,
    Failure,
    Measurement,
    Params,
    Partial,
    Provenance,
    State,
    Study,
    Suggestion,
)
from tuner.registry.records import (
    Attempt,
    Claim,
    Deployment,
    Effort,
    Event,
    FailedAlike,
    HoldoutRead,
    Lesson,
    Limits,
    ModelVersion,
    Pattern,
    Recovered,
    Run,
    StudySpec,
    VersionState,
)

__all__ = [
    "Attempt",
    "Claim",
    "Deployment",
    "Effort",
    "Event",
    "FailedAlike",
    "HoldoutRead",
    "Lesson",
    "Limits",
    "ModelVersion",
    "Pattern",
    "Recovered",
    "Registry",
    "RegistryReader",
    "Run",
    "StudySpec",
    "VersionState",
    "writable",
]


class RegistryReader(ABC):
    """What was tried and what is deployed, for those who only look.

    Use as a context manager. A reader belongs to one process. Each method sees the latest commit at the time
    it is called, and holds nothing that a writer would have to wait for once it has returned.

    Raises (any method): BusyError when locked out for longer than the busy timeout; StorageError when the
    disk is failing; NotARegistryError when the database turns out damaged.
    """

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @abstractmethod
    def close(self) -> None:
        """Release all that is held open. Idempotent."""

    # ---- studies and runs

    @abstractmethod
    def find_study(self, name: str) -> Study | None:
        """Return the study of this name, or None."""

    @abstractmethod
    def studies(self) -> list[Study]:
        """All studies, oldest first."""

    @abstractmethod
    def find_run(self, experiment: Experiment) -> Run | None:
        """The invocation that wrote an experiment; None of one that was written outside of any."""

    # ---- queries

    @abstractmethod
    def get_experiment(self, prefix: str) -> Experiment:
        """Return the experiment whose public id starts with `prefix`; an exact id always wins.

        Raises:
            NotFoundError: none does (names the closest), or several do (names some).
        """

    @abstractmethod
    def experiments(
        self,
        study: Study | None = None,
        *,
        states: Collection[State] | None = None,
        run: Run | None = None,
        limit: int | None = None,
        newest_first: bool = False,
    ) -> list[Experiment]:
        """Experiments in the order of writing, filtered."""

    @abstractmethod
    def counts(self, study: Study, run: Run | None = None) -> dict[State, int]:
        """How many experiments are in each state; every state is a key."""

    @abstractmethod
    def provenances(self, study: Study) -> list[tuple[Provenance, int]]:
        """What the complete experiments were scored on, with how many; the latest finished first."""

    @abstractmethod
    def counts_by_method(self, study: Study) -> dict[str, dict[State, int]]:
        """The same for each method that proposed some, in the order of their first; reads every row once."""

    @abstractmethod
    def best(
        self, study: Study, n: int = 1, provenance: Provenance | None = None, *, method: str | None = None
    ) -> list[Experiment]:
        """The `n` best COMPLETE experiments, all of one provenance (default: the latest), best first.

        Best in the study's metric; one that does not keep the study's limits is never among them. Of one
        method, where that is given. Ties go to the older one. Empty when there is none.
        """

    @abstractmethod
    def front(self, study: Study, provenance: Provenance | None = None) -> list[Experiment]:
        """The Pareto front of the study's objectives, by its metric, best first; as `best` otherwise.

        Of experiments that are equal in every objective, the oldest. With one objective: the best.
        """

    @abstractmethod
    def n_infeasible(self, study: Study, provenance: Provenance | None = None) -> int:
        """How many COMPLETE experiments of one provenance (default: the latest) break the study's limits."""

    @abstractmethod
    def find_scored(
        self,
        study: Study,
        provenance: Provenance,
        *,
        params: Params | None = None,
        method: str | None = None,
    ) -> Experiment | None:
        """The last written COMPLETE experiment of this provenance with these parameters, or by this method.

        Parameters are the same where value and type are: 1 and 1.0 differ. With both given, both must hold.
        """

    @abstractmethod
    def effort(self, study: Study) -> Effort:
        """How long its finished experiments took."""

    @abstractmethod
    def failures(self, study: Study) -> list[FailedAlike]:
        """What its FAILED experiments failed with, each error once, in the order of the last of its kind."""

    @abstractmethod
    def measurements(self, experiment: Experiment) -> list[Measurement]:
        """All measurements of an experiment, by metric and step."""

    @abstractmethod
    def attempts(self, experiment: Experiment) -> list[Attempt]:
        """Its attempts, first to last."""

    @abstractmethod
    def confirmations(self, study: Study, provenance: Provenance | None = None) -> list[Confirmation]:
        """What the study's experiments scored on fresh folds, in the order of writing.

        All of one provenance (default: the latest that experiments were scored on).
        """

    # ---- memory

    @abstractmethod
    def patterns(self) -> list[Pattern]:
        """What worked on which kind of data, oldest first; forgotten ones are among them."""

    @abstractmethod
    def lessons(self) -> list[Lesson]:
        """What became of patterns, oldest first."""

    # ---- model versions, ledger, looks at the holdout, events

    @abstractmethod
    def find_active(self, pipeline: str) -> ModelVersion | None:
        """The version in production now, or None."""

    @abstractmethod
    def versions(self, pipeline: str) -> list[ModelVersion]:
        """All versions of a pipeline, oldest first."""

    @abstractmethod
    def deployments(self, pipeline: str) -> list[Deployment]:
        """The ledger of a pipeline, oldest first."""

    @abstractmethod
    def holdout_reads(self, pipeline: str) -> list[HoldoutRead]:
        """Every look at the holdout of a pipeline, oldest first."""

    @abstractmethod
    def events(self, limit: int = 100, *, kind: str | None = None) -> list[Event]:
        """The latest events, of one kind or of all, newest first."""


class Registry(RegistryReader):
    """Studies, experiments, runs, model versions and the ledger behind one interface: the whole of it.

    Any number of processes may open the same database. Every method is one transaction: all of it happened,
    or none. `close` also releases the owner's lock: claims still held become recoverable.

    Raises (any method), besides what a reader raises: StorageError when the disk is full or read-only.
    """

    owner: str
    """Random id of this opening of the registry; never a process or host name."""

    # ---- studies and runs

    @abstractmethod
    def open_study(self, spec: StudySpec) -> Study:
        """Create the study, or return the one stored under this name.

        Raises:
            MismatchError: it is stored with another space, metric or direction; names what differs. The seed
                and the baseline of the stored study stand.
        """

    @abstractmethod
    def start_run(
        self, study: Study, *, method: str | None, n_wanted: int, seed: int, info: Mapping[str, Any]
    ) -> Run:
        """Record one orchestrator invocation owned by this registry object.

        A run of the same study, method, n_wanted and seed that has not ended, and whose owner is dead, is
        taken over (same id, new owner) instead: that is how the same command typed again continues.
        """

    @abstractmethod
    def end_run(self, run: Run) -> None:
        """Mark the run as come to its end (all its experiments are finished)."""

    # ---- experiments

    @abstractmethod
    def add(
        self,
        study: Study,
        suggestions: Sequence[Suggestion],
        *,
        run: Run | None = None,
        repeat: bool = False,
    ) -> list[Experiment]:
        """Write suggestions as WAITING rows and return the new ones, in order.

        A configuration the study already has is skipped; with `repeat=True` it is written as a new row with
        the next `repeat` number (a re-score). The seed of each row is the study's.
        """

    @abstractmethod
    def claim(self, study: Study, n: int = 1) -> list[Claim]:
        """Take up to `n` WAITING experiments; empty when none waits. Never one twice.

        Guesses of the user come first, then the oldest.
        """

    @abstractmethod
    def measure(self, claim: Claim, measurements: Sequence[Measurement]) -> None:
        """Store intermediate measurements of a running experiment; the last of one (step, metric) stands.

        Raises:
            ClaimLostError: the claim is no longer the present one.
        """

    @abstractmethod
    def complete(self, claim: Claim, evaluation: Evaluation, provenance: Provenance) -> Experiment:
        """Store the result: RUNNING -> COMPLETE.

        Raises:
            ClaimLostError: the claim is no longer the present one; nothing was written.
            UsageError: a value is not finite; nothing was written.
        """

    @abstractmethod
    def fail(self, claim: Claim, failure: Failure, limits: Limits | None = None) -> Experiment:
        """Count the failure; RUNNING -> WAITING while the limits allow another attempt, else FAILED.

        Deaths (`failure.outcome.is_worker_death`) and failures are counted apart. CANCELLED is final at once.

        Raises:
            ClaimLostError: the claim is no longer the present one; nothing was written.
        """

    @abstractmethod
    def finish(
        self,
        results: Sequence[tuple[Claim, Evaluation | Failure | Partial]],
        provenance: Provenance,
        limits: Limits | None = None,
    ) -> list[Experiment | ClaimLostError]:
        """`complete` or `fail` each claim, in order and in one transaction: a commit serves them all.

        A Partial ends its experiment, too: RUNNING -> PRUNED, with where it stood and no value.

        Each is fenced on its own. One that was lost writes nothing and leaves the others as they are; its
        error stands in its place of what is returned. Nothing is stored before this returns.

        Raises:
            UsageError: a value is not finite; nothing was written of any.
        """

    @abstractmethod
    def release(self, claims: Sequence[Claim]) -> int:
        """Give claims back: RUNNING -> WAITING, one interruption more. Returns how many were still ours."""

    @abstractmethod
    def cancel(self, experiments: Sequence[Experiment], message: str) -> list[Experiment]:
        """End, unrun, those of `experiments` that still wait: WAITING -> FAILED with outcome CANCELLED.

        What runs or is finished stays as it is. `message` (who, why) becomes the error of each, and of one
        event. Each counts one attempt more, which ends as it begins: only what runs can finish.

        Returns:
            Those that were cancelled, as they are now, in the order given.
        """

    @abstractmethod
    def add_confirmation(self, confirmation: Confirmation) -> Confirmation:
        """Store one repeat of a confirmation, unless the experiment has one of this seed and provenance.

        Which provenance is the study's latest stays as it is.

        Returns:
            The one that stands: as given, or as another has stored it before.

        Raises:
            NotFoundError: there is no such experiment.
        """

    @abstractmethod
    def heartbeat(self) -> None:
        """Say that this owner lives: for owners that other hosts cannot see die."""

    @abstractmethod
    def recover(self) -> list[Recovered]:
        """Take back every RUNNING experiment whose owner is dead, in one transaction."""

    # ---- memory

    @abstractmethod
    def add_pattern(self, experiment: str, traits: Mapping[str, Any]) -> Pattern:
        """Remember a COMPLETE experiment as what worked best; return the pattern that stands.

        Where the experiment has one already, that stands.

        Args:
            experiment: its public id.
            traits: of model and data, JSON-ready.

        Raises:
            NotFoundError: there is no such experiment.
            UsageError: it has no value.
        """

    @abstractmethod
    def add_lesson(self, lesson: Lesson) -> Lesson:
        """Append what became of a pattern; the first of one kind, pattern and study stands, and is returned.

        Raises:
            NotFoundError: there is no such pattern or study.
        """

    # ---- model versions, ledger, looks at the holdout, events

    @abstractmethod
    def stage_version(
        self, pipeline: str, params: Params, *, manifest: Mapping[str, Any], experiment: str | None = None
    ) -> ModelVersion:
        """Write a version row in state staged and give it the next number."""

    @abstractmethod
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
        """In one transaction: make `version` the active one, retire the other, append to the ledger.

        `manifest` replaces the staged one. `expect_active` is the number that the caller saw
        as active (None: none).

        Raises:
            MismatchError: another version became active since the caller looked; nothing was written.
        """

    @abstractmethod
    def discard_version(self, version: ModelVersion) -> None:
        """Remove a version that is still staged (its apply was given up)."""

    @abstractmethod
    def add_holdout_read(self, read: HoldoutRead) -> HoldoutRead:
        """Store that somebody looked at the holdout now; return it with the time. Each call is a look.

        Raises:
            NotFoundError: there is no such experiment.
            UsageError: a number is not finite.
        """

    @abstractmethod
    def log(self, kind: str, message: str, *, salience: float = 0.5, **data: Any) -> None:
        """Append an event."""


def writable(registry: RegistryReader) -> Registry:
    """Return the registry that was opened for writing too: for work that writes only at its end.

    Raises:
        StorageError: it was opened for reading only.
    """
    if isinstance(registry, Registry):
        return registry
    raise StorageError(
        "The registry was opened for reading only, and nothing can be written through it.",
        "Open it without read_only=True.",
    )
