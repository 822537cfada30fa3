"""A space narrowed around the best of an earlier search."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tuner.spaces import search_spaces, seeds
from tuner.errors import UsageError
from tuner.narrow import narrowed
from tuner.space import CategoricalParam, FloatParam, Forbid, IntParam, SearchSpace, Sum

SPACE = SearchSpace(
    [
        FloatParam("rate", 0.001, 1.0, log=True),
        FloatParam("share", 0.0, 1.0),
        IntParam("depth", 1, 9),
        FloatParam("stepped", 0.0, 1.0, step=0.25),
        CategoricalParam("kind", ["a", "b", "c"]),
        FloatParam("of_b", 0.0, 1.0, when={"kind": ["b"]}),
        FloatParam("of_ac", 0.0, 1.0, when={"kind": ["a", "c"]}),
    ],
    [Forbid({"kind": "c", "depth": 9})],
)


def config(**changed: object) -> dict[str, Any]:
    values = {"rate": 0.1, "share": 0.5, "depth": 5, "stepped": 0.5, "kind": "a", "of_ac": 0.5} | changed
    return {name: value for name, value in values.items() if value is not None}


def bounds(space: SearchSpace, name: str) -> tuple[float, float]:
    param = space.params[name]
    assert isinstance(param, FloatParam | IntParam)
    return param.low, param.high


def test_half_of_each_range_remains_around_the_best() -> None:
    found = narrowed(SPACE, [config()])
    assert bounds(found, "share") == (0.25, 0.75)
    assert bounds(found, "depth") == (3, 7)
    assert bounds(found, "rate") == pytest.approx((0.1 / 1000**0.25, 0.1 * 1000**0.25))
    assert bounds(found, "stepped") == (0.25, 0.75)
    assert found.defaults() == config()


def test_a_best_at_the_bound_moves_the_range_and_does_not_halve_it_again() -> None:
    assert bounds(narrowed(SPACE, [config(share=0.0)]), "share") == (0.0, 0.5)
    assert bounds(narrowed(SPACE, [config(share=0.9)]), "share") == (0.5, 1.0)


def test_the_range_holds_all_of_the_best() -> None:
    found = narrowed(SPACE, [config(share=0.1, depth=2), config(share=0.9, depth=9)])
    assert bounds(found, "share") == (0.1, 0.9)
    assert bounds(found, "depth") == (2, 9)


def test_choices_that_are_among_the_best_remain_and_what_hangs_on_the_others_goes() -> None:
    found = narrowed(SPACE, [config(), config(kind="c")])
    assert found.params["kind"].choices == ("a", "c")  # type: ignore[union-attr]
    assert "of_b" not in found.params
    assert len(found.constraints) == 0 or bounds(found, "depth")[1] == 9
    only = narrowed(SPACE, [config(kind="b", of_ac=None, of_b=0.25)])
    assert only.params["kind"].choices == ("b",)  # type: ignore[union-attr]
    assert "of_ac" not in only.params
    assert only.constraints == ()
    assert bounds(only, "of_b") == (0.0, 0.5)


def test_each_stage_halves_what_the_last_searched_and_what_it_did_not_have_stays_whole() -> None:
    first = narrowed(SPACE, [config()])
    second = narrowed(SPACE, [config()], last=first)
    assert bounds(second, "share") == (0.375, 0.625)
    part = SearchSpace([FloatParam("share", 0.0, 1.0)])
    assert bounds(narrowed(SPACE, [{"share": 0.5}], last=part), "share") == (0.25, 0.75)
    assert bounds(narrowed(SPACE, [{"share": 0.5}], last=part), "depth") == (1, 9)


def test_a_sum_can_still_be_met() -> None:
    weights = [FloatParam(name, 0.0, 1.0) for name in "abcd"]
    space = SearchSpace(weights, [Sum(list("abcd"), 1.0)])
    found = narrowed(space, [{"a": 0.7, "b": 0.1, "c": 0.1, "d": 0.1}], share=0.1)
    rng = np.random.default_rng(0)
    drawn = [found.sample(rng) for _ in range(20)]
    assert all(sum(float(str(v)) for v in each.values()) == pytest.approx(1.0) for each in drawn)
    assert all(0.6 <= float(str(each["a"])) <= 0.8 for each in drawn)


@pytest.mark.parametrize("share", [0.0, 1.01, -1.0])
def test_the_share_is_a_share(share: float) -> None:
    with pytest.raises(UsageError, match="0 < share <= 1"):
        narrowed(SPACE, [config()], share=share)


def test_there_must_be_a_best() -> None:
    with pytest.raises(UsageError, match="there are none"):
        narrowed(SPACE, [])


@given(search_spaces(), seeds, st.integers(1, 4), st.floats(0.05, 1.0))
def test_it_lies_within_the_whole_and_holds_the_best(
    space: SearchSpace, seed: int, n: int, share: float
) -> None:
    rng = np.random.default_rng(seed)
    best = [space.sample(rng) for _ in range(n)]
    found = narrowed(space, best, share=share)
    assert found.contains(best[0])
    for _ in range(5):
        assert space.contains(found.sample(rng))
    again = narrowed(space, [best[0]], last=found, share=share)
    assert again.contains(best[0])


def test_a_share_of_all_narrows_nothing() -> None:
    """Choices stay as well: three good ones of eight at low fidelity say little of the others."""
    found = narrowed(SPACE, [config()], share=1.0)
    assert found.names == SPACE.names
    assert [found.params[name] for name in ("kind", "of_b")] == [
        SPACE.params[name] for name in ("kind", "of_b")
    ]
    assert all(bounds(found, name) == bounds(SPACE, name) for name in ("rate", "share", "depth", "stepped"))
