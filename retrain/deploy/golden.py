"""Golden rows: some rows of the training data, and what the model of a version predicted for them.

Before a version becomes active, at its deployment and at a rollback, its model is loaded in a fresh process
and must predict them as it did: labels exactly, numbers within a relative 1e-6. That is the rounding of the
single precision in which trees are summed, which another processor or release of a library may do in another
order; a model with anything else in it is further off.
"""

import math
from pathlib import Path
from typing import Any

from retrain.config import Config
from retrain.deploy.manifest import GOLDEN_FILE, read_json
from retrain.pipeline import Pipeline
from retrain.reloading import TABULAR, plain, predict_afresh
from tuner.errors import StorageError

__all__ = ["check_model", "golden_document"]

RELATIVE, ABSOLUTE = 1e-6, 1e-9
_FORMAT = 1
_NOTE = (
    "Real rows of the training data, without the target. `golden_rows = 0` under [deploy] keeps none; the"
    " model is then loaded before it becomes active, but not asked."
)


def golden_document(config: Config, pipeline: Pipeline, model: Any) -> dict[str, Any]:
    """What is stored beside a model. Raises whatever user code raises."""
    n = config.deploy.golden_rows
    rows = [dict(row) for row in pipeline.sample_rows(n)] if n else []
    predictions = [plain(each) for each in pipeline.predict_rows(model, rows)] if rows else []
    return {
        "format": _FORMAT,
        "note": _NOTE,
        "kind": config.pipeline.kind,
        "rows": rows,
        "predictions": predictions,
    }


def check_model(config: Config, folder: Path, what: str) -> str:
    """Load the model of a version in a fresh process, and compare its predictions of the golden rows.

    Args:
        config: of the project; a user's own pipeline is built from it.
        folder: of the version, its hashes checked before.
        what: the version, for the error.

    Returns:
        What was checked, one sentence; "" where the version has no model.

    Raises:
        StorageError: the model cannot be loaded, or predicts otherwise; says how.
    """
    model = folder / "model"
    if not model.is_dir():
        return ""
    document = read_json(folder / GOLDEN_FILE)
    if not isinstance(document, dict):
        return f"the files of {what} match their hashes; it has no golden rows, so its model was not loaded"
    kind, rows, expected = document["kind"], document["rows"], document["predictions"]
    if kind not in (TABULAR, config.pipeline.kind):
        raise StorageError(
            f"{what.capitalize()} was not switched to: its model is one of the pipeline {kind!r}, but the"
            f" configuration names {config.pipeline.kind!r}, which may not be able to load it.",
            "Name the pipeline that made it as `kind` under [pipeline].",
        )
    try:
        found = predict_afresh(model, kind, rows, config.source)
        fault = _difference(expected, found)
    except StorageError as error:
        fault = f"its model was tried in a fresh process: {error}"
    if fault:
        raise StorageError(
            f"{what.capitalize()} was not switched to: {fault.rstrip('.')}.",
            f"Deploy its hyperparameters anew: retrain --apply-hp @{folder / 'params.json'}",
        )
    asked = f" and predicts its {len(rows)} golden rows as before" if rows else ""
    return f"the model of {what} loads in a fresh process{asked}"


def _difference(expected: list[Any], found: list[Any]) -> str:
    """Which predictions are other than they were, the first in full; "" where none is."""
    other = [i for i, (a, b) in enumerate(zip(expected, found, strict=True)) if not _is_close(a, b)]
    if not other:
        return ""
    first = other[0]
    return (
        f"{len(other)} of {len(expected)} golden rows are predicted otherwise than when it was deployed:"
        f" row {first + 1} as {found[first]!r}, and not {expected[first]!r}"
    )


def _is_close(a: Any, b: Any) -> bool:
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(_is_close, a, b))
    if isinstance(a, float) and isinstance(b, float):
        return math.isclose(a, b, rel_tol=RELATIVE, abs_tol=ABSOLUTE)
    return type(a) is type(b) and bool(a == b)
