"""What decides whether hyperparameters may change: a pure function of figures.

It fails closed: a figure that is missing or not finite, or a champion that could not be scored, is a refusal
with a reason, never a pass.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from retrain.config import GateConfig
from retrain.stats import paired_difference
from tuner.errors import GateError, did_you_mean
from tuner.experiment import Direction, loss_of

__all__ = ["Figures", "Verdict", "gate_error", "judge", "std_error_of_difference"]


@dataclass(frozen=True, slots=True)
class Figures:
    """What is known about one configuration, scored on the present data.

    Attributes:
        value: the study's metric, cross-validated.
        std_error: its standard error, where known.
        folds: the value of each fold by its number, where the pipeline reports them.
        metrics: every number by name: the study's metric, what else was returned, and the holdout's `test_*`.
        n_test_rows: rows of the holdout, where there is one.
    """

    value: float
    std_error: float | None = None
    folds: Mapping[int, float] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    n_test_rows: int | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """One bound, and whether it was met.

    Attributes:
        metric: what was looked at.
        rule: "min", "max", "min_improvement", "max_drop"; or of the default gate, "not_worse" than what is
            deployed on the same data, or than what was "recorded" when these hyperparameters were deployed.
        limit: the bound, in the metric's unit; None where it could not be computed.
        challenger, champion: the figures, where known.
        improvement: challenger over champion, positive when better.
        std_error: of the improvement, where it is known.
        passed: whether the bound was met.
        why: the verdict in words, with its numbers.
        remedy: what to do where it was not met, if there is something particular.
    """

    metric: str
    rule: str
    limit: float | None
    challenger: float | None
    champion: float | None
    improvement: float | None
    std_error: float | None
    passed: bool
    why: str
    remedy: str = ""

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready row of the ledger."""
        return asdict(self)


def judge(
    gates: Sequence[GateConfig],
    challenger: Figures,
    champion: Figures | None,
    *,
    metric: str,
    direction: Direction,
    direction_of: Callable[[str], Direction | None],
    same_params: bool = False,
    recorded: Figures | None = None,
    no_champion: str = "",
    n_folds: int | None = None,
) -> tuple[Verdict, ...]:
    """Judge a challenger against bounds and against what is deployed.

    Args:
        gates: the configured bounds, besides the default gate. Unless one of them is relative, the challenger
            must not be worse than the champion by more than one standard error of their difference. Where
            there is no champion to compare with, an absolute bound on the study's metric is enough.
        challenger: figures of what would be deployed.
        champion: figures of what is deployed, scored on the same splits; None where it could not be scored.
        metric: the study's metric.
        direction: whether a smaller or larger value of it is better.
        direction_of: the same for any other metric; None where nobody knows.
        same_params: the challenger is the champion, fitted anew. On the same data they cannot differ, so the
            default gate compares with `recorded`: no worse by more than two standard errors. Only an absolute
            bound on the study's metric, on its bad side, takes the place of that.
        recorded: with `same_params`, the figures stored when they were deployed; None where nothing was
            fitted before.
        no_champion: why there are no figures of a champion.
        n_folds: folds of one repeat, for the standard error; see `paired_difference`.

    Returns:
        The verdict of the default gate, where it stands; then one for each bound, in the order given.
    """
    study = _Pair(metric, direction, challenger, champion, no_champion)
    verdicts = []
    side = _bad_side(direction)
    is_bounded = any(gate.metric == metric and getattr(gate, side) is not None for gate in gates)
    is_relative = any(gate.min_improvement is not None or gate.max_drop is not None for gate in gates)
    if same_params:
        if not is_bounded:
            verdicts.append(study.as_recorded(recorded))
    elif not (is_relative or (champion is None and is_bounded)):
        verdicts.append(study.not_worse(n_folds))
    for gate in gates:
        known = direction if gate.metric in (metric, f"test_{metric}") else direction_of(gate.metric)
        pair = _Pair(gate.metric, known, challenger, champion, no_champion)
        for rule in ("min", "max"):
            limit = getattr(gate, rule)
            if limit is not None:
                verdicts.append(pair.absolute(rule, limit))
        for rule in ("min_improvement", "max_drop"):
            limit = getattr(gate, rule)
            if limit is not None:
                verdicts.append(pair.unchanged(rule, limit) if same_params else pair.relative(rule, limit))
    return tuple(verdicts)


