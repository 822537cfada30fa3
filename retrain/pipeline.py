"""What the user brings: the Pipeline contract.

A pipeline is built once per worker from plain, picklable settings; its data are loaded once, by whoever
starts the pool, and handed to every worker. `retrain.pipelines` holds the ready-made ones, and
`load_pipeline` there builds the one a configuration names.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tuner.experiment import Direction, Evaluation, Params, Provenance, Value
from tuner.goals import NO_GOALS, Goals
from tuner.patterns import Traits
from tuner.space import SearchSpace

__all__ = [
    "FOLDS",
    "FOLD_SUFFIX",
    "LOOK_PREFIX",
    "REFIT",
    "STEP_PREFIX",
    "Detail",
    "GroupScore",
    "Pipeline",
    "Pruned",
    "Report",
    "Scores",
    "evaluate_in_detail",
]

REFIT = "refit on all training rows"
"""What `Pipeline.fit` does: the holdout is not among them."""

FOLDS = "folds"
"""The unit of steps that are replicates: each reports a score of its own, and their mean is the result."""

FOLD_SUFFIX = "_fold"
"""The scores of folds are measured as `<metric>_fold` where the steps of the metric itself are others."""

LOOK_PREFIX = "look_at_"
"""Where the number of a step does not say what it is, its report has it as `look_at_<unit>`.

Of two experiments such steps are comparable where these agree: `[pruning] looks` may change within a study.
"""

STEP_PREFIX = "step_in_"
"""Where steps count something else than folds, a report has its number as `step_in_<unit>`, too.

Of two experiments only those of one unit are comparable: `[pruning] steps` may change within a study.
"""

Report = Callable[[int, Mapping[str, float]], None]
"""`report(step, {metric: value})`: called per fold, round or epoch; step >= 0, values finite.

