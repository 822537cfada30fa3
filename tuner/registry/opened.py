"""What a process has open: it ends with `close`, and a forked child must leave it alone."""

import os
from abc import ABC, abstractmethod

from tuner.errors import StorageError

__all__ = ["Opened"]


class Opened(ABC):
    """A registry that this process has open, until `close`. `where` names it in errors."""

    def __init__(self, where: object) -> None:
        self._where = where
        self._pid = os.getpid()
        self._closed = False

    @property
    def is_open(self) -> bool:
        """Whether this process can use it."""
        return not self._closed and self._pid == os.getpid()

    def close(self) -> None:
        """Close all connections. Idempotent. In a forked child it only forgets them."""
        if not self._closed:
            self._closed = True
            self._release(here=os.getpid() == self._pid)

    @abstractmethod
    def _release(self, *, here: bool) -> None:
        """Close what is open; where it is not `here` that it was opened, let go of it without a call."""

    def _check_usable(self) -> None:
        if os.getpid() != self._pid:
            raise StorageError(
                f"The registry {self._where} was opened by process {self._pid}, and cannot be used in its"
                f" forked child {os.getpid()}.",
                "Open the registry again in the child.",
            )
        if self._closed:
            raise StorageError(f"The registry {self._where} is closed.", "Open it again.")
