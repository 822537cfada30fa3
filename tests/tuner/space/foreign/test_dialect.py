"""Declarations in other tools' words: each is stored in ours, and means what it means there."""

import tomllib
from typing import Any

import pytest

from tuner.errors import SpaceError
from tuner.space import CategoricalParam, FloatParam, IntParam, Param, SearchSpace, param_from_dict


@pytest.mark.parametrize(
    ("table", "meant"),
    [
        ({"type": "loguniform", "lower": 0.01, "upper": 0.3}, FloatParam("x", 0.01, 0.3, log=True)),
        ({"type": "log-uniform", "low": 0.01, "high": 0.3, "base": 10}, FloatParam("x", 0.01, 0.3, log=True)),
        ({"type": "uniform", "min": 0, "max": 1}, FloatParam("x", 0, 1)),
        ({"type": "Real", "low": 0, "high": 1, "default": 0.25}, FloatParam("x", 0, 1, default=0.25)),
        ({"type": "float", "lower": 0, "upper": 1, "q": 0.25}, FloatParam("x", 0, 1, step=0.25)),
        ({"type": "float", "lower": 1, "upper": 8, "log": True}, FloatParam("x", 1, 8, log=True)),
        ({"type": "quniform", "low": 0.05, "high": 1, "q": 0.1}, FloatParam("x", 0.1, 1.0, step=0.1)),
        ({"type": "quniform", "low": -0.25, "high": 1, "q": 0.1}, FloatParam("x", -0.2, 1.0, step=0.1)),
        (
            {"type": "qloguniform", "low": 1, "high": 100, "q": 5},
            FloatParam("x", 5, 100, step=5, log=True),
        ),
        ({"type": "int", "low": 1, "high": 9, "step": 2}, IntParam("x", 1, 9, step=2)),
        ({"type": "integer", "min": 1, "max": 9}, IntParam("x", 1, 9)),
        ({"type": "uniform_int", "lower": 1, "upper": 9, "default_value": 2}, IntParam("x", 1, 9, default=2)),
        ({"type": "uniform_float", "lower": 1, "upper": 9, "log": True}, FloatParam("x", 1, 9, log=True)),
        ({"type": "randint", "low": 1, "high": 10}, IntParam("x", 1, 9)),
        ({"type": "lograndint", "lower": 1, "upper": 10}, IntParam("x", 1, 9, log=True)),
        ({"type": "qrandint", "lower": 3, "upper": 10, "q": 4}, IntParam("x", 4, 8, step=4)),
        ({"type": "qrandint", "lower": 3, "upper": 10, "q": 1}, IntParam("x", 3, 9)),
        ({"type": "qlograndint", "lower": 4, "upper": 8, "q": 4}, IntParam("x", 4, 8, step=4, log=True)),
        ({"type": "choice", "options": ["a", 1]}, CategoricalParam("x", ["a", 1])),
        (
            {"type": "categorical", "values": ["a", 1], "default": 1},
            CategoricalParam("x", ["a", 1], default=1),
        ),
        ({"type": "constant", "value": 3}, CategoricalParam("x", [3])),
        # sweeps of W&B
        ({"min": 1, "max": 8}, IntParam("x", 1, 8)),
        ({"min": 1.0, "max": 8}, FloatParam("x", 1, 8)),
        ({"values": [8, 16]}, CategoricalParam("x", [8, 16])),
        ({"value": None}, CategoricalParam("x", [None])),
        ({"distribution": "int_uniform", "min": 1, "max": 8}, IntParam("x", 1, 8)),
        ({"distribution": "log_uniform_values", "min": 1e-5, "max": 1}, FloatParam("x", 1e-5, 1, log=True)),
        ({"distribution": "q_uniform", "min": 0, "max": 8}, FloatParam("x", 0, 8, step=1)),
        (
            {"distribution": "q_log_uniform_values", "min": 8, "max": 64, "q": 8},
            FloatParam("x", 8, 64, step=8, log=True),
        ),
        (
            {"distribution": "log_uniform", "min": 0, "max": 1},
            FloatParam("x", 1, 2.718281828459045, log=True),
        ),
        (
            {"type": "loguniform", "lower": 1, "upper": 2, "when": {"y": ["a"]}},
            FloatParam("x", 1, 2, log=True, when={"y": ["a"]}),
        ),
        ({"value": 1, "when": {"y": "a"}}, CategoricalParam("x", [1], when={"y": ["a"]})),
    ],
)
def test_what_a_declaration_means(table: dict[str, Any], meant: Param) -> None:
    assert param_from_dict("x", table) == meant


