"""The Bayesian generator: finds more than random search, learns from failures, spreads its batches."""

import math
from collections.abc import Callable
from statistics import median

import numpy as np
import pytest
from hypothesis import given, settings

from tests.contracts.generator_contract import MIXED, SMALL, GeneratorContract, keys
from tests.tuner.generators.recommender import RECOMMENDER
from tests.tuner.spaces import search_spaces, seeds
from tuner.experiment import Observation, Params
from tuner.generators import make_generator
from tuner.generators.bayesian.gaussian_process import GaussianProcess
from tuner.generators.bayesian.noise import NoisePrior
from tuner.generators.bayesian.surrogate import Array
from tuner.space import CategoricalParam, FloatParam, Forbid, IntParam, SearchSpace, Sum, config_key

PLANE = SearchSpace([FloatParam("a", -5.0, 10.0), FloatParam("b", 0.0, 15.0)])
CUBE = SearchSpace([FloatParam(f"x{i}", 0.0, 1.0) for i in range(5)])
BRANIN_LEAST = 0.397887

Objective = Callable[[Params], float | None]


class TestBayesianContract(GeneratorContract):
    method = "bayesian"


def number(params: Params, name: str) -> float:
    value = params[name]
    assert isinstance(value, float)
    return value


def branin(params: Params) -> float:
    """Branin (1972): three equal minima of 0.397887."""
    a, b = number(params, "a"), number(params, "b")
    bow = b - 5.1 / (4 * math.pi**2) * a**2 + 5 / math.pi * a - 6
    return bow**2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(a) + 10


def bowl(params: Params) -> float:
    return sum((number(params, f"x{i}") - 0.3) ** 2 for i in range(5))


def search(
    method: str, space: SearchSpace, objective: Objective, seed: int, n: int, batch: int = 1
) -> list[float | None]:
    """The values that a search finds, in order."""
    generator = make_generator(method, space, seed=seed)
    found: list[float | None] = []
    while len(found) < n:
        suggestions = generator.ask(batch)
        values = [objective(one.params) for one in suggestions]
        found += values
        generator.tell([Observation(o.params, v) for o, v in zip(suggestions, values, strict=True)])
    return found


def best(values: list[float | None]) -> float:
    return min(value for value in values if value is not None)


# ---- finding

# A search is a fixed function of its seed, so none of these fails by chance. The rates say how likely an
# equally good search with other draws would fail.


def test_it_finds_the_minimum_of_branin_where_random_search_does_not() -> None:
    # Over 40 seeds: median regret 0.005 (random 1.1), and 2 searches still at the border (regret 1.5). Two
    # of four there: 1 in 70.
    seeds = range(4)
    ours = [best(search("bayesian", PLANE, branin, seed, 30)) - BRANIN_LEAST for seed in seeds]
    random = [best(search("random", PLANE, branin, seed, 30)) - BRANIN_LEAST for seed in seeds]
    assert median(ours) < 0.25
    assert sum(one < other for one, other in zip(ours, random, strict=True)) >= 3


def test_it_finds_the_bottom_of_a_bowl_in_batches() -> None:
    # Over 20 seeds: median 0.027 and 2 above 0.1; random search over 40: median 0.103. Three of five above
    # 0.08: below 1 in 100.
    assert median(best(search("bayesian", CUBE, bowl, seed, 30, batch=6)) for seed in range(5)) < 0.08


def test_it_learns_which_category_and_branch_is_better() -> None:
    def objective(params: Params) -> float:
        return (params["booster"] != "dart") + abs(float(params.get("drop", 1.0)) - 0.6)  # type: ignore[arg-type]

    late = [value for seed in range(2) for value in search("bayesian", MIXED, objective, seed, 25)[15:]]
    # Random search draws values below 0.3 with a chance of about 0.25.
    assert sum(value < 0.3 for value in late if value is not None) > 13


def test_weights_that_sum_to_one_are_tuned() -> None:
    wanted = {"genre": 0.1, "cast": 0.1, "franchise": 0.3, "rating": 0.1, "popularity": 0.4}

    def miss(params: Params) -> float:
        return sum((number(params, f"{name}_weight") - share) ** 2 for name, share in wanted.items())

    # Random search over 20 seeds: median 0.03, least 0.009.
    assert best(search("bayesian", RECOMMENDER, miss, 0, 35, batch=5)) < 0.01


