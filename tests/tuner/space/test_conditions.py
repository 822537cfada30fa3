"""Conditions: nested to any depth, on any countable parent, declared in any order."""

from itertools import islice

import numpy as np
import pytest

from tuner.errors import ParamsError, SpaceError
from tuner.space import CategoricalParam, FloatParam, IntParam, Param, SearchSpace

NESTED: list[Param] = [
    FloatParam("leaf", 0.0, 1.0, when={"share": [0.5]}),
    FloatParam("share", 0.0, 1.0, step=0.5, when={"limit": [None]}, default=0.5),
    CategoricalParam("limit", [1, None, "x"], when={"depth": [3, 4]}, default=None),
    IntParam("depth", 1, 4, when={"on": True}, default=3),
    CategoricalParam("on", [False, True], default=True),
]


def test_a_chain_of_conditions_holds_from_bool_to_int_to_none_to_step() -> None:
    space = SearchSpace(NESTED)
    assert space.defaults() == {"leaf": 0.5, "share": 0.5, "limit": None, "depth": 3, "on": True}
    assert space.complete({"on": False}) == {"on": False}
    assert space.complete({"depth": 2}) == {"depth": 2, "on": True}
    assert set(space.complete({"share": 0.0})) == {"share", "limit", "depth", "on"}


def test_a_condition_tells_types_apart() -> None:
    space = SearchSpace(
        [
            CategoricalParam("c", [1, True, 1.0]),
            IntParam("a", 0, 1, when={"c": [True]}),
            IntParam("b", 0, 1, when={"c": 1}),
        ]
    )
    assert set(space.complete({"c": 1})) == {"c", "b"}
    assert set(space.complete({"c": True})) == {"c", "a"}
    assert set(space.complete({"c": 1.0})) == {"c"}


def test_several_parents_must_all_hold() -> None:
    space = SearchSpace(
        [
            CategoricalParam("a", [0, 1]),
            CategoricalParam("b", [0, 1]),
            IntParam("n", 1, 2, when={"a": [1], "b": [1]}),
        ]
    )
    assert space.size() == 3 + 2
    assert [len(space.complete({"a": a, "b": b})) for a in (0, 1) for b in (0, 1)] == [2, 2, 2, 3]


def test_a_chain_longer_than_the_recursion_limit() -> None:
    params: list[Param] = [CategoricalParam("c0", [0, 1])]
    params += [CategoricalParam(f"c{i}", [0, 1], when={f"c{i - 1}": [1]}) for i in range(1, 1500)]
    space = SearchSpace(reversed(params))
    assert space.defaults() == {"c0": 0}
    assert len(space.repair(dict.fromkeys(space.names, 1))) == 1500
    assert space.contains(space.sample(np.random.default_rng(0)))
    assert space.size() == 1501
    assert len(list(islice(space.enumerate(), 1400))[-1]) == 1400


def test_active_keeps_only_what_is_in_use() -> None:
    space = SearchSpace(NESTED)
    assert space.active({"on": False, "depth": 3, "leaf": 0.1}) == {"on": False}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"on": False, "depth": 3},
            "'depth' is in use only where on is True, but on is False: leave 'depth' out.",
        ),
        (
            {"on": False, "limit": 1},
            "'limit' is in use only where depth is 3, 4, but depth is not in use: leave",
        ),
    ],
)
def test_what_is_not_in_use_is_a_fault(given: dict[str, object], said: str) -> None:
    with pytest.raises(ParamsError) as caught:
        SearchSpace(NESTED).validate(given)
    assert len(caught.value.problems) == 1
    assert said in str(caught.value)


def test_a_wrong_parent_does_not_blame_its_children() -> None:
    with pytest.raises(ParamsError) as caught:
        SearchSpace(NESTED).validate({"on": "yes", "depth": 3, "limit": 7})
    assert [problem.split(" ")[0] for problem in caught.value.problems] == ["'on'", "'limit'"]
    with pytest.raises(ParamsError) as caught:
        SearchSpace(NESTED).validate({"on": "yes", "depth": 3})  # limit may be needed, or not
    assert [problem.split(" ")[0] for problem in caught.value.problems] == ["'on'"]


@pytest.mark.parametrize(
    ("when", "said"),
    [
        (
            {"boster": ["dart"]},
            "`when` of 'x' names 'boster', which is no parameter of this space. Did you mean 'booster'?",
        ),
        ({"booster": ["drat"]}, "`when` of 'x' can never hold: 'booster' must be one of 'gbtree', 'dart'"),
        ({"n": [9]}, "`when` of 'x' can never hold: 'n' must be a whole number in [1, 3]"),
        ({"n": [True]}, "`when` of 'x' can never hold"),
        ({"y": [0.5]}, "must name a countable parameter, but 'y' is continuous"),
        ({"x": [0.5]}, "The conditions form a circle: x needs x."),
    ],
)
def test_a_condition_that_cannot_hold_is_refused(when: dict[str, object], said: str) -> None:
    params: list[Param] = [
        CategoricalParam("booster", ["gbtree", "dart"]),
        IntParam("n", 1, 3),
        FloatParam("y", 0, 1),
        FloatParam("x", 0, 1, step=0.5, when=when),
    ]
    with pytest.raises(SpaceError) as caught:
        SearchSpace(params)
    assert said in str(caught.value)


def test_a_circle_is_named_in_order() -> None:
    ring = {"a": "b", "b": "c", "c": "a"}
    params: list[Param] = [CategoricalParam("free", [1]), CategoricalParam("z", [1], when={"a": [1]})]
    params += [CategoricalParam(name, [1], when={parent: [1]}) for name, parent in ring.items()]
    with pytest.raises(SpaceError, match="form a circle: a needs b needs c needs a"):
        SearchSpace(params)
