"""`orchestrator all`: several applications or architectures, in a row or side by side, with one summary.

Each is an `orchestrator` of its own in a process of its own, with the configuration that it would be given
by hand: what is found stands in its registry, and the same command goes on where it was interrupted.
"""

import json
import math
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from orchestrator.signals import StopRequest
from retrain.config import find_config
from retrain.config.files import FILE, architectures_in, shown
from tuner.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from retrain.config import Config

__all__ = ["Outcome", "Part", "check_apart", "find_parts", "n_workers_each", "run_parts"]

_BOOT = (
    "from orchestrator.processes import end_with_parent; end_with_parent();"
    "from orchestrator.cli import main; main()"
)
_GOOD = (0, 5)
"""Exit codes after which there is a result."""

_TICK_S = 0.2

Arguments = Callable[["Part", float | None], Sequence[str]]
"""What the command `orchestrator` is given for a part; with the seconds that are left, or None."""


@dataclass(frozen=True, slots=True)
class Part:
    """One of them: what it is called, and the `--config` that means it."""

    name: str
    config: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a part.

    Attributes:
        code: its exit code; None where it was not begun.
        document: what it printed as JSON; empty where it printed none.
        elapsed_s: how long it ran.
    """

    part: Part
    code: int | None
    document: Mapping[str, Any]
    elapsed_s: float = 0.0


def find_parts(words: Sequence[str], config: Path | None) -> list[Part]:
    """What is meant by words: architectures of the configuration, or folders and files of configurations.

    Args:
        words: each the name of an `[architectures.NAME]`, a folder with a configuration, or such a file; none
            for all architectures of the configuration.
        config: the configuration; that of the working directory when not given.

    Raises:
        ConfigError: a word means nothing, there are none, or one is there twice.
    """
    source = find_config(config)
    known = () if source is None else architectures_in(source)
    if not words and not known:
        where = "here" if source is None else f"in {shown(source)}"
        raise ConfigError(
            f"There are no architectures {where} to run.",
            "Name folders of configurations (--architectures A B), or add [architectures.NAME].",
        )
    parts = [_part(word, source, known) for word in words or known]
    for i, part in enumerate(parts):
        if part in parts[:i]:
            raise ConfigError(f"The architecture {part.name!r} is named twice.", "Name each once.")
    return parts


def _part(word: str, source: Path | None, known: Sequence[str]) -> Part:
    if word in known:
        return Part(word, f"{source}#{word}")
    path = Path(word)
    with suppress(OSError, ValueError):  # too long a name, a NUL in it
        if path.is_file() or (path.is_dir() and find_config(path) is not None):
            return Part(path.name if path.is_dir() else path.stem, word)
    folders = sorted(each.parent.name for each in Path().glob(f"*/{FILE}"))
    raise ConfigError(
        f"There is no architecture {word!r}.{did_you_mean(word, [*known, *folders])}",
        f"There are: {', '.join([*known, *folders]) or 'none'}. One is a section [architectures.NAME], a"
        f" folder with a {FILE}, or such a file.",
    )


def check_apart(configs: "Mapping[str, Config]") -> None:
    """Insist that no two parts work on the same study of the same registry.

    Raises:
        ConfigError: two do.
    """
    seen: dict[tuple[str, str], str] = {}
    for name, config in configs.items():
        other = seen.setdefault((config.db, config.study_name), name)
        if other != name:
            raise ConfigError(
                f"{other!r} and {name!r} would share the study {config.study_name!r} of one registry.",
                "Give each a name of its own: name = ... at the top of its configuration.",
            )


def n_workers_each(n_parts: int, parallel: int) -> int:
    """How many workers each part gets where nobody says: the cores, shared by those that run at once."""
    n_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, n_cores // max(1, min(parallel, n_parts)))


def run_parts(
    parts: Sequence[Part],
    arguments: Arguments,
    *,
    parallel: int = 1,
    stop_on_error: bool = False,
    timeout_s: float | None = None,
    tell: Callable[[str], None],
    stop: StopRequest,
) -> list[Outcome]:
    """Run them, so many at a time; return what became of them, in their order.

    Args:
        parts: what to run.
        arguments: of each.
        parallel: how many at a time, >= 1.
        stop_on_error: where one comes to no result, begin no other, and interrupt those that run.
        timeout_s: for all together; each gets an equal part of what is left when it begins.
        tell: takes what they say besides their results, line by line.
        stop: the user's wish to stop is passed on to those that run.
    """
    return _Runner(arguments, parallel, stop_on_error, timeout_s, tell, stop).run(parts)


@dataclass
class _Running:
    part: Part
    process: "subprocess.Popen[str]"
    out: IO[str]
    started_at: float


@dataclass
class _Runner:
    """Those that run, and what they say."""

    arguments: Arguments
    parallel: int
    stop_on_error: bool
    timeout_s: float | None
    tell: Callable[[str], None]
    stop: StopRequest
    running: dict[str, _Running] = field(default_factory=dict)
    heard: "queue.SimpleQueue[tuple[str, str | None]]" = field(default_factory=queue.SimpleQueue)
    n_interrupts: int = 0

    def run(self, parts: Sequence[Part]) -> list[Outcome]:
        """See `run_parts`."""
        started_at = time.monotonic()
        waiting, outcomes = deque(parts), dict[str, Outcome]()
        self.stop.defer()
        try:
            while waiting or self.running:
                left = None if self.timeout_s is None else self.timeout_s - (time.monotonic() - started_at)
                self._pass_on()
                if self.n_interrupts or (left is not None and left <= 0):
                    waiting.clear()
                while waiting and len(self.running) < self.parallel:
                    turns = math.ceil(
                        len(waiting) / self.parallel
                    )  # else the first would leave the others none
                    self._start(waiting.popleft(), None if left is None else left / turns)
                for outcome in self._listen():
                    outcomes[outcome.part.config] = outcome
                    if self.stop_on_error and outcome.code not in _GOOD and not self.n_interrupts:
                        self._interrupt(1)
        finally:
            for each in self.running.values():  # left by an exception only
                each.process.kill()
                each.process.wait()
        return [outcomes.get(part.config, Outcome(part, None, {})) for part in parts]

    def _start(self, part: Part, left: float | None) -> None:
        out = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 - closed when it has ended
        process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-c", _BOOT, *self.arguments(part, left)],
            stdout=out,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            process_group=0,  # an interrupt at the terminal is passed on, once
        )
        self.running[part.config] = _Running(part, process, out, time.monotonic())
        self.tell(f"{part.name}: begins")
        threading.Thread(target=self._follow, args=(part.config, process), daemon=True).start()

    def _follow(self, key: str, process: "subprocess.Popen[str]") -> None:
        assert process.stderr is not None
        with process.stderr as lines:
            for line in lines:
                self.heard.put((key, line.rstrip("\n")))
        process.wait()
        self.heard.put((key, None))

    def _listen(self) -> list[Outcome]:
        """Tell a line, or return what ended."""
        try:
            key, line = self.heard.get(timeout=_TICK_S)
        except queue.Empty:
            return []
        if line is not None:
            self.tell(f"{self.running[key].part.name} | {line}")
            return []
        ended = self.running.pop(key)
        with ended.out as out:
            out.seek(0)
            document = _document(out.read())
        code = _exit_code(ended.process.returncode)
        self.tell(f"{ended.part.name}: ended with exit code {code}")
        return [Outcome(ended.part, code, document, time.monotonic() - ended.started_at)]

    def _pass_on(self) -> None:
        """Ask those that run to stop where the user has: once, or twice."""
        if self.stop.stop_at is not None:
            self._interrupt(2 if self.stop.stop_now else 1)

    def _interrupt(self, n: int) -> None:
        if n > self.n_interrupts:
            self.n_interrupts = n
            # What was started where SIGINT is ignored (in the background of a shell) ignores it, too.
            deaf = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
            for each in self.running.values():
                with suppress(ProcessLookupError):
                    each.process.send_signal(signal.SIGTERM if deaf else signal.SIGINT)


def _exit_code(returncode: int) -> int:
    """As a shell says it: a signal's number behind 128."""
    return 128 - returncode if returncode < 0 else returncode


def _document(text: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
