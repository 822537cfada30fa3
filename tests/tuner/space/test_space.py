"""What holds for every space, whatever it is made of."""

import copy
import itertools
import json
import math
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.tuner.spaces import all_configs, configs, is_valid, search_spaces, seeds, values_of
from tuner.errors import ParamsError, SpaceError
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
from tuner.space.groups import Group

many = settings(max_examples=120, deadline=None)


@given(search_spaces(), seeds)
@many
def test_defaults_and_samples_are_valid_and_stay_as_they_are(space: SearchSpace, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for config in (space.defaults(), space.sample(rng), space.sample(rng)):
        assert is_valid(space, config)
        assert space.contains(config)
        assert space.validate(config) == space.complete(config) == space.repair(config) == config
        assert list(config) == [name for name in space.names if name in config]
        assert space.active({**config, "stranger": 1}) == config
    assert space.repair({}) == space.complete({}) == space.defaults()


@given(st.data())
@many
def test_repair_makes_anything_valid_and_then_leaves_it(data: st.DataObject) -> None:
    space = data.draw(search_spaces())
    config = data.draw(configs(space))
    before = copy.deepcopy(config)
    repaired = space.repair(config)
    assert is_valid(space, repaired)
    assert space.repair(repaired) == repaired
    assert repr(config) == repr(before)


@given(st.data())
@many
def test_validation_accepts_what_is_valid_and_nothing_else(data: st.DataObject) -> None:
    space = data.draw(search_spaces())
    config = data.draw(configs(space))
    if data.draw(st.booleans()):
        config = {**space.sample(np.random.default_rng(0)), **dict(list(config.items())[:1])}
    if not space.contains(config):
        assert not is_valid(space, config)
        with pytest.raises(ParamsError) as caught:
            space.validate(config)
        assert caught.value.problems
        return
    assert is_valid(space, space.validate(config))
    assert set(space.validate(config)) == set(config)


@given(st.data())
@many
def test_completion_keeps_what_was_given_or_says_why_not(data: st.DataObject) -> None:
    space = data.draw(search_spaces())
    base = space.sample(np.random.default_rng(data.draw(seeds)))
    wish = space.sample(np.random.default_rng(data.draw(seeds)))
    partial = {name: wish[name] for name in data.draw(st.sets(st.sampled_from(sorted(wish))))}
    try:
        found = space.complete(partial, base)
    except ParamsError:
        return
    assert is_valid(space, found)
    assert {name: found[name] for name in partial} == partial
    for name in found:
        if name not in partial:
            assert found[name] == base.get(name, space.params[name].default)


@given(search_spaces(max_blocks=3, finite=True))
@settings(max_examples=100, deadline=None)
def test_a_finite_space_lists_all_there_is_once(space: SearchSpace) -> None:
    n_raw = 1
    for param in space.params.values():
        n_raw *= len(values_of(param)) + bool(param.when)
    assume(n_raw <= 5_000)
    expected = all_configs(space)
    listed = list(space.enumerate())
    assert sorted(map(config_key, listed)) == sorted(map(config_key, expected))
    assert space.size() == len(expected)
    assert listed == list(space.enumerate())


@given(search_spaces(), seeds)
@many
def test_encoding_is_a_point_of_the_unit_cube(space: SearchSpace, seed: int) -> None:
    rng = np.random.default_rng(seed)
    drawn = [space.sample(rng) for _ in range(4)]
    codes = space.encode(drawn)
    assert codes.shape == (4, space.n_dims)
    assert codes.dtype == float
    assert np.all((codes >= 0) & (codes <= 1))
    default = {name: param.default for name, param in space.params.items()}
    for config, code in zip(drawn, codes, strict=True):
        assert np.array_equal(code, space.encode([{**default, **config}])[0])
        for name, param in space.params.items():
            if isinstance(param, CategoricalParam):
                assert code[space.columns[name]].sum() == 1


@given(search_spaces())
@many
def test_documents_bring_the_space_back(space: SearchSpace) -> None:
    document = space.to_dict()
    again = SearchSpace.from_dict(json.loads(json.dumps(document)))
    assert again.to_dict() == document
    assert again == space
    assert hash(again) == hash(space)
    assert again.defaults() == space.defaults()
    assert again.sample(np.random.default_rng(3)) == space.sample(np.random.default_rng(3))
    assert pickle.loads(pickle.dumps(space)) == space


@given(search_spaces(), seeds)
@settings(max_examples=50, deadline=None)
def test_the_same_seed_draws_the_same_configurations(space: SearchSpace, seed: int) -> None:
    one, other = np.random.default_rng(seed), np.random.default_rng(seed)
    assert [space.sample(one) for _ in range(3)] == [space.sample(other) for _ in range(3)]


# ---- by example

EXAMPLE = SearchSpace(
    [
        FloatParam("lr", 1e-4, 1.0, log=True),
        IntParam("depth", 2, 12),
        CategoricalParam("booster", ["gbtree", "dart"]),
        FloatParam("rate_drop", 0.0, 1.0, when={"booster": ["dart"]}),
    ]
)


def test_every_fault_is_said_at_once() -> None:
    with pytest.raises(ParamsError) as caught:
        EXAMPLE.validate({"lr": 2.0, "dept": 3, "depth": True, "booster": "drat", "x": 1})
    assert caught.value.problems == (
        "Unknown parameter 'dept'. Did you mean 'depth'?",
        "Unknown parameter 'x'.",
        "'lr' must be a number in [0.0001, 1.0], but got 2.0.",
        "'depth' must be a whole number in [2, 12], but got True (bool).",
        "'booster' must be one of 'gbtree', 'dart', but got 'drat' (str). Did you mean 'dart'?",
    )
    assert str(caught.value).startswith("The configuration has 5 faults: Unknown parameter 'dept'.")
    assert caught.value.remedy == "The space has: lr, depth, booster, rate_drop."
    assert pickle.loads(pickle.dumps(caught.value)).problems == caught.value.problems


def test_missing_parameters_are_faults_of_validation_alone() -> None:
    with pytest.raises(ParamsError) as caught:
        EXAMPLE.validate({"booster": "dart"})
    assert caught.value.problems == ("'lr' is missing.", "'depth' is missing.", "'rate_drop' is missing.")
    assert EXAMPLE.complete({"booster": "dart"}) == {
        "lr": 0.01,
        "depth": 7,
        "booster": "dart",
        "rate_drop": 0.5,
    }


def test_faults_of_values_and_constraints_come_together() -> None:
    space = SearchSpace([FloatParam(n, 0, 1) for n in "abc"], [Sum(["a", "b"], 1)])
    with pytest.raises(ParamsError) as caught:
        space.validate({"a": 0.5, "b": 0.6, "c": 7})
    assert caught.value.problems == (
        "'c' must be a number in [0.0, 1.0], but got 7.",
        "a + b must equal 1.0, but the sum is 1.1.",
    )


def test_completion_drops_what_the_base_no_longer_uses() -> None:
    base = {"lr": 0.5, "depth": 3, "booster": "dart", "rate_drop": 0.25, "gone": 9}
    assert EXAMPLE.complete({"booster": "gbtree"}, base) == {"lr": 0.5, "depth": 3, "booster": "gbtree"}
    assert EXAMPLE.complete({"depth": 4}, base)["rate_drop"] == 0.25


def test_a_fault_of_the_base_says_where_it_comes_from() -> None:
    with pytest.raises(ParamsError, match=r"but got 99\. \(It was not given anew, and stems from the base"):
        EXAMPLE.complete({"lr": 0.1}, {"depth": 99})


def test_completion_does_not_balance_a_sum() -> None:
    space = SearchSpace([FloatParam(n, 0, 1) for n in "ab"], [Sum(["a", "b"], 1)])
    with pytest.raises(ParamsError, match=r"a \+ b must equal 1\.0, but the sum is 1\.2"):
        space.complete({"a": 0.7})


@pytest.mark.parametrize("config", [None, 3, "x", [("lr", 1)], ["lr"]])
def test_a_configuration_must_be_a_table(config: Any) -> None:
    with pytest.raises(ParamsError, match="must be a table of names and values"):
        EXAMPLE.validate(config)


def test_a_flood_of_wrong_names_stays_readable() -> None:
    with pytest.raises(ParamsError) as caught:
        EXAMPLE.validate({f"depth{i}": 0 for i in range(5_000)})
    assert len(caught.value.problems) == 5_003
    assert len(str(caught.value)) < 3_000
    assert str(caught.value).endswith("And 4983 more.")


def test_numpy_scalars_become_plain_values() -> None:
    config = EXAMPLE.validate({"lr": np.float32(0.5), "depth": np.int64(3), "booster": np.str_("gbtree")})
    assert [type(value) for value in config.values()] == [float, int, str]


def test_sizes() -> None:
    assert EXAMPLE.size() is None
    big = SearchSpace([IntParam(f"n{i}", 1, 10) for i in range(6)])
    assert big.size() == 10**6
    assert SearchSpace([*big.params.values(), CategoricalParam("c", [1, 2])]).size() is None
    with pytest.raises(SpaceError, match="these are continuous: lr, rate_drop"):
        EXAMPLE.enumerate()


def test_a_space_of_thousands_of_values_is_counted_by_what_matters() -> None:
    space = SearchSpace(
        [
            IntParam("n", 1, 300_000),
            IntParam("a", 1, 3, when={"n": [7]}),
            IntParam("b", 1, 2, when={"a": [2]}),
        ]
    )
    assert space.size() == 299_999 + 2 + 2


def test_sums_and_orders_that_forbids_name_are_counted_and_not_walked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def walked(*_: object) -> None:
        raise AssertionError("Every vector is looked at, which takes minutes for a few percentages.")

    monkeypatch.setattr(Group, "vectors", walked)
    names = [f"w{i}" for i in range(4)]
    weights = [IntParam(name, 0, 100) for name in names]
    some = Forbid({"w1": [0], "w3": [5, 7]})
    n_forbidden = sum(100 - held + 1 for held in (5, 7))  # pairs of w0 and w2 with w1 = 0 and w3 held
    assert SearchSpace(weights, [Sum(names, 100), some]).size() == math.comb(103, 3) - n_forbidden
    steps = [IntParam(name, 1, 40) for name in names]
    below = Forbid({"w1": [2, 3]})  # leaves 1 way for w0 below 2, and 2 below 3
    n_forbidden = math.comb(38, 2) + 2 * math.comb(37, 2)
    assert SearchSpace(steps, [Increasing(names), below]).size() == math.comb(40, 4) - n_forbidden
    many = [IntParam(f"w{i}", 0, 100) for i in range(20)]
    assert SearchSpace(many, [Sum([each.name for each in many], 100), Forbid({"w0": [0]})]).size() is None


def test_what_a_sum_leaves_of_many_named_values_is_counted_to_the_last() -> None:
    names = [f"w{i}" for i in range(5)]
    parts = [IntParam(name, 0, 10) for name in names]
    pairs = [Forbid({a: v, b: v}) for a, b in itertools.pairwise(names) for v in range(1, 10)]
    space = SearchSpace(parts, [Sum(names, 10), *pairs])  # 10**5 combinations of what the pairs name
    expected = [
        config
        for config in itertools.product(range(11), repeat=5)
        if sum(config) == 10 and not any(a == b != 0 for a, b in itertools.pairwise(config))
    ]
    assert space.size() == len(expected)


def test_many_forbids_are_counted_by_what_later_ones_can_tell_apart() -> None:
    n = 200  # with 2**200 combinations to walk through, nobody would live to see the end
    flags = [CategoricalParam(f"b{i}", [False, True]) for i in range(n)]
    pairs = [Forbid({f"b{i}": not each, f"b{i + 1}": each}) for i in range(n - 1) for each in (False, True)]
    assert SearchSpace(flags, pairs).size() == 2
    assert SearchSpace(flags, pairs[::2]).size() == n + 1
    assert (
        SearchSpace(flags, [Forbid({f"b{i}": True, f"b{i + 1}": True}) for i in range(n - 1)]).size() is None
    )


def test_listing_starts_at_once_however_large_the_space() -> None:
    space = SearchSpace([IntParam(f"n{i}", 1, 1000) for i in range(9)])
    assert next(iter(space.enumerate())) == dict.fromkeys(space.names, 1)


def test_numbers_are_encoded_on_their_scale() -> None:
    codes = EXAMPLE.encode([{"lr": 0.01, "depth": 12, "booster": "gbtree"}])
    assert codes == pytest.approx(np.array([[0.5, 1.0, 1.0, 0.0, 0.5]]))
    assert EXAMPLE.encode([]).shape == (0, 5)
    assert dict(EXAMPLE.columns)["booster"] == slice(2, 4)


def test_defaults_cannot_be_changed_from_outside() -> None:
    EXAMPLE.defaults()["lr"] = 1.0
    assert EXAMPLE.defaults()["lr"] == 0.01
    with pytest.raises(TypeError):
        EXAMPLE.params["lr"] = FloatParam("lr", 0, 1)  # type: ignore[index]


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ([], "must have at least one parameter"),
        ([IntParam("a", 0, 1), IntParam("a", 0, 2)], "'a' is there twice"),
        (["lr"], "must be a FloatParam, IntParam or CategoricalParam, but got 'lr'"),
        ({"lr": (0, 1)}, "The parameters of a space must be a list, but got"),
        (FloatParam("lr", 0, 1), "The parameters of a space must be a list, but got FloatParam"),
    ],
)
def test_what_is_no_space_is_refused(params: Any, said: str) -> None:
    with pytest.raises(SpaceError) as caught:
        SearchSpace(params)
    assert said in str(caught.value)


