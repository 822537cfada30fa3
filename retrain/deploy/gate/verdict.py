"""One bound, and whether it was met; and the error of those that were not."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tuner.errors import GateError

__all__ = ["Verdict", "gate_error"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """One bound, and whether it was met.

    Attributes:
        metric: what was looked at; of a check of the user's own, its reference.
        rule: "min", "max", "min_improvement", "max_drop"; of the default gate, "not_worse" than what is
            deployed on the same data, or than what was "recorded" when these hyperparameters were deployed;
            "check" of a user's own; "data" of what an experiment was scored on; "shape" of the table that a
            retrain is fitted on.
        limit: the bound, in the metric's unit; None where there is none, or it could not be computed.
        challenger, champion: the figures, where known; by group, those of the group that decides.
        improvement: challenger over champion, positive when better.
        std_error: of what was compared, where it is known.
        passed: whether the bound was met.
        why: the verdict in words, with its numbers.
        remedy: what to do where it was not met, if there is something particular.
        name: of the gate.
        confidence: one-sided, of a bound that asks for it.
        bound: with a confidence, the end of the interval that has to keep the limit, where known.
        override: "needed" or "not needed", where `--override-gate` named this gate; else "".
        reason: why it was overridden, in the user's words.
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
    name: str = ""
    confidence: float | None = None
    bound: float | None = None
    override: str = ""
    reason: str = ""

    @property
    def lets_through(self) -> bool:
        """Whether nothing stands in the way here: it was met, or somebody has overridden it."""
        return self.passed or self.override == "needed"

    @property
    def sentence(self) -> str:
        """The verdict in words, with the gate's name."""
        return f"{self.name}: {self.why}" if self.name else self.why

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready row of the ledger."""
        return asdict(self)


def gate_error(verdicts: Sequence[Verdict]) -> GateError:
    """The error that lists every bound that was not met, with its numbers."""
    failed = [verdict for verdict in verdicts if not verdict.lets_through]
    particular = dict.fromkeys(verdict.remedy for verdict in failed if verdict.remedy)
    return GateError(
        f"The gate was not met, and nothing was deployed: {'; '.join(each.sentence for each in failed)}.",
        " ".join(particular) or "Look for better hyperparameters, or change [[gate]].",
    )
