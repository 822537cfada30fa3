"""A search on some of the rows: how many they are, and how scores say so.

The part is in the definition of the metric that a score is of, so that scores on different parts are never
compared, and every report can tell.
"""

import re
from typing import TYPE_CHECKING

from tuner.experiment import Provenance

if TYPE_CHECKING:
    import numpy as np

    from retrain.splits import Rows

__all__ = ["choose_rows", "stated", "tuned_on"]


def choose_rows(rows: "Rows", wanted: float | None, seed: int) -> "np.ndarray | None":
    """The positions, ascending, of about as many rows as are wanted; None where that is all of them.

    They are chosen as a holdout is: classes keep their shares, groups stay whole, and of times it is the
    latest.

    Args:
        rows: those to train on.
        wanted: how many (an int), or which share (a float below 1); None for all.
        seed: of the choice.

    Raises:
        DataError: too few groups or distinct times to part them.
    """
    import numpy as np

    from retrain.splits import split_holdout

    if wanted is None:
        return None
    share = wanted if isinstance(wanted, float) else wanted / len(rows)
    if share >= 1:
        return None
    own = int(np.random.SeedSequence([seed, 1]).generate_state(1)[0])
    chosen = split_holdout(rows, share, own)[1]
    return chosen if len(chosen) < len(rows) else None


def stated(n_rows: int | None, n_all: int) -> str:
    """How the definition of a metric says on which part it is scored; "" for all of the rows."""
    return "" if n_rows is None else f" on {n_rows} of {n_all} rows"


def tuned_on(provenance: Provenance | None) -> str | None:
    """Return "tuned on 5,000 of 24,000 rows" where scores are of a part; None where they are of all."""
    found = None if provenance is None else re.search(r"; .* on (\d+) of (\d+) rows", provenance.metric)
    return None if found is None else "tuned on {:,} of {:,} rows".format(*map(int, found.groups()))
