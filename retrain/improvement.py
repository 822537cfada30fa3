"""How much better one experiment is than another: fold by fold, with an interval."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from retrain.config.naming import WITH_FOLDS
from retrain.pipeline import FOLD_SUFFIX
from retrain.stats import PairedDifference, paired_difference
from retrain.tables import signed
from tuner.errors import NotFoundError, ParamsError, SpaceError, did_you_mean
from tuner.experiment import Direction, Experiment, Measurement, Params, Provenance, Study, loss_of
from tuner.registry.base import RegistryReader

if TYPE_CHECKING:
    from retrain.config import Config

__all__ = [
    "ROLES",
    "Improvement",
    "find_configuration",
    "find_references",
    "fold_scores",
    "folds_of",
    "get_study",
    "improvement",
    "improvement_json",
    "improvement_lines",
    "scores_of_folds",
]

ROLES = {"baseline": "the baseline", "deployed": "what is deployed"}
"""What a result may be compared with, and what people call it."""

_NEGLIGIBLE = 1e-9
"""An error of this part of the difference is rounding."""

_MAY_BE_NEGATIVE = ("r2", "explained_variance", "d2_absolute_error_score", "matthews_corrcoef")


@dataclass(frozen=True, slots=True)
class Improvement:
    """What `candidate` gains over `reference`.

    Attributes:
        against: what the reference is to the user, such as "baseline" or "deployed".
        amount: how much better the candidate is, in the metric's unit; negative where it is worse, whichever
            direction the metric has.
        paired: the same fold by fold, with its interval; None where the two share no folds.
        metric: what is compared.
        direction: of the metric.
    """

    against: str
    candidate: Experiment
    reference: Experiment
    amount: float
    paired: PairedDifference | None
    metric: str
    direction: Direction

    @property
    def relative(self) -> float | None:
        """`amount` as a fraction of the reference's value; None where that is no share of anything.

        So it is where the value is zero or less, and for metrics whose zero is no "nothing at all".
        """
        value = self.reference.value
        if value is None or value <= 0 or self.metric.startswith("neg_") or self.metric in _MAY_BE_NEGATIVE:
            return None
        return self.amount / value

    @property
    def change(self) -> float:
        """Candidate minus reference, in the metric's own sign: negative where a loss got better."""
        return self._sign * self.amount

    @property
    def change_interval(self) -> tuple[float, float] | None:
        """The interval of `change`, in ascending order; None where there is none."""
        if self.paired is None:
            return None
        ends = (self._sign * self.paired.low, self._sign * self.paired.high)
        return min(ends), max(ends)

    @property
    def _sign(self) -> int:
        return 1 if self.direction is Direction.MAXIMIZE else -1


def improvement(
    registry: RegistryReader,
    study: Study,
    candidate: Experiment,
    reference: Experiment,
    *,
    against: str = "reference",
    folds: int | None = None,
) -> Improvement:
    """Compare two complete experiments of one study that were scored on the same provenance.

    Args:
        registry: where their folds are.
        study: the study of both.
        candidate: the one that should be better.
        reference: the one it is compared with.
        against: what to call the reference.
        folds: number of folds of one repeat, for the correction of the standard error; see `retrain.stats`.
    """
    if candidate.value is None or reference.value is None:
        raise ValueError("only complete experiments can be compared")
    ours, theirs = (fold_scores(registry, study, each) for each in (candidate, reference))
    paired = None
    if len(ours) == len(theirs) >= 2:
        gains = [[-loss_of(score, study.direction) for score in scores] for scores in (ours, theirs)]
        paired = paired_difference(*gains, folds=folds)
    amount = loss_of(reference.value, study.direction) - loss_of(candidate.value, study.direction)
    return Improvement(against, candidate, reference, amount, paired, study.metric, study.direction)


def fold_scores(registry: RegistryReader, study: Study, experiment: Experiment) -> list[float]:
    """Return the score of each fold, in order; empty where the measurements are not folds.

    A pipeline of the user's own may report epochs or rounds instead, which are no replicates. Scores of folds
    are known by their mean being the value.
    """
    if experiment.value is None:
        return []
    return scores_of_folds(registry.measurements(experiment), study.metric, experiment.value)


