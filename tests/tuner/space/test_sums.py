"""Sums: met by construction in every kind of space, drawn uniformly, repaired by projection."""

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tuner.spaces import is_valid, seeds
from tuner.errors import SpaceError
from tuner.space import CategoricalParam, FloatParam, Forbid, IntParam, Param, SearchSpace, Sum, simplex
from tuner.space.lattice import CountedLattice, FineLattice


def weights(n: int, low: float, high: float, step: float | None = None) -> SearchSpace:
    names = [f"w{i}" for i in range(n)]
    return SearchSpace([FloatParam(name, low, high, step=step) for name in names], [Sum(names, 1.0)])


SIMPLICES = {
    "5 free": weights(5, 0.0, 1.0),
    "5 capped": weights(5, 0.1, 0.3),
    "5 in hundredths": weights(5, 0.0, 1.0, 0.01),
    "5 in millionths": weights(5, 0.0, 1.0, 1e-6),
    "20 free": weights(20, 0.0, 1.0),
    "20 capped": weights(20, 0.0, 0.08),
    "20 in a tight box": weights(20, 0.045, 0.055),
    "20 in a tight box in thousandths": weights(20, 0.045, 0.055, 0.001),
    "20 on their caps": weights(20, 0.0, 0.05),
    "20 on their floors": weights(20, 0.05, 1.0),
    "20 in twentieths": weights(20, 0.0, 1.0, 0.05),
    "negative ones, too": weights(5, -1.0, 1.0),
}


@pytest.mark.parametrize("space", SIMPLICES.values(), ids=SIMPLICES.keys())
@given(seeds)
@settings(max_examples=20, deadline=None)
def test_a_simplex_always_sums_to_one(space: SearchSpace, seed: int) -> None:
    rng = np.random.default_rng(seed)
    far = dict(zip(space.names, rng.normal(0, 10, len(space)).tolist(), strict=True))
    near = dict(zip(space.names, rng.random(len(space)).tolist(), strict=True))
    for config in (space.defaults(), space.sample(rng), space.repair(far), space.repair(near)):
        assert abs(math.fsum(config.values()) - 1.0) <= 1e-9  # type: ignore[arg-type]
        assert space.validate(config) == config


def test_ints_and_floats_of_different_steps_meet_a_total() -> None:
    params: list[Param] = [
        IntParam("n", 0, 6, step=2),
        IntParam("m", 1, 4),
        FloatParam("x", 0.0, 2.0, step=0.25),
        FloatParam("y", 0.5, 1.5),
    ]
    space = SearchSpace(params, [Sum(["n", "m", "x", "y"], 7.3)])
    rng = np.random.default_rng(0)
    drawn = [space.sample(rng) for _ in range(300)]
    assert all(is_valid(space, config) for config in drawn)
    assert {config["n"] for config in drawn} == {0, 2, 4}  # m + x + y can add up to 1.5 at least
    assert all(type(config["n"]) is int for config in drawn)


def test_total_is_exact_for_ints_far_beyond_floats() -> None:
    names = ["a", "b", "c"]
    space = SearchSpace([IntParam(n, 0, 10**7) for n in names], [Sum(names, 10**7)])
    rng = np.random.default_rng(1)
    for _ in range(50):
        config = space.sample(rng)
        assert sum(config.values()) == 10**7  # type: ignore[arg-type]
        assert space.repair({**config, "a": 5}) == space.repair(space.repair({**config, "a": 5}))


@pytest.mark.parametrize(("off", "holds"), [(9e-10, True), (2e-9, False)])
def test_a_given_sum_may_be_off_by_rounding_only(off: float, holds: bool) -> None:
    space = SearchSpace([FloatParam(n, 0.0, 1e5) for n in "ab"], [Sum(["a", "b"], 1.0)])
    assert space.contains({"a": 0.25, "b": 0.75 + off}) == holds


def test_a_total_with_rounding_dust_is_met_by_clean_steps() -> None:
    params = [FloatParam(n, 0.0, 1.0, step=0.1) for n in "ab"]
    assert SearchSpace(params, [Sum(["a", "b"], 0.1 + 0.2)]).size() == 4


