"""Signals as requests: the first asks a run to stop, the second to stop now; a third is not caught."""

import signal
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Self

__all__ = ["Interrupted", "StopRequest", "StopSignals"]

_CAUGHT = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(KeyboardInterrupt):
    """A signal came while nothing was claimed yet: there is nothing to finish."""

    def __init__(self, exit_code: int) -> None:
        super().__init__(exit_code)
        self.exit_code = exit_code


class StopRequest:
    """Whether and when the user asked to stop; this one never hears of anything.

    Attributes:
        stop_at: when the first request came, on the monotonic clock, or None.
        stop_now: a second one came.
        exit_code: 130 for Ctrl-C, 143 for SIGTERM and a closed terminal.
    """

    def __init__(self) -> None:
        self.stop_at: float | None = None
        self.stop_now = False
        self.exit_code = 130

    def defer(self) -> None:
        """From now on a request is only noted, for the run to look at."""


class StopSignals(StopRequest):
    """Hears SIGINT, SIGTERM and SIGHUP while it is entered, in the main thread.

    Until `defer` is called a signal raises `Interrupted` wherever the program is. A signal that was ignored
    when the program started (`nohup`) stays ignored.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._deferred = False
        self._previous: dict[signal.Signals, signal._HANDLER] = {}

    def __enter__(self) -> Self:
        for number in _CAUGHT:
            before = signal.getsignal(number)
            if before is not signal.SIG_IGN:
                self._previous[number] = before
        self._install()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, before in self._previous.items():
            signal.signal(number, before)

    def defer(self) -> None:
        """Note requests from now on. Installs the handlers again, since starting Ray sets its own."""
        self._deferred = True
        self._install()

    def _install(self) -> None:
        for number in self._previous:
            signal.signal(number, self._hear)

    def _hear(self, number: int, _: FrameType | None) -> None:
        self.exit_code = 130 if number == signal.SIGINT else 143
        if not self._deferred:
            raise Interrupted(self.exit_code)
        if self.stop_at is None:
            self.stop_at = self._clock()
            return
        self.stop_now = True
        for each in self._previous:
            signal.signal(each, signal.SIG_DFL)
