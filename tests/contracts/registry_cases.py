"""What the tests of the registry talk about; light to import, for the processes that they start."""

from collections.abc import Callable

from tuner.experiment import Direction, Provenance, Suggestion
from tuner.registry.base import Registry, StudySpec

__all__ = ["ON", "SPEC", "START", "Clock", "Connect", "some"]

Connect = Callable[[], Registry]

START = 1_700_000_000.0  # 2023-11-14 22:13:20 UTC
SPEC = StudySpec(
    name="credit",
    space={"params": {"depth": {"type": "int", "low": 1, "high": 9}, "rate": {"type": "float"}}},
    metric="roc_auc",
    direction=Direction.MAXIMIZE,
    baseline={"depth": 3, "rate": 0.1},
    seed=7,
)
ON = Provenance(data="d1", code="c1", metric="m1")


class Clock:
    """Stands still until told."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


def some(n: int, *, first: int = 0, method: str = "random") -> list[Suggestion]:
    """`n` distinct suggestions."""
    return [Suggestion({"depth": i, "rate": i / 8}, method) for i in range(first, first + n)]
