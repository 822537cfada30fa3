"""What is said when a study is asked for with another space than it has: only what differs, by name."""

from pathlib import Path
from typing import Any

import pytest

from tuner.errors import MismatchError
from tuner.experiment import Direction
from tuner.registry import open_registry
from tuner.registry.base import StudySpec
from tuner.space import FloatParam, IntParam, SearchSpace

RATE, DEPTH = FloatParam("rate", 0.1, 1.0), IntParam("depth", 2, 12, default=6)


def spec(*params: Any) -> StudySpec:
    space = SearchSpace(params)
    return StudySpec("s", space.to_dict(), "loss", Direction.MINIMIZE, space.defaults(), 0)


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ([RATE, IntParam("depth", 3, 12, default=6)], "params.depth.low 2 there, 3 here"),
        ([RATE], "params.depth only there"),
        ([RATE, DEPTH, IntParam("leaves", 2, 9)], "params.leaves only here"),
        ([RATE, IntParam("deepness", 2, 12)], "params.depth only there; params.deepness only here"),
    ],
)
def test_another_space_is_told_by_its_parameters(tmp_path: Path, params: list[Any], said: str) -> None:
    with open_registry(tmp_path / "mine.db", create=True) as registry:
        registry.open_study(spec(RATE, DEPTH))
        with pytest.raises(MismatchError) as caught:
            registry.open_study(spec(*params))
    assert str(caught.value).endswith(f"is stored with another search space ({said}).")


def test_the_same_parameters_in_another_order_are_another_space(tmp_path: Path) -> None:
    with open_registry(tmp_path / "mine.db", create=True) as registry:
        registry.open_study(spec(RATE, DEPTH))
        with pytest.raises(MismatchError, match="in another order"):
            registry.open_study(spec(DEPTH, RATE))
