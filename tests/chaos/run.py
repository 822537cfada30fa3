"""One chaos run: configurations written by several processes, worked off under fire, and then checked."""

import os
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from unittest import mock

from tests.chaos import trial
from tests.chaos.checker import Verdict, check
from tests.chaos.history import History, Line, Tail
from tests.chaos.mutants import MUTANTS
from tests.chaos.nemesis import Nemesis, Toll, plan_strikes
from tests.chaos.orchestrate import BUSY_TIMEOUT_S, add_all, open_here, orchestrate
from tests.chaos.processes import fork
from tests.chaos.settings import Settings
from tests.chaos.stored import Stored, read_stored
from tests.chaos.watcher import watch
from tuner.registry.engine import connect

__all__ = ["Report", "run", "try_mutants"]

_N_ADDERS = 3
_CONTROL = {"executed": "stop", "committed": "kill"}
_MOST_SEEDS = 3
_UNDER_FIRE = 0.95
"""Strikes fall while this part of the experiments begins for the first time; the rest comes to its end."""


@dataclass(frozen=True)
class Report:
    """What happened.

    Attributes:
        taken_over: pauses during which another orchestrator took over.
        recovery_s: for each killed orchestrator that held something: seconds until it was taken back.
    """

    settings: Settings
    toll: Toll
    verdict: Verdict
    engine: str
    journal_mode: str
    taken_over: int
    recovery_s: list[float]
    seconds: float

    @property
    def violations(self) -> list[str]:
        return self.verdict.violations

    def figures(self) -> dict[str, object]:
        """What is published, by name and in order."""
        verdict, recovery = self.verdict, sorted(self.recovery_s)
        return {
            "kills": self.toll.n_kills,
            "pauses": self.toll.n_pauses,
            "experiments": self.settings.experiments,
            "results": verdict.results,
            "lost": verdict.lost,
            "duplicated": verdict.duplicated,
            "unexpected": verdict.unexpected,
            "recovered": verdict.recovered,
            "fenced": verdict.fenced,
            "extra_executions": verdict.extra_executions,
            "taken_over": self.taken_over,
            "recovery_p50_s": round(statistics.median(recovery), 3) if recovery else None,
            "recovery_max_s": round(recovery[-1], 3) if recovery else None,
            "engine": self.engine,
            "journal_mode": self.journal_mode,
            "seconds": round(self.seconds, 1),
        }


def run(settings: Settings) -> Report:
    """Run once in `settings.folder`, which is empty."""
    started = time.monotonic()
    settings.database.parent.mkdir(parents=True)
    settings.logs.mkdir()
    with _engine(settings.engine):
        history = History(settings.logs)
        drop = MUTANTS[settings.mutant].drops if settings.mutant else ()
        _in_child(lambda: _create(settings, drop), history)
        toll = _under_fire(settings, history)
        with open_here(settings) as registry:
            registry.recover()  # sweeps up what the last ones left
            stored = read_stored(settings.database, registry)
        lines = history.lines() + [_line("crashed", error) for error in toll.crashed]
        history.close()
    lost = _lost(lines, stored)
    verdict = check(lines, stored, settings.experiments, BUSY_TIMEOUT_S)
    return Report(
        settings=settings,
        toll=toll,
        verdict=verdict,
        engine=f"sqlite {stored.engine}",
        journal_mode=stored.journal_mode,
        taken_over=sum(
            any(first <= at <= last for at in lost.get(pid, ())) for pid, first, last in toll.paused
        ),
        recovery_s=[max(0.0, max(lost[pid]) - at) for pid, at in toll.killed if pid in lost],
        seconds=time.monotonic() - started,
    )


@contextmanager
def _engine(name: str) -> Iterator[None]:
    """Hide the `pysqlite3` wheel, where the standard library's SQLite is asked for."""
    hidden = dict.fromkeys(("pysqlite3", "pysqlite3.dbapi2")) if name == "python" else {}
    with mock.patch.dict(sys.modules, hidden):
        yield


def _line(kind: str, error: str) -> Line:
    return {"kind": kind, "error": error}


def _create(settings: Settings, drop: tuple[str, ...]) -> None:
    with open_here(settings, create=True) as registry:
        registry.open_study(trial.SPEC)
    raw = connect(settings.database, "rw")
    for trigger in drop:
        raw.execute(f"DROP TRIGGER {trigger}")
    raw.close()


