"""What user code prints inside a worker: read on in the files that its stdout and stderr are."""

import os
import threading
from collections.abc import Iterable
from contextlib import suppress

__all__ = ["READ_EVERY_S", "Follower", "open_own_output"]

READ_EVERY_S = 0.5

_MAX_BYTES = 64_000  # at a look; the disk holds more than a terminal should show
_RAYS_OWN = (b":job_id:", b":actor_name:", b":task_name:")


class Follower:
    """Whole lines that were appended to some files since the last look.

    Args:
        fds: of the files. They are read without moving their positions.
    """

    def __init__(self, fds: Iterable[int]) -> None:
        self._files = dict.fromkeys(fds, 0)
        self._rests = dict.fromkeys(self._files, b"")
        self._looking = threading.Lock()  # an actor is asked while it works

    def restart(self) -> None:
        """Begin again at the start: the files were emptied."""
        self._files = dict.fromkeys(self._files, 0)
        self._rests = dict.fromkeys(self._files, b"")

    def lines(self, *, last: bool = False) -> tuple[str, ...]:
        """Return what is new; with `last` also a line that has no end yet."""
        with self._looking:
            return tuple(_shown(line) for fd in self._files for line in self._new(fd, last))

    def _new(self, fd: int, last: bool) -> list[bytes]:
        start, end = self._files[fd], os.fstat(fd).st_size
        n_left_out = max(0, end - start - _MAX_BYTES)
        data = os.pread(fd, _MAX_BYTES, start + n_left_out)
        self._files[fd] = start + n_left_out + len(data)
        if n_left_out:
            self._rests[fd] = b"... %d bytes are left out ...\n" % n_left_out
        *whole, rest = (self._rests[fd] + data).split(b"\n")
        if rest and (last or len(rest) > _MAX_BYTES):
            whole.append(rest)
            rest = b""
        self._rests[fd] = rest
        return [line for line in whole if not line.startswith(_RAYS_OWN)]


def _shown(line: bytes) -> str:
    """As a terminal would end up showing it: a progress bar goes back to the start of its line."""
    return line.decode("utf-8", "replace").rstrip("\r").rpartition("\r")[2].expandtabs()


def open_own_output() -> list[int]:
    """Open the files that stdout and stderr of this process are, where they are files (Linux)."""
    fds: dict[tuple[int, int], int] = {}
    for fd in (1, 2):
        with suppress(OSError):
            own = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_CLOEXEC)
            status = os.fstat(own)
            if fds.setdefault((status.st_dev, status.st_ino), own) != own:
                os.close(own)
    return list(fds.values())
