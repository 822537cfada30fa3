"""What one parameter accepts, refuses and turns values into."""

import math
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuner.errors import SpaceError
from tuner.space import CategoricalParam, FloatParam, IntParam

HUGE = 10**5000


def test_bounds_are_included() -> None:
    param = FloatParam("x", 0.1, 0.5)
    assert [param.check(v) for v in (0.1, 0.5)] == [(0.1, ""), (0.5, "")]
    assert (
        param.check(math.nextafter(0.5, 1))[1]
        == "'x' must be a number in [0.1, 0.5], but got 0.5000000000000001."
    )


@pytest.mark.parametrize(
    ("given_value", "expected"),
    [
        (3, 3.0),
        (np.float32(0.5), 0.5),
        (np.int64(2), 2.0),
        (-0.0, 0.0),
        (10**2, None),
        (True, None),
        ("1", None),
    ],
)
def test_a_float_takes_numbers_only(given_value: object, expected: float | None) -> None:
    value, problem = FloatParam("x", -5.0, 5.0).check(given_value)
    assert value == expected
    assert bool(problem) == (expected is None)
    assert expected is None or type(value) is float


@pytest.mark.parametrize(
    ("given_value", "expected"),
    [
        (3.0, 3),
        (np.float64(4.0), 4),
        (2.5, None),
        (np.bool_(1), None),
        (None, None),
        (math.nan, None),
    ],
)
def test_an_int_takes_whole_numbers_only(given_value: object, expected: int | None) -> None:
    value, problem = IntParam("n", 1, 9).check(given_value)
    assert value == expected
    assert bool(problem) == (expected is None)
    assert expected is None or type(value) is int


def test_zero_has_no_sign() -> None:
    value, _ = FloatParam("x", -1.0, 1.0).check(-0.0)
    assert math.copysign(1.0, value) == 1.0


def test_a_number_that_python_cannot_write_is_refused_in_words() -> None:
    for param in (FloatParam("x", 0.0, 1.0), IntParam("x", 0, 1), CategoricalParam("x", [1])):
        assert "but got a whole number of thousands of digits" in param.check(HUGE)[1]
        assert param.nearest(-HUGE) in (0, 1)


def test_whole_numbers_beyond_the_reach_of_floats_stay_exact() -> None:
    low = 2**62
    param = IntParam("seed", low, low + 1000)
    assert param.check(low + 1) == (low + 1, "")
    assert param.nearest(low + 7) == low + 7
    assert [param.above(low + 1), param.below(low + 3)] == [low + 2, low + 2]


def test_values_of_a_lattice_carry_no_rounding_dust() -> None:
    param = FloatParam("x", 0.0, 1.0, step=0.1)
    assert [param.at(i) for i in range(11)] == [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
    assert param.check(0.1 + 0.2) == (0.3, "")
    assert param.check(0.35)[1].endswith("is the nearest.")


def test_a_third_is_a_step_that_reaches_one() -> None:
    assert FloatParam("x", 0.0, 1.0, step=1 / 3).n_values == 4


@given(
    st.integers(-50, 50),
    st.sampled_from([1, 0.1, 0.05, 0.25, 1e-4]),
    st.integers(1, 60),
    st.floats(-100, 100),
)
@settings(max_examples=200, deadline=None)
def test_neighbours_on_a_lattice_are_the_next_values(tenths: int, step: float, n: int, value: float) -> None:
    low = tenths / 10
    param = FloatParam("x", low, round(low + n * step, 9), step=step)
    values = [param.at(i) for i in range(n + 1)]
    for one in (value, *values):
        assert param.above(one) == min((v for v in values if v > one), default=math.inf)
        assert param.below(one) == max((v for v in values if v < one), default=-math.inf)


NONSENSE: Any = "x"


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (
            lambda: FloatParam("eta", 0.5, 0.1),
            "`low <= high` must hold for 'eta', but got low=0.5, high=0.1.",
        ),
        (lambda: FloatParam("x", 0.0, 1.0, log=True), "`low > 0` must hold for 'x' on a log scale"),
        (lambda: FloatParam("x", 0.0, math.inf), "`high` of 'x' must be a finite number"),
        (lambda: FloatParam("x", True, 2.0), "`low` of 'x' must be a finite number"),
        (lambda: FloatParam("x", 0.0, 1.0, step=0.3), "must be `low` plus a whole number of steps"),
        (lambda: FloatParam("x", 0.0, 1.0, step=0), "`step > 0` must hold for 'x'"),
        (lambda: FloatParam("x", 1e9, 1e9 + 1, step=1e-8), "must be told apart as floats"),
        (lambda: FloatParam("x", 0.0, 1.0, default=2), "must be a number in [0.0, 1.0], but got 2."),
        (lambda: FloatParam("x", 0.0, 1.0, log=NONSENSE), "`log` of 'x' must be true or false"),
        (lambda: IntParam("n", 0.5, 2), "`low` of 'n' must be a whole number"),
        (lambda: IntParam("n", 0, 2**63), "must be a whole number below 2**63"),
        (lambda: IntParam("n", 0, HUGE), "but got a whole number of thousands of digits"),
        (lambda: IntParam("", 0, 1), "A parameter's name must start with a letter"),
        (lambda: IntParam("a b", 0, 1), "A parameter's name must start with a letter"),
        (lambda: CategoricalParam("c", []), "must hold at least one value"),
        (lambda: CategoricalParam("c", "abc"), "must be a list of values, but got 'abc'"),
        (lambda: CategoricalParam("c", [1, 1]), "must all differ"),
        (lambda: CategoricalParam("c", [[1, 2]]), "must be strings, finite numbers"),  # type: ignore[list-item]
        (lambda: CategoricalParam("c", [math.nan]), "must be strings, finite numbers, booleans or null"),
        (lambda: CategoricalParam("c", ["gini"], default="gnii"), "Did you mean 'gini'?"),
        (lambda: FloatParam("x", 0, 1, when={"y": []}), "`when` of 'x' must list a value of 'y'"),
        (lambda: FloatParam("x", 0, 1, when=NONSENSE), "`when` of 'x' must be a table"),
    ],
)
def test_what_contradicts_itself_is_refused(build: Callable[[], object], said: str) -> None:
    with pytest.raises(SpaceError) as caught:
        build()
    assert said in str(caught.value)


