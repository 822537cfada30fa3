"""What a registry is asked with and answers, besides the nouns of `tuner.experiment`: frozen records."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tuner.experiment import Direction, Experiment, Outcome, Params, Provenance
from tuner.goals import NO_GOALS, Goals

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
    "Run",
    "StudySpec",
    "VersionState",
]


@dataclass(frozen=True, slots=True)
class StudySpec:
    """What defines a study. Opening a name again with another definition is an error.

    `goals`: what it wants besides its metric.
    """

    name: str
    space: Mapping[str, Any]
    metric: str
    direction: Direction
    baseline: Params
    seed: int = 0
    goals: Goals = NO_GOALS


@dataclass(frozen=True, slots=True)
class Limits:
    """How often an experiment may end badly before it is FAILED for good.

    Attributes:
        failures: by the user's error (a raise, a NaN, a timeout); 2 means one retry.
        deaths: by a dead worker; 3 stops a configuration that always kills its worker.
    """

    failures: int = 2
    deaths: int = 3


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to finish one attempt of one experiment. `attempt` is the fence."""

    experiment: Experiment
    owner: str

    @property
    def attempt(self) -> int:
        """Number of this attempt, from 1."""
        return self.experiment.attempt


@dataclass(frozen=True, slots=True)
class Attempt:
    """One row of `attempts`: who ran an experiment, when, and how it ended (None while it runs)."""

    number: int
    owner: str
    started_at: float
    ended_at: float | None
    ending: str | None  # complete, pruned, failed, released or lost; a retry is "failed" with its message
    message: str | None


@dataclass(frozen=True, slots=True)
class Effort:
    """What the finished experiments of a study took.

    Attributes:
        experiments_s: seconds of all of them together.
        wall_s: seconds during which at least one of them ran (its last attempt, where there were several).
    """

    experiments_s: float
    wall_s: float


@dataclass(frozen=True, slots=True)
class FailedAlike:
    """Experiments that FAILED with the same outcome and error: how many, and the public id of the last."""

    outcome: Outcome
    error: str
    count: int
    latest: str


@dataclass(frozen=True, slots=True)
class Recovered:
    """An experiment taken back from a dead owner. `dead_s`: seconds since the owner's last sign of life."""

    public_id: str
    owner: str
    dead_s: float


@dataclass(frozen=True, slots=True)
class Run:
    """One orchestrator invocation: `n_wanted` new candidates by `method`.

    `ended_at` is None until it came to its end. `info` is JSON-ready: argv, git commit and dirty flag,
    library versions, host.
    """

    id: int
    study_id: int
    method: str | None
    n_wanted: int
    seed: int
    owner: str
    started_at: float
    ended_at: float | None
    info: Mapping[str, Any] = field(default_factory=dict)


class VersionState:
    """States of a model version: staged until it was active once; retired when another took its place."""

    STAGED = "staged"
    ACTIVE = "active"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """A row of `model_versions`: hyperparameters, and the directory that holds the model made with them.

    Attributes:
        number: counts from 1 within the registry; its directory is `versions/<number, six digits>`.
        pipeline: name of the pipeline it belongs to. At most one version per pipeline is active.
        manifest: JSON-ready; the SHA-256 of every file, metrics, provenance.
    """

    number: int
    pipeline: str
    state: str
    params: Params
    manifest: Mapping[str, Any]
    created_at: float
    experiment: str | None = None


@dataclass(frozen=True, slots=True)
class Deployment:
    """A row of the append-only ledger: at `at`, `who` switched `pipeline` from one version to another.

    `action`: "apply", "retrain", "rollback" or "found" (what was in place before the first apply).
    `gates`: the verdicts with their figures, JSON-ready.
    """

    id: int
    pipeline: str
    action: str
    from_version: int | None
    to_version: int
    who: str
    reason: str
    at: float
    gates: Sequence[Mapping[str, Any]] = ()
    experiment: str | None = None


@dataclass(frozen=True, slots=True)
class HoldoutRead:
    """One look at the holdout: a model was tested there, and somebody saw how well it did.

    Every look makes the next a little less honest, so all are kept and counted.

    Attributes:
        pipeline: whose holdout it is, as in `Deployment`.
        params: the configuration that was fitted and tested.
        metrics: what was read, by name (`test_*`).
        provenance: of the data, holdout included, and of what scored it.
        why: what looked, such as "orchestrator confirm".
        who: on whose behalf.
        experiment: public id of the experiment whose configuration it is, where there is one.
        version: number of the version that was tested, where it is one.
        n_rows: of the holdout, where known.
        intervals: of some of the metrics, by name: the ends of a 95 % confidence interval.
        at: Unix seconds; the registry says when.
    """

    pipeline: str
    params: Params
    metrics: Mapping[str, float]
    provenance: Provenance
    why: str
    who: str
    experiment: str | None = None
    version: int | None = None
    n_rows: int | None = None
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Pattern:
    """A row of `patterns`: what worked best in a study, on which kind of data.

    Attributes:
        id: integer key, from 1; rising in the order of writing.
        study: name of the study.
        experiment: public id of its best experiment then.
        traits: of model and data, JSON-ready; as `tuner.patterns.Traits` writes them.
        params, value: of that experiment.
        provenance: what it was scored on.
        created_at: Unix seconds.
    """

    id: int
    study: str
    experiment: str
    traits: Mapping[str, Any]
    params: Params
    value: float
    provenance: Provenance
    created_at: float


@dataclass(frozen=True, slots=True)
class Lesson:
    """A row of the append-only `lessons`: something that became of a pattern.

    Attributes:
        pattern: id of the pattern.
        kind: "used" (a study started from it), "judged" (whether that helped) or "forgotten".
        study: name of the study that used it; None of one that was forgotten.
        weight: how similar the data were (used), or the share of the study's other results that the best
            configuration from it beat (judged), in [0, 1]; None of one that was forgotten.
        why: for people.
        at: Unix seconds; the registry says when.
    """

    pattern: int
    kind: str
    study: str | None = None
    weight: float | None = None
    why: str = ""
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Event:
    """A row of the append-only log of what mattered. `salience`: 0 (a note) to 1 (must be seen)."""

    at: float
    kind: str
    message: str
    salience: float
    data: Mapping[str, Any] = field(default_factory=dict)