def _under_fire(settings: Settings, history: History) -> Toll:
    """Everything between the empty study and the drained one. This process opens no registry meanwhile."""

    def crashed(error: str) -> None:
        history.write("crashed", error=error)

    rng = random.Random(settings.seed)
    reader, writer = os.pipe()
    watcher = fork(lambda: watch(settings, reader), crashed)
    adders = Nemesis(
        lambda slot, incarnation: fork(lambda: add_all(settings, slot, incarnation), crashed),
        _N_ADDERS,
        [],
        rng=rng,
        progress=lambda: 0,
    )
    trials = _Trials(settings)
    orchestrators = Nemesis(
        lambda slot, incarnation: fork(lambda: orchestrate(settings, slot, incarnation), crashed),
        settings.orchestrators,
        plan_strikes(
            rng,
            kills=settings.kills,
            pauses=settings.pauses,
            last_position=_UNDER_FIRE * settings.experiments,
            hold_s=(1.6 * settings.lease_s, 3.2 * settings.lease_s),
        ),
        rng=rng,
        progress=trials.n_begun,
        may_resume=trials.is_superseded,
    )
    for phase in (adders, orchestrators):
        if not phase.run(settings.patience_s):
            phase.toll.crashed.append(f"not done within {settings.patience_s:g} s")
            break
    os.write(writer, b"x")
    os.waitpid(watcher, 0)
    os.close(reader)
    os.close(writer)
    trials.close()
    return replace(orchestrators.toll, crashed=adders.toll.crashed + orchestrators.toll.crashed)


def _in_child(act: Callable[[], None], history: History) -> None:
    """So that this process, which forks all the others, never holds an open database."""
    pid = fork(act, lambda error: history.write("crashed", error=error))
    _, status = os.waitpid(pid, 0)
    assert status == 0, history.lines()


class _Trials:
    """What the execution log says so far."""

    def __init__(self, settings: Settings) -> None:
        History(settings.logs).close()  # makes the files
        self._tail = Tail(settings.logs / "executions.jsonl")
        self._n_begun = 0
        self._latest: dict[int, tuple[str, int]] = {}
        self._ended: dict[str, int] = {}

    def n_begun(self) -> int:
        self._read()
        return self._n_begun

    def is_superseded(self, pid: int) -> bool:
        """Whether somebody has executed again what this process was executing when it stopped."""
        self._read()
        id_, attempt = self._latest[pid]
        return self._ended.get(id_, 0) > attempt

    def _read(self) -> None:
        for line in self._tail.new():
            if line["kind"] == "began":
                self._n_begun += 1
                self._latest[line["pid"]] = (line["id"], line["attempt"])
            else:
                self._ended[line["id"]] = max(self._ended.get(line["id"], 0), line["attempt"])

    def close(self) -> None:
        self._tail.close()


def _lost(lines: list[Line], stored: Stored) -> dict[int, list[float]]:
    """For each process from which something was taken back: when."""
    pids = {line["owner"]: line["pid"] for line in lines if line["kind"] == "opened"}
    lost: dict[int, list[float]] = {}
    for attempt in stored.attempts:
        if attempt.ending == "lost" and attempt.ended_at is not None:
            lost.setdefault(pids[attempt.owner], []).append(attempt.ended_at)
    return lost


def try_mutants(folder: Path, seed: int, engine: str) -> dict[str, list[Report]]:
    """Run each mutant in a small study, and the same strikes without one ("none").

    On a busy machine a strike may fall where it shows nothing: such a run is made again with the next seed,
    up to `_MOST_SEEDS` in all.
    """
    reports: dict[str, list[Report]] = {}
    for name in ("none", *MUTANTS):
        reports[name] = []
        for further in range(_MOST_SEEDS):
            settings = Settings(
                folder=folder / f"{name}-{further}",
                seed=seed + further,
                experiments=45,
                kills=0,
                engine=engine,
                mutant=None if name == "none" else name,
                points=_CONTROL if name == "none" else MUTANTS[name].points,
                patience_s=120,
            )
            reports[name].append(run(settings))
            if _shows_something(name, reports[name][-1]):
                break
    return reports


def _shows_something(name: str, report: Report) -> bool:
    """Whether a mutant was caught; of a run without one, whether the strikes fell where one could be."""
    if name == "none":
        return report.verdict.recovered > 0 and report.verdict.fenced > 0
    return bool(MUTANTS[name].caught_by(report.violations))
