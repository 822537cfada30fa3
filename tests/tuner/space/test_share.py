"""A space of which hardly anything is allowed is refused with its share, and no other."""

import numpy as np
import pytest

from tuner.errors import SpaceError
from tuner.generators import make_generator
from tuner.space import FloatParam, Forbid, IntParam, SearchSpace
from tuner.space.share import check_share


def kept(n_params: int, n_values: int, n_kept: int, *, continuous: bool = False) -> SearchSpace:
    """Of each parameter only the first `n_kept` values are allowed."""
    names = [f"p{i}" for i in range(n_params)]
    more = [FloatParam("x", 0.0, 1.0)] if continuous else []
    return SearchSpace(
        [*(IntParam(name, 1, n_values) for name in names), *more],
        [Forbid({name: list(range(n_kept + 1, n_values + 1))}) for name in names],
    )


def said(space: SearchSpace) -> str:
    with pytest.raises(SpaceError) as caught:
        check_share(space)
    return f"{caught.value} {caught.value.remedy}"


def test_a_space_that_can_be_counted_is_refused_with_its_share() -> None:
    text = said(kept(4, 10, 1))
    assert "only 1 of 10,000 configurations are allowed, 0.01 %" in text
    assert "'forbid p" in text
    assert "Declare what is allowed" in text


def test_a_space_without_number_is_refused_with_what_drawing_shows() -> None:
    assert "of 10,000 configurations drawn none is allowed, so that less than 0.03 % are" in said(
        kept(16, 4, 1, continuous=True)
    )


def test_the_constraint_that_takes_most_is_named() -> None:
    others = [Forbid({f"p{i}": [2, 3]}) for i in range(12)]
    space = SearchSpace(
        [*(IntParam(f"p{i}", 1, 3) for i in range(12)), IntParam("wide", 1, 100)],
        [*others, Forbid({"wide": list(range(6, 101))})],
    )
    # 95 % fall to it, and 67 % to each of the others: 10,000 draws tell them apart for certain.
    text = said(space)
    assert "'forbid wide in [6, 7" in text
    assert "excludes most: 95 % of it." in text


@pytest.mark.parametrize(
    "space",
    [
        kept(2, 10, 1),  # 1 of 100
        kept(3, 10, 1, continuous=True),  # a thousandth
        SearchSpace([FloatParam("x", 0.0, 1.0)], [Forbid({"x": 0.5})]),
        SearchSpace([FloatParam("x", 0.0, 1.0)]),
    ],
    ids=["hundredth", "thousandth", "point", "free"],
)
def test_what_leaves_enough_is_not_refused(space: SearchSpace) -> None:
    check_share(space)


def test_where_drawing_and_counting_differ_counting_decides() -> None:
    """One draw in 250,000 is allowed; but it stands for 10**5 configurations, of 350,000 in all."""
    outer = [IntParam(name, 1, 500) for name in ("p", "q")]
    inner = IntParam("inner", 1, 10**5, when={"p": 500, "q": 500})
    check_share(SearchSpace([*outer, inner], [Forbid({name: list(range(1, 500))}) for name in ("p", "q")]))
    without = SearchSpace(outer, [Forbid({name: list(range(1, 500))}) for name in ("p", "q")])
    assert "only 1 of 250,000 configurations are allowed" in said(without)


def test_nothing_is_proposed_from_a_tiny_space() -> None:
    with pytest.raises(SpaceError, match="only 1 of 10,000 configurations are allowed"):
        make_generator("random", kept(4, 10, 1))


def test_few_draws_decide_where_enough_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    n_drawn = 0
    draw = SearchSpace.draw

    def counted(self: SearchSpace, rng: np.random.Generator, **given: bool) -> dict[str, object]:
        nonlocal n_drawn
        n_drawn += 1
        return dict(draw(self, rng, **given))

    monkeypatch.setattr(SearchSpace, "draw", counted)
    check_share(kept(1, 10, 9))
    assert n_drawn < 5
