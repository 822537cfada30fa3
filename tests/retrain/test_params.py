"""Defaults + found + fixed, in that order of strength."""

from typing import Any

import pytest

from retrain.params import best_params
from tuner.errors import ParamsError
from tuner.space import CategoricalParam, FloatParam, IntParam, SearchSpace

SPACE = SearchSpace(
    [
        FloatParam("rate", 0.01, 1.0, log=True, default=0.1),
        IntParam("depth", 1, 8, default=3),
        CategoricalParam("kind", ("tree", "dart")),
        FloatParam("drop", 0.0, 1.0, default=0.25, when={"kind": ("dart",)}),
    ]
)


@pytest.mark.parametrize(
    ("found", "fixed", "best"),
    [
        ({}, {}, {"rate": 0.1, "depth": 3, "kind": "tree"}),
        ({"depth": 5}, {}, {"rate": 0.1, "depth": 5, "kind": "tree"}),
        ({"depth": 5}, {"depth": 7}, {"rate": 0.1, "depth": 7, "kind": "tree"}),
        ({"kind": "dart"}, {"seed": 4}, {"rate": 0.1, "depth": 3, "kind": "dart", "drop": 0.25, "seed": 4}),
        (
            {"kind": "dart", "drop": 0.5, "rate": 1},
            {},
            {"rate": 1.0, "depth": 3, "kind": "dart", "drop": 0.5},
        ),
        ({"depth": 99}, {"depth": 12}, {"rate": 0.1, "depth": 12, "kind": "tree"}),
    ],
)
def test_each_is_stronger_than_the_one_before(
    found: dict[str, Any], fixed: dict[str, Any], best: dict[str, Any]
) -> None:
    assert best_params(SPACE, found, fixed) == best
    assert best_params(SPACE, found, fixed, strict=False) == best
    assert type(best_params(SPACE, {"depth": 5.0}, {})["depth"]) is int


@pytest.mark.parametrize(
    ("found", "fault"),
    [
        ({"depth": 9}, "depth"),
        ({"depth": "3"}, "depth"),
        ({"depth": 2.5}, "depth"),
        ({"kind": "forest"}, "kind"),
        ({"drop": 0.5}, "drop"),
        ({"dept": 3}, "Did you mean 'depth'"),
    ],
)
def test_types_and_ranges_are_those_of_the_space(found: dict[str, Any], fault: str) -> None:
    with pytest.raises(ParamsError, match=fault):
        best_params(SPACE, found, {})


def test_every_fault_is_listed() -> None:
    with pytest.raises(ParamsError) as caught:
        best_params(SPACE, {"depth": 9, "rate": "high", "king": 1}, {})
    assert len(caught.value.problems) == 3


def test_what_is_in_production_outside_the_space_is_kept_as_it_is() -> None:
    assert best_params(SPACE, {"depth": 30}, {}, strict=False) == {"depth": 30, "rate": 0.1, "kind": "tree"}