Raises `Pruned` where the experiment is to stop.
"""


class Pruned(BaseException):
    """Raised out of `report` in an experiment that a pruner has stopped. Let it pass.

    No Exception, so that an `except Exception` of user code does not catch it. Where user code catches it all
    the same, the experiment counts as pruned whatever it returns.
    """


@dataclass(frozen=True, slots=True)
class Scores:
    """Test scores of one fitted model.

    Attributes:
        metrics: by name, on all held-out rows.
        n_rows: how many these are.
        left_out: for some of the metrics, the score on all rows but one block, for each block: what
            `retrain.honest.holdout` takes for intervals, and for two models on the same rows. Empty where the
            pipeline does not say.
    """

    metrics: Mapping[str, float]
    n_rows: int
    left_out: Mapping[str, tuple[float, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GroupScore:
    """One metric on the rows of one group; `value` is None where it has none there, and `why` says why."""

    value: float | None
    n_rows: int
    why: str = ""


@dataclass(frozen=True, slots=True)
class Detail:
    """What lies behind scores: asked for by a gate that needs more than the means.

    Attributes:
        folds: the values of each metric, fold by fold, in the order of the folds.
        groups: {column: {metric: {value of the column: score}}}, each row predicted by a model that has not
            seen it.
    """

    folds: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    groups: Mapping[str, Mapping[str, Mapping[str, GroupScore]]] = field(default_factory=dict)


class Pipeline(ABC):
    """One retraining pipeline: how a configuration is scored, fitted and tested.

    Attributes:
        name: what deployments and studies of it are called.
        space: the search space, defaults included.
        metric: name of the metric that `evaluate` returns as its value.
        direction: whether a smaller or larger metric is better.
        goals: what the study wants of the further metrics that `evaluate` returns.
    """

    name: str
    space: SearchSpace
    metric: str
    direction: Direction
    goals: Goals = NO_GOALS

    def load(self) -> object:
        """Load the data, once per run, or None. The result is handed to `use` in every worker.

        Raises:
            DataError: the data cannot be trained on; says why and names the column or file.
        """
        return None

    def use(self, data: object) -> None:  # noqa: B027 - a pipeline without data of its own need not override
        """Take the data that `load` returned, possibly in another process (arrays may be read-only there)."""

    @abstractmethod
    def provenance(self) -> Provenance:
        """What scores are scored on now. Call after `use`."""

    @abstractmethod
    def evaluate(self, params: Params, report: Report, seed: int) -> Evaluation:
        """Score one configuration: a cross-validated value with its standard error.

        The splits depend on `seed` alone, so that two configurations of one study are compared fold by fold.
        Whatever the user's code raises passes through; the worker turns it into a Failure.
        """

    def evaluate_for_tuning(self, params: Params, report: Report, seed: int) -> Evaluation:
        """Score one configuration of a search: as `evaluate`, on fewer rows where those are enough to choose.

        `provenance` says on how many. What is confirmed, gated and deployed is scored by `evaluate`.
        """
        return self.evaluate(params, report, seed)

    def traits(self) -> Traits:
        """By what the memory finds studies like this one: model, kind of problem, data. Call after `use`.

        By default those of a pipeline of this name.
        """
        return Traits(self.name)

    @property
    def steps(self) -> str:
        """What the steps of its reports count, such as "rounds" or "epochs"; FOLDS; "" where nobody said."""
        return ""

    @property
    def splits_follow_seed(self) -> bool:
        """Whether `evaluate` draws other splits for another seed: only then does a repeat say more."""
        return True

    def evaluate_in_detail(
        self,
        params: Params,
        report: Report,
        seed: int,
        by: Mapping[str, Collection[str]],  # noqa: ARG002
    ) -> tuple[Evaluation, Detail]:
        """Like `evaluate`, and say what lies behind it; a gate that finds too little there refuses.

        Args:
            params: as of `evaluate`.
            report: as of `evaluate`.
            seed: as of `evaluate`.
            by: {column: the metrics that are wanted for each of its values}.
        """
        return self.evaluate(params, report, seed), Detail()

    @property
    def can_fit(self) -> bool:
        """Whether `fit` and `test` work: False for a bare objective, which only scores."""
        return False

    def fit(self, params: Params, seed: int) -> Any:  # noqa: ARG002
        """Fit the final model on all training data. Only where `can_fit`."""
        raise TypeError(f"pipeline {self.name!r} cannot fit a model")

    def fit_rule(self, model: Any) -> Mapping[str, Any]:  # noqa: ARG002
        """How `fit` made this model, for the manifest of its version: JSON-ready. Only where `can_fit`.

        A key `note` is a sentence for people, where what was fitted is not what the parameters say. By
        `columns` (a list of the names of the features) and `n_rows` (a number) the gate `shape` knows a
        table that was cut or altered; where they are absent, it judges nothing.
        """
        return {"rule": REFIT}

    def suspicions(self) -> Sequence[str]:
        """What makes the scores on the present data doubtful, one sentence each. Call after `use`."""
        return ()

    def test(self, model: Any) -> Scores:  # noqa: ARG002
        """Score a model on the holdout, which no search ever sees. Only where `can_fit`.

        Metrics are named `test_*`.
        """
        raise TypeError(f"pipeline {self.name!r} cannot test a model")

    def test_in_detail(
        self,
        model: Any,
        by: Mapping[str, Collection[str]],  # noqa: ARG002
    ) -> tuple[Scores, Detail]:
        """Like `test`, with the groups of the holdout; `by` names `test_*` metrics. Only where `can_fit`."""
        return self.test(model), Detail()

    def costs_of(self, model: Any, names: Collection[str]) -> Mapping[str, float]:  # noqa: ARG002
        """What a fitted model costs where it is used, as far as it can be measured. Only where `can_fit`.

        Args:
            model: what `fit` returned.
            names: of `retrain.metrics.COSTS`: `predict_ms`, `model_kb`.
        """
        return {}

    def save(self, model: Any, folder: Path) -> Sequence[Path]:  # noqa: ARG002
        """Write the model into `folder` in a format that is safe to load; return the files.

        Only where `can_fit`.
        """
        raise TypeError(f"pipeline {self.name!r} cannot save a model")

    @property
    def can_predict(self) -> bool:
        """Whether `load_model`, `predict_rows` and `sample_rows` work.

        Where they do, a model that is deployed is loaded again in a fresh process before it becomes active,
        and so is one that is rolled back to.
        """
        return False

    def load_model(self, folder: Path) -> Any:  # noqa: ARG002
        """Read what `save` wrote into a folder, in a process that has loaded no data. Where `can_predict`."""
        raise TypeError(f"pipeline {self.name!r} cannot load a model")

    def sample_rows(self, n: int) -> list[dict[str, Value]]:  # noqa: ARG002
        """`n` of the rows to train on (fewer where there are fewer), without the target; always the same.

        Plain values by column, as `predict_rows` takes them. Only where `can_predict`, after `use`.
        """
        raise TypeError(f"pipeline {self.name!r} has no rows")

    def predict_rows(self, model: Any, rows: Sequence[Mapping[str, Value]]) -> list[Any]:  # noqa: ARG002
        """Predict for such rows: for each a label, a number, or a list of these. Only where `can_predict`."""
        raise TypeError(f"pipeline {self.name!r} cannot predict")


def evaluate_in_detail(
    pipeline: Pipeline, params: Params, report: Report, seed: int, by: Mapping[str, Collection[str]]
) -> tuple[Evaluation, Detail]:
    """Call the method of this name, unless a subclass brought an `evaluate` that it would never ask."""
    for cls in type(pipeline).__mro__:
        if "evaluate_in_detail" in vars(cls):
            break
        if "evaluate" in vars(cls):
            return pipeline.evaluate(params, report, seed), Detail()
    return pipeline.evaluate_in_detail(params, report, seed, by)