def test_the_step_of_a_constant_does_not_matter() -> None:
    params = [FloatParam("c", 0.5, 0.5, step=1e-6), *(FloatParam(n, 0.0, 9.0, step=0.25) for n in "ab")]
    assert SearchSpace(params, [Sum(["a", "b", "c"], 2.0)]).size() == 7


def test_values_forbidden_on_their_own_are_holes_in_the_lattice() -> None:
    lattice = CountedLattice([1, 1, 2], [4, 4, 2], (4, 4), [{0, 2}, set(), {1}])
    ways = [w for w in product((1, 3, 4), range(5), (0, 2)) if w[0] + w[1] + 2 * w[2] == 4]
    rng = np.random.default_rng(0)
    assert lattice.n_ways == len(ways)
    assert {tuple(lattice.draw(rng)) for _ in range(200)} == set(ways)
    assert list(lattice.allowed(0, 0)) == [1, 3, 4]
    assert lattice.nearest([2.2, 1.8, 0.0]) == [3, 1, 0]


@given(
    st.lists(
        st.tuples(st.integers(1, 3), st.integers(0, 4), st.sets(st.integers(0, 4))), min_size=1, max_size=4
    ),
    st.tuples(st.integers(0, 12), st.integers(0, 4)),
    seeds,
)
@settings(max_examples=300, deadline=None)
def test_the_nearest_choice_is_the_nearest_of_all_that_meet_the_goal(
    members: list[tuple[int, int, set[int]]], goal: tuple[int, int], seed: int
) -> None:
    lengths, n_steps, holes = map(list, zip(*members, strict=True))
    lattice = CountedLattice(lengths, n_steps, (goal[0], sum(goal)), holes)
    choices = product(*(set(range(n + 1)) - hole for n, hole in zip(n_steps, holes, strict=True)))
    ways = np.array([w for w in choices if goal[0] <= np.dot(w, lengths) <= sum(goal)])
    assert lattice.feasible == (len(ways) > 0)
    if lattice.feasible:
        target = np.random.default_rng(seed).uniform(-1, 5, len(members))
        found = lattice.nearest(target.tolist())
        assert found in ways.tolist()

        def distance(way: np.ndarray) -> float:
            return float(np.sum((np.array(lengths) * (way - target)) ** 2))

        assert distance(np.array(found)) == pytest.approx(min(map(distance, ways)))


def test_defaults_leave_a_forbidden_step_of_a_sum_that_is_not_in_use() -> None:
    off = {"on": [1]}
    space = SearchSpace(
        [
            IntParam("on", 0, 1, default=0),
            FloatParam("a", -2.5, -2.45, step=0.05, when=off),
            FloatParam("b", -2.5, -2.499, when=off),
        ],
        [Sum(["a", "b"], -4.95), Forbid({"a": [-2.5]})],
    )
    assert (space.params["a"].default, space.params["b"].default) == (-2.45, -2.5)
    assert SearchSpace.from_dict(space.to_dict()) == space


def test_default_weights_share_what_the_given_ones_leave() -> None:
    names = ["a", "b", "c"]
    space = SearchSpace(
        [FloatParam("a", 0, 1, default=0.5), *(FloatParam(n, 0, 1) for n in "bc")], [Sum(names, 1)]
    )
    assert space.defaults() == {"a": 0.5, "b": 0.25, "c": 0.25}


def test_a_sum_counts_only_while_it_is_in_use() -> None:
    on = {"on": [True]}
    space = SearchSpace(
        [CategoricalParam("on", [True, False]), *(IntParam(n, 0, 3, when=on) for n in "ab")],
        [Sum(["a", "b"], 3)],
    )
    assert space.size() == 5
    assert {frozenset(config.items()) for config in space.enumerate()} == {
        frozenset({("on", False)}),
        *(frozenset({("on", True), ("a", a), ("b", 3 - a)}) for a in range(4)),
    }