def test_weights_of_which_some_are_nothing_are_found_to_a_hundredth() -> None:
    wanted = [0.0, 0.45, 0.0, 0.2, 0.35]
    names = [f"w{i}" for i in range(5)]
    space = SearchSpace([FloatParam(name, 0.0, 1.0) for name in names], [Sum(names, 1.0)])

    def miss(params: Params) -> float:
        return sum((number(params, name) - share) ** 2 for name, share in zip(names, wanted, strict=True))

    # The nearest of 30 random draws is 0.21 away in the median of 4,000 searches, 0.03 in the best of them.
    assert best(search("bayesian", space, miss, 0, 30)) < 0.01**2


# ---- finite and tied spaces


@pytest.mark.parametrize("n", [1, 2, 10])
def test_a_small_space_is_tried_to_the_last_configuration(n: int) -> None:
    space = SearchSpace([IntParam("n", 1, n)])
    generator = make_generator("bayesian", space, seed=0)
    found: list[int] = []
    while suggestions := generator.ask(4):
        found += [int(str(one.params["n"])) for one in suggestions]
        generator.tell([Observation(one.params, abs(int(str(one.params["n"])) - 3)) for one in suggestions])
    assert sorted(found) == list(range(1, n + 1))


def test_the_last_configurations_of_a_larger_tied_space_are_found() -> None:
    names = [f"w{i}" for i in range(5)]
    space = SearchSpace(
        [*(FloatParam(name, 0.0, 1.0, step=0.125) for name in names), CategoricalParam("kind", ["a", "b"])],
        [Sum(names, 1.0), Forbid({"kind": "b", "w0": [0.0, 0.125]})],
    )
    every = list(space.enumerate())
    assert len(every) > 500  # more than are looked at one by one
    left = {config_key(params) for params in every[::80]}
    generator = make_generator("bayesian", space, seed=0)
    generator.tell(
        Observation(params, number(params, "w1")) for params in every if config_key(params) not in left
    )
    assert set(keys(generator.ask(20))) == left


@settings(max_examples=10, deadline=None)
@given(space=search_spaces(), seed=seeds)
def test_it_never_starves_and_always_says_the_same(space: SearchSpace, seed: int) -> None:
    drawn = make_generator("random", space, seed=seed).ask(7)
    told = [Observation(one.params, None if i == 3 else float(i % 5)) for i, one in enumerate(drawn)]
    twice = []
    for _ in range(2):
        generator = make_generator("bayesian", space, seed=seed, n_asked=len(told))
        generator.tell(told)
        twice.append([dict(one.params) for one in generator.ask(3)])
    assert twice[0] == twice[1]
    other = make_generator("random", space, seed=seed, n_asked=len(told))
    other.tell(told)
    assert len(twice[0]) == len(other.ask(3))


# ---- failures


def test_a_crashing_region_is_left_even_where_the_values_rise_towards_it() -> None:
    def crashing(params: Params) -> float | None:
        x = number(params, "x0")
        return None if x > 0.8 else (x - 0.9) ** 2 + bowl(params)

    late = [value for seed in range(2) for value in search("bayesian", CUBE, crashing, seed, 45)[15:]]
    # 60 draws of a random search crash 12 +- 3 times.
    assert sum(value is None for value in late) <= 6


def test_one_failure_is_no_reason_to_stay_away_for_ever() -> None:
    # The optimum lies next to the one configuration that failed.
    space = SearchSpace([FloatParam("x", 0.0, 1.0)])
    generator = make_generator("bayesian", space, seed=0)
    generator.tell(
        [Observation({"x": 0.5}, None), *(Observation({"x": x}, abs(x - 0.6)) for x in (0.0, 0.3, 0.8, 1.0))]
    )
    found = []
    for _ in range(10):
        (one,) = generator.ask(1)
        found.append(abs(number(one.params, "x") - 0.6))
        generator.tell([Observation(one.params, found[-1])])
    assert min(found) < 0.03


# ---- batches


def told(n: int = 20) -> list[Observation]:
    return [
        Observation(one.params, bowl(one.params)) for one in make_generator("random", CUBE, seed=3).ask(n)
    ]


def distances(configs: list[Params]) -> Array:
    x = CUBE.encode(configs)
    return np.asarray(np.linalg.norm(x[:, None] - x[None], axis=2)[np.triu_indices(len(x), 1)])