def scores_of_folds(measurements: Iterable[Measurement], metric: str, value: float) -> list[float]:
    """The measurements that are scores of folds, in order; empty where they are something else, as above."""
    measured = list(measurements)
    of_folds = [m for m in measured if m.metric == metric + FOLD_SUFFIX]
    measured = of_folds or [m for m in measured if m.metric == metric]
    scores = [m.value for m in sorted(measured, key=lambda m: m.step)]
    if len(scores) < 2:
        return []
    mean = math.fsum(scores) / len(scores)
    return scores if math.isclose(mean, value, rel_tol=1e-9, abs_tol=1e-12) else []


def folds_of(config: "Config") -> int | None:
    """Folds of one repeat, where the pipeline's folds are the configured ones; None where it has its own."""
    return config.splits.folds if config.pipeline.kind in WITH_FOLDS else None


def find_configuration(
    registry: RegistryReader, study: Study, provenance: Provenance, params: Params
) -> Experiment | None:
    """The latest of this provenance that ran exactly these parameters, as the study's space spells them."""
    found = registry.find_scored(study, provenance, params=params)
    if found is not None:
        return found
    from tuner.space import SearchSpace

    try:
        spelt = SearchSpace.from_dict(study.space).validate(params)
    except (ParamsError, SpaceError):  # of another space: its rows may be there all the same
        spelt = dict(params)
    return registry.find_scored(study, provenance, params=spelt)


def find_references(
    registry: RegistryReader, study: Study, provenance: Provenance, deployed: Params | None
) -> dict[str, Experiment]:
    """What results are compared with, by role, where it has one of this provenance.

    `deployed` is what is in production now; the study's latest row "deployed" where it is not given.
    """
    baseline = find_configuration(registry, study, provenance, study.baseline) or registry.find_scored(
        study, provenance, method="default"
    )
    in_use = (
        find_configuration(registry, study, provenance, deployed)
        if deployed
        else registry.find_scored(study, provenance, method="deployed")
    )
    return {role: row for role, row in (("baseline", baseline), ("deployed", in_use)) if row is not None}


def get_study(registry: RegistryReader, name: str) -> Study:
    """Return the study of this name.

    Raises:
        NotFoundError: there is none; names the closest.
    """
    study = registry.find_study(name)
    if study is None:
        known = [each.name for each in registry.studies()]
        raise NotFoundError(
            f"There is no study {name!r} in this registry.{did_you_mean(name, known)}",
            "orchestrator --method bayesian --configs 20"
            + (f". Or name one that is there with --study: {', '.join(known)}" if known else ""),
        )
    return study


def improvement_json(each: Improvement) -> dict[str, Any]:
    """An improvement with its interval; the interval is null where the two share no folds."""
    paired = each.paired
    interval = paired and {
        "level": paired.level,
        "low": paired.low,
        "high": paired.high,
        "std_error": paired.std_error,
        "n_folds": paired.n_folds,
        "includes_zero": paired.includes_zero,
    }
    return {
        "against": each.against,
        "candidate": each.candidate.public_id,
        "reference": each.reference.public_id,
        "amount": each.amount,
        "change": each.change,
        "relative": each.relative,
        "interval": interval,
    }


def improvement_lines(each: Improvement) -> list[str]:
    """A change in the metric's own sign, its interval, and what it shows or does not show."""
    over = ROLES.get(each.against, each.against)
    lower = each.direction is Direction.MINIMIZE
    share = each.relative
    relative = "" if share is None else f" ({-share if lower else share:+.2%})"
    compared = f"{relative} against {over}; lower is better" if lower else f"{relative} over {over}"
    if each.paired is None or each.change_interval is None:
        return [
            f"{each.change:+.4g}{compared}",
            "  no interval: the two did not report scores of the same folds",
        ]
    paired = each.paired
    if paired.std_error <= _NEGLIGIBLE * abs(each.change):
        return [
            f"{each.change:+.4g}{compared}",
            f"  no interval: the difference is the same in each of the {paired.n_folds} folds",
        ]
    start, end = each.change_interval
    low, change, high = (signed(x, paired.std_error) for x in (start, each.change, end))
    if paired.includes_zero:
        shown = "includes zero: these folds do not show a real difference."
    else:
        shown = (
            f"excludes zero: {'better' if paired.low > 0 else 'worse'} by more than the noise of the folds."
        )
    return [
        f"{change}{compared}",
        f"  95 % interval [{low}, {high}] from {paired.n_folds} paired folds",
        f"  The interval {shown}",
    ]