@pytest.mark.parametrize(
    ("params", "total", "said"),
    [
        ([FloatParam(n, 0, 0.4) for n in "ab"], 1.0, "the parameters add up to between 0 and 0.8"),
        ([FloatParam(n, 0.6, 1) for n in "ab"], 1.0, "the parameters add up to between 1.2 and 2"),
        (
            [FloatParam(n, 0, 1.2, step=0.3) for n in "ab"],
            1.0,
            "never add up to 1.0",
        ),
        ([IntParam(n, 0, 10, step=2) for n in "ab"], 7, "never add up to 7.0"),
        ([IntParam("a", 0, 12, step=6), IntParam("b", 0, 4, step=4)], 8, "never add up to 8.0"),
        ([IntParam("a", 0, 9, step=3), FloatParam("b", 0, 1)], 2, "never add up to 2.0"),
        ([IntParam("a", 0, 10**6), FloatParam("b", 0, 1, step=1e-5)], 9, "multiples of one unit that fits"),
        (
            [CategoricalParam("a", [0, 1]), FloatParam("b", 0, 1)],
            1,
            "must name numbers, but 'a' is categorical",
        ),
        ([FloatParam("a", 0, 1, when={"b": [1]}), IntParam("b", 0, 1)], 1, "must share the same `when`"),
        ([FloatParam("a", 0, 1, default=0.9), FloatParam("b", 0, 1, default=0.9)], 1, "but the sum is 1.8"),
        (
            [FloatParam("a", 0, 1, default=0.9), FloatParam("b", 0.5, 1)],
            1,
            "but a leave nothing for the others",
        ),
    ],
)
def test_a_sum_that_cannot_hold_is_refused_when_built(params: list[Param], total: float, said: str) -> None:
    with pytest.raises(SpaceError) as caught:
        SearchSpace(params, [Sum(["a", "b"], total)])
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda: Sum(["a"], 1), "must name at least two parameters"),
        (lambda: Sum(["a", "a"], 1), "must name each parameter once"),
        (lambda: Sum("ab", 1), "must list names of parameters, but got 'ab'"),
        (lambda: Sum(["a", "b"], math.nan), "must be a finite number, but got nan"),
        (
            lambda: weights(2, 0, 1).from_dict({"params": {}, "constraints": [{"sum": ["a", "b"]}]}),
            "needs `equals`",
        ),
    ],
)
def test_a_sum_must_be_declared_in_full(build: object, said: str) -> None:
    with pytest.raises(SpaceError, match=said):
        build()  # type: ignore[operator]


def test_names_must_exist_and_stand_in_one_group() -> None:
    params = [FloatParam(n, 0, 1) for n in ("alpha", "beta", "gamma")]
    with pytest.raises(
        SpaceError, match=r"names 'apha', which is no parameter of this space\. Did you mean 'alpha'"
    ):
        SearchSpace(params, [Sum(["apha", "beta"], 1)])
    with pytest.raises(SpaceError, match="in only one sum or order, but 'beta'"):
        SearchSpace(params, [Sum(["alpha", "beta"], 1), Sum(["beta", "gamma"], 1)])


# ---- projection


@given(
    st.lists(st.tuples(st.floats(-3, 3), st.floats(0, 2)), min_size=1, max_size=8),
    st.floats(0, 1),
)
@settings(max_examples=300, deadline=None)
def test_projection_satisfies_the_conditions_of_optimality(
    point: list[tuple[float, float]], share: float
) -> None:
    values, caps = [v for v, _ in point], [c for _, c in point]
    total = share * math.fsum(caps)
    found = simplex.project(values, caps, total)
    assert abs(math.fsum(found) - total) <= 1e-12 * max(1.0, total)
    assert all(0 <= x <= cap for x, cap in zip(found, caps, strict=True))
    # Karush-Kuhn-Tucker: one tau moves all that are between their bounds; those on a bound would move
    # beyond it.
    moved = [v - x for v, x in zip(values, found, strict=True)]
    least = max(
        (m for m, x, cap in zip(moved, found, caps, strict=True) if x < cap - 1e-12), default=-math.inf
    )
    most = min((m for m, x in zip(moved, found, strict=True) if x > 1e-12), default=math.inf)
    assert least <= most + 1e-9


