"""Sobol and Latin hypercube designs."""

import pytest

from tests.contracts.generator_contract import MIXED, GeneratorContract, keys
from tuner.experiment import Observation
from tuner.generators import make_generator
from tuner.space import CategoricalParam, FloatParam, IntParam, SearchSpace

PLAIN = SearchSpace(
    [
        FloatParam("x", 0.0, 1.0),
        FloatParam("rate", 1e-4, 1.0, log=True),
        IntParam("n", 1, 1000),
        CategoricalParam("kind", ["a", "b"]),
    ]
)


class TestSobolContract(GeneratorContract):
    method = "sobol"


class TestLatinHypercubeContract(GeneratorContract):
    method = "lhs"


def strata(method: str, n: int, first: int = 0) -> list[list[int]]:
    """In which of `n` equal parts of its scale each suggestion lies, by parameter; sorted."""
    asked = make_generator(method, PLAIN, seed=3, n_asked=first).ask(n)
    codes = [[param.to_unit(one.params[param.name]) for one in asked] for param in PLAIN.params.values()]  # type: ignore[arg-type]
    return [sorted(int(u * n) for u in column) for column in codes[:3]]


def test_a_power_of_two_of_sobol_points_has_one_in_every_part_of_every_parameter() -> None:
    assert strata("sobol", 32) == [list(range(32))] * 3


def test_each_block_is_a_latin_hypercube() -> None:
    for first in (0, 20, 80):
        assert strata("lhs", 20, first) == [list(range(20))] * 3


@pytest.mark.parametrize("method", ["sobol", "lhs"])
def test_a_resumed_design_goes_on_where_it_was(method: str) -> None:
    whole = make_generator(method, MIXED, seed=1).ask(60)
    for n in (1, 19, 20, 33):
        resumed = make_generator(method, MIXED, seed=1, n_asked=n)
        resumed.tell([], [one.params for one in whole[:n]])
        assert keys(resumed.ask(60 - n)) == keys(whole[n:])


@pytest.mark.parametrize("method", ["sobol", "lhs"])
def test_every_seed_has_a_design_of_its_own(method: str) -> None:
    one, other = (make_generator(method, MIXED, seed=seed).ask(20) for seed in (1, 2))
    assert not set(keys(one)) & set(keys(other))


@pytest.mark.parametrize("method", ["sobol", "lhs"])
def test_asking_for_more_than_there_is_gives_all_of_it(method: str) -> None:
    space = SearchSpace([IntParam("n", 1, 8), IntParam("m", 1, 4)])
    generator = make_generator(method, space)
    taken = [one.params for one in generator.ask(100)]
    assert len(taken) == 32
    assert generator.ask(3) == []
    resumed = make_generator(method, space, n_asked=32)
    for one in (generator, resumed):
        one.tell([Observation(params, 1.0) for params in taken[:20]], taken[20:25])
    # The generator itself still holds what it asked for as pending; one that resumes knows what it is told.
    assert generator.ask(1) == []
    assert {*keys(resumed.ask(9))} == {*keys(taken[25:])}
