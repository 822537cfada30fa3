"""Orders: kept whatever the bounds and steps, drawn as conditioned, repaired to the nearest."""

import math
from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tuner.spaces import is_valid, seeds
from tuner.errors import ParamsError, SpaceError
from tuner.space import CategoricalParam, FloatParam, Forbid, Increasing, IntParam, Param, SearchSpace


def ordered(*params: Param) -> SearchSpace:
    return SearchSpace(params, [Increasing([param.name for param in params])])


ORDERS = {
    "alike": ordered(*(FloatParam(n, 0.0, 1.0) for n in "abcde")),
    "alike on a log scale": ordered(*(FloatParam(n, 1e-6, 1.0, log=True) for n in "abc")),
    "as many ints as values": ordered(*(IntParam(n, 1, 5) for n in "abcde")),
    "different bounds": ordered(
        FloatParam("a", 0.0, 1.0), FloatParam("b", 0.2, 0.4), FloatParam("c", 0.0, 0.5)
    ),
    "different steps": ordered(
        FloatParam("a", 0.0, 1.0, step=0.1), FloatParam("b", 0.05, 1.05, step=0.25), IntParam("c", 0, 2)
    ),
    "one way only": ordered(IntParam("a", 3, 9), FloatParam("b", 0.0, 4.0, step=0.5), IntParam("c", 1, 4)),
    "no room but rounding": ordered(
        FloatParam("a", 1.0, 1.0), FloatParam("b", 0.0, math.nextafter(1.0, 2.0))
    ),
    "an int between floats": ordered(
        FloatParam("a", 0.5, 9.0), IntParam("b", 0, 2), FloatParam("c", 0.0, 1.75)
    ),
}


@pytest.mark.parametrize("space", ORDERS.values(), ids=ORDERS.keys())
@given(seeds)
@settings(max_examples=30, deadline=None)
def test_an_order_always_holds(space: SearchSpace, seed: int) -> None:
    rng = np.random.default_rng(seed)
    wild = dict(zip(space.names, rng.normal(0.5, 3, len(space)).tolist(), strict=True))
    for config in (space.defaults(), space.sample(rng), space.repair(wild), space.repair({})):
        assert is_valid(space, config)
        assert space.repair(config) == config


def test_equal_neighbours_are_a_fault() -> None:
    with pytest.raises(ParamsError, match=r"a < b < c must hold, but got b = 0.5 and c = 0.5\."):
        ordered(*(FloatParam(n, 0, 1) for n in "abc")).validate({"a": 0.1, "b": 0.5, "c": 0.5})


@pytest.mark.parametrize(
    "params",
    [
        [FloatParam("a", 0.5, 1.0), FloatParam("b", 0.0, 0.5)],
        [FloatParam("a", 0.5, 0.5), FloatParam("b", 0.5, 0.5)],
        [IntParam("a", 1, 2), IntParam("b", 1, 2), IntParam("c", 1, 2)],
        [IntParam("a", 1, 9), FloatParam("b", 0.25, 1.25), IntParam("c", 0, 1)],
    ],
)
def test_an_order_that_cannot_hold_is_refused_when_built(params: list[Param]) -> None:
    with pytest.raises(SpaceError, match=r"The order a < b.* can never hold with a in"):
        ordered(*params)


def test_a_condition_is_not_shared() -> None:
    params: list[Param] = [
        CategoricalParam("on", [1, 0]),
        IntParam("a", 0, 1, when={"on": [1]}),
        IntParam("b", 0, 1),
    ]
    with pytest.raises(SpaceError, match="must share the same `when`"):
        SearchSpace(params, [Increasing(["a", "b"])])


@given(st.lists(st.tuples(st.integers(-2, 3), st.integers(1, 5), st.integers(-4, 8)), min_size=2, max_size=4))
@settings(max_examples=200, deadline=None)
def test_repair_finds_the_nearest_order_of_ints(members: list[tuple[int, int, int]]) -> None:
    params = [IntParam(f"n{i}", low, low + n) for i, (low, n, _) in enumerate(members)]
    options = [range(param.low, param.high + 1) for param in params]
    valid = [v for v in product(*options) if all(a < b for a, b in pairwise(v))]
    if not valid:
        with pytest.raises(SpaceError):
            ordered(*params)
        return
    space = ordered(*params)
    assert space.size() == len(valid) == len(list(space.enumerate()))
    wishes = [wish for _, _, wish in members]

    def distance(values: tuple[int, ...]) -> int:
        return sum((value - wish) ** 2 for value, wish in zip(values, wishes, strict=True))

    found = space.repair(dict(zip(space.names, wishes, strict=True)))
    assert distance(tuple(found.values())) == min(map(distance, valid))  # type: ignore[arg-type]


def test_repair_of_thresholds_in_reverse_sets_them_apart_around_their_mean() -> None:
    space = ordered(*(FloatParam(n, 0.0, 1.0) for n in "abc"))
    found = space.repair({"a": 0.8, "b": 0.5, "c": 0.2})
    assert found == pytest.approx({"a": 0.499, "b": 0.5, "c": 0.501})


def test_a_forbidden_point_in_an_order_is_left() -> None:
    params = [IntParam(n, 1, 4) for n in "abc"]
    space = SearchSpace(params, [Increasing(["a", "b", "c"]), Forbid({"a": 1, "b": 2}), Forbid({"c": 3})])
    assert [tuple(config.values()) for config in space.enumerate()] == [(1, 3, 4), (2, 3, 4)]
    assert space.repair({"a": 1, "b": 2, "c": 3}) == {"a": 1, "b": 3, "c": 4}


def test_draws_between_different_bounds_follow_the_order_statistics() -> None:
    # 0.9 < a < b < c < 0.95 is all that is left: the order statistics of three uniform draws there, the
    # middle one with mean 0.925 and variance 0.05^2 / 20. A plain draw almost never increases, so this is
    # the chain's doing.
    space = ordered(FloatParam("a", 0.9, 1.0), FloatParam("b", 0.0, 1.0), FloatParam("c", 0.0, 0.95))
    rng = np.random.default_rng(2)
    middle = np.array([space.sample(rng)["b"] for _ in range(2000)], dtype=float)
    # Five standard errors: fails for one seed in two millions.
    assert abs(middle.mean() - 0.925) < 5 * math.sqrt(0.05**2 / 20 / 2000)
    assert abs(middle.var() / (0.05**2 / 20) - 1) < 0.2
