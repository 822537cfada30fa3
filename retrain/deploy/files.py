"""Writing files so that a reader, also after a crash, sees the old or the new content, never a mixture."""

import contextlib
import hashlib
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

from retrain.deploy.crashpoints import crashpoint
from tuner.errors import ConfigError, StorageError

__all__ = [
    "TEMP_SUFFIX",
    "digest",
    "fsync_folder",
    "read_bytes",
    "remove_leftovers",
    "safe_path",
    "sha256_hex",
    "sha256_of",
    "storage_errors",
    "write_atomic",
    "write_synced",
]

_ANOTHER = "Name a plain file inside the project folder as `target` under [deploy]."
TEMP_SUFFIX = ".retrain-tmp"


def sha256_hex(data: bytes) -> str:
    """SHA-256 of `data`, as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def sha256_of(path: Path, *, sync: bool = False) -> str:
    """SHA-256 of a file of any size, made durable on the way where `sync`."""
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
        if sync:
            os.fsync(file.fileno())
    return found


def digest(data: bytes | None) -> str | None:
    """SHA-256 of a file's content; None where there is no file."""
    return None if data is None else sha256_hex(data)


@contextlib.contextmanager
def storage_errors(doing: str) -> Iterator[None]:
    """Turn what the file system refuses into one sentence.

    Args:
        doing: what was tried, such as "writing 'model.py'".

    Raises:
        StorageError: instead of any OSError.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise StorageError(
            f"The file system refused {doing}: {reason}.",
            "Check free space and permissions, then type the same command again.",
        ) from error


def safe_path(root: Path, path: Path) -> Path:
    """Return where `path` (relative to `root`) lies, refusing every place a deployment must not write to.

    Raises:
        ConfigError: it lies outside `root`, is a symbolic link, or is something other than a plain file.
    """
    whole = root / path
    parent = whole.parent.resolve()
    if not (parent / whole.name).is_relative_to(root.resolve()) or whole.name in ("", ".", ".."):
        raise ConfigError(
            f"The deploy target must lie inside the project folder {str(root)!r}, but {str(path)!r}.",
            "Set `target` under [deploy] to a file inside the folder of retrain.toml.",
        )
    place = parent / whole.name
    try:
        mode = place.lstat().st_mode
    except FileNotFoundError:
        if not parent.is_dir():
            raise ConfigError(
                f"The folder of the deploy target must exist, but {str(parent)!r} does not.",
                f"Create it, or mend `target` = {str(path)!r} under [deploy].",
            ) from None
        return place
    except OSError as error:
        raise ConfigError(
            f"The deploy target {str(path)!r} cannot be read: {error.strerror}.", _ANOTHER
        ) from error
    if stat.S_ISLNK(mode):
        raise ConfigError(
            f"The deploy target must be a plain file, but {str(path)!r} is a symbolic link.",
            "Name the file that it points to, if that lies inside the project folder.",
        )
    if not stat.S_ISREG(mode):
        raise ConfigError(f"The deploy target must be a plain file, but {str(path)!r} is not one.", _ANOTHER)
    return place


def read_bytes(path: Path) -> bytes | None:
    """Content of the file, or None where there is none."""
    with storage_errors(f"reading {path.name!r}"):
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return None


def fsync_folder(folder: Path) -> None:
    """Make the names in `folder` durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_synced(path: Path, data: bytes) -> None:
    """Write a new file and make its content durable. `path` must not exist."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def write_atomic(path: Path, data: bytes | None, point: str) -> None:
    """Replace the content of `path` in one step, keeping its permissions; None removes the file.

    The temporary file stands in the same folder, so the replacement never crosses a file system.

    Args:
        path: an absolute path that `safe_path` accepted.
        data: the new content.
        point: prefix of the crash points passed on the way.

    Raises:
        StorageError: the disk is full, read-only or failing; `path` is as it was.
    """
    with storage_errors(f"writing {path.name!r}"):
        if data is None:
            path.unlink(missing_ok=True)
            fsync_folder(path.parent)
            return
        temp = path.parent / f".{path.name}.{secrets.token_hex(6)}{TEMP_SUFFIX}"
        try:
            write_synced(temp, data)
            with contextlib.suppress(FileNotFoundError):
                temp.chmod(stat.S_IMODE(path.stat().st_mode))
            crashpoint(f"{point}.before_replace")
            temp.replace(path)
        except BaseException:
            temp.unlink(missing_ok=True)
            raise
        crashpoint(f"{point}.after_replace")
        fsync_folder(path.parent)


def remove_leftovers(path: Path) -> None:
    """Remove temporary files that a killed `write_atomic` of `path` left. Only under the deploy lock."""
    with storage_errors(f"removing temporary files beside {path.name!r}"):
        for temp in list(path.parent.iterdir()) if path.parent.is_dir() else []:
            if temp.name.startswith(f".{path.name}.") and temp.name.endswith(TEMP_SUFFIX):
                temp.unlink(missing_ok=True)
