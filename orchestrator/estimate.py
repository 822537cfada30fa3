"""What a run will come to, from what is known before it begins: how long it takes, and at what cost."""

import math
from dataclasses import dataclass

from retrain.tables import number, seconds

__all__ = ["Estimate", "at_once"]


def at_once(n_workers: int, n_cores: int | None, busy: float = 1.0) -> float:
    """How many experiments so many workers finish in the time that one took before.

    More workers than cores take turns at them: each takes longer, and no more are finished.

    Args:
        n_workers: how many there are.
        n_cores: that all of them share; None where they are those of a cluster.
        busy: how many ran at a time when the time was taken, which is longer for those beyond the cores.
    """
    return n_workers if n_cores is None else min(n_workers, n_cores) * max(1.0, busy / n_cores)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A run that has not begun.

    Attributes:
        n: experiments; None for a design whose size is not known yet.
        n_workers: how many run at a time (>= 1).
        typical_s: how long one takes, by the median of earlier ones; None where none is known.
        timeout_s: of the whole; None for no end.
        cost_per_hour: of one worker, in whatever unit; None where nobody said.
    """

    n: int | None
    n_workers: int
    typical_s: float | None
    timeout_s: float | None = None
    cost_per_hour: float | None = None

    @property
    def needed_s(self) -> float | None:
        """How long all of it takes; None where that is unknown."""
        if self.n is None or self.typical_s is None:
            return None
        return math.ceil(self.n / self.n_workers) * self.typical_s

    @property
    def wall_s(self) -> float | None:
        """The same, no longer than the whole may take."""
        if self.needed_s is None or self.timeout_s is None:
            return self.needed_s
        return min(self.needed_s, self.timeout_s)

    @property
    def cost(self) -> float | None:
        """What the workers cost in that time; at most, where only the end is known."""
        known_s = self.timeout_s if self.wall_s is None else self.wall_s
        if self.cost_per_hour is None or known_s is None:
            return None
        busy = self.n_workers if self.n is None else min(self.n_workers, self.n)
        return known_s / 3600 * busy * self.cost_per_hour

    @property
    def time_text(self) -> str:
        """How long it takes, in words."""
        if self.typical_s is None:
            return "unknown before the first have ended" + self._end(" at most {}")
        each = f"{seconds(self.typical_s)} each so far"
        if self.wall_s is None or self.needed_s is None:
            return each + self._end("at most {}, ")
        if self.wall_s < self.needed_s:
            return f"{seconds(self.wall_s)}, the limit; all would take about {seconds(self.needed_s)}, {each}"
        return f"about {seconds(self.wall_s)}, {each}"

    @property
    def cost_text(self) -> str:
        """What it costs, in words; "" where nobody said what a worker costs."""
        if self.cost_per_hour is None:
            return ""
        if self.cost is None:
            return f"unknown; {number(self.cost_per_hour)} an hour and worker"
        most = "at most" if self.needed_s is None else "about"
        return f"{most} {number(self.cost, 3)}, at {number(self.cost_per_hour)} an hour and worker"

    def _end(self, text: str) -> str:
        return "" if self.timeout_s is None else "; " + text.format(seconds(self.timeout_s)).strip(", ")
