"""`SearchSpace.of`: whole spaces, in any mixture of words."""

from typing import Any

import numpy as np
import pytest

from tuner.errors import SpaceError
from tuner.space import CategoricalParam, FloatParam, IntParam, SearchSpace, Sum


def test_everything_in_one_dictionary() -> None:
    space = SearchSpace.of(
        {
            "ours": FloatParam("ours", 0, 1),
            "table": {"type": "loguniform", "lower": 0.01, "upper": 0.3, "when": {"choices": "a"}},
            "array_table": {"values": np.array([1, 2])},
            "tuple": (1, 8),
            "choices": ["a", "b"],
            "array": np.array([0.1, 1.0]),
            "range": range(10, 2, -2),
            "one": range(3, 4),
            "constant": "adam",
            "none": None,
            "numpy": np.float64(0.5),
            "group": {"x": 1, "deeper": {"low": (0.0, 1.0), "high": [1, 2]}},
        }
    )
    assert list(space.params.values()) == [
        FloatParam("ours", 0, 1),
        FloatParam("table", 0.01, 0.3, log=True, when={"choices": ["a"]}),
        CategoricalParam("array_table", [1, 2]),
        IntParam("tuple", 1, 8),
        CategoricalParam("choices", ["a", "b"]),
        CategoricalParam("array", [0.1, 1.0]),
        IntParam("range", 4, 10, step=2),
        IntParam("one", 3, 3),
        CategoricalParam("constant", ["adam"]),
        CategoricalParam("none", [None]),
        CategoricalParam("numpy", [0.5]),
        CategoricalParam("group.x", [1]),
        FloatParam("group.deeper.low", 0, 1),
        CategoricalParam("group.deeper.high", [1, 2]),
    ]
    assert SearchSpace.from_dict(space.to_dict()) == space


def test_ours_stays_ours() -> None:
    constraints = [Sum(["a", "b"], 1)]
    params = [FloatParam("a", 0, 1), FloatParam("b", 0, 1)]
    space = SearchSpace(params, constraints)
    for given in (space, space.to_dict()):
        assert SearchSpace.of(given) == space
    assert SearchSpace.of(params, constraints) == space
    assert SearchSpace.of({"a": (0.0, 1.0), "b": (0.0, 1.0)}, constraints) == space
    assert (
        SearchSpace.of(
            {"params": {"a": {"min": 0.0, "max": 1.0}, "b": {"min": 0.0, "max": 1.0}}}, constraints
        )
        == space
    )
    assert SearchSpace.of([{"name": "a", "min": 0.0, "max": 1.0}, params[1]], constraints) == space


def test_a_sweep_of_wandb() -> None:
    sweep = {
        "method": "bayes",
        "metric": {"name": "loss", "goal": "minimize"},
        "parameters": {
            "lr": {"distribution": "log_uniform_values", "min": 1e-5, "max": 0.1},
            "batch": {"values": [16, 32]},
            "epochs": {"value": 3},
            "optimizer": {"parameters": {"beta": {"min": 0.1, "max": 0.9}}},
        },
    }
    assert SearchSpace.of(sweep) == SearchSpace(
        [
            FloatParam("lr", 1e-5, 0.1, log=True),
            CategoricalParam("batch", [16, 32]),
            CategoricalParam("epochs", [3]),
            FloatParam("optimizer.beta", 0.1, 0.9),
        ]
    )


def test_a_group_may_be_called_parameters() -> None:
    space = SearchSpace.of({"parameters": {"x": (0, 1)}, "y": (0, 1)})
    assert space.names == ("parameters.x", "y")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (3, "A search space must be a dictionary of parameters by name, but got 3."),
        ("abc", "but got 'abc'."),
        ({}, "it is empty"),
        ({"x": {}}, "it is empty"),
        ({1: (0, 1)}, "The name of a parameter must be a string, but got 1."),
        ({"1x": (0, 1)}, "must start with a letter"),
        ({"x": object()}, "'x' must be declared in a way that is known, but got <object"),
        ({"x": {1, 2}}, "'x' must be declared in a way that is known, but got {1, 2}."),
        ({"x": []}, "must hold at least one value"),
        ({"x": range(0)}, "must hold at least one value"),
        ({"x": [1, 1]}, "must all differ"),
        ({"x": [[1], [2]]}, "must be strings, finite numbers, booleans or null"),
        ({"x": (3, 1)}, "`low <= high` must hold for 'x'"),
        ({"x": FloatParam("y", 0, 1)}, "must stand under its own name, but 'y' stands under 'x'."),
        ({"a": {"b": 1}, "a.b": 2}, "declared once"),
        ({"x": {"tipe": "float", "low": 0, "high": 1}}, "Unknown key 'tipe'"),
        ({"x": {"type": "flaot", "low": 0, "high": 1}}, "Did you mean 'float'?"),
        ([{"low": 0}], "Every parameter in a list must have a name"),
        ([(0, 1)], "Every parameter in a list must have a name, but got (0, 1)."),
    ],
)
def test_what_declares_no_space_is_refused(given: Any, said: str) -> None:
    with pytest.raises(SpaceError) as caught:
        SearchSpace.of(given)
    assert said in str(caught.value)


def test_a_dictionary_that_contains_itself_is_refused() -> None:
    circle: dict[str, Any] = {"x": [1, 2]}
    circle["again"] = circle
    with pytest.raises(SpaceError, match="nested 50 deep") as caught:
        SearchSpace.of(circle)
    assert "contain itself" in caught.value.remedy


def test_a_long_range_is_read_off_its_ends() -> None:
    assert SearchSpace.of({"x": range(10**17, 0, -5)}) == SearchSpace([IntParam("x", 5, 10**17, step=5)])
    with pytest.raises(SpaceError, match=r"below 2\*\*63"):
        SearchSpace.of({"x": range(10**30)})


def test_what_cannot_be_shown_is_refused_all_the_same() -> None:
    class Unreadable:
        def __repr__(self) -> str:
            raise RuntimeError

    with pytest.raises(SpaceError, match="an unreadable Unreadable"):
        SearchSpace.of({"x": Unreadable()})
    with pytest.raises(SpaceError, match=r"got array\(3\)"):
        SearchSpace.of({"x": np.array(3)})
