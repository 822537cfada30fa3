"""The two streams of a command: results on stdout, everything else on stderr; pipes, encodings, colour."""

import errno
import logging
import os
import re
import select
import sys
import textwrap
from collections.abc import Callable
from typing import TextIO

from retrain.tables import printable, terminal_width
from tuner.errors import RetrainError

__all__ = [
    "Notes",
    "emit",
    "fitted",
    "flush",
    "has_no_reader",
    "may_ask",
    "never_fail_to_encode",
    "say",
    "say_labelled",
    "stand_in_for_closed",
    "wants_colour",
]

_CODES = {"red": "31", "cyan": "36"}

_COMMAND = re.compile(r"(?:^|(?<=: ))(?:orchestrator|retrain|pip|python|iconv|chmod|unset|ray) .*")
"""A command to copy, at the end of a line or all of it."""

_GLUE = "\0"
"""Stands for the blanks of a command while lines are broken at others. Nothing printable holds it."""


def emit(text: str, stream: TextIO | None = None) -> None:
    """Print a report as it is, on stdout by default. A reader who has left (`| head`) is no error.

    Raises:
        RetrainError: stdout goes to a file that cannot be written, as on a full disk.
    """
    _write(text, sys.stdout if stream is None else stream)


def say(text: str, *, as_it_is: bool = False) -> None:
    """Print on stderr what is not a result; characters that a terminal could obey are shown instead.

    Long lines are broken where that is a terminal, unless the text is to be printed `as_it_is`.
    """
    lines = map(printable, text.split("\n"))
    _write("\n".join(lines if as_it_is else (fitted(line, sys.stderr) for line in lines)), sys.stderr)


def say_labelled(label: str, text: str, colour: str) -> None:
    """Print "<label>: <text>" on stderr as one line, the label in colour where that is wanted."""
    shown = f"{label}:"
    line = fitted(printable(text), sys.stderr, taken=len(shown) + 1)
    if wants_colour(sys.stderr):
        shown = f"\x1b[1;{_CODES[colour]}m{shown}\x1b[0m"
    _write(f"{shown} {line}", sys.stderr)


def fitted(line: str, stream: TextIO, taken: int = 0) -> str:
    """A line broken at blanks to the width of the terminal that a stream is; as it is where that is none.

    A command to copy stays in one piece. `taken`: columns that something before it takes.
    """
    if not stream.isatty() or taken + len(line) <= (width := terminal_width(stream)):
        return line
    glued = _COMMAND.sub(lambda found: found[0].replace(" ", _GLUE), line)
    indent = " " * (len(line) - len(line.lstrip()) + 2)
    broken = textwrap.fill(
        glued,
        width,
        initial_indent=" " * taken,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return broken[taken:].replace(_GLUE, " ")


class Notes(logging.Handler):
    """Warnings of the libraries and of ours, as notes: what `logging.lastResort` is while a command runs.

    Args:
        is_quiet: asked at each of them whether the user wants errors only.
    """

    def __init__(self, is_quiet: Callable[[], bool]) -> None:
        super().__init__(logging.WARNING)
        self._is_quiet = is_quiet

    def emit(self, record: logging.LogRecord) -> None:
        """Say it."""
        if record.levelno < logging.ERROR and self._is_quiet():
            return
        try:
            say(self.format(record))
        except Exception:  # noqa: BLE001 - as the standard handlers do
            self.handleError(record)


def wants_colour(stream: TextIO) -> bool:
    """True for a terminal whose user did not set NO_COLOR (see no-color.org) or TERM=dumb."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def may_ask() -> bool:
    """True where a question reaches a person: stdin and stderr are both terminals."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def stand_in_for_closed() -> None:
    """Give the process the streams it was started without (`>&-`); they lead nowhere.

    Else the next file that is opened would take their number, and what is printed there would end in it.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
            os.set_inheritable(nowhere, True)
            setattr(sys, name, os.fdopen(nowhere, mode))


def never_fail_to_encode(stream: TextIO) -> None:
    """Have a stream show what its encoding lacks as an escape."""
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")


def flush(stream: TextIO) -> None:
    """Flush; nobody reading any more is not an error. Raises as `emit` does."""
    try:
        stream.flush()
    except OSError as error:
        _forgive(error, stream)


def has_no_reader(stream: TextIO) -> bool:
    """Whether it was our own output that broke, and not some pipe inside the work."""
    poll = select.poll()
    try:
        poll.register(stream.fileno(), 0)
    except OSError:  # a stream without a file
        return False
    return any(event & select.POLLERR for _, event in poll.poll(0))


def _write(text: str, stream: TextIO) -> None:
    try:
        stream.write(f"{text}\n")
        stream.flush()
    except OSError as error:
        _forgive(error, stream)


def _forgive(error: OSError, stream: TextIO) -> None:
    """Go on without a reader: one who left a pipe, or a terminal that was closed.

    And without messages where they cannot be written; but who asked for a result must know that it is lost.
    """
    _to_nowhere(stream)
    if stream is not sys.stderr and error.errno not in (errno.EPIPE, errno.EIO):
        raise RetrainError(
            f"The output could not be written: {error.strerror}. Only what was to be printed is lost.",
            "Free some space where it goes, or send it elsewhere, and ask again.",
        ) from error


def _to_nowhere(stream: TextIO) -> None:
    """Point a stream at nothing, so that the interpreter's own flush at exit stays quiet, too."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
