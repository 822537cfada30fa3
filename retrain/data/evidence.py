"""Texts with the spans in them that bear evidence; a text that several rows of a document share is one."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from retrain.data.positions import positions
from retrain.data.table import Table
from retrain.data.texts import make_texts
from retrain.metrics import Metric
from tuner.errors import DataError

__all__ = ["EvidenceTable", "make_evidence"]


@dataclass(frozen=True, slots=True)
class EvidenceTable(Table):
    """Texts with spans.

    Attributes:
        spans: (n,) objects: of each row the spans of its text, of all rows of this text in its document,
            each as (start, end, class code of its row, 0 without classes); ascending.
        whole: (n,) True for the first row of each text of a document with a known span: there the spans
            are learned from and scored, once.
    """

    spans: np.ndarray = None  # type: ignore[assignment]
    whole: np.ndarray = None  # type: ignore[assignment]


def make_evidence(
    frame: pd.DataFrame,
    text: str,
    target: str | None,
    bounds: tuple[str, str],
    metric: Metric,
    *,
    group: str | None = None,
    by: Sequence[str] = (),
) -> EvidenceTable:
    """Check a raw table of texts with spans and turn it into arrays.

    Args:
        frame: the raw table.
        text: the column that holds the texts.
        target: the column of the labels; None where only spans are of interest.
        bounds: the columns of the first character of a span, from 0, and of the one after the last. Empty or
            -1 where the span is unknown; equal where there is none in the text.
        metric: of the labels.
        group: the column that says which document a text is of.
        by: columns by whose values the scores of labels are told apart.

    Raises:
        DataError: names the column or row and what is wrong with it.
    """
    from retrain.data.table import check_columns, known_rows

    check_columns(list(map(str, frame.columns)), target or bounds[0], (), group, None, by, text, bounds)
    label = target if target is not None else _stand_in(frame)
    if target is None:
        frame = frame.assign(**{label: np.arange(len(frame)) % 2})
    table = make_texts(frame, text, label, metric, group=group, by=by)
    rows = known_rows(frame, label)
    starts, ends = positions(rows, table.features, bounds)
    y = table.y if target is not None else np.zeros(len(rows), dtype=np.int64)
    spans, whole = _gathered(table, starts, ends, y)
    if not any(spans):
        first, last = bounds
        raise DataError(
            f"The columns {first!r} and {last!r} must hold the span of some text, but all known are empty.",
            "Equal positions say that a text has no span: give the positions of some that it has.",
        )
    digest = hashlib.sha256(f"{table.fingerprint} {target} {bounds}".encode())
    digest.update(starts.tobytes() + ends.tobytes())
    return EvidenceTable(
        table.features,
        y,
        table.columns,
        table.task if target is not None else "spans",
        table.classes if target is not None else (),
        table.groups,
        None,
        f"sha256:{digest.hexdigest()[:32]}",
        table.labels,
        spans=spans,
        whole=whole,
    )


def _stand_in(frame: pd.DataFrame) -> str:
    """A name that no column has."""
    name = "label"
    while name in frame.columns:
        name += "_"
    return name


def _gathered(
    table: Table, starts: np.ndarray, ends: np.ndarray, y: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The spans of each row's text, and which rows are the first with a known span of theirs."""
    document = np.arange(len(y)) if table.groups is None else table.groups
    keys = list(zip(document.tolist(), table.features, strict=True))
    of_text: dict[tuple[int, str], set[tuple[int, int, int]]] = {}
    whole = np.zeros(len(y), dtype=bool)
    for row, key in enumerate(keys):
        if starts[row] < 0:
            continue
        whole[row] = key not in of_text
        known = of_text.setdefault(key, set())
        if starts[row] < ends[row]:
            known.add((int(starts[row]), int(ends[row]), int(y[row])))
    spans = np.empty(len(y), dtype=object)
    spans[:] = [tuple(sorted(of_text.get(key, ()))) for key in keys]
    return spans, whole
