"""Carries out jobs, each worker with one process per method, and says how far it is."""

import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from benchmarks.arena.client import PeerError, Proposer, python_of
from benchmarks.arena.job import Job, Results, Section
from benchmarks.peers import method_named

__all__ = ["missing_methods", "run_all"]


def missing_methods(names: Sequence[str], environments: Path) -> list[str]:
    """Those of the methods whose environment is not there."""
    return [name for name in names if not python_of(method_named(name), environments).is_file()]


def run_all(
    work: Sequence[tuple[Section, Job]], results: Results, environments: Path, n_workers: int
) -> list[str]:
    """Measure what is not in `results` yet, in the order given.

    Returns:
        A line for each job that failed; nothing is kept of it, so that it is tried again next time.
    """
    left = deque((section, job) for section, job in work if job not in results)
    progress = _Progress(len(work) - len(left), len(left))
    failed: list[str] = []

    def worker() -> None:
        proposers: dict[str, Proposer] = {}
        try:
            while left:
                try:
                    section, job = left.popleft()
                except IndexError:
                    return
                error = _run_one(section, job, proposers, results, environments)
                if error:
                    failed.append(error)
                progress.finished(job, error)
        finally:
            for proposer in proposers.values():
                proposer.close()

    threads = [threading.Thread(target=worker, daemon=True) for _ in range(n_workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failed


def _run_one(
    section: Section, job: Job, proposers: dict[str, Proposer], results: Results, environments: Path
) -> str | None:
    try:
        if job.method not in proposers:
            proposers[job.method] = Proposer(job.method, environments)
        results.add(job, section.run(job, proposers[job.method]))
    except PeerError as error:
        if job.method in proposers:
            proposers.pop(job.method).close()
        return f"{job.section}: {job.method} on {job.problem}, seed {job.seed}, batch {job.batch}: {error}"
    return None


class _Progress:
    """A line on standard error per finished job: on a terminal the same line, again and again."""

    def __init__(self, n_known: int, n_left: int) -> None:
        self._n_known, self._n_left, self._n_done = n_known, n_left, 0
        self._start = time.monotonic()
        self._lock = threading.Lock()
        if n_known:
            print(f"{n_known} results are there already, {n_left} are missing", file=sys.stderr)

    def finished(self, job: Job, error: str | None) -> None:
        with self._lock:
            self._n_done += 1
            elapsed = time.monotonic() - self._start
            left = elapsed / self._n_done * (self._n_left - self._n_done)
            line = (
                f"{self._n_done}/{self._n_left}  {elapsed:.0f} s, about {left:.0f} s left  "
                f"{job.section} {job.method} {job.problem} seed {job.seed}"
            )
            if error:
                print(f"\nFAILED {error}", file=sys.stderr)
            end = "\r" if sys.stderr.isatty() else "\n"
            print(f"{line[:110]:<110}", end=end, file=sys.stderr, flush=True)