def test_what_is_no_constraint_is_refused() -> None:
    with pytest.raises(SpaceError, match="A constraint must be a Sum, Increasing or Forbid, but got 'a < b'"):
        SearchSpace([IntParam("a", 0, 1)], ["a < b"])  # type: ignore[list-item]


LARGEST = 2**63 - 1


@pytest.mark.parametrize(
    "param",
    [
        FloatParam("x", 1e10, math.nextafter(1e10, math.inf), log=True),
        FloatParam("x", 5e-324, 1e-323, log=True),
        FloatParam("x", 0.0, 5e-324),
        FloatParam("x", 1e-300, 1e100, log=True),
        IntParam("x", 1, LARGEST, log=True),
        IntParam("x", LARGEST - 1, LARGEST, log=True),
        IntParam("x", -LARGEST, LARGEST),
        IntParam("x", 1, 2, log=True),
    ],
    ids=str,
)
def test_what_is_hardly_a_range_or_larger_than_any_is_drawn_and_encoded(param: FloatParam | IntParam) -> None:
    space = SearchSpace([param, CategoricalParam("c", ["a", "b"])])
    rng = np.random.default_rng(0)
    ends = [{"x": param.low, "c": "a"}, {"x": param.high, "c": "b"}]
    configs = [*ends, space.defaults(), *(space.sample(rng) for _ in range(50))]
    assert all(space.contains(each) for each in configs)
    codes = space.encode(configs)
    assert np.isfinite(codes).all()
    assert all(0 <= param.to_unit(each["x"]) <= 1 for each in configs)
    assert codes.min() >= 0
    assert codes.max() <= 1


def test_forbids_and_orders_reach_whole_numbers_of_any_size() -> None:
    ends = [IntParam("a", -LARGEST, LARGEST), IntParam("b", -LARGEST, LARGEST)]
    forbidden = [Forbid({"a": [0, -LARGEST]}), Forbid({"b": [LARGEST, LARGEST - 1]})]
    space = SearchSpace(ends, [Increasing(["a", "b"]), *forbidden])
    rng = np.random.default_rng(0)
    for config in (space.repair({"a": 0, "b": LARGEST}), space.repair({"a": LARGEST, "b": 0.5})):
        assert space.contains(config)
    assert all(space.contains(space.sample(rng)) for _ in range(50))
    assert SearchSpace(ends[:1], [Forbid({"a": [0, 1, -1]})]).repair({"a": 0}) == {"a": -2}
    assert ends[0].above(5.5) == 6
    assert ends[0].below(5.5) == 5
