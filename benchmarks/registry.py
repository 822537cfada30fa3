"""What the registry costs, beside Optuna's SQLite storage under the same load in the same run.

A cycle is: write one candidate of 10 parameters, claim it, store its result durably. Ours is measured one
cycle at a time (three commits each) and in batches (three commits for all of them: the group commit that an
orchestrator with many workers makes). The floor is one durable commit of one row into a bare SQLite table in
the same folder.

    python benchmarks/registry.py [--quick] [--peer PYTHON] [--folder FOLDER]

Optuna is no dependency of ours: `--peer` names the Python of an environment that has it (default: this one).
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from multiprocessing import get_context
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from random import Random

from tabulate import tabulate

from tuner.experiment import Direction, Evaluation, Experiment, Provenance, State, Study, Suggestion
from tuner.registry import Registry, StudySpec, open_registry
from tuner.registry.sqlite_file import connect
from tuner.space import FloatParam, SearchSpace

N_PARAMETERS, BATCH, N_PROCESSES = 10, 100, 8
SPACE = SearchSpace([FloatParam("x", 0.0, 1.0)])
SPEC = StudySpec("benchmark", SPACE.to_dict(), "value", Direction.MINIMIZE, SPACE.defaults())
ON = Provenance("data", "code", "value")

# One cycle at a time, as `study.optimize` would do it; run by the peer's own Python.
PEER = """
import json, sys, time, warnings
warnings.filterwarnings("ignore")
import optuna
optuna.logging.set_verbosity(optuna.logging.CRITICAL)
path, n, parameters = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
storage = optuna.storages.RDBStorage("sqlite:///" + path, engine_kwargs={"connect_args": {"timeout": 60}})
sampler = optuna.samplers.RandomSampler()
study = optuna.create_study(study_name="s", storage=storage, load_if_exists=True, sampler=sampler)
sys.stdin.readline() if len(sys.argv) > 4 else None
start, done, errors = time.perf_counter(), 0, 0
for _ in range(n):
    try:
        trial = study.ask()
        value = sum(trial.suggest_float(f"parameter_{i}", 0.0, 1.0) for i in range(parameters))
        study.tell(trial, value)
        done += 1
    except Exception:
        errors += 1
print(json.dumps([done, errors, time.perf_counter() - start]))
"""


def suggestions(n: int, n_parameters: int, rng: Random) -> list[Suggestion]:
    return [
        Suggestion({f"parameter_{i}": rng.random() for i in range(n_parameters)}, "random") for _ in range(n)
    ]


def cycles(registry: Registry, study: Study, n: int, batch: int, rng: Random) -> list[str]:
    """Run `n` cycles, `batch` at a time. Returns the public ids of the results that were acknowledged."""
    acknowledged: list[str] = []
    while len(acknowledged) < n:
        registry.add(study, suggestions(batch, N_PARAMETERS, rng))
        results = [(one, Evaluation(rng.random(), duration_s=1.0)) for one in registry.claim(study, batch)]
        ended = registry.finish(results, ON)
        acknowledged += [one.public_id for one in ended if isinstance(one, Experiment)]
    return acknowledged


def one_process(folder: Path, n: int, batch: int) -> float:
    """Cycles per second."""
    with open_registry(folder / f"one_{batch}.db", create=True) as registry:
        study = registry.open_study(SPEC)
        cycles(registry, study, batch, batch, Random(0))
        start = time.perf_counter()
        return len(cycles(registry, study, n, batch, Random(1))) / (time.perf_counter() - start)


def work(path: Path, n: int, seed: int, pipe: Pipe) -> None:
    with open_registry(path, create=False, busy_timeout_s=60) as registry:
        study = registry.open_study(SPEC)
        pipe.send("ready")
        pipe.recv()
        try:
            pipe.send(cycles(registry, study, n, BATCH, Random(seed)))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is counted and told
            pipe.send(repr(error))


def many_processes(path: Path, n: int) -> tuple[float, str]:
    """Cycles per second of all processes together, and what went wrong."""
    with open_registry(path, create=True) as registry:
        registry.open_study(SPEC)
    context = get_context("spawn")
    pipes, processes = [], []
    for seed in range(N_PROCESSES):
        mine, theirs = context.Pipe()
        processes.append(context.Process(target=work, args=(path, n, seed, theirs)))
        processes[-1].start()
        pipes.append(mine)
    for pipe in pipes:
        pipe.recv()
    start = time.perf_counter()
    for pipe in pipes:
        pipe.send("go")
    answers = [pipe.recv() for pipe in pipes]
    elapsed = time.perf_counter() - start
    for process in processes:
        process.join()
    errors = [answer for answer in answers if isinstance(answer, str)]
    acknowledged = [one for answer in answers if not isinstance(answer, str) for one in answer]
    with open_registry(path, create=False, read_only=True) as reader:
        [study] = reader.studies()
        stored = {one.public_id for one in reader.experiments(study, states=[State.COMPLETE])}
    doubles = len(acknowledged) - len(set(acknowledged))
    lost = len(set(acknowledged) - stored)
    return len(acknowledged) / elapsed, f"{len(errors)} errors, {doubles} doubles, {lost} lost"


def floor(folder: Path, n: int) -> list[float]:
    """Seconds of each of `n` durable commits of one row into a bare table, sorted."""
    with closing(connect(folder / "floor.db", "rwc")) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE rows (value REAL)")
        return timed(lambda: connection.execute("INSERT INTO rows VALUES (0.5)"), n)


def timed(act: Callable[[], object], n: int) -> list[float]:
    """Seconds of each of `n` calls, sorted; the first call is not counted."""
    act()
    seconds = []
    for _ in range(n):
        start = time.perf_counter()
        act()
        seconds.append(time.perf_counter() - start)
    return sorted(seconds)


def peer(python: str, path: Path, n: int, n_processes: int) -> tuple[float, int] | None:
    """Optuna's cycles per second and the errors it met; None where it is not installed."""
    command = [python, "-c", PEER, str(path), str(n), str(N_PARAMETERS)]
    if subprocess.run([python, "-c", "import optuna"], capture_output=True, check=False).returncode:
        return None
    subprocess.run([*command[:4], "0", "1"], capture_output=True, check=False)  # one makes the file first
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    running = [subprocess.Popen([*command, "wait"], text=True, **pipes) for _ in range(n_processes)]  # type: ignore[call-overload]
    time.sleep(5 * math.sqrt(n_processes))  # imports
    start = time.perf_counter()
    for one in running:
        one.stdin.write("go\n")
        one.stdin.flush()
    said = [one.communicate()[0].strip() for one in running]
    elapsed = time.perf_counter() - start
    results = [json.loads(text) for text in said if text]
    dead = sum(not text for text in said)
    return sum(done for done, _, _ in results) / elapsed, dead + sum(errors for _, errors, _ in results)


