"""The hashes of a version, checked by whoever loads its model: before anything of it is read."""

import hashlib
import json
from pathlib import Path
from typing import Any

from tuner.errors import StorageError

__all__ = ["check_sealed"]


def check_sealed(folder: Path) -> None:
    """Hold the files of a model against the manifest of its version; a folder that is in none is let through.

    Args:
        folder: `versions/000007/model`, say: the manifest stands beside it.

    Raises:
        StorageError: a file is missing or was changed, or the manifest cannot be read.
    """
    manifest = folder.parent / "manifest.json"
    if not manifest.is_file():
        return
    for name, entry in _files(manifest).items():
        part, _, rest = name.partition("/")
        if part != folder.name:
            continue
        path = folder / rest
        if path.is_symlink() or not path.is_file() or _sha256(path) != entry["sha256"]:
            raise StorageError(
                f"The model file {str(path)!r} failed its checksum: it is not the one that was deployed.",
                "retrain --rollback VERSION, to one that is sound; or make another: retrain --force",
            )


def _files(manifest: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(manifest.read_text("utf-8"))["files"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StorageError(f"The manifest {str(manifest)!r} cannot be read: {error}.") from None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
