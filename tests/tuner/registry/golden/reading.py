"""All that is in a registry, as JSON: by its own words, by the views for people, and row by row."""

import dataclasses
import json
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from tuner.registry import open_registry
from tuner.registry.engine import connect
from tuner.registry.schema import metadata

__all__ = ["read_all"]

_VIEWS = ("hp_experiments", "hp_tuning_history", "v_best")
_PIPELINES = ("credit", "films")


def read_all(path: Path) -> dict[str, Any]:
    """Read a registry without changing it."""
    with open_registry(path, create=False, read_only=True) as registry:
        words: dict[str, Any] = {
            "studies": registry.studies(),
            "experiments": registry.experiments(),
            "attempts": {one.public_id: registry.attempts(one) for one in registry.experiments()},
            "measurements": {one.public_id: registry.measurements(one) for one in registry.experiments()},
            "versions": {name: registry.versions(name) for name in _PIPELINES},
            "deployments": {name: registry.deployments(name) for name in _PIPELINES},
            "holdout_reads": {name: registry.holdout_reads(name) for name in _PIPELINES},
            "active": {name: registry.find_active(name) for name in _PIPELINES},
            "patterns": registry.patterns(),
            "lessons": registry.lessons(),
            "events": registry.events(),
            "of_study": {
                study.name: {
                    "best": registry.best(study, 100),
                    "provenances": registry.provenances(study),
                    "counts": registry.counts(study),
                    "confirmations": {
                        on.data: registry.confirmations(study, on) for on, _ in registry.provenances(study)
                    },
                    "effort": registry.effort(study),
                }
                for study in registry.studies()
            },
        }
    with closing(connect(path, "rw")) as raw:
        rows = {name: _rows(raw, name) for name in (*_VIEWS, *sorted(metadata.tables))}
    return {"words": _plain(words), "rows": _plain(rows)}


def _rows(raw: Any, name: str) -> list[dict[str, Any]]:
    cursor = raw.execute(f"SELECT * FROM {name}")
    columns = [column[0] for column in cursor.description]
    return [dict(zip(columns, row, strict=True)) for row in cursor]


def _plain(value: Any) -> Any:
    """What JSON can say; integers too large for other readers are kept as they are."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in dataclasses.fields(value)]
        return {name: _plain(getattr(value, name)) for name in names}
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, bytes):
        return value.hex()
    return json.loads(json.dumps(value))
