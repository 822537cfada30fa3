"""Forbids: left by construction, even where nearly everything is forbidden."""

from itertools import pairwise, product

import numpy as np
import pytest

from tests.tuner.spaces import is_valid
from tuner.errors import ParamsError, SpaceError
from tuner.space import CategoricalParam, Constraint, FloatParam, Forbid, IntParam, Param, SearchSpace, Sum


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def solvers(**defaults: str) -> SearchSpace:
    params: list[Param] = [
        CategoricalParam("solver", ["lbfgs", "saga", "liblinear"], **defaults),  # type: ignore[arg-type]
        CategoricalParam("penalty", ["l1", "l2", "elasticnet", None]),
        FloatParam("C", 0.01, 100, log=True),
    ]
    forbids = [
        Forbid({"solver": "lbfgs", "penalty": ["l1", "elasticnet"]}),
        Forbid({"solver": "liblinear", "penalty": ["elasticnet", None]}),
    ]
    return SearchSpace(params, forbids)


def test_a_forbidden_combination_is_a_fault() -> None:
    with pytest.raises(ParamsError, match="forbidden: solver = 'liblinear', penalty = 'elasticnet'"):
        solvers().validate({"solver": "liblinear", "penalty": "elasticnet", "C": 1.0})


def test_defaults_that_nobody_gave_make_way_for_those_that_were() -> None:
    assert solvers().defaults()["penalty"] == "l2"
    assert solvers(default="saga").defaults() == {"solver": "saga", "penalty": "l1", "C": 1.0}


def test_repair_moves_the_fewest_parameters() -> None:
    space = solvers()
    assert space.repair({"solver": "lbfgs", "penalty": "l1", "C": 2}) == {
        "solver": "lbfgs",
        "penalty": "l2",
        "C": 2.0,
    }
    cells = [IntParam(n, 0, 9) for n in "abc"]
    space = SearchSpace(
        cells, [Forbid({"a": 5, "b": [v for v in range(10) if v != 0]}), Forbid({"a": 5, "b": 0, "c": 5})]
    )
    # To move a alone is one change, b and c together would be two.
    assert space.repair({"a": 5, "b": 4, "c": 5}) == {"a": 4, "b": 4, "c": 5}


def test_repair_takes_the_nearest_value_that_is_allowed() -> None:
    space = SearchSpace([IntParam("n", 0, 100)], [Forbid({"n": list(range(40, 70))})])
    assert [space.repair({"n": n})["n"] for n in (41, 60, 69, 70)] == [39, 70, 70, 70]


def test_sampling_is_uniform_over_what_is_allowed() -> None:
    space = solvers()
    stream, counts, n_draws = rng(5), dict[tuple[object, object], int](), 4000
    for _ in range(n_draws):
        config = space.sample(stream)
        key = (config["solver"], config["penalty"])
        counts[key] = counts.get(key, 0) + 1
    assert len(counts) == 2 + 4 + 2
    # Chi-squared with 7 degrees of freedom exceeds 36 with probability 1e-5.
    assert sum((count - n_draws / 8) ** 2 / (n_draws / 8) for count in counts.values()) < 36


def test_one_needle_in_four_billion_is_found() -> None:
    names = [f"p{i}" for i in range(16)]
    space = SearchSpace(
        [IntParam(name, 1, 4) for name in names], [Forbid({name: [1, 2, 4]}) for name in names]
    )
    assert space.size() == 1
    needle = dict.fromkeys(names, 3)
    assert space.defaults() == space.sample(rng()) == space.repair({}) == needle
    assert list(space.enumerate()) == [needle]


def test_a_chain_of_implications_is_followed_back() -> None:
    # x0 = 1 forces x1 = 1, ... and x11 = 1 is forbidden: all must be 0, which only jumping back finds
    # quickly.
    names = [f"x{i}" for i in range(12)]
    chain = [Forbid({a: 1, b: 0}) for a, b in pairwise(names)]
    space = SearchSpace([CategoricalParam(n, [1, 0]) for n in names], [*chain, Forbid({names[-1]: 1})])
    assert space.size() == 1
    assert space.sample(rng()) == dict.fromkeys(names, 0)


