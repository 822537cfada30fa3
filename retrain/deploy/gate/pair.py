"""One metric of challenger and champion: their figures, their difference, and why they cannot be judged."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from retrain.deploy.gate.figures import Figures, finite, mean, spoken
from retrain.deploy.gate.verdict import Verdict
from tuner.errors import did_you_mean
from tuner.experiment import Direction, loss_of

__all__ = ["Pair", "bad_side"]


def bad_side(direction: Direction) -> str:
    """The bound that keeps a metric from getting worse."""
    return "min" if direction is Direction.MAXIMIZE else "max"


@dataclass(frozen=True, slots=True)
class Pair:
    """One metric of challenger and champion.

    Attributes:
        name: of the gate.
        metric: what is looked at.
        direction: whether less or more of it is better; None where nobody knows.
        challenger: figures of what would be deployed.
        champion: figures of what is deployed; None where it could not be scored.
        no_champion: why not.
        is_own: whether the metric is the study's.
        repeats: how many fresh cross-validations count; 0 for the study's own folds.
        n_folds: folds of one repeat, for the standard error; of a repeat itself where None.
    """

    name: str
    metric: str
    direction: Direction | None
    challenger: Figures
    champion: Figures | None
    no_champion: str = ""
    is_own: bool = False
    repeats: int = 0
    n_folds: int | None = None

    @property
    def new(self) -> float | None:
        """The challenger's figure; None where it is missing or not finite."""
        return self._number(self.challenger)

    @property
    def old(self) -> float | None:
        """The champion's."""
        return None if self.champion is None else self._number(self.champion)

    def _number(self, figures: Figures) -> float | None:
        if not self.repeats:
            return finite(figures.metrics.get(self.metric))
        sample = self.sample(figures)
        return finite(mean(sample)) if sample else None

    def sample(self, figures: Figures | None) -> tuple[tuple[float, ...], ...]:
        """The folds that count, repeat by repeat; empty where they are not known."""
        return () if figures is None else figures.sample(self.metric, self.repeats, is_own=self.is_own)

    @property
    def improvement(self) -> float | None:
        """Challenger over champion, positive when better; None where it cannot be told."""
        if self.direction is None or self.new is None or self.old is None:
            return None
        return finite(loss_of(self.old, self.direction) - loss_of(self.new, self.direction))

    def compared(self, improvement: float) -> str:
        """Both figures and their difference, in words."""
        side = "better" if improvement >= 0 else "worse"
        new, old, change = (spoken(number or 0.0) for number in (self.new, self.old, abs(improvement)))
        return f"{self.metric} is {new}, {change} {side} than what is deployed ({old})"

    def where(self, sample: Sequence[Sequence[float]]) -> str:
        """On how many folds, in words."""
        n = sum(map(len, sample))
        return f"over {n} fresh folds" if self.repeats else f"over the study's {n} folds"

    def verdict(self, rule: str, limit: float | None, passed: bool, why: str, **more: Any) -> Verdict:
        """A verdict on this pair; `more`: its further fields."""
        fields = {"improvement": self.improvement, "std_error": None, **more}
        return Verdict(
            self.metric,
            rule,
            limit,
            self.new,
            self.old,
            passed=passed,
            why=why,
            name=self.name,
            **fields,
        )

    def refusal(self, rule: str, limit: float | None, reason: str = "", **more: Any) -> Verdict:
        """A bound that cannot be judged is not met. The reason is found where none is given."""
        why = f"{self.metric} ({rule}) cannot be judged: {reason or self._reason()}"
        return self.verdict(rule, limit, False, why, improvement=None, **more)

    def _reason(self) -> str:
        if self.new is None:
            return self._missing(self.challenger)
        if self.champion is None:
            return f"what is deployed could not be scored ({self.no_champion})"
        if self.old is None:
            return f"of what is deployed, {self._missing(self.champion)}"
        return "it is not known whether more or less of it is better"

    def _missing(self, figures: Figures) -> str:
        if self.metric not in figures.metrics:
            measured = ", ".join(figures.metrics) or "nothing"
            hint = did_you_mean(self.metric, figures.metrics).rstrip("?")
            return f"it was not measured, but {measured} was.{hint}".rstrip(".")
        if finite(figures.metrics[self.metric]) is None:
            return f"it is {figures.metrics[self.metric]}"
        return "the pipeline does not say its folds, so that repeats have nothing to go by"
