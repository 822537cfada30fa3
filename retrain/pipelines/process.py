"""One program and all it starts, as a process group that ends with the experiment, however that ends.

The group is led by a watcher: a shell that waits for its stdin to close, which the kernel does when we are
gone, and then kills its own group. It is there before the program, so there is no moment at which the program
could be left over; and it holds the number of the group until the last, so no other group is ever hit.
"""

import os
import signal
import subprocess
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from retrain.pipeline import Pruned
from retrain.results import ResultError
from tuner.experiment import Outcome

__all__ = ["ProgramEnd", "run_program"]

N_STDERR_LINES = 50
MAX_LINE_BYTES = 1_000_001
"""One more than strict_json reads, so that it says what is wrong with a longer line."""

ENDS_WITHIN_S = 5.0
"""What a program that is pruned may take to put its things away."""

_WATCH = 'read -r _; rm -rf -- "$1"; kill -KILL 0'


@dataclass(frozen=True, slots=True)
class ProgramEnd:
    """How a program ended: exit code (negative: the signal that killed it) and the last lines of stderr."""

    code: int
    stderr: str


def run_program(
    arguments: Sequence[str],
    *,
    cwd: Path,
    variables: Mapping[str, str],
    stdin: bytes,
    on_line: Callable[[str], None],
    scratch: Path,
) -> ProgramEnd:
    """Run a program to its end. What it started is killed when it ends, and when `on_line` raises.

    Where that is Pruned, the program is asked to end first (SIGTERM).

    Args:
        arguments: the program and its arguments; no shell looks at them.
        cwd: folder it runs in.
        variables: added to our environment.
        stdin: what it may read.
        on_line: called with each line of stdout as it comes.
        scratch: a folder to be removed even where we are killed.

    Raises:
        ResultError: the program cannot be started.
    """
    watcher = subprocess.Popen(  # noqa: S603 - the words are ours
        ["/bin/sh", "-c", _WATCH, "watcher", str(scratch)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        process_group=0,
    )
    try:
        with tempfile.TemporaryFile() as given:
            given.write(stdin)
            given.seek(0)
            program = _start(arguments, cwd, {**os.environ, **variables}, given, watcher.pid)
        return _follow(program, watcher, on_line)
    finally:
        _kill_group(watcher)
        watcher.wait()
        if watcher.stdin is not None:
            watcher.stdin.close()


def _start(
    arguments: Sequence[str], cwd: Path, environment: Mapping[str, str], stdin: IO[bytes], group: int
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(  # noqa: S603 - running the user's own program is what we are for
            arguments,
            cwd=cwd,
            env=environment,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            process_group=group,
        )
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ResultError(f"{arguments[0]} cannot be started: {reason}", outcome=Outcome.ERROR) from None


def _follow(
    program: subprocess.Popen[bytes], watcher: subprocess.Popen[bytes], on_line: Callable[[str], None]
) -> ProgramEnd:
    assert program.stdout is not None
    assert program.stderr is not None
    tail: deque[str] = deque(maxlen=N_STDERR_LINES)
    # The program's end closes its pipes only once all it started has ended, too; so those are ended then.
    threads = [
        threading.Thread(target=_collect, args=(program.stderr, tail), daemon=True),
        threading.Thread(target=_end_group_after, args=(program, watcher), daemon=True),
    ]
    for thread in threads:
        thread.start()
    try:
        while line := program.stdout.readline(MAX_LINE_BYTES):
            on_line(line.decode("utf-8", "replace"))
    except Pruned:
        threads.append(_ask_to_end(program))
        _kill_group(watcher)
        raise
    except BaseException:
        _kill_group(watcher)
        raise
    finally:
        program.wait()
        for thread in threads:
            thread.join()
        program.stdout.close()
        program.stderr.close()
    return ProgramEnd(program.returncode, "\n".join(tail))


def _ask_to_end(program: subprocess.Popen[bytes]) -> threading.Thread:
    """Give it a while. What it still prints is read, so that it is not held up; nothing of it counts."""
    program.terminate()
    ignored: deque[str] = deque(maxlen=0)
    reader = threading.Thread(target=_collect, args=(program.stdout, ignored), daemon=True)
    reader.start()
    with suppress(subprocess.TimeoutExpired):
        program.wait(ENDS_WITHIN_S)
    return reader


def _collect(stream: IO[bytes], tail: deque[str]) -> None:
    while line := stream.readline(MAX_LINE_BYTES):
        tail.append(line.decode("utf-8", "replace").rstrip())


def _end_group_after(program: subprocess.Popen[bytes], watcher: subprocess.Popen[bytes]) -> None:
    program.wait()
    _kill_group(watcher)


def _kill_group(watcher: subprocess.Popen[bytes]) -> None:
    if watcher.returncode is None:  # not reaped yet, so its number is still its own
        with suppress(ProcessLookupError):
            os.killpg(watcher.pid, signal.SIGKILL)
