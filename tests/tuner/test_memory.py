"""How the observations of an earlier study are read in the terms of another space."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from tests.tuner.spaces import search_spaces, seeds
from tuner.errors import UsageError
from tuner.experiment import Observation
from tuner.memory import Carried, Earlier, carried
from tuner.space import CategoricalParam, FloatParam, IntParam, SearchSpace, Sum, config_key

SPACE = SearchSpace(
    [
        FloatParam("rate", 0.01, 1.0, log=True, default=0.1),
        IntParam("depth", 2, 12, default=6),
        CategoricalParam("kind", ["a", "b"]),
        FloatParam("drop", 0.0, 1.0, when={"kind": ["b"]}, default=0.25),
    ]
)


def read(
    space: SearchSpace, results: Sequence[tuple[Mapping[str, Any], float | None]], onto: SearchSpace = SPACE
) -> Carried:
    return carried(Earlier(space, "minimize", [Observation(p, v) for p, v in results], "old"), onto)


def only(*params: Any) -> SearchSpace:
    return SearchSpace(params)


@settings(max_examples=25, deadline=None)
@given(space=search_spaces(), seed=seeds)
def test_studies_of_the_same_space_are_read_as_they_are(space: SearchSpace, seed: int) -> None:
    rng = np.random.default_rng(seed)
    configs = {config_key(config): config for config in (space.sample(rng) for _ in range(4))}
    if all(param.n_values == 1 for param in space.params.values()):
        return
    found = read(space, [(config, 1.0) for config in configs.values()], space)
    assert [None if each is None else config_key(each) for each in found.configs] == sorted(configs)
    codes = space.encode([configs[key] for key in sorted(configs)])
    np.testing.assert_allclose(found.x, codes[:, list(found.columns)], atol=1e-12)


def test_numbers_are_matched_by_value_whatever_their_range_and_scale() -> None:
    found = read(only(FloatParam("rate", 0.0, 0.5)), [({"rate": 0.1}, 1.0)])
    assert found.columns == (0,)
    assert found.x.tolist() == [[pytest.approx(0.5)]]  # the middle of 0.01 to 1 on a log scale
    assert found.configs == ({"rate": 0.1, "depth": 6, "kind": "a"},)


def test_what_the_earlier_study_did_not_have_takes_the_default() -> None:
    found = read(only(CategoricalParam("kind", ["b", "c"])), [({"kind": "b"}, 1.0)])
    assert found.configs == ({"rate": 0.1, "depth": 6, "kind": "b", "drop": 0.25},)


def test_what_only_the_earlier_study_had_is_left_out() -> None:
    space = only(IntParam("depth", 1, 20), FloatParam("other", 0.0, 1.0))
    found = read(space, [({"depth": 5, "other": 0.5}, 1.0)])
    assert (found.columns, found.owners) == ((1,), (1,))


@pytest.mark.parametrize(
    ("value", "place"),
    [
        (2, [[0.0]]),
        (14, [[1.2]]),  # beside the range: for the model only
        (17, [[1.5]]),
        (18, []),  # further than half the range
    ],
)
def test_what_lies_beside_the_range_is_for_the_model_only(value: int, place: list[list[float]]) -> None:
    inside = {"depth": 5}
    found = read(only(IntParam("depth", 1, 20)), [(inside, 1.0), ({"depth": value}, 2.0)])
    beside = [(x, config) for x, config in zip(found.x.tolist(), found.configs, strict=True) if x != [0.3]]
    assert [x for x, _ in beside] == [pytest.approx(each) for each in place]
    assert all((config is not None) is (value <= 12) for _, config in beside)


def test_a_value_that_a_log_scale_cannot_hold_is_left_out() -> None:
    found = read(only(FloatParam("rate", 0.0, 0.5)), [({"rate": 0.0}, 1.0), ({"rate": 0.1}, 1.0)])
    assert len(found.x) == 1


@pytest.mark.parametrize(
    ("low", "high", "place"),
    [(1e-300, 1e100, 0.75), (1e-4, 1e4, 0.5), (1e10, math.nextafter(1e10, math.inf), None)],
)
def test_bounds_far_apart_or_next_to_each_other_have_places_between(
    low: float, high: float, place: float | None
) -> None:
    onto = only(FloatParam("rate", low, high, log=True), CategoricalParam("kind", ["a", "b"]))
    tried = {1e-300: None if low > 1e-300 else 0.0, 1.0: place}
    space = only(FloatParam("rate", 1e-300, 1e100, log=True), CategoricalParam("kind", ["a", "b"]))
    for rate, at in tried.items():
        results = [({"rate": rate, "kind": "a"}, 1.0), ({"rate": low, "kind": "a"}, 1.0)]
        places = sorted(row[0] for row in read(space, results, onto).x.tolist())
        assert places == [pytest.approx(each) for each in sorted({0.0, *([] if at is None else [at])})]


def test_an_unknown_category_is_left_out() -> None:
    found = read(only(CategoricalParam("kind", ["b", "c"])), [({"kind": "b"}, 1.0), ({"kind": "c"}, 2.0)])
    assert [result.loss for result in found.results] == [1.0]


def test_a_configuration_that_breaks_a_constraint_by_far_is_for_the_model_only() -> None:
    shares = [FloatParam("v", 0.0, 1.0, default=0.5), FloatParam("w", 0.0, 1.0, default=0.5)]
    found = read(
        SearchSpace(shares),
        [({"v": 0.9, "w": 0.9}, 1.0), ({"v": 0.61, "w": 0.4}, 2.0)],
        SearchSpace(shares, [Sum(["v", "w"], 1.0)]),
    )
    configs = dict(zip([result.loss for result in found.results], found.configs, strict=True))
    assert configs[1.0] is None
    assert configs[2.0] == pytest.approx({"v": 0.605, "w": 0.395})


def test_repeats_are_merged_and_failures_kept() -> None:
    space = only(IntParam("depth", 1, 12))
    found = read(
        space, [({"depth": 3}, 1.0), ({"depth": 4}, None), ({"depth": 3}, 2.0), ({"depth": 3}, None)]
    )
    assert sorted((result.params["depth"], result.loss) for result in found.results) == [
        (3, 1.5),
        (4, None),
    ]
    assert found.n_known == 1


def test_a_maximised_study_is_read_as_losses_and_names_its_experiments() -> None:
    observations = [Observation({"depth": 3}, 1.0), Observation({"depth": 4}, 2.0)]
    earlier = Earlier(only(IntParam("depth", 1, 12)), "maximize", observations, "old", ["x1", "x2"])
    found = carried(earlier, SPACE)
    known = {name: result.loss for name, result in zip(found.ids, found.results, strict=True)}
    assert known == {"x1": -1.0, "x2": -2.0}


def test_of_many_observations_a_hundred_are_kept_and_the_best_among_them() -> None:
    values = np.linspace(0.01, 1.0, 400).tolist()
    found = read(only(FloatParam("rate", 0.01, 1.0)), [({"rate": v}, v) for v in values])
    losses = sorted(result.loss for result in found.results if result.loss is not None)
    assert len(losses) == 100
    assert losses[:50] == values[:50]
    assert losses[-1] == values[-1]


def test_nothing_in_common_is_refused() -> None:
    with pytest.raises(UsageError, match="'old' has no parameter in common with this one") as caught:
        read(only(FloatParam("other", 0.0, 1.0)), [({"other": 0.1}, 1.0)])
    assert caught.value.remedy == "It has: other. This one has: rate, depth, kind, drop."


def test_another_kind_of_parameter_is_not_the_same_one() -> None:
    with pytest.raises(UsageError, match="no parameter in common"):
        read(only(CategoricalParam("depth", [2, 3])), [({"depth": 2}, 1.0)])


def test_nothing_that_can_be_expressed_is_refused() -> None:
    with pytest.raises(UsageError, match="No configuration of the earlier study 'old' can be expressed"):
        read(only(IntParam("depth", 50, 90)), [({"depth": 60}, 1.0)])


def test_ids_come_one_each_or_not_at_all() -> None:
    with pytest.raises(UsageError, match="'old' has 1 observations and 2 ids"):
        Earlier(SPACE, "minimize", [Observation(SPACE.defaults(), 1.0)], "old", ["a", "b"])


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ((None, "minimize", [], "old"), "The space of an earlier study must be a SearchSpace, but got None."),
        ((SPACE, "minimize", None, "old"), "must be a list of Observations, but got None."),
        (
            (SPACE, "minimize", [({}, 1.0)], "old"),
            "must be a list of Observations, but one of them is ({}, 1",
        ),
    ],
)
def test_what_is_no_study_is_refused(given: Any, what: str) -> None:
    with pytest.raises(UsageError) as caught:
        Earlier(*given)
    assert what in str(caught.value)
    assert caught.value.remedy.startswith("Such as ")


def test_a_direction_that_is_none_is_refused() -> None:
    with pytest.raises(UsageError, match="direction of the earlier study 'old' must be one of minimize, max"):
        Earlier(SPACE, "up", [], "old")
