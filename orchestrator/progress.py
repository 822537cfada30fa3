"""Live progress on stderr: a bar on a terminal, plain lines elsewhere. The one door to rich.

A display never raises: who closed the terminal or the pipe (`| head`) does not end a study.
"""

import os
import sys
from abc import ABC, abstractmethod
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TextIO, cast

from retrain.console import fitted
from retrain.tables import plus_minus_column, printable, seconds

__all__ = ["DRAW_EVERY_S", "PLAIN_EVERY_S", "Bar", "Display", "Plain", "Silent", "Status", "open_display"]

PLAIN_EVERY_S = 5.0
DRAW_EVERY_S = 0.1
"""Least time between two drawings of a bar: drawing costs as much as recording several experiments."""


@dataclass(frozen=True, slots=True)
class Status:
    """Where a run stands. Counts are of this invocation; `best` and `baseline` of the study.

    Attributes:
        n_total: finished, running, waiting and still to be proposed.
        elapsed_s: seconds since the run began.
        working_s: seconds since the first claim, which the pace is taken from.
        best_error, baseline_error: standard errors, where known; they say how many digits are shown.
    """

    n_done: int
    n_total: int
    n_failed: int
    n_running: int
    elapsed_s: float
    working_s: float
    metric: str
    best: float | None = None
    baseline: float | None = None
    best_error: float | None = None
    baseline_error: float | None = None
    n_pruned: int = 0

    @property
    def eta_s(self) -> float | None:
        """Seconds still to go at the pace so far; None before the first end."""
        if self.n_done == 0:
            return None
        return self.working_s / self.n_done * (self.n_total - self.n_done)

    def score(self) -> str:
        """The best so far against the baseline, or "" while there is none."""
        if self.best is None:
            return ""
        pairs = [(self.best, self.best_error), (self.baseline, self.baseline_error)]
        best, baseline = (text.partition(" ±")[0] for text in plus_minus_column(pairs))
        return f"best {self.metric} {best}" + (f" (baseline {baseline})" if baseline else "")

    def pace(self) -> str:
        """How long it will take; before the first end a clock, as a sign of life."""
        if self.n_done == 0:
            passed = seconds(round(self.elapsed_s))
            return passed if self.n_running else f"workers are starting, {passed}"
        eta = self.eta_s
        return f"{seconds(eta)} to go" if eta and self.n_done < self.n_total else ""

    def line(self) -> str:
        """All of it in one line."""
        parts = [
            f"{self.n_done}/{self.n_total} done",
            f"{self.n_pruned} pruned" if self.n_pruned else "",
            f"{self.n_failed} failed" if self.n_failed else "",
            f"{self.n_running} running" if self.n_running else "",
            self.pace() if self.n_done else "",
            self.score(),
        ]
        return ", ".join(part for part in parts if part)


class Display(ABC):
    """Where a run talks to its user. Use as a context manager."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @abstractmethod
    def note(self, text: str) -> None:
        """Say one line."""

    @abstractmethod
    def show(self, status: Status) -> None:
        """Take in where the run stands; shown as often as is useful."""

    @abstractmethod
    def close(self) -> None:
        """End the live part. Idempotent; notes may still follow."""


class _Patient:
    """A stream that swallows what it cannot write. rich would end the program at a broken pipe."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with suppress(OSError, ValueError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            self._stream.flush()


class Silent(Display):
    """Says nothing."""

    def note(self, text: str) -> None:
        """Left out."""

    def show(self, status: Status) -> None:
        """Left out."""

    def close(self) -> None:
        """Nothing to end."""


class Plain(Display):
    """Lines, for logs and pipes.

    Args:
        stream: where to write.
        every_s: least seconds between two status lines; None leaves them out.
    """

    def __init__(self, stream: TextIO, every_s: float | None = PLAIN_EVERY_S) -> None:
        self._stream = cast(TextIO, _Patient(stream))
        self._every_s = every_s
        self._told: str | None = None
        self._told_at = 0.0
        self._latest: Status | None = None

    def note(self, text: str) -> None:
        """Write a line; a stream that is gone is let go."""
        self._stream.write(fitted(printable(text), self._stream) + "\n")
        self._stream.flush()

    def show(self, status: Status) -> None:
        """Write a status line when the last one is old enough."""
        if not status.n_total:
            return
        self._latest = status
        if self._every_s is not None and status.elapsed_s - self._told_at >= self._every_s:
            self._told_at = status.elapsed_s
            self._tell(status)

    def close(self) -> None:
        """Write where the run stood at the end."""
        if self._every_s is not None and self._latest is not None:
            self._tell(self._latest)

    def _tell(self, status: Status) -> None:
        line = status.line()
        if line != self._told:
            self._told = line
            self.note(line)


class Bar(Display):
    """A live bar. It is drawn by whoever calls `show`, without a thread of its own."""

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        self._stream = cast(TextIO, _Patient(stream))
        self._console = Console(file=self._stream, highlight=False, markup=False, emoji=False)
        self._progress = Progress(
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[pace]}", markup=False),
            TextColumn("{task.fields[failed]}", style="red", markup=False),
            TextColumn("{task.fields[score]}", markup=False),
            console=self._console,
            auto_refresh=False,
        )
        self._task = self._progress.add_task("", total=None, pace="", failed="", score="", visible=False)
        self._started = False
        self._latest: Status | None = None
        self._drawn_at = -DRAW_EVERY_S

    def note(self, text: str) -> None:
        """Print above the bar."""
        self._start()
        self._console.print(fitted(printable(text), self._stream), soft_wrap=True)

    def show(self, status: Status) -> None:
        """Draw the bar when the last drawing is old enough."""
        if not status.n_total:
            return
        self._latest = status
        if status.elapsed_s - self._drawn_at >= DRAW_EVERY_S:
            self._draw(status)

    def close(self) -> None:
        """Draw where the run stood at the end, and leave it there. Without effect once closed."""
        if self._latest is not None:
            self._draw(self._latest)
            self._latest = None
        if self._started:
            self._started = False
            self._progress.stop()

    def _draw(self, status: Status) -> None:
        self._drawn_at = status.elapsed_s
        self._start()
        self._progress.update(
            self._task,
            completed=status.n_done,
            total=status.n_total,
            visible=True,
            pace=status.pace(),
            failed=f"{status.n_failed} failed" if status.n_failed else "",
            score=printable(status.score()),
            refresh=True,
        )

    def _start(self) -> None:
        if not self._started:
            self._started = True
            self._progress.start()


def open_display(stream: TextIO | None = None, *, progress: bool = True, quiet: bool = False) -> Display:
    """Return what fits the stream: a bar on a terminal, else lines; nothing when `quiet`.

    Args:
        stream: stderr when not given.
        progress: False leaves out the live part and keeps the notes.
        quiet: True leaves out the notes, too.
    """
    stream = stream or sys.stderr
    if quiet:
        return Silent()
    if not progress:
        return Plain(stream, every_s=None)
    if stream.isatty() and os.environ.get("TERM") != "dumb":
        return Bar(stream)
    return Plain(stream)
