"""The holdout in blocks, and the metric without each: what the error of a score on it is computed from."""

import numpy as np

from retrain.metrics import Predictions, UndefinedMetricError, get_metric, score
from retrain.splits import Rows

__all__ = ["deal_blocks", "scores_without_blocks"]

N_BLOCKS = 20
"""At most. Few are quick; Student's t of 19 degrees of freedom makes up for what they do not know."""


def deal_blocks(rows: Rows, seed: int) -> np.ndarray:
    """Deal rows into blocks that are as good as independent: (n,) codes from 0 without gaps.

    Rows of one group share a block; with times, a block is a stretch of time; other rows are dealt at random.
    """
    n = len(rows)
    if rows.times is not None:
        _, order = np.unique(rows.times, return_inverse=True)
        n_units = int(order.max()) + 1
    else:
        units = np.arange(n) if rows.groups is None else np.unique(rows.groups, return_inverse=True)[1]
        n_units = int(units.max()) + 1
        order = np.random.default_rng(seed).permutation(n_units)[units]
    n_blocks = min(N_BLOCKS, n_units)
    return np.asarray(order * n_blocks // n_units)


def scores_without_blocks(
    name: str, truth: np.ndarray, predictions: Predictions, n_classes: int, blocks: np.ndarray
) -> tuple[float, ...]:
    """The metric `name` on all rows but those of one block, for each block.

    Empty where it is undefined without one of them, since what remains would not be a sample of all: so few
    rows have no interval. Of a single block, too.
    """
    metric = get_metric(name)
    n_blocks = int(blocks.max()) + 1
    if n_blocks < 2:
        return ()
    found = []
    for block in range(n_blocks):
        kept = blocks != block
        try:
            found.append(score(metric, truth[kept], predictions.take(kept), n_classes))
        except UndefinedMetricError:
            return ()
    return tuple(found)