@given(
    st.lists(st.tuples(st.integers(0, 4), st.floats(-3, 7)), min_size=2, max_size=4),
    st.sampled_from([(1, 1, 1, 1), (1, 2, 3, 2), (2, 3, 2, 5)]),
    st.data(),
)
@settings(max_examples=150, deadline=None)
def test_repair_finds_the_nearest_point_of_a_lattice(
    members: list[tuple[int, float]], steps: tuple[int, ...], data: st.DataObject
) -> None:
    params = [
        IntParam(f"n{i}", 0, n * step, step=step)
        for i, ((n, _), step) in enumerate(zip(members, steps, strict=False))
    ]
    options = [[param.at(k) for k in range(param.n_values or 0)] for param in params]
    totals = sorted({sum(values) for values in product(*options)})
    total = data.draw(st.sampled_from(totals))
    space = SearchSpace(params, [Sum([p.name for p in params], total)])
    wanted = {param.name: wish for param, (_, wish) in zip(params, members, strict=True)}

    def distance(values: tuple[int, ...]) -> float:
        return sum((value - wish) ** 2 for value, wish in zip(values, wanted.values(), strict=True))

    best = min(distance(values) for values in product(*options) if sum(values) == total)
    found = space.repair(wanted)
    assert distance(tuple(found[name] for name in wanted)) == pytest.approx(best)  # type: ignore[misc]


def test_repair_keeps_what_is_valid_and_moves_all_weights_alike() -> None:
    space = weights(4, 0.0, 1.0)
    valid = {"w0": 0.1, "w1": 0.2, "w2": 0.3, "w3": 0.4}
    assert space.repair(valid) == valid
    assert space.repair({**valid, "w3": 0.6}) == pytest.approx(
        {"w0": 0.05, "w1": 0.15, "w2": 0.25, "w3": 0.55}
    )


# ---- uniformity; seeds are fixed, so that each of these fails for ever or never. Rates are those over seeds.


def test_draws_on_a_lattice_are_uniform() -> None:
    space = weights(3, 0.0, 1.0, 0.25)
    rng = np.random.default_rng(7)
    n_draws = 3000
    counts: dict[tuple[object, ...], int] = {}
    for _ in range(n_draws):
        key = tuple(space.sample(rng).values())
        counts[key] = counts.get(key, 0) + 1
    assert space.size() == len(counts) == 15
    # Chi-squared with 14 degrees of freedom exceeds 49 with probability 1e-5.
    assert sum((c - n_draws / 15) ** 2 / (n_draws / 15) for c in counts.values()) < 49


def test_draws_in_a_capped_simplex_are_uniform() -> None:
    # Of three weights of at most 1/2 each has the density 8 x, hence the distribution function (2 x)^2.
    space = weights(3, 0.0, 0.5)
    rng = np.random.default_rng(3)
    n_draws = 3000
    drawn = np.array([list(space.sample(rng).values()) for _ in range(n_draws)], dtype=float)
    # Kolmogorov-Smirnov (Dvoretzky-Kiefer-Wolfowitz): exceeded with probability 1e-5 for each weight.
    bound = math.sqrt(math.log(2 / 1e-5) / (2 * n_draws))
    for column in drawn.T:
        expected = (2 * np.sort(column)) ** 2
        assert np.max(np.abs(expected - np.arange(n_draws) / n_draws)) < bound + 1 / n_draws


def test_draws_from_a_tight_box_use_all_of_it() -> None:
    # Each of 20 weights is close to uniform on its box, less what the sum takes: variance w^2/12 (1 - 1/20).
    space = weights(20, 0.045, 0.055)
    rng = np.random.default_rng(11)
    drawn = np.array([list(space.sample(rng).values()) for _ in range(1000)], dtype=float)
    variances = drawn.var(axis=0)
    expected = 0.01**2 / 12 * 0.95
    # The variance of a uniform sample's variance is about 0.8 expected^2 / n; 20 weights at 5 deviations:
    # 1e-5.
    assert np.all(np.abs(variances - expected) < 5 * expected * math.sqrt(0.8 / 1000) + 0.01 * expected)


def test_a_fine_lattice_is_drawn_like_a_continuous_simplex() -> None:
    lattice = FineLattice([10**6] * 3, (10**6, 10**6))
    rng = np.random.default_rng(5)
    counts = np.array([lattice.draw(rng) for _ in range(2000)])
    assert np.all(counts.sum(axis=1) == 10**6)
    drawn = counts / 10**6
    # A flat Dirichlet of three has mean 1/3 and variance 1/18; 5 standard errors.
    assert np.all(np.abs(drawn.mean(axis=0) - 1 / 3) < 5 * math.sqrt(1 / 18 / 2000))
    assert np.all(np.abs(drawn.var(axis=0) - 1 / 18) < 0.01)
