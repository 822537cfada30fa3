"""One thing to measure, and the file that its result is kept in."""

import json
import threading
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from benchmarks.arena.client import Proposer
from benchmarks.peers import METHODS, method_named

__all__ = ["Job", "Options", "Results", "Row", "Section", "rows_of"]

Row = dict[str, Any]
"""A job's fields and what its section measured."""


@dataclass(frozen=True)
class Job:
    """What identifies a measurement: equal jobs have equal results, the seconds apart.

    Attributes:
        section: who measures it.
        method: of `benchmarks.peers.METHODS`, or "ours:NAME".
        problem: its name.
        seed: of the method.
        n: experiments in all.
        batch: how many are asked before any is told.
        variant: whatever else a section distinguishes.
    """

    section: str
    method: str
    problem: str
    seed: int = 0
    n: int = 50
    batch: int = 1
    variant: str = ""

    @property
    def key(self) -> str:
        """One line; it names the version of the method too, so that a result is never taken for another's."""
        return json.dumps({**asdict(self), "version": method_named(self.method).version}, sort_keys=True)


@dataclass(frozen=True)
class Options:
    """What was asked for on the command line; None: the section's own choice.

    Attributes:
        methods, problems, seeds, batches: what to compare, and on what.
        named: whether the problems were named; else a section may take a few of them.
        n: experiments per run.
        scale: random configurations that set the scale of a problem without a known one.
        environments: folder of the peers' environments.
        plot: where to draw to, or None.
    """

    methods: Sequence[str] | None
    problems: Sequence[str]
    seeds: Sequence[int] = (0, 1, 2)
    batches: Sequence[int] = (1,)
    named: bool = False
    n: int | None = None
    scale: int | None = None
    environments: Path = Path("environments")
    plot: Path | None = None

    def methods_or(self, *default: str) -> list[str]:
        """The methods asked for, else the section's, else all."""
        return list(self.methods or default or METHODS)


class Section(Protocol):
    """One question to the methods."""

    name: str

    def jobs(self, options: Options) -> list[Job]:
        """All that has to be measured."""

    def run(self, job: Job, proposer: Proposer) -> dict[str, Any]:
        """Measure one; the result is JSON."""

    def report(self, rows: list[Row], options: Options) -> str:
        """Tables of what was measured, which may be less than all."""


@dataclass
class Results:
    """Finished rows, appended to a file one JSON line each, so that a killed run goes on where it stopped.

    Attributes:
        path: the file; None keeps them in memory.
    """

    path: Path | None
    _rows: dict[str, Row] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        if self.path is None or not self.path.exists():
            return
        text = self.path.read_text("utf-8")
        for line in text.splitlines():
            try:
                row = json.loads(line)
            except json.JSONDecodeError:  # the process was killed while it wrote this line
                continue
            self._rows[row["key"]] = row
        if text and not text.endswith("\n"):
            with self.path.open("a", encoding="utf-8") as file:
                file.write("\n")

    def __contains__(self, job: Job) -> bool:
        return job.key in self._rows

    def add(self, job: Job, measured: dict[str, Any]) -> None:
        """Keep the result of a job."""
        row = {"key": job.key, **asdict(job), **measured}
        with self._lock:
            self._rows[job.key] = row
            if self.path is not None:
                with self.path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(row) + "\n")

    def of(self, jobs: Iterable[Job]) -> list[Row]:
        """What is known of these jobs, in their order."""
        return [self._rows[key] for job in jobs if (key := job.key) in self._rows]


def rows_of(rows: Iterable[Row], **fields: Any) -> list[Row]:
    """The rows whose fields have these values."""
    return [row for row in rows if all(row[name] == value for name, value in fields.items())]
