"""What the registry costs: each figure with its target, and the peer or the limit of the same run beside it.

A cycle is: write one candidate of 10 parameters, claim it, store its result durably. Ours is measured one
cycle at a time (three commits each) and in batches (three commits for all of them: the group commit that an
orchestrator with many workers makes), beside Optuna's SQLite storage under the same load. What depends on the
disk stands beside a bare `fsync` of 4 KiB in the same folder, timed just before.

The size is that of a space as it is tuned for boosted trees, drawn by the generator "random": 21 parameters,
8 of them continuous (5 on a log scale), 3 floats with a step, 6 whole numbers, 4 choices. Beside it the size
with 21 continuous floats, the most that 21 parameters take.

The large study: a million experiments in one run, a tenth waiting, one in twenty of the others failed, each
with an error of its own.

    python benchmarks/registry.py [--quick] [--peer PYTHON] [--folder FOLDER]

Optuna is no dependency of ours: `--peer` names the Python of an environment that has it (default: this one).
Every figure of ours is the median of three turns, or of as many calls as stand beside it.
"""

import argparse
import json
import math
import os
import statistics
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
from tuner.generators import make_generator
from tuner.registry import Registry, StudySpec, open_registry
from tuner.registry.sqlite_file import connect
from tuner.space import CategoricalParam, FloatParam, IntParam, SearchSpace

N_PARAMETERS, BATCH, N_PROCESSES = 10, 100, 8
SPACE = SearchSpace([FloatParam("x", 0.0, 1.0)])
SPEC = StudySpec("benchmark", SPACE.to_dict(), "value", Direction.MINIMIZE, SPACE.defaults())
ON = Provenance("data", "code", "value")
TURNS = 3

TREES = SearchSpace(
    [
        FloatParam("learning_rate", 0.003, 0.3, log=True),
        FloatParam("min_child_weight", 0.1, 100.0, log=True),
        FloatParam("reg_alpha", 1e-8, 10.0, log=True),
        FloatParam("reg_lambda", 1e-8, 10.0, log=True),
        FloatParam("scale_pos_weight", 0.5, 20.0, log=True),
        FloatParam("gamma", 0.0, 5.0),
        FloatParam("subsample", 0.5, 1.0),
        FloatParam("colsample_bytree", 0.3, 1.0),
        FloatParam("colsample_bylevel", 0.3, 1.0, step=0.05),
        FloatParam("colsample_bynode", 0.3, 1.0, step=0.05),
        FloatParam("base_score", 0.05, 0.95, step=0.05),
        IntParam("n_estimators", 50, 2000),
        IntParam("max_depth", 2, 14),
        IntParam("max_leaves", 0, 255),
        IntParam("max_bin", 64, 512),
        IntParam("max_delta_step", 0, 10),
        IntParam("num_parallel_tree", 1, 8),
        CategoricalParam("booster", ["gbtree", "dart"]),
        CategoricalParam("grow_policy", ["depthwise", "lossguide"]),
        CategoricalParam("tree_method", ["hist", "approx"]),
        CategoricalParam("one_hot", [True, False]),
    ]
)
FLOATS = SearchSpace([FloatParam(f"parameter_{i}", 0.0, 1.0) for i in range(21)])

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
    folder.mkdir(exist_ok=True)
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