def test_a_batch_is_spread_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def batch() -> float:
        space = SearchSpace([IntParam("a", 0, 20), IntParam("b", 0, 20)])  # small enough to look at all of it
        generator = make_generator("bayesian", space, seed=0)
        asked = make_generator("random", space, seed=1).ask(15)
        generator.tell(
            [
                Observation(o.params, abs(int(str(o.params["a"])) - 12.0) + int(str(o.params["b"])))
                for o in asked
            ]
        )
        x = space.encode([one.params for one in generator.ask(6)])
        return float(np.linalg.norm(x[:, None] - x[None], axis=2).mean())

    spread = batch()
    monkeypatch.setattr(GaussianProcess, "condition", lambda self, x: self)
    assert spread > 1.5 * batch()


def test_what_is_pending_elsewhere_is_believed() -> None:
    free = make_generator("bayesian", CUBE, seed=0)
    free.tell(told())
    (first,) = free.ask(1)
    generator = make_generator("bayesian", CUBE, seed=0)
    generator.tell(told(), pending=[first.params])
    (other,) = generator.ask(1)
    near = {name: number(first.params, name) + 1e-4 for name in first.params}
    generator.tell([], pending=[near])
    (away,) = generator.ask(1)
    assert min(distances([first.params, other.params]), distances([near, away.params])) > 0.02


def test_one_fit_serves_a_whole_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    fits = []
    fit = GaussianProcess.fit
    monkeypatch.setattr(GaussianProcess, "fit", lambda x, *rest: fits.append(len(x)) or fit(x, *rest))  # type: ignore[func-returns-value]
    generator = make_generator("bayesian", CUBE, seed=0)
    generator.tell(told(30))
    generator.ask(3)
    generator.ask(2)
    assert fits == [30]
    generator.tell([Observation(CUBE.defaults(), 0.2)])
    generator.ask(1)
    assert fits == [30, 31]


# ---- what it says and what it is told


def test_it_fills_the_space_first_and_says_so() -> None:
    generator = make_generator("bayesian", CUBE, seed=0)
    first = generator.ask(5)
    assert [one.reason["design"] for one in first] == ["initial"] * 5
    random = make_generator("random", CUBE, seed=0).ask(5)
    assert distances([one.params for one in first]).min() > distances([one.params for one in random]).min()
    assert generator.ask(1)[0].reason["design"] == "initial"  # nothing came back yet
    generator.tell([Observation(one.params, bowl(one.params)) for one in first])
    assert generator.ask(1)[0].reason["design"] == "model"


def test_what_others_found_counts_as_a_start() -> None:
    generator = make_generator("bayesian", CUBE, seed=0)
    generator.tell(told(5))
    assert generator.ask(1)[0].reason["design"] == "model"


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_its_reasons_are_in_the_unit_and_direction_of_the_metric(direction: str) -> None:
    sign = 1 if direction == "minimize" else -1
    generator = make_generator("bayesian", CUBE, seed=0, direction=direction)
    generator.tell([Observation(one.params, sign * (1000 + 50 * (one.value or 0))) for one in told(60)])
    (one,) = generator.ask(1)
    value = sign * (1000 + 50 * bowl(one.params))
    assert abs(one.reason["mean"] - value) < 10
    assert 0 < one.reason["std"] < 20
    assert 0 < one.reason["expected_improvement"] < 50


def test_it_says_whether_it_explores_or_exploits() -> None:
    generator = make_generator("bayesian", CUBE, seed=0)
    generator.tell(told(12))
    batch = [one.reason for one in generator.ask(8)]
    assert {reason["aim"] for reason in batch} == {"explore", "exploit"}
    assert batch[0]["aim"] == "exploit"
    for i, reason in enumerate(batch[1:], 1):  # what is pending counts as it is predicted
        best = min(before["mean"] for before in batch[:i])
        if reason["aim"] == "exploit":
            assert reason["mean"] < best, i
        else:  # each of the models has a best of its own, so that the means of both may come close
            assert reason["mean"] > best - reason["std"] / 10, i