def test_more_forbids_than_the_recursion_limit() -> None:
    names = [f"x{i}" for i in range(1200)]
    forbids = [Forbid({a: 1, b: 1}) for a, b in pairwise(names)]
    space = SearchSpace([CategoricalParam(n, [1, 0]) for n in names], forbids)
    found = space.repair(dict.fromkeys(names, 1))
    assert list(found.values()) == [1, 0] * 600


def test_unrelated_parameters_do_not_multiply_the_search() -> None:
    # Between the two parameters that exclude each other stand sixty that have no part in it.
    middle = [IntParam(f"m{i}", 1, 50) for i in range(60)]
    involved = [Forbid({m.name: 7, "last": 9}) for m in middle]
    wall = [Forbid({"first": v, "last": list(range(50))}) for v in range(49)]
    params: list[Param] = [IntParam("first", 0, 49), *middle, IntParam("last", 0, 49)]
    space = SearchSpace(params, [*involved, *wall])
    assert space.defaults()["first"] == 49
    assert space.sample(rng())["first"] == 49


@pytest.mark.parametrize("seed", range(5))
def test_random_forbids_leave_exactly_what_they_should(seed: int) -> None:
    stream = rng(seed)
    params = [IntParam(n, 0, 2) for n in "abcde"]
    forbids = []
    for _ in range(60):
        named = stream.choice(list("abcde"), 2 + int(stream.integers(2)), replace=False)
        forbids.append(Forbid({str(name): int(stream.integers(3)) for name in named}))
    allowed = [
        dict(zip("abcde", values, strict=True))
        for values in product(range(3), repeat=5)
        if not any(all(values["abcde".index(n)] in v for n, v in f.values.items()) for f in forbids)
    ]
    if not allowed:
        with pytest.raises(SpaceError, match="must have a valid configuration"):
            SearchSpace(params, forbids)
        return
    space = SearchSpace(params, forbids)
    assert list(space.enumerate()) == allowed
    assert space.size() == len(allowed)
    for values in product(range(3), repeat=5):
        wanted = dict(zip("abcde", values, strict=True))
        found = space.repair(wanted)
        n_moved = min(sum(one[n] != wanted[n] for n in wanted) for one in allowed)
        assert found in allowed
        assert sum(found[n] != wanted[n] for n in wanted) == n_moved or n_moved > 3


def test_points_of_continuous_parameters_are_left() -> None:
    params = [FloatParam(n, 0.0, 1.0) for n in ("x", "y", "z")]
    constraints: list[Constraint] = [
        Sum(["y", "z"], 1.0),
        Forbid({"x": [0.0, 0.5, 1.0]}),
        Forbid({"y": [0.5, 0.25]}),
        Forbid({"z": [0.25]}),
    ]
    space = SearchSpace(params, constraints)
    assert is_valid(space, space.defaults())
    for y in (0.5, 0.25, 0.75):
        assert is_valid(space, space.repair({"x": 0.5, "y": y, "z": 1 - y}))
    near = space.repair({"x": 0.5, "y": 0.1, "z": 0.9})
    assert (near["y"], near["z"]) == (0.1, 0.9)
    assert near["x"] == pytest.approx(0.5, abs=0.01)


def test_a_constant_can_only_be_forbidden_together_with_others() -> None:
    constant = FloatParam("x", 0.5, 0.5)
    with pytest.raises(SpaceError, match=r"this constraint excludes every one: forbid x = 0\.5"):
        SearchSpace([constant], [Forbid({"x": 0.5})])
    space = SearchSpace([constant, IntParam("n", 1, 2)], [Forbid({"x": 0.5, "n": 2})])
    assert [space.sample(rng(seed))["n"] for seed in range(9)] == [1] * 9


