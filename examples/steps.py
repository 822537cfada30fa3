"""What every example does alike: run commands as a user types them, say in one row what came of it."""

import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Gained", "Shell", "StepError"]


class StepError(RuntimeError):
    """A command of an example ended otherwise than it should."""


@dataclass(frozen=True, slots=True)
class Gained:
    """What tuning was worth in one application, on rows that no search has seen.

    Attributes:
        application: the name of its folder, and of the task within it where there are several.
        metric: what is gained.
        default: held-out score of the default configuration.
        tuned: held-out score of the tuned one.
        low, high: 95 % interval of `tuned - default`; None where there is none, and `note` says why.
        n_experiments: how many were run.
        seconds: by the clock, from the first command to the last.
        note: what a reader has to know of these numbers.
    """

    application: str
    metric: str
    default: float
    tuned: float
    low: float | None
    high: float | None
    n_experiments: int
    seconds: float
    note: str = ""


class Shell:
    """Runs commands in one folder, and prints them with all they say, as a terminal would show them.

    Args:
        folder: where they run: a scratch copy of the example, never the example itself.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.started = time.perf_counter()
        binaries = str(Path(sys.executable).parent)
        self._environment = {**os.environ, "PATH": os.pathsep.join([binaries, os.environ.get("PATH", "")])}

    def run(self, *words: str, codes: Sequence[int] = (0,)) -> int:
        """Run a command and show it.

        Raises:
            StepError: its exit code is none of `codes`.
        """
        print(f"$ {shlex.join(words)}", flush=True)
        done = subprocess.run(words, cwd=self.folder, env=self._environment, check=False)
        return self._checked(words, done.returncode, codes)

    def read(self, *words: str, codes: Sequence[int] = (0,)) -> Any:
        """Run a command with `--format json`, unshown, and return what it printed.

        Raises:
            StepError: its exit code is none of `codes`.
        """
        words = (*words, "--format", "json")
        done = subprocess.run(
            words, cwd=self.folder, env=self._environment, check=False, stdout=subprocess.PIPE
        )
        self._checked(words, done.returncode, codes)
        return json.loads(done.stdout)

    @property
    def seconds(self) -> float:
        """Since the first step."""
        return time.perf_counter() - self.started

    def _checked(self, words: Sequence[str], code: int, codes: Sequence[int]) -> int:
        if code not in codes:
            raise StepError(f"`{shlex.join(words)}` must end with {list(codes)}, but ended with {code}.")
        return code
