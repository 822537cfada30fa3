"""What the orchestrator costs, beside bare Ray, or the ideal, in the same run.

noop        experiments per second that do nothing, each result durable before it counts, over a RayPool;
            beside a `ray.util.ActorPool` of as many actors
scaling     1 to 16 Ray workers that sleep 50 ms, 10,000 experiments waiting, beside the ideal; memory
first       seconds from `orchestrator` typed to its first stored result, Ray's start included; beside
            `ray.init`, one actor and one call
simulation  the driver alone: real registry on disk, a pool that pretends to have 1,000 workers

python benchmarks/orchestrator.py [--only noop|scaling|first|simulation] [--turns 3] [--folder FOLDER]
"""

import argparse
import heapq
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import IO, Any

# This file has the name of a package that it needs, and Python looks in this folder first.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

from tabulate import tabulate

from orchestrator.driver import Driver
from orchestrator.plan import RunLimits
from orchestrator.pool import Event, Finished, Task, WorkerPool
from orchestrator.progress import Display, Silent, Status
from orchestrator.signals import StopRequest
from orchestrator.tally import Tally
from retrain.pipelines.objective import ObjectivePipeline
from tuner.experiment import Direction, Evaluation, Provenance, State, Suggestion
from tuner.registry import Registry, StudySpec, open_registry
from tuner.space import FloatParam, SearchSpace

SLEEP_S = 0.05
N_WAITING = 10_000
N_SIMULATED = 1_000
NAMES = [f"parameter_{i}" for i in range(10)]
SPACE = SearchSpace([FloatParam(name, 0.0, 1.0) for name in NAMES])
SPEC = StudySpec("benchmark", SPACE.to_dict(), "value", Direction.MINIMIZE, SPACE.defaults())
ON = Provenance("data", "code", "value")

# Both run in processes of their own, since Ray is at home in only one cluster per process.
BARE_POOL = """
import sys, time, ray
from ray.util import ActorPool
n_workers, n = int(sys.argv[1]), int(sys.argv[2])
ray.init("local", num_cpus=n_workers, include_dashboard=False, log_to_driver=False, logging_level="ERROR")

@ray.remote(num_cpus=1)
class Worker:
    def run(self, params):
        return params["parameter_0"]

pool = ActorPool([Worker.remote() for _ in range(n_workers)])
tasks = [{f"parameter_{i}": j / n for i in range(10)} for j in range(n)]
call = lambda actor, params: actor.run.remote(params)
list(pool.map_unordered(call, tasks[: 10 * n_workers]))
print("ready", flush=True)
for line in sys.stdin:
    start = time.perf_counter()
    assert len(list(pool.map_unordered(call, tasks))) == n
    print(time.perf_counter() - start, flush=True)
"""
BARE_CALL = """
import time, ray
ray.init("local", num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level="ERROR")

@ray.remote(num_cpus=1)
class Worker:
    def run(self, params):
        return params["x"]

ray.get(Worker.remote().run.remote({"x": 0.5}))
print(time.time(), flush=True)
"""


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def load() -> str:
    return f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"


