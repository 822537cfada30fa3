"""The grid around the baseline."""

from itertools import combinations
from typing import Any

import pytest
from hypothesis import given, settings

from tests.contracts.generator_contract import MIXED, SMALL, GeneratorContract, keys
from tests.tuner.generators.recommender import RECOMMENDER
from tests.tuner.spaces import is_valid, search_spaces
from tuner.errors import UsageError
from tuner.experiment import Observation, Params, Suggestion
from tuner.generators import make_generator
from tuner.space import CategoricalParam, FloatParam, IntParam, Param, SearchSpace, Sum


class TestGridContract(GeneratorContract):
    method = "grid"


def design(space: SearchSpace, **more: Any) -> list[Suggestion]:
    """The default design."""
    generator = make_generator("grid", space, **more)
    n = generator.default_n()
    return generator.ask(n) if n else []


def values(suggestions: list[Suggestion], name: str) -> list[Any]:
    return [one.params[name] for one in suggestions]


def moved(params: Params, baseline: Params) -> set[str]:
    return {name for name in baseline if params.get(name) != baseline[name]}


# ---- 21 parameters


def test_the_recommender_gets_50_to_80_configurations_within_10_percent() -> None:
    found = design(RECOMMENDER)
    assert 50 <= len(found) <= 80
    rounded = {tuple(round(value, 9) for value in one.params.values()) for one in found}  # type: ignore[arg-type]
    assert len(rounded) == len(found)
    for one in found:
        assert is_valid(RECOMMENDER, one.params)
        for name, value in one.params.items():
            at = RECOMMENDER.defaults()[name]
            assert isinstance(value, int | float)
            assert isinstance(at, int | float)
            assert abs(value - at) <= (1 if isinstance(at, int) else 0.1 * abs(at) * (1 + 1e-9))


def test_each_parameter_moves_alone_by_the_radius_up_and_down() -> None:
    baseline = RECOMMENDER.defaults()
    alone = [one for one in design(RECOMMENDER) if one.reason["design"] == "one at a time"]
    seen = {name: sorted({round(value, 12) for value in values(alone, name)}) for name in baseline}
    for name, at in baseline.items():
        assert isinstance(at, int | float)
        if isinstance(at, int):
            assert seen[name] == [at - 1, at, at + 1]
        elif name in ("votes_share", "buzz_share"):  # the larger may move by what the smaller can take
            assert seen[name] == pytest.approx([at - 0.03, at, at + 0.03])
        else:
            high = min(at + 0.1 * abs(at), RECOMMENDER.params[name].high)  # type: ignore[union-attr]
            assert seen[name][0] == pytest.approx(at - 0.1 * abs(at))
            assert seen[name][-1] == pytest.approx(high)
    for one in alone:
        named = one.reason["moved"]
        assert len(named) == 1
        together = {"votes_share", "buzz_share"}, {name for name in baseline if name.endswith("_weight")}
        group = next((names for names in together if named[0] in names), set(named))
        assert moved(one.params, baseline) <= group


def test_a_weight_moves_by_the_radius_and_the_others_make_room_in_proportion() -> None:
    first = design(RECOMMENDER)[0].params
    assert first["genre_weight"] == pytest.approx(0.44)
    assert first["cast_weight"] == pytest.approx(0.15 * 0.56 / 0.60)
    assert first["rating_weight"] == pytest.approx(0.30 * 0.56 / 0.60)


def test_the_corners_are_balanced_and_any_two_parameters_are_crossed() -> None:
    corners = [one.params for one in design(RECOMMENDER) if one.reason["design"] == "corner"]
    assert len(corners) == 32
    some = ("accuracy_threshold", "boost_high", "threshold_low", "cast_middle")
    up = {name: [params[name] > RECOMMENDER.defaults()[name] for params in corners] for name in some}  # type: ignore[operator]
    for one, other in combinations(some, 2):
        assert sum(up[one]) == 16
        assert sum(a and b for a, b in zip(up[one], up[other], strict=True)) == 8


# ---- how many