def test_forbidden_steps_of_a_sum_are_left() -> None:
    names = [f"w{i}" for i in range(20)]
    params = [FloatParam(name, 0.0, 1.0, step=0.05) for name in names]
    space = SearchSpace(params, [Sum(names, 1.0), *(Forbid({name: 0.0}) for name in names)])
    assert space.defaults() == space.sample(rng()) == dict.fromkeys(names, 0.05)
    space = SearchSpace(params, [Sum(names, 1.0), Forbid({"w19": [v / 20 for v in range(21) if v != 14]})])
    assert {space.sample(rng(seed))["w19"] for seed in range(5)} == {0.7}


def test_a_member_that_others_force_is_settled_before_its_sum_is_used_up() -> None:
    names = [f"w{i}" for i in range(20)]
    params: list[Param] = [FloatParam(name, 0.0, 1.0, step=0.05) for name in names]
    wrong = [v / 20 for v in range(21) if v != 14]
    space = SearchSpace(
        [*params, CategoricalParam("only", ["choice"])],
        [Sum(names, 1.0), Forbid({"w19": wrong, "only": "choice"})],
    )
    assert {space.sample(rng(seed))["w19"] for seed in range(5)} == {0.7}


def test_a_child_without_an_allowed_value_switches_its_parent_off() -> None:
    params: list[Param] = [
        CategoricalParam("on", [True, False]),
        CategoricalParam("child", ["x", "y"], when={"on": True}),
        IntParam("free", 0, 9),
    ]
    space = SearchSpace(params, [Forbid({"child": ["x", "y"], "free": list(range(10))})])
    assert space.defaults() == {"on": False, "free": 5}
    assert space.repair({"on": True, "child": "y", "free": 3}) == {"on": False, "free": 3}
    assert space.size() == 10


def test_what_is_not_in_use_never_matches() -> None:
    params: list[Param] = [
        CategoricalParam("a", ["on", "off"]),
        CategoricalParam("b", [None, 1], when={"a": "on"}),
        IntParam("c", 0, 1),
    ]
    space = SearchSpace(params, [Forbid({"b": None, "c": [0, 1]})])
    assert space.defaults() == {"a": "on", "b": 1, "c": 1}
    assert space.contains({"a": "off", "c": 0})
    # To switch b off is as good a way out as to change it; either way a valid configuration comes of it.
    assert space.repair({"a": "on", "b": None, "c": 0}) == {"a": "on", "b": 1, "c": 0}


def test_a_contradiction_names_only_what_takes_part_in_it() -> None:
    params = [CategoricalParam("a", [1, 2]), CategoricalParam("b", [1, 2])]
    needless = Forbid({"a": 1, "b": 2})
    with pytest.raises(SpaceError) as caught:
        SearchSpace(params, [needless, Forbid({"a": 1}), Forbid({"a": 2})])
    assert str(caught.value).endswith(
        "these constraints together exclude every one: forbid a = 1; forbid a = 2."
    )


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "`forbid` must be a table"),
        ({"a": []}, "`forbid` must list a value of 'a'"),
        ({"aa": 1}, "names 'aa', which is no parameter of this space"),
        ({"a": 9}, "The constraint forbid a = 9 can never match: 'a' must be a whole number in [1, 3]"),
        ({"a": True}, "can never match"),
    ],
)
def test_a_forbid_that_cannot_match_is_refused(values: dict[str, object], said: str) -> None:
    with pytest.raises(SpaceError) as caught:
        SearchSpace([IntParam("a", 1, 3)], [Forbid(values)])
    assert said in str(caught.value)


def test_given_defaults_that_are_forbidden_are_refused() -> None:
    params = [CategoricalParam("a", [1, 2], default=1), CategoricalParam("b", [1, 2], default=1)]
    with pytest.raises(SpaceError, match="one excludes them: forbid a = 1, b = 1"):
        SearchSpace(params, [Forbid({"a": 1, "b": 1})])
