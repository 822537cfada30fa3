"""The folder of model versions: one sealed directory for each, and a readable pointer to the active one.

    versions/
      .lock            held by whoever deploys; the kernel frees it when that process dies
      current.json     derived from the registry: by pipeline, which version is active
      switching-*.json only while the target file is being replaced: what it was, and for which version
      000007/
        manifest.json  the SHA-256 of every other file, and where all of it came from
        params.json  metrics.json
        model/         what the pipeline saved
        target/        the user's target file as this version wrote it
        before/        and as it was just before

The registry is the only truth. A directory without an `active` or `retired` row counts for nothing.
"""

import json
import re
import secrets
import shutil
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from retrain.config import Config
from retrain.deploy.crashpoints import crashpoint
from retrain.deploy.files import TEMP_SUFFIX, digest, fsync_folder, sha256_of, storage_errors, write_atomic
from retrain.deploy.lock import deploy_lock
from retrain.deploy.manifest import Draft, as_json, read_json, write_version
from tuner.errors import NotFoundError, RetrainError, StorageError
from tuner.registry.base import ModelVersion

__all__ = ["VersionStore"]

_TEMP = re.compile(r"\d{6,}\.tmp-[0-9a-f]+")


class VersionStore:
    """The versions folder of a project.

    Args:
        folder: need not exist until the first deployment.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def of(cls, config: Config) -> "VersionStore":
        """The store that the configuration names."""
        return cls(config.root / config.deploy.versions)

    def exists(self) -> bool:
        """Whether there is a folder yet."""
        with storage_errors(f"looking for {self.folder.name!r}"):
            return self.folder.exists()

    def path(self, number: int) -> Path:
        """Directory of a version."""
        return self.folder / f"{number:06d}"

    def lock(self) -> AbstractContextManager[None]:
        """The right to deploy: see `deploy_lock`."""
        return deploy_lock(self.folder)

    def _temp(self, number: int) -> Path:
        return self.folder / f"{number:06d}.tmp-{secrets.token_hex(4)}"

    # ---- writing

    def write(self, version: ModelVersion, draft: Draft) -> dict[str, Any]:
        """Write and seal the directory of a staged version; return its manifest. Only under the lock.

        Raises:
            StorageError: the disk refused, or the directory exists already. Nothing half-made is left.
        """
        place = self.path(version.number)
        if place.exists():
            raise StorageError(
                f"{str(place)!r} exists, but this registry has not made it: it belongs to another database.",
                "Move it away, or set another `versions` folder under [deploy].",
            )
        temp = self._temp(version.number)
        try:
            with storage_errors(f"writing version {version.number}"):
                manifest = write_version(temp, version, draft)
                temp.rename(place)
                crashpoint("version.after_rename")
                fsync_folder(self.folder)
        except BaseException:
            shutil.rmtree(temp, ignore_errors=True)
            raise
        crashpoint("version.after_parent_fsync")
        return manifest

    def remove(self, version: ModelVersion) -> None:
        """Remove the directory of a version that was given up; one that another registry made stays."""
        place = self.path(version.number)
        with storage_errors(f"removing {place.name!r}"):
            manifest = read_json(place / "manifest.json")
            if isinstance(manifest, dict) and manifest.get("token") == version.manifest.get("token"):
                temp = self._temp(version.number)  # from here on it counts as half-made, should we die
                place.rename(temp)
                shutil.rmtree(temp)

    def clean(self) -> None:
        """Remove what killed processes left half-made. Only under the lock."""
        with storage_errors(f"cleaning {self.folder.name!r}"):
            for entry in list(self.folder.iterdir()):
                if _TEMP.fullmatch(entry.name):
                    shutil.rmtree(entry)
                elif entry.name.endswith(TEMP_SUFFIX):
                    entry.unlink()

    # ---- reading

    def check(self, version: ModelVersion) -> None:
        """Verify that the directory of a version is complete and unchanged, byte for byte.

        Raises:
            NotFoundError: the directory is gone.
            StorageError: a file is missing or differs from its hash; names it.
        """
        place = self.path(version.number)
        if not place.is_dir() or place.is_symlink():
            raise NotFoundError(f"Version {version.number} has no directory {str(place)!r} any more.")
        with storage_errors(f"reading version {version.number}"):
            if read_json(place / "manifest.json") != as_json(version.manifest):
                raise StorageError(
                    f"Version {version.number} failed its checksum: 'manifest.json' was changed."
                )
            for name in version.manifest.get("files", {}):
                if not self._is_unchanged(version, name):
                    raise StorageError(f"Version {version.number} failed its checksum: {name!r} was changed.")

    def is_intact(self, version: ModelVersion) -> bool:
        """Whether `check` passes."""
        try:
            self.check(version)
        except RetrainError:
            return False
        return True

    def read(self, version: ModelVersion, name: str) -> bytes | None:
        """Content of one small file of a version; None where it is missing or fails its hash."""
        with storage_errors(f"reading version {version.number}"):
            if not self._is_unchanged(version, name):
                return None
            return (self.path(version.number) / name).read_bytes()

    def _is_unchanged(self, version: ModelVersion, name: str) -> bool:
        path = self.path(version.number) / name
        entry = version.manifest.get("files", {}).get(name)
        if entry is None or path.is_symlink() or not path.is_file():
            return False
        return sha256_of(path) == str(entry["sha256"])

    # ---- the readable pointer

    def point_at(self, version: ModelVersion) -> bool:
        """Bring `current.json` into agreement with the registry; return whether it had to be written."""
        path = self.folder / "current.json"
        present = read_json(path)
        pointers = present if isinstance(present, dict) else {}
        entry = {
            "version": version.number,
            "folder": self.path(version.number).name,
            "params": dict(version.params),
            "experiment": version.experiment,
        }
        if pointers.get(version.pipeline) == entry:
            return False
        text = json.dumps({**pointers, version.pipeline: entry}, indent=2)
        write_atomic(path, f"{text}\n".encode(), "pointer")
        return True

    # ---- the note that tells a cut-off deployment from an edit by hand

    def announce(self, version: ModelVersion, target: str, present: bytes | None) -> None:
        """Note that the target file, which holds `present`, is about to be replaced for `version`."""
        note = {"version": version.number, "file": target, "before": digest(present)}
        write_atomic(self._note(version.pipeline), json.dumps(note).encode(), "note")

    def announced(self, version: ModelVersion) -> tuple[str, str | None] | None:
        """The target file and the hash of what it held, where replacing it for `version` was not finished."""
        note = read_json(self._note(version.pipeline))
        if not isinstance(note, dict) or note.get("version") != version.number:
            return None
        return str(note.get("file")), note.get("before")

    def retract(self, pipeline: str) -> None:
        """Forget the note: the target file was replaced, or never will be."""
        with storage_errors("removing a note"):
            self._note(pipeline).unlink(missing_ok=True)

    def _note(self, pipeline: str) -> Path:
        return self.folder / f"switching-{pipeline}.json"
