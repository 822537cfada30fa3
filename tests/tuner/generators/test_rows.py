"""Configurations as rows: drawn, varied and climbed by the hundred, and valid all the same."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings

from tests.tuner.spaces import all_configs, is_valid, search_spaces, seeds
from tuner.experiment import Params
from tuner.generators.bayesian.climbing import climbed
from tuner.generators.bayesian.rows import Rows
from tuner.generators.bayesian.surrogate import Array
from tuner.space import (
    CategoricalParam,
    FloatParam,
    Forbid,
    Increasing,
    IntParam,
    SearchSpace,
    Sum,
    config_key,
)


def simplex(n: int) -> SearchSpace:
    names = [f"w{i}" for i in range(n)]
    return SearchSpace([FloatParam(name, 0.0, 1.0) for name in names], [Sum(names, 1.0)])


@settings(max_examples=60, deadline=None)
@given(space=search_spaces(), seed=seeds)
def test_rows_stand_for_valid_configurations(space: SearchSpace, seed: int) -> None:
    if all(param.n_values == 1 for param in space.params.values()):
        return
    rng, made = np.random.default_rng(seed), Rows(space)
    drawn = made.draws(10, rng)
    rows = np.vstack([drawn, made.variations(drawn[:3], 10, 0.5, rng)])
    configs = [made.config(row) for row in rows]
    assert all(is_valid(space, config) for config in configs)
    # Members of a sum share one number of decimals, and equal ones of an order are set a thousandth apart.
    np.testing.assert_allclose(made.encode(rows), space.encode(configs), atol=2e-3)
    np.testing.assert_allclose(made.rows(configs), rows, atol=2e-3)


def test_rows_are_drawn_as_configurations_are() -> None:
    space = SearchSpace(
        [IntParam("n", 1, 4), IntParam("m", 1, 100, log=True), CategoricalParam("kind", ["a", "b", "c"])]
    )
    rng = np.random.default_rng(0)
    made = Rows(space)
    ours = [made.config(row) for row in made.draws(4000, rng)]
    theirs = [space.sample(rng) for _ in range(4000)]
    for name, value in [("n", 1), ("n", 4), ("m", 1), ("m", 2), ("kind", "c")]:
        shares = [sum(config[name] == value for config in configs) / 4000 for configs in (ours, theirs)]
        assert shares[0] == pytest.approx(shares[1], abs=0.04)  # five standard errors


def test_steps_move_by_one_value_at_least() -> None:
    space = SearchSpace([IntParam("n", 1, 3), FloatParam("x", 0.0, 1.0, step=1.0), IntParam("one", 5, 5)])
    made = Rows(space)
    parent = made.rows([{"n": 2, "x": 0.0, "one": 5}])
    found = [made.config(row) for row in made.variations(parent, 200, 0.01, np.random.default_rng(0))]
    assert {one["n"] for one in found} == {1, 2, 3}
    assert {one["x"] for one in found} == {0.0, 1.0}
    assert all((one["n"], one["x"]) != (2, 0.0) for one in found)


def test_what_a_move_makes_active_is_drawn() -> None:
    space = SearchSpace(
        [
            CategoricalParam("booster", ["tree", "dart"]),
            FloatParam("drop", 0.0, 1.0, when={"booster": ["dart"]}),
        ]
    )
    made = Rows(space)
    parent = made.rows([{"booster": "tree"}])
    found = [made.config(row) for row in made.variations(parent, 300, 1.0, np.random.default_rng(0))]
    drops = [float(str(one["drop"])) for one in found if "drop" in one]
    assert len(set(drops)) > 50
    assert max(drops) > 0.9
    assert min(drops) < 0.1


# ---- constraints


@settings(max_examples=60, deadline=None)
@given(space=search_spaces(), seed=seeds)
def test_climbing_leads_to_valid_configurations(space: SearchSpace, seed: int) -> None:
    if all(param.n_values == 1 for param in space.params.values()):
        return
    rng, made = np.random.default_rng(seed), Rows(space)
    slope = rng.standard_normal(len(space))
    for row in made.draws(3, rng):
        sums = made.sums(row)
        top = climbed(row, sums, np.ones(len(row)), lambda rows: rows @ slope) if len(sums) else row
        assert top @ slope >= row @ slope - 1e-6
        config = made.config(top)
        assert is_valid(space, config)
        np.testing.assert_allclose(made.encode(top[None, :]), space.encode([config]), atol=2e-3)


@pytest.mark.parametrize(
    ("steps", "highs"),
    [
        ((0.25, 0.25, 0.25), (1.0, 1.0, 1.0)),
        ((0.1, 0.25, 0.05), (1.0, 1.0, 1.0)),
        ((0.2, 0.3, 0.1), (1.0, 0.9, 1.0)),
        ((None, 0.5, None), (1.0, 1.0, 1.0)),
    ],
)
def test_transfers_keep_the_sum_and_the_steps(steps: list[float | None], highs: list[float]) -> None:
    params = [FloatParam(f"w{i}", 0.0, highs[i], step=steps[i]) for i in range(3)]
    space = SearchSpace(params, [Sum(["w0", "w1", "w2"], 1.0)])
    rng, made = np.random.default_rng(0), Rows(space)
    (parent,) = made.rows([space.repair({"w0": 0.3, "w1": 0.5, "w2": 0.2})])
    for reach in (1.0, 0.01):
        rows = made.variations(parent[None, :], 100, reach, rng)
        np.testing.assert_allclose((rows * highs).sum(axis=1), 1.0, atol=1e-8)
        theirs = space.encode([made.config(row) for row in rows])
        np.testing.assert_allclose(made.encode(rows), theirs, atol=1e-8)
        # A child stays where no partner of what should move has room for a common step.
        assert (np.abs(rows - parent).max(axis=1) > 1e-9).mean() > 0.3


def test_variations_reach_all_of_a_finite_space() -> None:
    space = SearchSpace(
        [
            *(IntParam(f"n{i}", 0, 4) for i in range(3)),
            IntParam("low", 1, 4),
            IntParam("high", 2, 6, step=2),
            CategoricalParam("kind", ["a", "b"]),
        ],
        [
            Sum(["n0", "n1", "n2"], 6),
            Increasing(["low", "high"]),
            Forbid({"kind": "b", "low": [1, 2], "n0": 0}),
        ],
    )
    rng, made = np.random.default_rng(0), Rows(space)
    rows = made.draws(1, rng)
    for _ in range(6):
        rows = np.unique(np.vstack([rows, made.variations(rows, 2000, 1.0, rng)]).round(9), axis=0)
        rng.shuffle(rows)
    assert {config_key(made.config(row)) for row in rows} == set(map(config_key, all_configs(space)))


def test_a_weight_can_become_nothing() -> None:
    made = Rows(simplex(5))
    rng = np.random.default_rng(0)
    rows = made.variations(made.rows([dict.fromkeys((f"w{i}" for i in range(5)), 0.2)]), 300, 1.0, rng)
    assert 0.05 < (rows == 0.0).any(axis=1).mean() < 0.95


def test_where_hardly_anything_is_allowed_it_is_found() -> None:
    # 8 of 4096 combinations: those of four equal letters. A draw is one of them once in 512 times.
    letters = list("abcdefgh")
    names = ["p0", "p1", "p2", "p3"]
    forbids = [
        Forbid({one: letters[i], other: [x for x in letters if x != letters[i]]})
        for one, other in pairwise(names)
        for i in range(8)
    ]
    space = SearchSpace([CategoricalParam(name, letters) for name in names], forbids)
    rng, made = np.random.default_rng(0), Rows(space)
    drawn = made.draws(50, rng)
    rows = np.vstack([drawn, made.variations(drawn[:1], 50, 1.0, rng)])
    assert all(space.contains(made.config(row)) for row in rows)
    np.testing.assert_array_equal(made.encode(rows), space.encode([made.config(row) for row in rows]))
    assert len({config_key(made.config(row)) for row in drawn}) == 8


# ---- climbing


@pytest.mark.parametrize("wanted", [(0.1, 0.2, 0.3, 0.4), (0.0, 0.0, 0.35, 0.65), (0.0, 1.0, 0.0, 0.0)])
def test_climbing_finds_the_top_on_a_simplex(wanted: tuple[float, ...]) -> None:
    made = Rows(simplex(4))

    def score(rows: Array) -> Array:
        return np.asarray(-((rows - wanted) ** 2 * [1.0, 2.0, 4.0, 8.0]).sum(axis=1))

    start = np.array([0.4, 0.3, 0.2, 0.1])
    np.testing.assert_allclose(climbed(start, made.sums(start), np.ones(4), score), wanted, atol=0.005)


def test_climbing_moves_along_sums_that_are_active_and_continuous_only() -> None:
    names = ["v0", "v1", "w0", "w1", "n0", "n1"]
    when = {"kind": ["a"]}
    space = SearchSpace(
        [
            CategoricalParam("kind", ["a", "b"]),
            FloatParam("v0", 0.0, 1.0, when=when),
            FloatParam("v1", 0.0, 1.0, when=when),
            FloatParam("w0", 0.0, 1.0),
            FloatParam("w1", 0.0, 3.0),
            IntParam("n0", 0, 2),
            IntParam("n1", 0, 2),
            FloatParam("x", 0.0, 1.0),
        ],
        [Sum(names[:2], 1.0), Sum(names[2:4], 2.0), Sum(names[4:], 2)],
    )
    made = Rows(space)
    config: Params = {"kind": "b", "w0": 0.5, "w1": 1.5, "n0": 1, "n1": 1, "x": 0.5}
    (row,) = made.rows([config])
    top = climbed(row, made.sums(row), np.ones(8), lambda rows: rows.sum(axis=1))
    # A place of w0 is worth three of w1.
    assert made.config(top) == {**config, "w0": 1.0, "w1": 1.0}


def test_what_a_sum_leaves_of_the_range_is_known() -> None:
    # A share of a flat Dirichlet in n parts has variance (n - 1) / (n**2 (n + 1)); of 512 draws.
    spreads = Rows(simplex(20)).spreads
    expected = np.sqrt(12 * 19 / (400 * 21))
    assert spreads == pytest.approx(np.full(20, expected), rel=0.25)
    assert Rows(
        SearchSpace([FloatParam("x", 0.0, 1.0), CategoricalParam("kind", ["a", "b"])])
    ).spreads.tolist() == [1, 1]


def test_only_sums_are_told_from_sums_among_others() -> None:
    weights = [FloatParam("a", 0.0, 1.0), FloatParam("b", 0.0, 1.0)]
    constant, free = FloatParam("c", 2.0, 2.0), FloatParam("x", 0.0, 1.0)
    assert Rows(SearchSpace([*weights, constant], [Sum(["a", "b"], 1.0)])).only_sums
    assert not Rows(SearchSpace([*weights, free], [Sum(["a", "b"], 1.0)])).only_sums
    assert not Rows(SearchSpace(weights)).only_sums
    stepped = [FloatParam("a", 0.0, 1.0, step=0.25), FloatParam("b", 0.0, 1.0, step=0.25)]
    assert not Rows(SearchSpace(stepped, [Sum(["a", "b"], 1.0)])).only_sums


class TestOneParameterAnew:
    """What importances are estimated by: all else stays as far as sums and orders allow."""

    @settings(max_examples=40, deadline=None)
    @given(space=search_spaces(), seed=seeds)
    def test_rows_stay_valid(self, space: SearchSpace, seed: int) -> None:
        if all(param.n_values == 1 for param in space.params.values()):
            return
        rng, made = np.random.default_rng(seed), Rows(space)
        base, anew = made.redrawn(5, rng)
        j = int(rng.integers(len(space.params)))
        for rows in (base, *anew, *made.placed(5, j, base[:1, j], rng)):
            configs = [made.config(row) for row in rows]
            assert all(is_valid(space, config) for config in configs)
            # What is valid already is not moved any further, but for the rounding of members of a tie.
            np.testing.assert_allclose(made.rows(configs), rows, atol=2e-3)

    def test_others_of_a_sum_keep_their_proportions(self) -> None:
        rng, made = np.random.default_rng(0), Rows(simplex(4))
        base, anew = made.redrawn(300, rng)
        for j, rows in enumerate(anew):
            others = [k for k in range(4) if k != j]
            np.testing.assert_allclose(rows.sum(axis=1), 1.0)
            before, after = (
                each[:, others] / each[:, others].sum(axis=1, keepdims=True) for each in (base, rows)
            )
            np.testing.assert_allclose(after, before, atol=1e-6)
            # Drawn as before: of mean 1/4, with five of its standard errors.
            assert rows[:, j].mean() == pytest.approx(0.25, abs=5 * 0.19 / 300**0.5)

    @pytest.mark.parametrize(
        "members",
        [
            [FloatParam("a", 0.0, 1.0), FloatParam("b", 0.0, 0.3), FloatParam("c", 0.1, 0.9)],
            [FloatParam(name, 0.0, high, step=0.1) for name, high in (("a", 1.0), ("b", 0.3), ("c", 0.9))],
            [FloatParam("a", 0.01, 1.0, log=True), FloatParam("b", 0.0, 1.0), FloatParam("c", 0.0, 0.5)],
        ],
        ids=["bounded", "stepped", "log"],
    )
    def test_one_of_a_sum_gets_as_near_as_the_others_allow(self, members: list[FloatParam]) -> None:
        made = Rows(SearchSpace(members, [Sum([param.name for param in members], 1.0)]))
        for j, param in enumerate(members):
            others = [each for each in members if each is not param]
            least, most = 1 - sum(each.high for each in others), 1 - sum(each.low for each in others)
            stops = [param.from_unit(at) for at in (0.0, 0.5, 1.0)]
            places = param.encode(stops)[:, 0]
            for stop, rows in zip(stops, made.placed(30, j, places, np.random.default_rng(j)), strict=True):
                nearest = min(max(float(stop), least, param.low), most, param.high)
                found = [float(str(made.config(row)[param.name])) for row in rows]
                np.testing.assert_allclose(found, nearest, atol=1e-6)

    def test_what_one_of_a_sum_leaves_is_shared_evenly_by_those_that_had_nothing(self) -> None:
        space = simplex(4)
        (tie, _), *_ = Rows(space)._ties
        corner = np.array([[1.0, 0.0, 0.0, 0.0]])
        np.testing.assert_allclose(tie.placed(corner, 0, np.array([0.4])), [[0.4, 0.2, 0.2, 0.2]])

    def test_one_of_an_order_moves_between_its_neighbours(self) -> None:
        space = SearchSpace(
            [FloatParam(name, 0.0, 1.0) for name in "abc"] + [IntParam(name, 1, 9) for name in "xy"],
            [Increasing(["a", "b", "c"]), Increasing(["x", "y"])],
        )
        rng, made = np.random.default_rng(0), Rows(space)
        base, anew = made.redrawn(200, rng)
        for j, rows in enumerate(anew):
            others = [k for k in range(5) if k != j]
            np.testing.assert_array_equal(rows[:, others], base[:, others])
            assert (rows[:, j] != base[:, j]).any()
        assert all((np.diff(rows[:, :3]) >= 0).all() and (np.diff(rows[:, 3:]) > 0).all() for rows in anew)

    def test_what_a_choice_awakes_is_drawn(self) -> None:
        space = SearchSpace(
            [CategoricalParam("kind", ["a", "b"]), FloatParam("depth", 0.0, 1.0, when={"kind": "b"})]
        )
        rng, made = np.random.default_rng(0), Rows(space)
        base, (by_kind, by_depth) = made.redrawn(100, rng)
        awake = (base[:, 0] == 0) & (by_kind[:, 0] == 1)
        assert len(set(by_kind[awake, 1])) > 10
        asleep = base[:, 0] == 0
        np.testing.assert_array_equal(by_depth[asleep], base[asleep])

    def test_a_parameter_is_placed_where_it_is_active(self) -> None:
        kinds = [f"k{i}" for i in range(20)]
        space = SearchSpace(
            [CategoricalParam("kind", kinds), FloatParam("depth", 0.0, 1.0, default=0.5, when={"kind": "k7"})]
        )
        places = np.array([0.0, 0.25, 1.0])
        found = Rows(space).placed(30, 1, places, np.random.default_rng(0))
        assert found.shape == (3, 30, 2)
        assert (found[:, :, 0] == 7).all()
        np.testing.assert_array_equal(found[:, :, 1], np.repeat(places[:, None], 30, axis=1))
        kinds_drawn = Rows(space).placed(30, 0, np.array([3.0]), np.random.default_rng(0))[0]
        assert (kinds_drawn == [3.0, 0.5]).all()


def test_a_member_far_wider_than_what_its_sum_leaves_it_is_no_stretch() -> None:
    wide = [FloatParam("a", 0.0, 1e9), FloatParam("b", 0.0, 1.0), FloatParam("c", 0.0, 1.0)]
    spreads = Rows(SearchSpace(wide, [Sum(["a", "b", "c"], 5e8)])).spreads
    assert spreads[0] == pytest.approx(1e-3)
    assert spreads[1:].min() > 0.5