def resident_mb() -> float:
    """Memory of this process that is in use now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def returns_at_once(params: Any) -> float:
    return float(params[NAMES[0]])


def sleeps(params: Any) -> float:
    time.sleep(SLEEP_S)
    return float(params[NAMES[0]])


@contextmanager
def ray_pool(objective: Callable[[Any], float], n_workers: int) -> Iterator[WorkerPool]:
    """A pool whose workers are all ready."""
    from orchestrator.ray_pool import RayPool

    pipeline = ObjectivePipeline(objective, SPACE, "value", Direction.MINIMIZE)
    with RayPool(pipeline, None, n_workers) as pool:
        while pool.n_free < n_workers:
            pool.wait(1.0)
        yield pool


@dataclass
class Ran:
    """What one run of the driver did: experiments that are stored as complete, and the seconds it took."""

    n: int
    elapsed_s: float

    @property
    def per_s(self) -> float:
        """Experiments per second."""
        return self.n / self.elapsed_s


def drive(
    folder: Path,
    pool: WorkerPool,
    n: int,
    *,
    for_s: float | None = None,
    display: Display | None = None,
    watch: Callable[[Registry], Any] = lambda registry: registry,
) -> Ran:
    """Have a Driver run `n` waiting experiments, or as many as it comes to in `for_s` seconds.

    `watch` may put something between the driver and the registry.
    """
    path = Path(tempfile.mkdtemp(dir=folder)) / "experiments.db"
    rng = Random(0)
    with open_registry(path, create=True) as registry:
        study = registry.open_study(SPEC)
        registry.add(study, [Suggestion({name: rng.random() for name in NAMES}, "random") for _ in range(n)])
        run = registry.start_run(study, method=None, n_wanted=0, seed=0, info={})
        start = time.monotonic()
        Driver(
            watch(registry),
            study,
            run,
            pool,
            Tally(study, ON),
            provenance=ON,
            limits=RunLimits(
                n_workers=pool.n_workers,
                ahead=pool.takes_ahead,
                deadline=None if for_s is None else start + for_s,
            ),
            propose=None,
            n_to_propose=0,
            display=display or Silent(),
            stop=StopRequest(),
        ).run()
        elapsed_s = time.monotonic() - start
    with open_registry(path, create=False, read_only=True) as stored:
        return Ran(stored.counts(study)[State.COMPLETE], elapsed_s)


# ---- noop


def noop(folder: Path, turns: int) -> None:
    n, rows = 3_000, []
    for n_workers in (os.cpu_count() or 1, 16):
        bare, ours = [], []
        say(f"noop, {n_workers} workers: starting both")
        with bare_pool(n_workers, n) as measure, ray_pool(returns_at_once, n_workers) as pool:
            drive(folder, pool, 10 * n_workers)
            for turn in range(turns):
                bare.append(n / measure())
                done = drive(folder, pool, n)
                assert done.n == n
                ours.append(done.per_s)
                say(f"turn {turn + 1} of {turns}: bare {bare[-1]:.0f}/s, ours {ours[-1]:.0f}/s")
        ratio = statistics.median(mine / its for mine, its in zip(ours, bare, strict=True))
        rows.append([n_workers, statistics.median(bare), statistics.median(ours), ratio, 0.5])
    print(f"experiments per second that do nothing, median of {turns} turns of {n}, {load()}")
    print(tabulate(rows, ["workers", "bare ActorPool", "ours", "ours / bare", "target >="], floatfmt=".2f"))


@contextmanager
def bare_pool(n_workers: int, n: int) -> Iterator[Callable[[], float]]:
    """A function that has a bare pool run `n` calls, and returns the seconds they took."""
    command = [sys.executable, "-W", "ignore", "-c", BARE_POOL, str(n_workers), str(n)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        answers = process.stdout

        def measure(asked: IO[str] = process.stdin) -> float:
            asked.write("again\n")
            asked.flush()
            return float(answers.readline())

        while answers.readline() != "ready\n":  # Ray may have something to say first
            assert process.poll() is None, "the bare pool did not start"
        yield measure
        process.stdin.close()


# ---- scaling


class Memory(Silent):
    """Notes the memory of this process as the number of finished experiments grows."""

    def __init__(self) -> None:
        self.at: dict[int, float] = {}

    def show(self, status: Status) -> None:
        self.at.setdefault(status.n_done // 1000 * 1000, resident_mb())


def scaling(folder: Path, turns: int) -> None:
    rows, memory = [], Memory()
    for n_workers in (1, 2, 4, 8, 16):
        say(f"scaling: {n_workers} workers, {N_WAITING} waiting")
        with ray_pool(sleeps, n_workers) as pool:
            drive(folder, pool, 2 * n_workers)
            runs = [drive(folder, pool, N_WAITING, for_s=6.0).per_s for _ in range(turns)]
            if n_workers == 16:
                say("scaling: all of them, for the memory")
                assert drive(folder, pool, N_WAITING, display=memory).n == N_WAITING
        ideal = n_workers / SLEEP_S
        rows.append([n_workers, ideal, statistics.median(runs), statistics.median(runs) / ideal, 0.9])
    print(f"experiments per second that sleep {SLEEP_S * 1e3:.0f} ms, median of {turns} turns, {load()}")
    print(tabulate(rows, ["workers", "ideal", "ours", "ours / ideal", "target >="], floatfmt=".2f"))
    print("memory of the driver, MB, after so many experiments")
    print(tabulate([list(memory.at.values())], [str(n) for n in memory.at], floatfmt=".1f"))


# ---- first


def first(folder: Path, turns: int) -> None:
    bare, ours = [], []
    for turn in range(turns + 1):  # the first one warms the disk up
        say(f"first: turn {turn} of {turns}")
        start = time.time()
        command = [sys.executable, "-W", "ignore", "-c", BARE_CALL]
        told = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
        bare.append(float(told.split()[-1]) - start)
        ours.append(first_result(Path(tempfile.mkdtemp(dir=folder))))
    ratio = statistics.median(mine / its for mine, its in zip(ours[1:], bare[1:], strict=True))
    row = ["seconds", statistics.median(bare[1:]), statistics.median(ours[1:]), ratio, 1.3]
    print(f"from the command typed to its first result, median of {turns} turns, {load()}")
    print(tabulate([row], ["", "bare Ray", "orchestrator", "ours / bare", "target <="], floatfmt=".2f"))


def first_result(folder: Path) -> float:
    """Seconds from typing `orchestrator` to the commit of the first result."""
    (folder / "objective.py").write_text("def train(params):\n    return params['x']\n")
    (folder / "retrain.toml").write_text(
        'name = "first"\n[pipeline]\nkind = "objective:train"\nmetric = "value"\ndirection = "minimize"\n'
        '[space.params]\nx = { type = "float", low = 0.0, high = 1.0 }\n'
    )
    orchestrator = str(Path(sys.executable).parent / "orchestrator")
    command = [orchestrator, "--method", "random", "--configs", "1", "--workers", "1", "-q"]
    start = time.time()
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    with open_registry(folder / "experiments.db", create=False, read_only=True) as registry:
        finished = [each.finished_at for each in registry.experiments(states=[State.COMPLETE])]
    return min(at for at in finished if at is not None) - start


# ---- simulation


class PretendedPool(WorkerPool):
    """Slots that are busy for as long as an experiment would take, in real time, without a process behind."""

    def __init__(self, n_workers: int, mean_s: float) -> None:
        self.n_workers = n_workers
        self._mean_s = mean_s
        self._rng = Random(0)
        self._due: list[tuple[float, str, float]] = []

    @property
    def n_free(self) -> int:
        return self.n_workers - len(self._due)

    def submit(self, task: Task) -> None:
        takes_s = self._rng.uniform(0.5, 1.5) * self._mean_s
        heapq.heappush(self._due, (time.monotonic() + takes_s, task.key, takes_s))

    def wait(self, timeout_s: float) -> list[Event]:
        first_s = self._due[0][0] - time.monotonic() if self._due else timeout_s
        time.sleep(max(0.0, min(timeout_s, first_s)))
        now, events = time.monotonic(), list[Event]()
        while self._due and self._due[0][0] <= now:
            _, key, took_s = heapq.heappop(self._due)
            events.append(Finished(key, Evaluation(self._rng.random(), duration_s=took_s)))
        return events

    def prune(self, key: str) -> None:
        raise AssertionError(f"nothing reports here, but {key} is to be pruned")

    def go_on(self, key: str, step: int) -> None:
        raise AssertionError(f"nothing reports here, but {key} is to go on")

    def cancel(self, key: str) -> None:
        raise AssertionError(f"nothing takes that long here, but {key} does")

    def close(self) -> None:
        self._due.clear()


class Timed:
    """A registry that notes how long its transactions take, and when how many results were stored."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._began, self._cpu = time.monotonic(), time.process_time()
        self.took_s: dict[str, float] = defaultdict(float)
        self.stored: list[tuple[float, int]] = []

    @property
    def cpu_s(self) -> float:
        """Seconds of processor time of this process since the driver began."""
        return time.process_time() - self._cpu

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._registry, name)

        def timed(*given: Any) -> Any:
            start = time.perf_counter()
            try:
                return method(*given)
            finally:
                self.took_s[name] += time.perf_counter() - start

        return timed

    def finish(self, results: Sequence[Any], *given: Any) -> Any:
        ended = self.__getattr__("finish")(results, *given)
        self.stored.append((time.monotonic() - self._began, len(results)))
        return ended

    def per_s(self, since_s: float, until_s: float) -> float:
        """Results stored in a second, between two moments after the driver began."""
        return sum(n for at, n in self.stored if since_s < at <= until_s) / (until_s - since_s)


