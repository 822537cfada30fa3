"""Scores told apart by the values of a column: which site, which age, which product."""

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from retrain.metrics import Predictions, UndefinedMetricError, get_metric, score
from retrain.pipeline import GroupScore

if TYPE_CHECKING:
    from retrain.data import Table

__all__ = ["group_scores"]

Part = tuple[np.ndarray, Predictions]
"""Row numbers, and what a model that has not seen them said about them."""


def group_scores(
    table: "Table",
    by: Mapping[str, Collection[str]],
    repeats: Sequence[Sequence[Part]],
    prefix: str = "",
) -> dict[str, dict[str, dict[str, GroupScore]]]:
    """Score the rows of each group: {column: {metric: {value of the column: score}}}.

    The predictions of one repeat are put together, and a group is scored once over all its rows: in a single
    fold it may have hardly any. Several repeats are averaged.

    Args:
        table: with `labels` for each column.
        by: {column: metrics}, the metrics with `prefix`.
        repeats: the parts of each repeat; within one, no row occurs twice.
        prefix: what the names of the metrics begin with.
    """
    whole = [_together(parts) for parts in repeats]
    return {
        column: {
            metric: _scores(table, table.labels[column], metric.removeprefix(prefix), whole)
            for metric in metrics
        }
        for column, metrics in by.items()
        if column in table.labels
    }


def _together(parts: Sequence[Part]) -> Part:
    rows, said = zip(*parts, strict=True)
    return np.concatenate(rows), Predictions.together(said)


def _scores(
    table: "Table", labels: np.ndarray, metric: str, repeats: Sequence[Part]
) -> dict[str, GroupScore]:
    names = np.unique(np.concatenate([labels[rows] for rows, _ in repeats]))
    return {
        str(name): _mean([_score(table, metric, rows, said, labels[rows] == name) for rows, said in repeats])
        for name in names
    }


def _score(table: "Table", metric: str, rows: np.ndarray, said: Predictions, mine: np.ndarray) -> GroupScore:
    n_rows = int(mine.sum())
    try:
        value = score(get_metric(metric), table.y[rows[mine]], said.take(mine), table.n_classes)
    except (UndefinedMetricError, ValueError) as error:  # scikit-learn raises its own, of too few rows
        return GroupScore(None, n_rows, str(error))
    return GroupScore(value, n_rows)


def _mean(scores: Sequence[GroupScore]) -> GroupScore:
    n_rows = min(score.n_rows for score in scores)
    values = [score.value for score in scores if score.value is not None]
    if len(values) < len(scores):
        return GroupScore(None, n_rows, next(score.why for score in scores if score.value is None))
    return GroupScore(float(np.mean(values)), n_rows)