def test_a_branch_that_began_badly_is_looked_at_again() -> None:
    kinds = ["a", "b", "c"]
    space = SearchSpace(
        [
            CategoricalParam("kind", kinds),
            *(FloatParam(f"x_{kind}", 0, 1, when={"kind": kind}) for kind in kinds),
        ]
    )
    generator = make_generator("bayesian", space, seed=0, n_asked=20)
    # The other branches were never seen but at their worst.
    bad = [Observation({"kind": kind, f"x_{kind}": 0.9 + i / 100}, 5.0) for kind in "bc" for i in range(4)]
    good = [Observation({"kind": "a", "x_a": i / 20}, (i / 20 - 0.3) ** 2) for i in range(12)]
    generator.tell([*bad, *good])
    asked = [one.params["kind"] for one in generator.ask(10)]
    assert asked[4] != "a"
    assert asked[9] != "a"
    assert asked.count("a") >= 6


def test_a_batch_has_no_two_that_are_all_but_the_same() -> None:
    space = SearchSpace([FloatParam("rate", 1e-3, 1.0, log=True), IntParam("depth", 2, 12)])

    def rising(params: Params) -> float:  # towards a corner: best of all at its very end
        return -float(params["rate"] or 0) + abs(float(params["depth"] or 0) - 7) / 10

    for seed in range(3):
        rng = np.random.default_rng(seed)
        generator = make_generator("bayesian", space, seed=seed)
        drawn = [space.sample(rng) for _ in range(12)]
        generator.tell([Observation(each, rising(each)) for each in drawn])
        codes = space.encode([one.params for one in generator.ask(6)])
        gaps = np.abs(codes[:, None] - codes[None]).max(axis=2) + np.eye(6)
        assert gaps.min() >= 0.02


def test_where_nothing_is_left_to_gain_it_goes_on_all_the_same() -> None:
    line = SearchSpace([FloatParam("x", 0.0, 1.0)])
    drawn = make_generator("random", line, seed=0).ask(30)
    generator = make_generator("bayesian", line, seed=0)
    generator.tell([Observation(one.params, one.params["x"]) for one in drawn])  # type: ignore[arg-type]
    generator.tell([Observation({"x": 0.0}, 0.0)])
    batch = generator.ask(20)
    assert len(set(keys(batch))) == 20
    assert all(0 <= one.reason["expected_improvement"] < 1 for one in batch)


def test_repeats_are_one_observation_that_is_surer(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    fit = GaussianProcess.fit

    def spied(x: Array, y: Array, owners: list[int], noises: Array, *rest: NoisePrior) -> GaussianProcess:
        seen.append((y, noises))
        return fit(x, y, owners, noises, *rest)

    monkeypatch.setattr(GaussianProcess, "fit", spied)
    at = CUBE.defaults()
    runs = [Observation(at, 0.25), Observation(at, None), Observation(at, 0.5)]
    suggestions = []
    for repeats in (runs, runs[::-1], [Observation(at, 0.375)]):
        generator = make_generator("bayesian", CUBE, seed=0)
        generator.tell([*told(), *repeats])
        suggestions.append(keys(generator.ask(3)))
    assert suggestions[0] == suggestions[1]
    (twice, twice_noises), _, (once, once_noises) = seen
    assert twice.tolist() == once.tolist()
    assert sorted(twice_noises - once_noises) == [-0.5] + [0.0] * (len(once) - 1)


@pytest.mark.parametrize("wide", [1e3, 1e6, 1e9])
def test_a_sum_of_one_large_and_some_small_members_is_learned(wide: float) -> None:
    names = ["rest", "a", "b", "c"]
    space = SearchSpace(
        [FloatParam("rest", 0.0, wide), *(FloatParam(name, 0.0, 1.0) for name in names[1:])],
        [Sum(names, wide / 2)],
    )
    generator = make_generator("bayesian", space, seed=2)
    for _ in range(4):
        asked = [one.params for one in generator.ask(4)]
        generator.tell([Observation(each, _from_half(each)) for each in asked])
    (one,) = generator.ask(1)
    assert one.reason["design"] == "model"


def _from_half(params: Params) -> float:
    values = [params[name] for name in "abc"]
    return sum((value - 0.5) ** 2 for value in values if isinstance(value, float))


def test_a_small_space_is_looked_at_as_a_whole() -> None:
    every = list(SMALL.enumerate())
    generator = make_generator("bayesian", SMALL, seed=0)
    generator.tell([Observation(params, float(str(params["depth"]))) for params in every[::2]])
    # The lowest depth is best, and only one of the others may be worth more for what it teaches.
    depths = [one.params["depth"] for one in generator.ask(4)]
    assert depths.count(1) >= 3
