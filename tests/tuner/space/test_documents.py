"""Spaces as documents: the JSON of studies and the TOML that people write."""

import tomllib
from typing import Any

import pytest

from tuner.errors import SpaceError
from tuner.space import CategoricalParam, FloatParam, Forbid, Increasing, IntParam, SearchSpace, Sum

TOML = """
[params]
learning_rate = { type = "float", low = 0.01, high = 0.3, log = true, default = 0.1 }
bins = { type = "int", low = 16, high = 256, step = 16 }
weight = { type = "categorical", choices = [{ null = true }, "balanced"], default = "balanced" }
low = { type = "float", low = 0, high = 1, when = { weight = [{ null = true }] } }
high = { type = "float", low = 0, high = 1, when = { weight = { null = true } } }
a = { type = "float", low = 0.0, high = 1.0, step = 0.1 }
b = { type = "float", low = 0.0, high = 1.0, step = 0.1 }
[[constraints]]
sum = ["a", "b"]
equals = 1
[[constraints]]
increasing = ["low", "high"]
[[constraints]]
forbid = { weight = { null = true }, bins = [16, 32] }
"""


def test_toml_and_python_declare_the_same_space() -> None:
    bare = {"weight": [None]}
    assert SearchSpace.from_dict(tomllib.loads(TOML)) == SearchSpace(
        [
            FloatParam("learning_rate", 0.01, 0.3, log=True, default=0.1),
            IntParam("bins", 16, 256, step=16),
            CategoricalParam("weight", [None, "balanced"], default="balanced"),
            FloatParam("low", 0, 1, when=bare),
            FloatParam("high", 0, 1, when=bare),
            FloatParam("a", 0, 1, step=0.1),
            FloatParam("b", 0, 1, step=0.1),
        ],
        [Sum(["a", "b"], 1), Increasing(["low", "high"]), Forbid({"weight": None, "bins": [16, 32]})],
    )


def test_a_document_says_everything_but_what_is_usual() -> None:
    space = SearchSpace(
        [IntParam("n", 1, 3), CategoricalParam("c", [None, 1], when={"n": 2})], [Forbid({"c": 1, "n": 2})]
    )
    assert space.to_dict() == {
        "params": [
            {"name": "n", "type": "int", "low": 1, "high": 3, "default": 2},
            {"name": "c", "type": "categorical", "choices": [None, 1], "default": None, "when": {"n": [2]}},
        ],
        "constraints": [{"forbid": {"c": [1], "n": [2]}}],
    }


def one(**table: Any) -> dict[str, Any]:
    return {"params": {"x": table}}


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (None, "The declaration of a search space must be a table, but got None."),
        ({}, "The declaration of a search space needs `params`"),
        (
            {"params": {}, "constraint": []},
            "Unknown key 'constraint' in the declaration of a search space. Did you",
        ),
        ({"params": 3}, "`params` must be a table of parameters by name"),
        ({"params": {"x": 3}}, "The declaration of parameter 'x' must be a table, but got 3."),
        ({"params": [{"type": "int"}]}, "Every parameter in a list needs a `name`"),
        (one(low=0, high=1), "`type` of parameter 'x' must be one of float, int, categorical, but got None."),
        (one(type="flaot", low=0, high=1), "but got 'flaot'. Did you mean 'float'?"),
        (one(type=["int"], low=0, high=1), "but got ['int']."),
        (one(type="float", low=0), "needs `high`, but got only type, low."),
        (
            one(type="float", low=0, hihg=1),
            "Unknown key 'hihg' in the declaration of parameter 'x'. Did you mean 'high'?",
        ),
        (one(type="int", low=0, high=1, choices=[1]), "Unknown key 'choices'"),
        (one(type="categorical"), "needs `choices`"),
        (
            one(type="float", low="0", high=1),
            "`low` of 'x' must be a finite number (within 1e100), but got '0'.",
        ),
        (
            one(type="categorical", choices=[{"nul": True}]),
            "must be strings, finite numbers, booleans or null",
        ),
        ({**one(type="int", low=0, high=1), "constraints": 3}, "`constraints` must be a list of tables"),
        (
            {**one(type="int", low=0, high=1), "constraints": ["x"]},
            "a constraint must be a table, but got 'x'",
        ),
        (
            {**one(type="int", low=0, high=1), "constraints": [{}]},
            "must have one of `sum`, `increasing` or `forbid`",
        ),
        ({**one(type="int", low=0, high=1), "constraints": [{"som": []}]}, "Did you mean 'sum'?"),
        (
            {**one(type="int", low=0, high=1), "constraints": [{"forbid": {"x": 1}, "equals": 1}]},
            "Unknown key 'equals'",
        ),
        (
            {**one(type="int", low=0, high=1), "constraints": [{"increasing": "xy"}]},
            "must list names of parameters",
        ),
    ],
)
def test_a_document_that_declares_no_space_is_refused_by_key(document: Any, said: str) -> None:
    with pytest.raises(SpaceError) as caught:
        SearchSpace.from_dict(document)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("document", "remedy"),
    [
        (one(type="float", low=0), "Such as high = 0.3."),
        (one(type="float", low=0, high="1"), "Write the number without quotes."),
        ({**one(type="int", low=0, high=1), "constraints": [{"sum": ["x", "y"]}]}, "Such as equals = 1.0."),
    ],
)
def test_the_remedy_shows_how_it_is_written(document: Any, remedy: str) -> None:
    with pytest.raises(SpaceError) as caught:
        SearchSpace.from_dict(document)
    assert caught.value.remedy == remedy
