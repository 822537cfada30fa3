"""A project whose experiments tell when they begin and end, and that are interrupted in the middle.

Events travel through a FIFO that both ends hold open: a test waits for the fifth experiment by reading, not
by sleeping, and an experiment that is to hang reads from another that nobody writes to.
"""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tuner.experiment import Experiment, State, Study
from tuner.registry import open_registry

ROOT = Path(__file__).resolve().parents[2]
RUN = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # a runner in the background may ignore it
from orchestrator.cli import main
main()
"""

_CODE = """
import os

EVENTS = os.open({events!r}, os.O_RDWR)
GATE = os.open({gate!r}, os.O_RDWR)
{head}


def objective(params):
    os.write(EVENTS, b"(")
    {body}
    os.write(EVENTS, b")")
    return params["x"]
"""

_CONFIG = """
name = "events"
[pipeline]
kind = "objective.py:objective"
metric = "loss"
direction = "minimize"
[space.params]
x = {{ type = "float", low = 0.0, high = 1.0, default = 0.5 }}
"""

QUICK = "sum(range(100_000))"
"""A few milliseconds of work."""

HANG = "os.read(GATE, 1)"
"""Goes on for ever."""


@dataclass
class Project:
    """A folder with a retrain.toml and its objective.

    Attributes:
        body: what the objective does between its two events; `params`, `os` and `GATE` are there.
        head: what its module does when it is imported.
        started: processes that a test left running are killed with the project.
    """

    folder: Path
    body: str = QUICK
    head: str = ""
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for name in ("events", "gate"):
            os.mkfifo(self.folder / name)
        self.events = os.open(self.folder / "events", os.O_RDWR)
        self.gate = os.open(self.folder / "gate", os.O_RDWR)
        paths = {name: str(self.folder / name) for name in ("events", "gate")}
        (self.folder / "objective.py").write_text(_CODE.format(body=self.body, head=self.head, **paths))
        (self.folder / "retrain.toml").write_text(_CONFIG.format())

    def close(self) -> None:
        for process in self.started:
            process.kill()
            process.communicate()
        os.close(self.events)
        os.close(self.gate)

    def start(
        self,
        *arguments: str,
        pool: str = "local",
        before: str = "",
        environment: Mapping[str, str] | None = None,
    ) -> subprocess.Popen[str]:
        """Start a run of `orchestrator`; see `start_command`."""
        return self.start_command("--pool", pool, *arguments, before=before, environment=environment)

    def start_command(
        self, *arguments: str, before: str = "", environment: Mapping[str, str] | None = None
    ) -> subprocess.Popen[str]:
        """Start `orchestrator` as a shell would, in a process group of its own, after the code `before`."""
        process = subprocess.Popen(
            [sys.executable, "-c", before + RUN, *arguments],
            cwd=self.folder,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
                **(environment or {}),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            process_group=0,
        )
        self.started.append(process)
        return process

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Run `orchestrator` to its end: exit code, stdout, stderr."""
        process = self.start(*arguments)
        out, err = process.communicate(timeout=120)
        return process.returncode, out, err

    def await_events(self, what: bytes, n: int) -> None:
        """Read on until `what` (b"(" begun, b")" ended) has come `n` times."""
        while n > 0:
            n -= os.read(self.events, 1) == what

    def study(self) -> tuple[Study, list[Experiment]]:
        with open_registry(self.folder / "experiments.db", create=False, read_only=True) as registry:
            study = registry.studies()[0]
            return study, registry.experiments(study)

    def count(self, state: State) -> int:
        return sum(e.state is state for e in self.study()[1])
