"""Which way is better, and the one place where the sign of a number changes."""

from enum import StrEnum

__all__ = ["Direction", "loss_of"]


class Direction(StrEnum):
    """Whether a smaller or a larger value is better."""

    MINIMIZE = "minimize"
    MAXIMIZE = "maximize"


def loss_of(value: float, direction: Direction) -> float:
    """The loss that generators minimise, and the only place where the sign changes. Its own inverse."""
    return -value if direction is Direction.MAXIMIZE else value