@pytest.mark.parametrize("d", [1, 2, 3, 4, 5, 6, 7, 8, 9, 15, 24, 40, 50, 100])
def test_any_number_of_parameters_gives_50_to_80(d: int) -> None:
    found = design(SearchSpace([FloatParam(f"x{i}", 0.0, 1.0, default=0.4) for i in range(d)]))
    assert 50 <= len(found) <= 80
    assert all(0.36 - 1e-9 <= value <= 0.44 + 1e-9 for one in found for value in one.params.values())  # type: ignore[operator]


@settings(max_examples=40, deadline=None)
@given(space=search_spaces())
def test_no_default_design_is_larger_than_80(space: SearchSpace) -> None:
    assert len(design(space)) <= 80


def test_few_parameters_get_more_levels_each() -> None:
    found = design(SearchSpace([FloatParam("x", 0.0, 1.0), FloatParam("y", 1.0, 3.0)]))
    assert len(set(values(found, "x"))) == len(set(values(found, "y"))) == 9
    assert (min(values(found, "y")), max(values(found, "y"))) == (1.8, 2.2)


def test_any_first_part_of_a_product_covers_every_parameter() -> None:
    found = design(SearchSpace([FloatParam(f"x{i}", 0.0, 1.0) for i in range(3)]))[:20]
    assert all(len(set(values(found, f"x{i}"))) >= 4 for i in range(3))


def test_a_small_finite_space_is_its_full_product_in_order() -> None:
    found = design(SMALL)
    assert keys(found) == keys(list(SMALL.enumerate()))


def test_a_finite_space_above_80_is_a_design_first_and_then_what_is_left() -> None:
    space = SearchSpace([IntParam(f"x{i}", 1, 6, default=3) for i in range(3)])
    generator = make_generator("grid", space)
    n = generator.default_n()
    assert 50 <= n <= 80
    assert all(abs(value - 3) <= 2 for one in generator.ask(n) for value in one.params.values())  # type: ignore[operator]
    assert len(generator.ask(1000)) == 6**3 - n
    assert generator.ask(1) == []


def test_who_asks_for_more_than_the_design_gets_more_within_the_radius_first() -> None:
    space = SearchSpace([FloatParam(f"x{i}", 0.0, 1.0) for i in range(3)])
    found = make_generator("grid", space).ask(300)
    assert len(set(keys(found))) == 300
    inside = [all(0.45 <= value <= 0.55 for value in one.params.values()) for one in found]  # type: ignore[operator]
    assert inside == sorted(inside, reverse=True)
    assert sum(inside) > 200


# ---- how far


def test_the_radius_is_an_option() -> None:
    space = SearchSpace([FloatParam("x", 0.0, 1.0), FloatParam("y", 0.0, 1.0, default=0.2)])
    found = design(space, radius=0.5)
    assert (min(values(found, "x")), max(values(found, "x"))) == (0.25, 0.75)
    assert (min(values(found, "y")), max(values(found, "y"))) == (0.1, 0.3)


@pytest.mark.parametrize("radius", [0, -0.1, 1.5, float("nan"), float("inf"), "0.1", True, None])
def test_a_radius_must_lie_between_0_and_1(radius: Any) -> None:
    with pytest.raises(UsageError, match="`0 < radius <= 1` must hold for the grid"):
        make_generator("grid", MIXED, radius=radius)


def test_moves_are_around_the_baseline_given() -> None:
    space = SearchSpace([FloatParam("x", 0.0, 10.0)])
    found = values(design(space, baseline={"x": 2.0}), "x")
    assert (min(found), max(found)) == (1.8, 2.2)
    assert 2.0 not in found


def test_a_value_of_zero_moves_by_a_share_of_its_range_and_a_negative_one_by_its_size() -> None:
    space = SearchSpace(
        [FloatParam("zero", -1.0, 3.0, default=0.0), FloatParam("below", -9.0, 0.0, default=-5.0)]
    )
    found = design(space)
    assert (min(values(found, "zero")), max(values(found, "zero"))) == (-0.4, 0.4)
    assert (min(values(found, "below")), max(values(found, "below"))) == (-5.5, -4.5)


