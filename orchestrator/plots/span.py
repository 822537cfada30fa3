"""Which part of a scale of values is worth its room: a few very bad ones must not flatten all the others."""

import math
from collections.abc import Collection

__all__ = ["Span", "span_of"]

_SHARE = 0.9
_MARGIN = 0.08
_WORTH_ALL = 1.6


class Span(tuple[float, float]):
    """The lower and the upper end of what is shown."""

    __slots__ = ()

    def clamped(self, value: float) -> float:
        """The value, or the end that it is beyond."""
        return min(max(value, self[0]), self[1])

    def holds(self, value: float) -> bool:
        """Whether it is shown where it is."""
        return self[0] <= value <= self[1]

    def note(self, values: Collection[float]) -> str:
        """How many of these stand at an edge, as the end of a note; empty for none."""
        n = sum(not self.holds(value) for value in values)
        return f"; {n} worse than the scale stand{'s' if n == 1 else ''} at its edge" if n else ""


def span_of(
    values: Collection[float], sign: int, always: Collection[float] = (), margin: float = _MARGIN
) -> Span:
    """Show every good value, and the bad ones as far as nine of ten reach.

    All are shown where that costs the others little room.

    Args:
        values: finite, at least one.
        sign: 1 where more is better, -1 where less is.
        always: what has to be shown, such as the baseline.
        margin: room beyond either end, as a share of what lies between them.
    """
    ranked = sorted((*values, *always), key=lambda value: -sign * value)
    best, worst = ranked[0], ranked[-1]
    most = [*ranked[: max(1, math.ceil(_SHARE * len(ranked)))], *always]
    bulk = min(most) if sign > 0 else max(most)
    if len(ranked) < 10 or abs(worst - best) <= _WORTH_ALL * abs(bulk - best):
        bulk = worst
    low, high = min(best, bulk), max(best, bulk)
    # Values near the largest float must not overflow.
    room = margin * ((high - low) if high > low else max(abs(high), 1e-11))
    return Span((max(low - room, -1e300), min(high + room, 1e300)))