def writing(folder: Path, n: int) -> float:
    """Seconds to write `n` candidates in one call."""
    with open_registry(folder / "writing.db", create=True) as registry:
        study = registry.open_study(SPEC)
        given = suggestions(n, N_PARAMETERS, Random(0))
        start = time.perf_counter()
        registry.add(study, given)
        return time.perf_counter() - start


def size(path: Path, n: int, digits: int | None) -> tuple[float, float]:
    """Bytes of the file per complete experiment with 21 float parameters, and those of its params alone."""
    rng = Random(0)
    with open_registry(path, create=True) as registry:
        empty = path.stat().st_size
        study = registry.open_study(SPEC)
        for _ in range(n // 500):
            drawn = [[rng.random() for _ in range(21)] for _ in range(500)]
            params = [[round(x, digits) if digits else x for x in one] for one in drawn]
            names = [f"parameter_{i}" for i in range(21)]
            registry.add(study, [Suggestion(dict(zip(names, one, strict=True)), "random") for one in params])
            ends = [
                (one, Evaluation(rng.random(), 0.01, duration_s=rng.random()))
                for one in registry.claim(study, 500)
            ]
            registry.finish(ends, ON)
    with closing(connect(path, "rw")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        text = connection.execute("SELECT avg(length(params)) FROM experiments").fetchone()[0]
    return (path.stat().st_size - empty) / n, float(text)


def large(folder: Path, n: int) -> tuple[Path, Registry, Study]:
    """A study of `n` experiments, a tenth of them waiting, written past the registry to save an hour."""
    path = folder / "large.db"
    registry = open_registry(path, create=True)
    study = registry.open_study(SPEC)
    registry.add(study, [Suggestion({"x": 0.5}, "default")])
    registry.finish([(one, Evaluation(0.5)) for one in registry.claim(study)], ON)
    with closing(connect(path, "rw")) as connection:
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute(FILL, {"n": n, "n_complete": n * 9 // 10})
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path, registry, study


FILL = """
INSERT INTO experiments (id, public_id, study_id, method, shape_id, params, config_hash, seed, state, value,
    provenance_id, attempt, created_at, started_at, finished_at, duration_s)
WITH RECURSIVE counted(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM counted WHERE i < :n)
SELECT i, printf('random_20260101_%06d_%03d', i / 1000, i % 1000), 1, 'random', 1, json_array(i / 1e7),
    randomblob(16), 0, iif(i < :n_complete, 'complete', 'waiting'),
    iif(i < :n_complete, abs(random() % 1000000) / 1e6, NULL), iif(i < :n_complete, 1, NULL),
    i < :n_complete, 1e9 + i, iif(i < :n_complete, 1e9 + i, NULL), iif(i < :n_complete, 1e9 + i + 1, NULL),
    iif(i < :n_complete, 1.0, NULL)
FROM counted
"""


def milliseconds(sorted_seconds: list[float]) -> str:
    middle, late = sorted_seconds[len(sorted_seconds) // 2], sorted_seconds[len(sorted_seconds) * 99 // 100]
    return f"{middle * 1e3:.2f} ms (p99 {late * 1e3:.2f} ms)"


def summary(path: Path) -> float:
    """Seconds of `orchestrator --summary`, the whole command."""
    (path.parent / "retrain.toml").write_text(
        'name = "benchmark"\n[pipeline]\nkind = "objective:train"\nmetric = "value"\ndirection = "minimize"\n'
        '[space.params]\nx = { type = "float", low = 0.0, high = 1.0 }\n'
    )
    orchestrator = str(Path(sys.executable).parent / "orchestrator")
    command = [orchestrator, "--summary", "--db", f"sqlite:///{path}", "--study", SPEC.name]
    start = time.perf_counter()
    done = subprocess.run(command, cwd=path.parent, capture_output=True, text=True, check=False)
    elapsed = time.perf_counter() - start
    if done.returncode:
        print(done.stderr)
    return elapsed if done.returncode == 0 else math.nan


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="about a minute: a twentieth of everything")
    parser.add_argument("--peer", default=sys.executable, metavar="PYTHON", help="a Python that has optuna")
    parser.add_argument(
        "--folder", type=Path, default=None, help="where to measure: on the disk that you will use"
    )
    given = parser.parse_args()
    part = 20 if given.quick else 1
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        report(Path(name), given.peer, part)


def report(folder: Path, python: str, part: int) -> None:
    n = 20_000 // part
    rows: list[tuple[str, str, str, str]] = []
    commits = floor(folder, 400 // part + 20)
    rate = len(commits) / sum(commits)

    alone = peer(python, folder / "peer.db", max(20, 200 // part), 1)
    if alone is None:
        print("Optuna is not installed here, so its column stays empty. Try --peer .peer/bin/python after")
        print("    python -m venv .peer && .peer/bin/pip install optuna\n")
    together = alone and peer(python, folder / "peers.db", max(5, 50 // part), N_PROCESSES)

    def against(name: str, ours: float, theirs: tuple[float, int] | None, note: str = "") -> None:
        told = f"{theirs[0]:.1f}/s, {theirs[1]} errors" if theirs else ""
        ratio = f"{ours / alone[0]:.0f} x one process" if alone else ""
        rows.append((name, f"{ours:,.0f}/s{note}", told, ratio))

    against("cycles, one process, one by one", one_process(folder, max(100, 1000 // part), 1), alone)
    against(f"cycles, one process, {BATCH} per commit", one_process(folder, n, BATCH), alone)
    many, trouble = many_processes(folder / "many.db", max(n // N_PROCESSES, 10 * BATCH))
    against(f"cycles, {N_PROCESSES} processes, {BATCH} per commit", many, together, f", {trouble}")

    n_written = 100_000 // part
    rows.append((f"write {n_written:,} candidates", f"{writing(folder, n_written):.2f} s", "", ""))
    for digits in (None, 6):
        whole, text = size(folder / f"size_{digits}.db", 10_000 // part, digits)
        kind = f"{digits} digits" if digits else "every digit"
        rows.append((f"bytes, 21 floats, {kind}", f"{whole:.0f}, of which params {text:.0f}", "", ""))

    n_large = 1_000_000 // part
    path, registry, study = large(folder, n_large)
    with registry:
        best = timed(lambda: registry.best(study), 200)
        claim = timed(lambda: registry.claim(study), 300)
        counts = timed(lambda: registry.counts(study), 10)
    rows.append((f"best of {n_large:,}", milliseconds(best), "", ""))
    rows.append((f"claim among {n_large:,}", milliseconds(claim), f"one commit: {milliseconds(commits)}", ""))
    rows.append((f"counts of {n_large:,}", milliseconds(counts), "", ""))
    rows.append((f"--summary of {n_large:,}, whole command", f"{summary(path):.2f} s", "", ""))

    print(f"{N_PARAMETERS} parameters, {os.cpu_count()} cores, a bare durable commit: {rate:.0f}/s here")
    print(tabulate(rows, headers=["", "ours", "Optuna, SQLite / floor", "times"], disable_numparse=True))


if __name__ == "__main__":
    main()