def test_moves_end_at_the_bounds() -> None:
    space = SearchSpace(
        [FloatParam("top", 0.0, 1.0, default=1.0), FloatParam("near", 0.0, 1.0, default=0.95)]
    )
    found = design(space)
    assert (min(values(found, "top")), max(values(found, "top"))) == (0.9, 1.0)
    assert (min(values(found, "near")), max(values(found, "near"))) == (0.855, 1.0)


def test_integers_and_steps_move_by_one_at_least_and_never_further_than_the_radius() -> None:
    steps: list[Param] = [
        IntParam("few", 1, 20, default=6),
        IntParam("many", 1, 1000, default=259),
        FloatParam("coarse", 0.0, 10.0, step=0.5, default=2.0),
    ]
    # Enough others to have each moved alone.
    space = SearchSpace([*steps, *(FloatParam(f"x{i}", 0.0, 1.0) for i in range(5))])
    found = design(space)
    assert set(values(found, "few")) == {5, 6, 7}
    assert (min(values(found, "many")), max(values(found, "many"))) == (234, 284)
    assert set(values(found, "coarse")) == {1.5, 2.0, 2.5}


def test_categories_move_to_each_alternative() -> None:
    kinds = ["a", "b", "c", "d", "e"]
    space = SearchSpace([CategoricalParam("kind", kinds), *(FloatParam(f"x{i}", 0.0, 1.0) for i in range(8))])
    alone = [one for one in design(space) if one.reason.get("moved") == ["kind"]]
    assert values(alone, "kind") == ["b", "c", "d", "e"]


def test_choices_that_look_alike_are_told_apart() -> None:
    floats = [FloatParam(f"x{i}", 0.0, 1.0) for i in range(8)]
    space = SearchSpace([CategoricalParam("kind", [True, 1, 1.0], default=1), *floats])
    alone = [one for one in design(space) if one.reason.get("moved") == ["kind"]]
    assert [type(value) for value in values(alone, "kind")] == [float, bool]


def test_a_move_that_activates_a_parameter_brings_its_default() -> None:
    space = SearchSpace(
        [
            CategoricalParam("booster", ["tree", "dart"]),
            FloatParam("drop", 0.0, 1.0, default=0.25, when={"booster": ["dart"]}),
            *(FloatParam(f"x{i}", 0.0, 1.0) for i in range(8)),
        ]
    )
    (alone,) = [one for one in design(space) if one.reason.get("moved") == ["booster"]]
    assert alone.params == {**space.defaults(), "booster": "dart", "drop": 0.25}


@pytest.mark.parametrize("names", [["a", "b"], ["a", "b", "c", "d"]])
def test_a_weight_of_zero_can_grow(names: list[str]) -> None:
    space = SearchSpace(
        [FloatParam(name, 0.0, 1.0, default=float(name == "a")) for name in names], [Sum(names, 1.0)]
    )
    found = design(space)
    assert len(found) >= 50
    assert max(values(found, "b")) == pytest.approx(0.1)


# ---- going on


def test_the_design_goes_on_where_it_was_left() -> None:
    whole = design(RECOMMENDER)
    found: list[Suggestion] = []
    for _ in range(3):
        generator = make_generator("grid", RECOMMENDER, n_asked=len(found) + 1)
        told = [
            Observation(params, 0.5) for params in [RECOMMENDER.defaults(), *(one.params for one in found)]
        ]
        generator.tell(told)
        assert generator.default_n() == len(whole) - len(found)
        found += generator.ask(20)
    assert keys(found) == keys(whole)[:60]


def test_the_design_does_not_depend_on_the_seed() -> None:
    assert keys(design(MIXED, seed=1)) == keys(design(MIXED, seed=2))


@pytest.mark.parametrize("high", [10**9, 2**63 - 1])
def test_a_whole_number_of_a_huge_range_is_not_counted_through(high: int) -> None:
    space = SearchSpace([IntParam("n", 0, high), IntParam("m", 0, high, step=1)])
    found = make_generator("grid", space).ask(70)
    assert len(set(keys(found))) == 70
    assert all(space.contains(one.params) for one in found)
