"""Programs that use a pool as people do: a script, run from a terminal, killed from outside."""

import os
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from orchestrator.pool import WorkerPool
from orchestrator.processes import kill_session
from tests.contracts.scripted_pipeline import PATIENCE_S, until

ROOT = Path(__file__).resolve().parents[2]

_START = """
import os, signal, subprocess, sys, threading, time
from pathlib import Path
from {module} import {name} as Pool
from orchestrator.pool import Finished, Task
from retrain.pipelines.objective import ObjectivePipeline
from tuner.space import FloatParam, SearchSpace

def run(objective, n=1):
    space = SearchSpace([FloatParam("x", 0.0, 10.0)])
    with Pool(ObjectivePipeline(objective, space), None, 1) as pool:
        done = []
        for i in range(n):
            while not pool.n_free:
                pool.wait(10)
            pool.submit(Task(str(i), {{"x": float(i)}}, 0))
            while len(done) <= i:
                done += pool.wait(10)
        return [each.result for each in done]

def tell_when(path):
    def watch():
        while not Path(path).exists():
            time.sleep(0.01)
        print(Path(path).read_text(), flush=True)
    threading.Thread(target=watch, daemon=True).start()
"""

UNGUARDED = """
class Offset:
    value = 1.5

offset = Offset()
print([each.value for each in run(lambda params: params["x"] + offset.value, 2)], flush=True)
"""

INTERRUPTED = """
def objective(params):
    Path("it.tmp").write_text("running")
    Path("it.tmp").rename("it")
    while not Path("go").exists():
        time.sleep(0.01)
    return 0.0

signal.signal(signal.SIGINT, lambda *_: print("heard", flush=True))
tell_when("it")
print(type(run(objective)[0]).__name__, flush=True)
"""

KILLED = """
def objective(params):
    child = subprocess.Popen(["sleep", "1000"])
    Path("pids.tmp").write_text(f"{os.getpid()} {child.pid}")
    Path("pids.tmp").rename("pids")
    time.sleep(1e6)

tell_when("pids")
run(objective)
"""


SEIZED = """
import ctypes

def objective(params):
    child = subprocess.Popen(["sleep", "1000"])
    Path("pids.tmp").write_text(f"{os.getpid()} {child.pid}")
    Path("pids.tmp").rename("pids")
    ctypes.PyDLL(None).sleep(1_000_000)

tell_when("pids")
run(objective)
"""


class Program:
    """A script in a process and process group of its own, as a shell would start it.

    Args:
        folder: where it lies and runs.
        pool: what it uses.
    """

    def __init__(
        self, folder: Path, pool: type[WorkerPool], body: str, environment: Mapping[str, str]
    ) -> None:
        self._folder = folder
        script = folder / "script.py"
        script.write_text(_START.format(module=pool.__module__, name=pool.__name__) + textwrap.dedent(body))
        with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
            self._process = subprocess.Popen(
                [sys.executable, script.name],
                stdout=out,
                stderr=err,
                cwd=folder,
                env={**os.environ, **environment, "PYTHONPATH": str(ROOT)},
                start_new_session=True,
            )
        self.pid = self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        kill_session(self.pid)
        self._process.wait()

    def lines(self, n: int) -> list[str]:
        """Wait for its first `n` lines of output."""
        out = self._folder / "out"
        until(
            lambda: len(out.read_text().splitlines()) >= n or self._process.poll() is not None,
            f"the program prints {n} lines",
        )
        lines = out.read_text().splitlines()
        assert len(lines) >= n, (lines, (self._folder / "err").read_text())
        return lines

    def touch(self, name: str) -> None:
        """Make a file where it looks for one."""
        (self._folder / name).touch()

    def exit_code(self) -> int:
        """Wait for its end. It may not have said anything on stderr."""
        code = self._process.wait(PATIENCE_S)
        assert (self._folder / "err").read_text() == ""
        return code
