"""scikit-optimize's engines."""

import math

import pytest
from hypothesis import given, settings

from tests.contracts.generator_contract import MIXED, PROPERTY, SMALL, GeneratorContract, keys
from tests.tuner.spaces import search_spaces, seeds
from tuner.experiment import Observation
from tuner.generators import make_generator
from tuner.space import CategoricalParam, FloatParam, IntParam, SearchSpace, Sum

METHODS = ["skopt-gp", "skopt-rf", "skopt-et"]


class SkoptContract(GeneratorContract):
    @settings(PROPERTY, max_examples=3)
    @given(space=search_spaces(max_blocks=2, finite=True), seed=seeds)
    def test_a_finite_space_is_exhausted_without_repeats_and_then_said_to_be(
        self, space: SearchSpace, seed: int
    ) -> None:
        self.exhaust(space, seed)


class TestSkoptGaussianProcessContract(SkoptContract):
    method = "skopt-gp"
    takes_goals = False


class TestSkoptForestContract(SkoptContract):
    method = "skopt-rf"
    takes_goals = False


class TestSkoptExtraTreesContract(SkoptContract):
    method = "skopt-et"
    takes_goals = False


VALLEY = SearchSpace(
    [FloatParam("rate", 1e-4, 1.0, log=True), IntParam("depth", 1, 20), CategoricalParam("kind", ["a", "b"])]
)


def valley(params: dict[str, object]) -> float:
    """A loss with its optimum, 0, at rate = 0.01, depth = 7 and kind = "b"."""
    rate, depth = float(params["rate"]), float(params["depth"])  # type: ignore[arg-type]
    return (math.log10(rate) + 2) ** 2 + ((depth - 7) / 5) ** 2 + (params["kind"] == "a")


@pytest.mark.parametrize("method", METHODS)
def test_it_learns(method: str) -> None:
    generator = make_generator(method, VALLEY, seed=1)
    drawn = [one.params for one in make_generator("random", VALLEY, seed=9).ask(60)]
    before = [valley(dict(params)) for params in drawn]
    generator.tell([Observation(params, loss) for params, loss in zip(drawn, before, strict=True)])
    after = []
    for _ in range(6):
        (one,) = generator.ask()
        after.append(valley(dict(one.params)))
        generator.tell([Observation(one.params, after[-1])])
    # A fifth of all draws is as good as the limit: as many of six, or more, with probability 0.02.
    limit = sorted(before)[12]
    assert sum(loss < limit for loss in after) >= 4


@pytest.mark.parametrize("method", METHODS)
def test_a_region_that_fails_is_left(method: str) -> None:
    generator = make_generator(method, VALLEY, seed=2)
    n_failed = 0
    for number in range(25):
        (one,) = generator.ask()
        failed = one.params["kind"] == "a"
        n_failed += failed and number >= 10
        generator.tell([Observation(one.params, None if failed else valley(dict(one.params)))])
    assert n_failed <= 5


@pytest.mark.parametrize("method", METHODS)
def test_what_is_pending_is_not_asked_around(method: str) -> None:
    generator = make_generator(method, VALLEY, seed=3)
    generator.tell([Observation(one.params, valley(dict(one.params))) for one in generator.ask(12)])
    batch = generator.ask(4)
    codes = VALLEY.encode([one.params for one in batch])
    nearest = min(abs(codes[i] - codes[j]).max() for i in range(4) for j in range(i))
    assert nearest > 0.01
    assert {one.reason["design"] for one in batch} == {"model"}
    assert all({"mean", "std"} <= set(one.reason) for one in batch)


def test_numbers_as_large_as_floats_go_are_learned_from() -> None:
    generator = make_generator("skopt-gp", SMALL, direction="maximize")
    for value in (1e308, -1e308, 1e300):
        generator.tell([Observation(one.params, value) for one in generator.ask(4)])
    (one,) = generator.ask()
    assert one.reason["design"] == "model"


def test_a_sum_of_twenty_is_met() -> None:
    names = [f"w{i}" for i in range(20)]
    space = SearchSpace([FloatParam(name, 0.0, 1.0, default=0.05) for name in names], [Sum(names, 1.0)])
    generator = make_generator("skopt-et", space)
    generator.tell([Observation(one.params, float(i)) for i, one in enumerate(generator.ask(12))])
    for one in generator.ask(3):
        assert space.contains(one.params)


def test_the_first_ten_are_drawn() -> None:
    asked = make_generator("skopt-rf", MIXED, seed=5).ask(10)
    assert keys(asked) == keys(make_generator("random", MIXED, seed=5).ask(10))
