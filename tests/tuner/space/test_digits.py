"""Drawn values have nine digits: enough to tell a billion apart, few enough to be read."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.space import FloatParam, Increasing, SearchSpace, Sum

BOUNDS = st.tuples(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6))
UNIT = st.floats(0, 1, exclude_max=True)


def n_digits(value: float) -> int:
    """Significant digits of a number as Python writes it."""
    return len(f"{value!r}".split("e")[0].replace(".", "").strip("-0"))


@given(BOUNDS, UNIT)
def test_a_drawn_value_has_nine_digits_of_its_range(bounds: tuple[float, float], u: float) -> None:
    low, width = bounds
    param = FloatParam("x", low, low + width)
    value = param.from_unit(u)
    assert param.low <= value <= param.high
    assert abs(value - (low + u * (param.high - low))) <= width * 1e-8
    wide = param.low + width / 1e6 < value < param.high - width / 1e6
    assert not wide or value == round(value, 8 - math.floor(math.log10(param.high - param.low)))


@given(st.floats(1e-9, 1e3), st.floats(1.01, 1e6), UNIT)
def test_on_a_log_scale_the_digits_are_those_of_the_value(low: float, ratio: float, u: float) -> None:
    param = FloatParam("x", low, low * ratio, log=True)
    value = param.from_unit(u)
    assert param.low <= value <= param.high
    wide = param.low * 1.001 < value < param.high / 1.001
    assert not wide or n_digits(value) <= 9


@pytest.mark.parametrize("bounds", [(0.5, 0.5 + 1e-6), (1e6, 1e6 + 1e-3), (-1e-12, 1e-12), (-1e99, 1e99)])
def test_a_narrow_range_keeps_its_values_apart(bounds: tuple[float, float]) -> None:
    param = FloatParam("x", *bounds)
    assert len({param.from_unit(u) for u in np.random.default_rng(0).random(1000).tolist()}) >= 999


def test_members_of_a_sum_are_short_and_add_up() -> None:
    names = [f"weight_{i}" for i in range(20)]
    space = SearchSpace([FloatParam(name, 0.0, 1.0) for name in names], [Sum(names, equals=1.0)])
    rng = np.random.default_rng(0)
    for _ in range(200):
        drawn = space.sample(rng)
        wish = dict(zip(names, rng.random(20).tolist(), strict=True))
        for config in (drawn, space.repair(wish)):
            assert math.fsum(config.values()) == pytest.approx(1.0, abs=1e-14)  # type: ignore[arg-type]
            assert all(value == round(value, 8) for value in config.values())  # type: ignore[arg-type]


def test_a_total_with_more_digits_is_still_met() -> None:
    space = SearchSpace([FloatParam(name, 0.0, 1.0) for name in "abc"], [Sum(["a", "b", "c"], equals=1 / 3)])
    drawn = [float(value) for value in space.sample(np.random.default_rng(0)).values()]  # type: ignore[arg-type]
    assert math.fsum(drawn) == pytest.approx(1 / 3, abs=1e-15)
    assert sum(value == round(value, 8) for value in drawn) == 2


def test_an_order_is_repaired_to_short_values() -> None:
    space = SearchSpace([FloatParam(name, 0.0, 1.0) for name in "abc"], [Increasing(["a", "b", "c"])])
    repaired = space.repair({"a": 0.7, "b": 1 / 3, "c": 0.5})
    assert list(repaired.values()) == sorted(set(repaired.values()))  # type: ignore[type-var]
    assert all(value == round(value, 8) for value in repaired.values())  # type: ignore[arg-type]


def test_what_a_user_gives_keeps_every_digit() -> None:
    names = ["a", "b"]
    space = SearchSpace(
        [
            FloatParam("x", 0.0, 1.0),
            FloatParam("y", 1e-5, 1.0, log=True),
            *(FloatParam(n, 0, 1) for n in names),
        ],
        [Sum(names, equals=1.0)],
    )
    given_values = {"x": 0.1 + 0.2, "y": 1 / 3, "a": 0.30000000000000004, "b": 0.7}
    assert space.validate(given_values) == given_values
    assert space.repair(given_values) == given_values