def test_the_words_make_no_other_study() -> None:
    """The document of a space, by which studies are known, is the same whoever's words declared it."""
    theirs = """
    params.lr = { type = "loguniform", lower = 0.01, upper = 0.3 }
    params.depth = { min = 2, max = 12 }
    params.kind = { values = ["a", { null = true }] }
    """
    ours = """
    params.lr = { type = "float", low = 0.01, high = 0.3, log = true }
    params.depth = { type = "int", low = 2, high = 12 }
    params.kind = { type = "categorical", choices = ["a", { null = true }] }
    """
    documents = [SearchSpace.from_dict(tomllib.loads(text)).to_dict() for text in (theirs, ours)]
    assert documents[0] == documents[1]
    assert SearchSpace.from_dict(documents[0]).to_dict() == documents[0]


@pytest.mark.parametrize(
    ("table", "said", "remedy"),
    [
        ({"type": "logunifrom", "low": 1, "high": 2}, "'logunifrom'. Did you mean 'loguniform'?", "quniform"),
        (
            {"type": "normal", "mu": 0, "sigma": 1},
            "Parameter 'x' must have bounds, but a 'normal' has none.",
            "low and high",
        ),
        (
            {"type": "loguniform", "lower": 1, "uper": 2},
            "Unknown key 'uper' in the declaration of parameter 'x'. Did you mean 'upper'?",
            "The keys are",
        ),
        ({"type": "uniform", "low": 1, "min": 2, "high": 3}, "once, but got both 'low' and 'min'.", ""),
        ({"type": "loguniform", "lower": 0, "upper": 1}, "`low > 0` must hold for 'x' on a log scale", "log"),
        ({"type": "loguniform", "lower": 0.1}, "needs `high`, but got only type, lower.", ""),
        ({"type": "randint", "lower": 3, "upper": 3}, "whose upper bound is left out (randint)", "`int`"),
        ({"type": "randint", "lower": 3, "upper": 4.5}, "must be a whole number, but got 4.5.", ""),
        ({"type": "randint", "lower": 3, "upper": "4"}, "must be a whole number, but got '4'.", ""),
        ({"type": "quniform", "low": 1.1, "high": 1.9, "q": 1}, "A multiple of the step must lie", "Widen"),
        ({"type": "quniform", "low": 1.1, "high": 1.9, "q": 0}, "`step > 0` must hold", ""),
        ({"type": "quniform", "low": 1.1, "high": "a", "q": 1}, "`high` of 'x' must be a finite number", ""),
        ({"type": "constant", "choices": [1]}, "Unknown key 'choices'", "value"),
        ({"type": "constant"}, "needs `value`", ""),
        (
            {"distribution": "log_uniform", "min": 0, "max": 1e9},
            "must be an exponent of e within 230",
            "log_uniform_values",
        ),
        ({"min": 1, "step": 2}, "`type` of parameter 'x' must be one of float, int, categorical", "uniform"),
    ],
)
def test_what_declares_no_parameter_is_refused_in_its_own_words(
    table: dict[str, Any], said: str, remedy: str
) -> None:
    with pytest.raises(SpaceError) as caught:
        param_from_dict("x", table)
    assert said in str(caught.value)
    assert remedy in caught.value.remedy
