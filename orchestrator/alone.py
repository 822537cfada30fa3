"""One command at a time for what two would do twice: a lock that the kernel frees when its holder dies."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tuner.errors import BusyError, StorageError

__all__ = ["alone", "stages_lock"]


def stages_lock(db: str, root: Path, study: str) -> Path:
    """Where the stages of a study are locked: beside the registry; in `root` where that is no file."""
    place = db.removeprefix("sqlite:///")
    return Path(f"{root / 'registry' if '://' in place else place}.{study}.stages.lock")


@contextmanager
def alone(path: Path, what: str) -> Iterator[None]:
    """Hold the lock of a file that is there only while somebody holds it.

    Args:
        path: of the lock. Processes on other hosts see it only as far as the file system tells them.
        what: is being done, for the one who comes second.

    Raises:
        BusyError: another process holds it.
        StorageError: it cannot be made.
    """
    try:
        handle = _locked(path)
    except BlockingIOError:
        raise BusyError(
            f"Another process is running {what}.",
            "Wait for it to end, then type the same command again; more at a time are --workers.",
        ) from None
    except OSError as error:
        raise StorageError(f"{path} cannot be locked: {error.strerror}.") from error
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(handle)


def _locked(path: Path) -> int:
    """A handle on the file that is there now: one that its last holder removed meanwhile locks nobody out."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(handle), path.stat()):
                return handle
        except FileNotFoundError:
            pass
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)
