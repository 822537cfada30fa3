"""SQLite's errors in our words: what happened to which file, and what to do."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tuner.errors import BusyError, NotARegistryError, StorageError, UsageError
from tuner.registry.holder import lock_holder, lock_table
from tuner.registry.sqlite_file import dbapi

__all__ = ["damaged", "sqlite_errors"]


@contextmanager
def sqlite_errors(path: Path) -> Iterator[None]:
    """Turn what SQLite raises inside the block, wrapped by SQLAlchemy or not, into errors of our own tree."""
    try:
        yield
    except UnicodeDecodeError as error:  # by the driver, for the name of something in a damaged schema
        raise damaged(path, f"text that is not UTF-8: {error.reason}") from error
    except (OverflowError, UnicodeEncodeError) as error:  # by the driver, for what it is to store
        raise UsageError(
            f"A registry stores integers of up to 64 bits and valid Unicode, but got something else: {error}."
        ) from error
    except Exception as error:
        original = getattr(error, "orig", None) or error  # SQLAlchemy's wrap the driver's
        if not (hasattr(original, "sqlite_errorname") or isinstance(original, dbapi().Error)):
            raise
        raise _translate(original, path) from error


def _translate(error: BaseException, path: Path) -> StorageError:
    """The error of our tree for an error of the SQLite driver. Extended codes count as their family."""
    name = str(getattr(error, "sqlite_errorname", ""))
    family = "_".join(name.split("_")[:2])
    match family:
        case "SQLITE_BUSY" | "SQLITE_LOCKED":
            holder = lock_holder(path, lock_table()) or "another process"
            return BusyError(
                f"{path} is locked by {holder} for longer than the busy timeout.",
                "Try again when it is done; `retrain doctor` shows who uses the registry.",
            )
        case "SQLITE_FULL":
            return StorageError(
                f"The disk is full: {path} cannot grow; nothing of this step was written.{_free_space(path)}",
                "Free some space, then run the same command again.",
            )
        case "SQLITE_IOERR":
            return StorageError(
                f"{path} could not be read or written ({name}); nothing of this step was written."
                f"{_free_space(path)}",
                "Check the disk and its quota, then run the same command again.",
            )
        case "SQLITE_READONLY":
            return StorageError(
                f"{path} cannot be written: the file, its folder or its disk is read-only.",
                "Make it writable, or use another registry with --db.",
            )
        case "SQLITE_CANTOPEN":
            return StorageError(
                f"{path} cannot be opened: its folder is read-only, or this process has too many open files.",
                "Check the folder's permissions and `ulimit -n`.",
            )
        case "SQLITE_CORRUPT":
            return damaged(path, str(error))
        case "SQLITE_NOTADB":
            return NotARegistryError(
                f"{path} is not a registry: it is not an SQLite database. It was not touched.",
                "Name another file with --db.",
            )
        case "SQLITE_CONSTRAINT":
            return StorageError(
                f"{path} refused a write that breaks one of its rules: {error}.",
                "Nothing was written. This is a defect of the program: please report it.",
            )
    return StorageError(f"{path} failed: {error} ({name or type(error).__name__}).", "Run `retrain doctor`.")


def damaged(path: Path, detail: str) -> NotARegistryError:
    """The error for a file whose content cannot be trusted."""
    return NotARegistryError(
        f"{path} is damaged ({detail}). It was not touched.",
        "Restore it from a backup (`orchestrator backup` makes one), or name another file with --db.",
    )


def _free_space(path: Path) -> str:
    try:
        free = shutil.disk_usage(path.parent).free
    except OSError:
        return ""
    return f" Free there: {free / 1e6:,.0f} MB."