def gate_error(verdicts: Sequence[Verdict], *, dry_run: bool = False) -> GateError:
    """The error that lists every bound that was not met, with its numbers."""
    failed = [verdict for verdict in verdicts if not verdict.passed]
    particular = [verdict.remedy for verdict in failed if verdict.remedy]
    see = "" if dry_run else "Add --dry-run to see all figures. "
    return GateError(
        f"The gate was not met, and nothing was deployed: {'; '.join(verdict.why for verdict in failed)}.",
        see + (" ".join(particular) or "Look for better hyperparameters, or change [[gate]]."),
    )


def _bad_side(direction: Direction) -> str:
    """The bound that keeps a metric from getting worse."""
    return "min" if direction is Direction.MAXIMIZE else "max"


@dataclass(frozen=True, slots=True)
class _Pair:
    """One metric of challenger and champion."""

    metric: str
    direction: Direction | None
    challenger: Figures
    champion: Figures | None
    no_champion: str

    @property
    def new(self) -> float | None:
        return _finite(self.challenger.metrics.get(self.metric))

    @property
    def old(self) -> float | None:
        return None if self.champion is None else _finite(self.champion.metrics.get(self.metric))

    def absolute(self, rule: str, limit: float) -> Verdict:
        if self.new is None:
            return self.refusal(rule, limit)
        passed = self.new >= limit if rule == "min" else self.new <= limit
        side = {
            ("min", True): "at least",
            ("min", False): "below",
            ("max", True): "at most",
            ("max", False): "above",
        }
        why = f"{self.metric} is {_spoken(self.new)}, {side[rule, passed]} the {rule} of {_spoken(limit)}"
        return Verdict(self.metric, rule, limit, self.new, self.old, self.improvement, None, passed, why)

    def relative(self, rule: str, limit: float) -> Verdict:
        improvement = self.improvement
        if improvement is None:
            return self.refusal(rule, limit)
        passed = improvement >= (limit if rule == "min_improvement" else -limit)
        why = f"{self.compared(improvement)}; {rule} is {_spoken(limit)}"
        return Verdict(self.metric, rule, limit, self.new, self.old, improvement, None, passed, why)

    def not_worse(self, n_folds: int | None) -> Verdict:
        """The default gate for other hyperparameters: cross-validated, both scored on the same splits."""
        improvement = self.improvement
        if improvement is None or self.champion is None:
            refused = self.refusal("not_worse", None)
            return replace(refused, remedy=self.way_out("Mend that. Where what is deployed must go anyhow"))
        std_error = std_error_of_difference(self.challenger, self.champion, n_folds)
        margin = std_error or 0.0
        allowed = "the allowance" if std_error is None else "one standard error of the difference"
        why = f"{self.compared(improvement)}; {allowed} is {_spoken(margin)}"
        passed = improvement >= -margin
        return Verdict(
            self.metric, "not_worse", margin, self.new, self.old, improvement, std_error, passed, why
        )

    def as_recorded(self, recorded: Figures | None) -> Verdict:
        """The default gate for the same hyperparameters, which the present data alone could never fail."""
        if self.new is None:
            return self.refusal("recorded", None)
        if recorded is None:
            why = f"{self.metric}: nothing was fitted before, so there is no recorded value to compare with"
            return Verdict(self.metric, "recorded", None, self.new, None, None, None, True, why)
        then = replace(self, champion=recorded)
        remedy = "Look at what changed in the data or the code. " + self.way_out(
            "Where they are rightly harder"
        )
        improvement = then.improvement
        if then.old is None:
            why = f"{self.metric} cannot be judged: the active version has no recorded value of it"
            return Verdict(self.metric, "recorded", None, self.new, None, None, None, False, why, remedy)
        if improvement is None:
            return replace(then.refusal("recorded", None), remedy=remedy)
        fresh = self.challenger.std_error or 0.0
        std_error = math.hypot(fresh, fresh if recorded.std_error is None else recorded.std_error)
        side = "better" if improvement >= 0 else "worse"
        new, old, change = (_spoken(number or 0.0) for number in (self.new, then.old, abs(improvement)))
        why = (
            f"{self.metric} is {new}, {change} {side} than was recorded when this was deployed ({old});"
            f" the allowance of two standard errors is {_spoken(2 * std_error)}"
        )
        passed = improvement >= -2 * std_error
        return Verdict(
            self.metric,
            "recorded",
            2 * std_error,
            self.new,
            then.old,
            improvement,
            std_error,
            passed,
            why,
            "" if passed else remedy,
        )

    def way_out(self, where: str) -> str:
        """How to say what is enough in itself."""
        bound = "min" if self.direction is None else _bad_side(self.direction)
        return (
            f'{where}, say what is enough: [[gate]] with metric = "{self.metric}" and {bound} = <the bound>.'
        )

    def unchanged(self, rule: str, limit: float) -> Verdict:
        why = f"{self.metric}: the hyperparameters stay, so {rule} asks for nothing"
        return Verdict(self.metric, rule, limit, self.new, self.old, self.improvement, None, True, why)

    @property
    def improvement(self) -> float | None:
        """Challenger over champion, positive when better; None where it cannot be told."""
        if self.direction is None or self.new is None or self.old is None:
            return None
        return loss_of(self.old, self.direction) - loss_of(self.new, self.direction)

    def compared(self, improvement: float) -> str:
        side = "better" if improvement >= 0 else "worse"
        new, old, change = (_spoken(number or 0.0) for number in (self.new, self.old, abs(improvement)))
        return f"{self.metric} is {new}, {change} {side} than what is deployed ({old})"

    def refusal(self, rule: str, limit: float | None) -> Verdict:
        """A bound that cannot be judged is not met."""
        if self.new is None:
            reason = self._missing(self.challenger)
        elif self.champion is None:
            reason = f"what is deployed could not be scored ({self.no_champion})"
        elif self.old is None:
            reason = f"of what is deployed, {self._missing(self.champion)}"
        else:
            reason = "it is not known whether more or less of it is better"
        why = f"{self.metric} ({rule}) cannot be judged: {reason}"
        return Verdict(self.metric, rule, limit, self.new, self.old, None, None, False, why)

    def _missing(self, figures: Figures) -> str:
        if self.metric in figures.metrics:
            return f"it is {figures.metrics[self.metric]}"
        measured = ", ".join(figures.metrics) or "nothing"
        hint = did_you_mean(self.metric, figures.metrics).rstrip("?")
        return f"it was not measured, but {measured} was.{hint}".rstrip(".")


def std_error_of_difference(one: Figures, other: Figures, n_folds: int | None = None) -> float | None:
    """Standard error of the mean difference: paired by fold, or from both standard errors without folds.

    Unpaired variances add up, which is too wide a margin where the same splits favour or hinder both.
    `n_folds`: folds of one repeat; all of them where it is None. See `paired_difference` for the correction.
    """
    if len(one.folds) >= 2 and one.folds.keys() == other.folds.keys():
        others = [other.folds[fold] for fold in one.folds]
        return paired_difference(list(one.folds.values()), others, folds=n_folds).std_error
    if one.std_error is not None and other.std_error is not None:
        return math.hypot(one.std_error, other.std_error)
    return None


def _finite(number: float | None) -> float | None:
    return number if number is not None and math.isfinite(number) else None


def _spoken(number: float) -> str:
    return f"{number:.6g}"
