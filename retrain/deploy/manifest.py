"""What a version holds, written into a new directory and sealed by a manifest of hashes."""

import contextlib
import json
import math
import secrets
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from retrain.deploy.crashpoints import crashpoint
from retrain.deploy.files import digest, fsync_folder, read_bytes, sha256_of, write_synced
from tuner.errors import StorageError
from tuner.experiment import Params, Provenance
from tuner.registry.base import ModelVersion

__all__ = ["GOLDEN_FILE", "Draft", "as_json", "read_json", "write_json", "write_version"]

FORMAT = 1
GOLDEN_FILE = "golden.json"


@dataclass(frozen=True, slots=True)
class Draft:
    """What a version will hold.

    Attributes:
        params: the hyperparameters.
        from_version: the version that it takes over from, or None.
        seed: of splits and fit.
        metrics: figures of these hyperparameters; those that are not finite are left out.
        metric: name of the study's metric among them.
        std_error: the standard error of its value, where known.
        fit: how the model was fitted (`Pipeline.fit_rule`); None where there is none.
        provenance: what they were scored on; None for what was only found, not fitted.
        target: name of the target file, or None.
        before: content of the target file until now; None where there is no file.
        after: its content once this version is deployed.
        save: writes the model into a folder; None where there is none.
        golden: rows and what the model predicts for them (`golden`); None where it can predict none.
        code: commit and hash of what was changed since, or None; for the record.
        libraries: versions by name; for the record.
        token: tells this directory from one of the same number that another registry made.
    """

    params: Params
    from_version: int | None = None
    seed: int = 0
    metrics: Mapping[str, float] = field(default_factory=dict)
    provenance: Provenance | None = None
    target: str | None = None
    before: bytes | None = None
    after: bytes | None = None
    save: Callable[[Path], object] | None = None
    golden: Mapping[str, Any] | None = None
    code: Mapping[str, Any] | None = None
    libraries: Mapping[str, str] = field(default_factory=dict)
    metric: str | None = None
    std_error: float | None = None
    fit: Mapping[str, Any] | None = None
    token: str = field(default_factory=lambda: secrets.token_hex(8))


def write_version(folder: Path, version: ModelVersion, draft: Draft) -> dict[str, Any]:
    """Write the files of a version into a new folder, make them durable, and return the manifest."""
    folder.mkdir()
    crashpoint("version.after_mkdir")
    metrics = {name: value for name, value in draft.metrics.items() if _finite(value) is not None}
    write_json(folder / "params.json", dict(draft.params))
    write_json(folder / "metrics.json", metrics)
    for part, data in (("target", draft.after), ("before", draft.before)):
        if draft.target is not None and data is not None:
            (folder / part).mkdir()
            (folder / part / Path(draft.target).name).write_bytes(data)
    crashpoint("version.after_params")
    if draft.save is not None:
        (folder / "model").mkdir()
        draft.save(folder / "model")
    if draft.golden is not None:
        write_json(folder / GOLDEN_FILE, draft.golden)
    crashpoint("version.after_model")
    manifest: dict[str, Any] = as_json(
        {
            "format": FORMAT,
            "version": version.number,
            "pipeline": version.pipeline,
            "token": draft.token,
            "params": dict(draft.params),
            "experiment": version.experiment,
            "seed": draft.seed,
            "metrics": metrics,
            "metric": draft.metric,
            "std_error": _finite(draft.std_error),
            "fit": None if draft.fit is None else dict(draft.fit),
            "provenance": None if draft.provenance is None else asdict(draft.provenance),
            "code": draft.code,
            "libraries": dict(draft.libraries),
            "golden": None if draft.golden is None else _golden_entry(draft.golden),
            "from_version": draft.from_version,
            "created_at": version.created_at,
            "target": None if draft.target is None else _target_entry(draft),
            "files": _hashes(folder),
        }
    )
    write_json(folder / "manifest.json", manifest)
    crashpoint("version.after_manifest")
    for inner in [*(path for path in sorted(folder.rglob("*")) if path.is_dir()), folder]:
        fsync_folder(inner)
    crashpoint("version.after_fsync")
    return manifest


def _finite(number: float | None) -> float | None:
    return number if number is not None and math.isfinite(number) else None


def _target_entry(draft: Draft) -> dict[str, Any]:
    contents = {"before": draft.before, "after": draft.after}
    return {"file": draft.target} | {key: digest(data) for key, data in contents.items()}


def _golden_entry(golden: Mapping[str, Any]) -> dict[str, Any]:
    return {"file": GOLDEN_FILE, "n_rows": len(golden["rows"]), "note": golden["note"]}


def _hashes(folder: Path) -> dict[str, dict[str, Any]]:
    """SHA-256 and size of every file, made durable on the way."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_dir() and not path.is_symlink():
            continue
        if path.is_symlink() or not path.is_file():
            raise StorageError(f"A version holds plain files only, but {path.name!r} is not one.")
        entry = {"sha256": sha256_of(path, sync=True), "size_bytes": path.stat().st_size}
        found[path.relative_to(folder).as_posix()] = entry
    return found


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Write a new file and make it durable. `path` must not exist."""
    write_synced(path, f"{json.dumps(document, indent=2, allow_nan=False)}\n".encode())


def read_json(path: Path) -> Any:
    """Return the document in a file; None where there is none or it is broken."""
    data = read_bytes(path)
    with contextlib.suppress(ValueError, RecursionError):
        return None if data is None else json.loads(data)
    return None


def as_json(document: Mapping[str, Any]) -> Any:
    """Return the document as reading it back would give it: plain dicts and lists."""
    return json.loads(json.dumps(document, default=dict))