def fsyncs(folder: Path, n: int) -> list[float]:
    """Seconds of each of `n` bare appends of 4 KiB with `fsync`, sorted."""
    descriptor = os.open(folder / "fsync", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def append() -> None:
        os.write(descriptor, bytes(4096))
        os.fsync(descriptor)

    try:
        return timed(append, n)
    finally:
        os.close(descriptor)


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


def writing(path: Path, n: int) -> float:
    """Seconds to write `n` candidates in one call."""
    with open_registry(path, create=True) as registry:
        study = registry.open_study(SPEC)
        given = suggestions(n, N_PARAMETERS, Random(0))
        start = time.perf_counter()
        registry.add(study, given)
        return time.perf_counter() - start


def size(path: Path, n: int, space: SearchSpace) -> tuple[float, float]:
    """Bytes of the file per complete experiment of a run in this space, and those of its params alone."""
    rng = Random(0)
    generator = make_generator("random", space)
    with open_registry(path, create=True) as registry:
        empty = path.stat().st_size
        study = registry.open_study(
            StudySpec("benchmark", space.to_dict(), "value", Direction.MINIMIZE, space.defaults())
        )
        run = registry.start_run(study, method="random", n_wanted=n, seed=0, info={})
        for _ in range(n // 500):
            registry.add(study, generator.ask(500), run=run)
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
    """A study of `n` experiments, written past the registry to save an hour. Its rules hold all the same."""
    path = folder / "large.db"
    registry = open_registry(path, create=True)
    study = registry.open_study(SPEC)
    registry.add(study, [Suggestion({"x": 0.5}, "default")])
    registry.finish([(one, Evaluation(0.5)) for one in registry.claim(study)], ON)
    registry.start_run(study, method="random", n_wanted=n, seed=0, info={})
    with closing(connect(path, "rw")) as connection:
        connection.execute("PRAGMA synchronous=OFF")
        for what, statement in FILL.items():
            tell(f"{n:,} experiments are {what}")
            connection.execute(statement, {"n": n})
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path, registry, study


FILL = {
    "written": """
INSERT INTO experiments
    (id, public_id, study_id, run_id, method, shape_id, params, config_hash, seed, created_at)
WITH RECURSIVE counted(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM counted WHERE i < :n)
SELECT i, printf('random_20260101_%06d_%03d', i / 1000, i % 1000), 1, 1, 'random', 1, json_array(i / 1e7),
    randomblob(16), 0, 1e9 + i FROM counted""",
    "claimed": """
UPDATE experiments SET state = 'running', attempt = 1, owner_id = 1, started_at = 1e9 + id
WHERE id BETWEEN 2 AND :n * 9 / 10""",
    "ended": """
UPDATE experiments SET owner_id = NULL, finished_at = 1e9 + id + 1, duration_s = 1.0,
    state = iif(id % 20, 'complete', 'failed'),
    value = iif(id % 20, abs(random() % 1000000) / 1e6, NULL), provenance_id = iif(id % 20, 1, NULL),
    outcome = iif(id % 20, NULL, 'error'),
    error = iif(id % 20, NULL, 'ValueError: no convergence after ' || id)
WHERE owner_id = 1""",
}


def milliseconds(sorted_seconds: list[float]) -> str:
    return (
        f"{sorted_seconds[len(sorted_seconds) // 2] * 1e3:.2f} ms (p99 {late(sorted_seconds) * 1e3:.2f} ms)"
    )


def late(sorted_seconds: list[float]) -> float:
    """The 99th percentile."""
    return sorted_seconds[len(sorted_seconds) * 99 // 100]


def tell(what: str) -> None:
    print(f"... {what}", file=sys.stderr, flush=True)


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


class Report:
    """The table, row by row."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, str, str, str]] = []

    def add(self, what: str, target: str, ours: str, beside: str = "") -> None:
        """Add a row, and say so."""
        self.rows.append((what, target, ours, beside))
        tell(f"{what}: {ours}")

    def show(self) -> None:
        """Print all rows."""
        heads = ["", "target", "ours", "beside it, in the same run"]
        print(tabulate(self.rows, headers=heads, disable_numparse=True))


def report(folder: Path, python: str, part: int) -> None:
    table = Report()
    throughput(table, folder, python, part)
    weight(table, folder, part)
    at_scale(table, folder, part)
    load = " ".join(f"{each:.1f}" for each in os.getloadavg())
    print(f"{os.cpu_count()} cores, load average {load}")
    table.show()


def throughput(table: Report, folder: Path, python: str, part: int) -> None:
    """Cycles per second, beside Optuna."""
    n = 20_000 // part
    tell("Optuna's SQLite storage")
    alone = peer(python, folder / "peer.db", max(20, 200 // part), 1)
    if alone is None:
        print("Optuna is not installed here, so its figures are missing. Try --peer .peer/bin/python after")
        print("    python -m venv .peer && .peer/bin/pip install optuna\n")
    together = alone and peer(python, folder / "peers.db", max(5, 50 // part), N_PROCESSES)

    def against(what: str, times: str, ours: float, theirs: tuple[float, int] | None, note: str = "") -> None:
        told = f"{ours:,.0f}/s" + (f", {ours / alone[0]:.0f} times" if alone else "") + note
        # Several processes of the peer get in each other's way: what one alone does is more to ask for.
        beside = f"Optuna {theirs[0]:.1f}/s, {theirs[1]} errors" if theirs else ""
        table.add(what, times, told, beside)

    sync = milliseconds(fsyncs(folder, 200))
    singly = statistics.median(
        one_process(folder / f"turn_{turn}", max(100, 1000 // part), 1) for turn in range(TURNS)
    )
    table.add("cycles, one process, one by one", "", f"{singly:,.0f}/s", f"a bare fsync {sync}")
    grouped = statistics.median(one_process(folder / f"turn_{turn}", n, BATCH) for turn in range(TURNS))
    against(f"cycles, one process, {BATCH} per commit", "100 times Optuna", grouped, alone)
    turns = [
        many_processes(folder / f"many_{turn}.db", max(n // N_PROCESSES, 10 * BATCH)) for turn in range(TURNS)
    ]
    trouble = ", ".join(sorted({trouble for _, trouble in turns}))
    many = statistics.median(rate for rate, _ in turns)
    against(
        f"cycles, {N_PROCESSES} processes, {BATCH} per commit",
        "50 times Optuna's one",
        many,
        together,
        f", {trouble}",
    )


def weight(table: Report, folder: Path, part: int) -> None:
    """What candidates and results take to write and to keep."""
    n = 100_000 // part
    seconds = [writing(folder / f"writing_{turn}.db", n) for turn in range(TURNS)]
    each = f" ({min(seconds):.2f} to {max(seconds):.2f})"
    table.add(f"write {n:,} candidates", "3 s", f"{statistics.median(seconds):.2f} s{each}")
    for what, target, space in (("as for trees", "500", TREES), ("all floats", "", FLOATS)):
        whole, text = size(folder / f"{what}.db", 10_000, space)
        table.add(f"bytes, 21 parameters, {what}", target, f"{whole:.0f}, of which params {text:.0f}")


def at_scale(table: Report, folder: Path, part: int) -> None:
    """What is asked of a large study."""
    n = 1_000_000 // part
    path, registry, study = large(folder, n)
    with registry:
        table.add(f"best of {n:,}", "2 ms", milliseconds(timed(lambda: registry.best(study), 200)))
        sync = milliseconds(fsyncs(folder, 500))
        claims = timed(lambda: registry.claim(study), 1000)
        table.add(f"claim among {n:,}", "p99 10 ms", milliseconds(claims), f"a bare fsync {sync}")
        table.add(f"counts of {n:,}", "", milliseconds(timed(lambda: registry.counts(study), 100)))
    seconds = statistics.median(summary(path) for _ in range(TURNS))
    table.add(f"--summary of {n:,}, whole command", "1.5 s", f"{seconds:.2f} s")


if __name__ == "__main__":
    main()