def test_choices_are_told_apart_by_type() -> None:
    param = CategoricalParam("c", [1, 1.0, True, "1", None, "None"])
    for choice in param.choices:
        value, problem = param.check(choice)
        assert (type(value), value, problem) == (type(choice), choice, "")
    assert (
        CategoricalParam("c", [1.0, "a"]).check(1)[1].endswith("but got 1 (int). Did you mean 1.0 (float)?")
    )
    assert CategoricalParam("c", [None]).check("None")[1].endswith("Did you mean None (null)?")
    assert CategoricalParam("c", ["a"]).check(["a"])[1].endswith("but got ['a'] (list).")


def test_none_is_the_default_only_where_it_is_a_choice() -> None:
    assert CategoricalParam("c", ["a", None], default=None).default is None
    assert CategoricalParam("c", ["a", None]).default == "a"
    assert CategoricalParam("c", ["a", "b"], default=None).default == "a"


def test_the_default_is_the_middle_of_the_scale() -> None:
    assert FloatParam("x", 0.0, 3.0).default == 1.5
    assert FloatParam("x", 1e-4, 1.0, log=True).default == 0.01
    assert IntParam("n", 1, 3).default == 2
    assert FloatParam("x", 0.0, 1.0, step=0.25).default == 0.5


def test_a_long_value_does_not_drown_the_message() -> None:
    assert len(IntParam("n", 1, 9).check("9" * 10**6)[1]) < 200


@given(st.floats(0, 1, exclude_max=True), st.integers(1, 40), st.integers(1, 7), st.booleans())
@settings(max_examples=200, deadline=None)
def test_drawn_numbers_are_values_of_the_parameter(u: float, low: int, n: int, log: bool) -> None:
    for param in (
        IntParam("n", low, low + 3 * n, step=3, log=log),
        FloatParam("x", low / 7, low / 7 + n, log=log),
        FloatParam("x", low / 10, low / 10 + n / 4, log=log, step=0.25),
    ):
        value = param.from_unit(u)
        assert param.check(value) == (value, "")
        between = param.from_unit(u, param.default, param.high)
        assert param.default <= between <= param.high
        assert param.check(between) == (between, "")


def test_log_scale_spreads_draws_evenly_over_the_decades() -> None:
    param = FloatParam("x", 1e-3, 1e3, log=True)
    assert [round(math.log10(param.from_unit(u)), 6) for u in (0.0, 1 / 6, 0.5, 5 / 6)] == [-3, -2, 0, 2]


def test_parameters_are_frozen_and_survive_pickling() -> None:
    for param in (
        FloatParam("x", 0, 1, step=0.5, when={"c": "a"}),
        IntParam("n", 1, 8, log=True),
        CategoricalParam("c", ["a", None], default=None),
    ):
        assert pickle.loads(pickle.dumps(param)) == param
        with pytest.raises(AttributeError):
            param.name = "y"  # type: ignore[misc]
