"""Whether the forbids of a space leave enough of it to search in."""

from collections import Counter
from typing import TYPE_CHECKING

from tuner.errors import SpaceError
from tuner.space.constraints import Forbid

if TYPE_CHECKING:
    from tuner.space.space import SearchSpace

__all__ = ["check_share"]

_N_DRAWS = 10_000
_LEAST = 3 / _N_DRAWS
"""Of so many draws none is allowed, with 95 % confidence, only where less than this share is."""

_N_BEFORE_COUNTING = 100
"""Where so many draws say nothing, a space that can be counted is."""


def check_share(space: "SearchSpace") -> None:
    """Insist that more than 0.03 % of a space is allowed.

    Sums and orders hold by construction; only forbids can leave hardly anything. Configurations are drawn
    until one is allowed, which in nearly every space is the first or the second. Where none of 100 is, those
    of a space of up to 10**6 are counted; of any other, 10,000 are drawn.

    Raises:
        SpaceError: less is. Says how little, and which forbid takes most.
    """
    if space.forbids is None:
        return
    import numpy as np  # slow to import, and few spaces have forbids

    rng = np.random.default_rng(0)  # the same verdict in every process
    taken: Counter[str] = Counter()
    for n_drawn in range(_N_DRAWS):
        if n_drawn == _N_BEFORE_COUNTING and (counted := _counted(space)) is not None:
            n_allowed, n_all = counted
            share = n_allowed / n_all
            if share <= _LEAST:
                what = f"only {n_allowed:,} of {n_all:,} configurations are allowed, {_percent(share)}"
                raise _error(what, taken, n_drawn)
            return
        matched = space.forbids.violated(space.draw(rng))
        if not matched:
            return
        taken.update(forbid.text for forbid in matched)
    what = f"of {_N_DRAWS:,} configurations drawn none is allowed, so that less than {_percent(_LEAST)} are"
    raise _error(what, taken, _N_DRAWS)


def _counted(space: "SearchSpace") -> tuple[int, int] | None:
    """How many configurations are allowed, and how many there are with the forbidden ones."""
    from tuner.space.space import SearchSpace

    kept = [each for each in space.constraints if not isinstance(each, Forbid)]
    n_all = SearchSpace(space.params.values(), kept).size()
    n_allowed = None if n_all is None else space.size()
    return None if n_all is None or n_allowed is None else (n_allowed, n_all)


def _error(what: str, taken: Counter[str], n_drawn: int) -> SpaceError:
    text, n_times = taken.most_common(1)[0]
    return SpaceError(
        f"The constraints must leave more than {_percent(_LEAST)} of the space to search in, but {what}. "
        f"{text!r} excludes most: {_percent(n_times / n_drawn)} of it.",
        "Declare what is allowed, by fewer choices, narrower bounds or `when`, rather than forbid nearly "
        "everything.",
    )


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %"