def simulation(folder: Path, _: int) -> None:
    rows = []
    for mean_s in (10.0, 3.0, 1.0, 0.3, 0.1):
        offered = N_SIMULATED / mean_s
        say(f"simulation: {N_SIMULATED} workers, {mean_s:g} s an experiment")
        watched: list[Timed] = []

        def watch(registry: Registry, watched: list[Timed] = watched) -> Timed:
            watched.append(Timed(registry))
            return watched[-1]

        for_s = max(10.0, 3 * mean_s)
        n = int(min(offered, 5_000) * for_s) + 3 * N_SIMULATED
        done = drive(folder, PretendedPool(N_SIMULATED, mean_s), n, for_s=for_s, watch=watch).n
        [seen] = watched
        rows.append(
            [
                mean_s,
                offered,
                seen.per_s(1.5 * mean_s, for_s),  # once each worker has had its second experiment
                done / len(seen.stored),
                *(seen.took_s[name] / done * 1e3 for name in ("finish", "claim")),
                seen.cpu_s / done * 1e3,
                resident_mb(),
            ]
        )
    print(f"the driver alone with {N_SIMULATED} pretended workers, {load()}")
    print("finish, claim: milliseconds of each experiment's share of a transaction; CPU: of the whole driver")
    head = ["s each", "ideal/s", "done/s", "per commit", "finish ms", "claim ms", "CPU ms", "MB"]
    print(tabulate(rows, head, floatfmt=".2f"))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parts = {"noop": noop, "scaling": scaling, "first": first, "simulation": simulation}
    parser.add_argument("--only", choices=list(parts))
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where the registries lie; by default a temporary folder")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder, prefix="retrain-benchmark-") as name:
        for each in [given.only] if given.only else list(parts):
            parts[each](Path(name), given.turns)
            print()


if __name__ == "__main__":
    main()
