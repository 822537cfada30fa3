"""Random search."""

from collections import Counter

from tests.contracts.generator_contract import SMALL, GeneratorContract, keys
from tuner.experiment import Observation
from tuner.generators import make_generator
from tuner.space import CategoricalParam, FloatParam, SearchSpace


class TestRandomContract(GeneratorContract):
    method = "random"


def test_every_seed_and_every_place_has_a_stream_of_its_own() -> None:
    one, other = make_generator("random", SMALL, seed=1), make_generator("random", SMALL, seed=2)
    assert keys(one.ask(5)) != keys(other.ask(5))
    later = make_generator("random", SMALL, seed=1, n_asked=5)
    assert keys(later.ask(5)) != keys(make_generator("random", SMALL, seed=1).ask(5))


def test_draws_follow_the_space() -> None:
    space = SearchSpace([CategoricalParam("kind", ["a", "b"]), FloatParam("rate", 1e-4, 1.0, log=True)])
    params = [one.params for one in make_generator("random", space, seed=0).ask(400)]
    # 400 fair coins: 6 standard deviations are 60, a false failure in 5e8 runs.
    assert abs(Counter(one["kind"] for one in params)["a"] - 200) < 60
    assert abs(sum(float(one["rate"]) < 1e-2 for one in params) - 200) < 60  # type: ignore[arg-type]


def test_the_last_configurations_of_an_uneven_space_are_found() -> None:
    # All but one in 300 draws say "common".
    rare = [FloatParam("share", 0.0, 0.2, step=0.1, when={"kind": [299]})]
    space = SearchSpace([CategoricalParam("kind", list(range(300))), *rare])
    assert len(make_generator("random", space, seed=0).ask(1000)) == 302


def test_a_branch_without_end_is_not_given_up_where_all_else_is_known() -> None:
    space = SearchSpace([CategoricalParam("kind", range(200)), FloatParam("share", 0, 1, when={"kind": [7]})])
    generator = make_generator("random", space, seed=0)
    generator.tell([Observation({"kind": kind}, 1.0) for kind in range(200) if kind != 7])
    # One in 200 draws is new: 10,000 in vain are seen once in 1e21 searches.
    assert len(generator.ask(20)) == 20
