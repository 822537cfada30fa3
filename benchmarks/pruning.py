"""What pruning saves: regret at a third of the cost, ours beside Optuna's pruners and Ray Tune's ASHA.

    python benchmarks/pruning.py lcbench [--tasks 10] [--seeds 5] [--grace 1] [--only asha,halving,ASHA]
    python benchmarks/pruning.py xgboost [--configs 60] [--replays 200] [--steps samples] [--whole 20]
        [--folds 3] [--looks 30,90] [--csv FILE TARGET [--rows 5000] [--draws 5]] [--curves FILE]

The candidates are random, and the same for every pruner of a seed; four workers take the next one as soon as
they are free, on a clock of costs. Without pruning 50 candidates (--whole; 20 with xgboost) come to their
end; every pruner stops when a third of that cost is spent. Only experiments that came to their end count: the
regret of the best of them is 0 at the best known and 1 at the median of random configurations.

"an oracle" knows how each will end, and stops at its first report whatever will not be better than all that
began before it: what no pruner of that kind can beat by much. "told late" is ours when the word comes after
the experiment went on, so that it stops one report later: what the orchestrator's workers wait a moment for.

`lcbench`: learning curves over 52 epochs of published surrogates (../shared/bench or TUNING_PROBLEMS); a cost
is an epoch. `xgboost`: real runs of a tabular pipeline whose steps are rounds, parts of the rows, or folds
(with --looks after so many rounds of the first), each candidate run once, from its beginning to its end, with
the CPU time at each step; replayed in other orders, one for each replay. --draws repeats that with other rows
and other candidates: the interval is over these then. --curves keeps what was measured in a file, and reads
it where there is one.
"""

import argparse
import heapq
import json
import math
import os
import sys
import tempfile
import time
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from typing import Any

import numpy as np

from retrain.config import load_config
from retrain.pipelines import load_pipeline
from retrain.tables import render
from tuner.generators import make_generator
from tuner.pruners import Curve, make_pruner

N_WORKERS, SHARE, ETA, ETA_OF_LOOKS, EPOCHS = 4, 1 / 3, 3, 2, 52


@dataclass(frozen=True)
class Candidate:
    """One configuration: where it reports, what it has cost by then, and its loss there; last its value."""

    steps: Sequence[int]
    costs: Sequence[float]
    loss: Callable[[int], float]


class Judge(ABC):
    """A pruner as the race asks it."""

    @abstractmethod
    def prunes(self, number: int, step: int, loss: float) -> bool:
        """Whether the candidate should stop after this report."""

    @abstractmethod
    def end(self, number: int, loss: float | None) -> None:
        """It is over: complete with this loss, or pruned."""


class Never(Judge):
    """No pruning."""

    def prunes(self, number: int, step: int, loss: float) -> bool:
        return False

    def end(self, number: int, loss: float | None) -> None:
        pass


class Ours(Judge):
    """One of `tuner.pruners`."""

    def __init__(self, name: str, **options: Any) -> None:
        self._pruner = make_pruner(name, **options)
        self._curves: dict[int, Curve] = {}

    def prunes(self, number: int, step: int, loss: float) -> bool:
        before = self._curves.get(number, Curve(number, (), ()))
        own = Curve(number, (*before.steps, step), (*before.losses, (loss,)))
        self._curves[number] = own
        return self._pruner.should_prune(own, [c for n, c in self._curves.items() if n != number])

    def end(self, number: int, loss: float | None) -> None:
        curve = self._curves[number]
        self._curves[number] = Curve(number, curve.steps, curve.losses, complete=loss is not None)


class Optunas(Judge):
    """One of Optuna's, asked as its users ask it."""

    def __init__(self, pruner: Any) -> None:
        import optuna

        self._pruned = optuna.trial.TrialState.PRUNED
        self._study = optuna.create_study(pruner=pruner)
        self._trials: dict[int, Any] = {}

    def prunes(self, number: int, step: int, loss: float) -> bool:
        if number not in self._trials:
            self._trials[number] = self._study.ask()
        self._trials[number].report(loss, step)
        return bool(self._trials[number].should_prune())

    def end(self, number: int, loss: float | None) -> None:
        if loss is None:
            self._study.tell(self._trials[number], state=self._pruned)
        else:
            self._study.tell(self._trials[number], loss)


class Rays(Judge):
    """Ray Tune's ASHA, asked as its controller asks it."""

    def __init__(self, grace: int, longest: int, factor: int) -> None:
        from ray.tune.schedulers import ASHAScheduler

        self._scheduler: Any = ASHAScheduler(grace_period=grace, reduction_factor=factor, max_t=longest)
        self._scheduler.set_search_properties("loss", "min")
        self._trials: dict[int, Any] = {}

    def prunes(self, number: int, step: int, loss: float) -> bool:
        if number not in self._trials:
            self._trials[number] = SimpleNamespace(trial_id=str(number))
            self._scheduler.on_trial_add(None, self._trials[number])
        result = {"training_iteration": step, "loss": loss}
        return bool(self._scheduler.on_trial_result(None, self._trials[number], result) == "STOP")

    def end(self, number: int, loss: float | None) -> None:
        pass


class Late(Judge):
    """Another, whose word comes after the candidate went on: it stops at its next report."""

    def __init__(self, judge: Judge) -> None:
        self._judge, self._told = judge, set[int]()

    def prunes(self, number: int, step: int, loss: float) -> bool:
        if number in self._told:
            return True
        if self._judge.prunes(number, step, loss):
            self._told.add(number)
        return False

    def end(self, number: int, loss: float | None) -> None:
        self._judge.end(number, loss)


class Oracle(Judge):
    """Knows how each ends, and lets go on what will be better than all that began before it."""

    def __init__(self, ends: Callable[[int], float]) -> None:
        self._ends, self._best, self._chosen = ends, math.inf, set[int]()

    def prunes(self, number: int, step: int, loss: float) -> bool:
        end = self._ends(number)
        if number not in self._chosen and end < self._best:
            self._chosen.add(number)
            self._best = end
        return number not in self._chosen or end > self._best

    def end(self, number: int, loss: float | None) -> None:
        pass


def judges(grace: int, longest: int, *, looks: bool = False) -> Mapping[str, Callable[[], Judge]]:
    """Every pruner by its name in the table, with the defaults of ours for steps of this kind."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    factor = ETA_OF_LOOKS if looks else ETA
    rungs: dict[str, Any] = {"grace": grace, "reduction_factor": factor, "max_steps": longest}
    halving = {**rungs, "every_step": looks}
    theirs = optuna.pruners
    return {
        "ours, asha": lambda: Ours("asha", **halving),
        "ours, asha, told late": lambda: Late(Ours("asha", **halving)),
        "ours, hyperband": lambda: Ours("hyperband", **rungs),
        "ours, median": lambda: Ours("median", grace=grace),
        "Optuna, successive halving": lambda: Optunas(theirs.SuccessiveHalvingPruner(grace, factor)),
        "Optuna, Hyperband": lambda: Optunas(theirs.HyperbandPruner(grace, longest, factor)),
        "Optuna, median": lambda: Optunas(theirs.MedianPruner(5, grace)),
        "Ray Tune, ASHA": lambda: Rays(grace, longest, factor),
    }


@dataclass(frozen=True)
class Outcome:
    """How a race ended: the best loss of what was complete, if anything was; how many began and ended."""

    best: float | None
    n_begun: int
    n_complete: int


def race(candidates: Sequence[Candidate], judge: Judge, budget: float) -> Outcome:
    """Let the workers go until the budget is spent; what is then unfinished is given up."""
    queue = iter(enumerate(candidates))
    clock: list[tuple[float, int, int]] = []  # when, number of the candidate, its next report
    spent, n_begun, complete = 0.0, 0, list[float]()

    def begin(now: float) -> None:
        nonlocal n_begun
        for number, candidate in queue:
            n_begun += 1
            heapq.heappush(clock, (now + candidate.costs[0], number, 0))
            return

    for _ in range(N_WORKERS):
        begin(0.0)
    while clock:
        now, number, i = heapq.heappop(clock)
        candidate = candidates[number]
        spent += candidate.costs[i] - (candidate.costs[i - 1] if i else 0.0)
        if spent > budget:
            break
        step, loss = candidate.steps[i], candidate.loss(i)
        stops = judge.prunes(number, step, loss)
        if i == len(candidate.steps) - 1:
            complete.append(loss)
            judge.end(number, loss)
            begin(now)
        elif stops:
            judge.end(number, None)
            begin(now)
        else:
            heapq.heappush(clock, (now + candidate.costs[i + 1] - candidate.costs[i], number, i + 1))
    return Outcome(min(complete, default=None), n_begun, len(complete))


@dataclass(frozen=True)
class Course:
    """The candidates of one seed, how many of them make up the whole cost, and the scale of their regret.

    `draw`: courses of one draw differ in nothing but the order of the candidates.
    """

    candidates: Sequence[Candidate]
    n_whole: int
    best: float
    median: float
    grace: int
    longest: int
    draw: int = 0
    looks: bool = False

    def end(self, number: int) -> float:
        """The value of a candidate."""
        candidate = self.candidates[number]
        return candidate.loss(len(candidate.steps) - 1)

    def regret(self, outcome: Outcome) -> float:
        """0 at the best known, 1 at the median of random ones, and where nothing was complete."""
        if outcome.best is None:
            return 1.0
        return min(1.0, max(0.0, (outcome.best - self.best) / (self.median - self.best)))


def compare(courses: Iterator[Course], only: Sequence[str]) -> str:
    """Race every pruner over every course; one line each. `only`: those with one of these in their name."""
    found: dict[str, list[tuple[float, Outcome]]] = {}
    draws: list[int] = []
    for n, course in enumerate(courses):
        draws.append(course.draw)
        whole = sum(each.costs[-1] for each in course.candidates[: course.n_whole])
        runs: dict[str, tuple[Callable[[], Judge], float]] = {
            "no pruning": (Never, whole),
            "no pruning, a third": (Never, whole * SHARE),
        }
        makes: dict[str, Callable[[], Judge]] = {
            "an oracle": partial(Oracle, course.end),
            **judges(course.grace, course.longest, looks=course.looks),
        }
        runs |= {name: (make, whole * SHARE) for name, make in makes.items()}
        wanted = ("no pruning", *only) if only else ("",)
        runs = {name: run for name, run in runs.items() if any(part in name for part in wanted)}
        np.random.seed(n)
        for name, (make, budget) in runs.items():
            given = course.candidates[: course.n_whole] if name == "no pruning" else course.candidates
            outcome = race(given, make(), budget * (1 + 1e-9))
            found.setdefault(name, []).append((course.regret(outcome), outcome))
        print(f"course {n + 1}", file=sys.stderr, flush=True)
    reference = np.array([regret for regret, _ in found["no pruning"]])
    rows = []
    for name, races in found.items():
        regrets = np.array([regret for regret, _ in races])
        gap = regrets - reference
        if len(set(draws)) > 1:
            gap = np.array([gap[np.array(draws) == draw].mean() for draw in sorted(set(draws))])
        mean, half = gap.mean(), 1.96 * gap.std(ddof=1) / math.sqrt(len(gap))
        rows.append(
            {
                "pruner": name,
                "cost": "1" if name == "no pruning" else "1/3",
                "regret": f"{regrets.mean():.3f}",
                "more than without, 95 % interval": f"{mean:+.3f} [{mean - half:+.3f}, {mean + half:+.3f}]",
                "begun": f"{np.mean([each.n_begun for _, each in races]):.0f}",
                "complete": f"{np.mean([each.n_complete for _, each in races]):.0f}",
            }
        )
    return render(rows, list(rows[0]), "markdown") + f"\n\n{len(reference)} courses, {len(set(draws))} draws"


# ---- lcbench


def lcbench_courses(n_tasks: int, n_seeds: int, grace: int, n_whole: int) -> Iterator[Course]:
    """The named tasks of the shared folder first, then others that its surrogate knows."""
    folder = os.environ.get("TUNING_PROBLEMS", str(Path(__file__).resolve().parents[2] / "shared" / "bench"))
    sys.path.append(folder)
    import problems  # type: ignore[import-not-found]

    named = [name.split(":")[2] for name in problems.NAMES if name.startswith("yahpo:lcbench:")]
    known = list(problems._json("yahpo", "lcbench", "encoding.json")["OpenML_task_id"])
    tasks = [*named, *(task for task in known if task not in named and task.isdigit())][:n_tasks]
    for task in tasks:
        name = f"yahpo:lcbench:{task}:val_accuracy"
        problems._json("stats.json").setdefault(name, {"best": 0.0, "median": 1.0})
        problem = problems.make(name)
        drawn = [problem.active(problem.random(np.random.default_rng([9, i]))) for i in range(1_000)]
        scale = problem._run(drawn)
        for seed in range(n_seeds):
            rng = np.random.default_rng([seed, int(task)])
            configs = [problem.active(problem.random(rng)) for _ in range(600)]
            candidates = [_lcbench(problem, config) for config in configs]
            yield Course(candidates, n_whole, float(scale.min()), float(median(scale)), grace, EPOCHS)


def _lcbench(problem: Any, config: Mapping[str, Any]) -> Candidate:
    known: dict[int, float] = {}

    def loss(i: int) -> float:
        if i not in known:
            known[i] = float(problem._run([config], epoch=i + 1)[0])
        return known[i]

    return Candidate(range(1, EPOCHS + 1), [float(epoch) for epoch in range(1, EPOCHS + 1)], loss)


# ---- real runs of XGBoost


_PROJECT = """[pipeline]
model = "xgboost"
data = "{data}"
{target}
metric = "roc_auc"
[splits]
folds = {folds}
[space]
preset = "xgboost/default"
[space.params]
n_estimators = {{ type = "int", low = 270, high = 300 }}
[pruning]
steps = "{steps}"
{first}
"""

_STEPS = {"rounds": (10, 300), "samples": (12, 100), "folds": (1, 0)}
"""The first step and the last (of folds: as many as there are)."""

Told = list[tuple[int, float, float]]
"""Step, processor seconds until then, and loss, from report to report."""


def xgboost_courses(asked: argparse.Namespace) -> Iterator[Course]:
    """Run every candidate of every draw once, then shuffle what was recorded."""
    kept = None if asked.curves is None else Path(asked.curves)
    if kept is not None and kept.exists():
        draws = json.loads(kept.read_text())
    else:
        draws = []
        for draw in range(asked.draws):
            with tempfile.TemporaryDirectory() as scratch:
                draws.append(_record(Path(scratch), asked, draw))
        if kept is not None:
            kept.write_text(json.dumps(draws))
    for draw, told in enumerate(draws):
        yield from _replays(asked, draw, [_candidate(each) for each in told])


def _replays(asked: argparse.Namespace, draw: int, recorded: Sequence[Candidate]) -> Iterator[Course]:
    for i, step in enumerate(recorded[0].steps[:-1]):
        share = np.mean([each.costs[i] / each.costs[-1] for each in recorded])
        print(f"step {step} is reached after {share:.0%} of the cost")
    losses = [each.loss(len(each.steps) - 1) for each in recorded]
    grace, longest = _span(asked)
    scale = min(losses), median(losses)
    for seed in range(asked.replays):
        order = np.random.default_rng(seed).permutation(len(recorded))
        shuffled = [recorded[i] for i in order]
        yield Course(
            shuffled, asked.whole or 20, *scale, grace, longest or asked.folds, draw, bool(asked.looks)
        )


def _span(asked: argparse.Namespace) -> tuple[int, int]:
    return (1, len(asked.looks) + asked.folds) if asked.looks else _STEPS[asked.steps]


def _candidate(told: Told) -> Candidate:
    at, costs, losses = zip(*told, strict=True)
    return Candidate(at, costs, losses.__getitem__)


def _record(folder: Path, asked: argparse.Namespace, draw: int) -> list[Told]:
    data, target = "breast_cancer", ""
    if asked.csv is not None:
        import pandas as pd

        data, target = "data.csv", f'target = "{asked.csv[1]}"'
        frame = pd.read_csv(asked.csv[0])
        frame.sample(min(asked.rows, len(frame)), random_state=draw).to_csv(folder / data, index=False)
    grace, longest = _span(asked)
    first = f"looks = {asked.looks}" if asked.looks else f"grace = {grace}"
    (folder / "retrain.toml").write_text(
        _PROJECT.format(data=data, target=target, steps=asked.steps, first=first, folds=asked.folds)
    )
    pipeline = load_pipeline(load_config(folder, environ={}))
    pipeline.use(pipeline.load())
    generator = make_generator("random", pipeline.space, seed=draw)
    found = []
    for number, suggestion in zip(count(1), generator.ask(asked.configs)):
        found.append(_recorded(pipeline, suggestion.params, longest))
        print(f"draw {draw + 1}: configuration {number} of {asked.configs}", file=sys.stderr, flush=True)
    return found


def _recorded(pipeline: Any, params: Mapping[str, Any], last: int) -> Told:
    start, told = time.process_time(), Told()
    evaluation = pipeline.evaluate(
        params,
        lambda step, metrics: told.append((step, time.process_time() - start, -metrics["roc_auc"])),
        0,
    )
    if last:
        return [*told, (last, time.process_time() - start, -evaluation.value)]
    # Each fold has a score of its own: a pruner is handed the mean of those that are done.
    means = np.cumsum([loss for _, _, loss in told]) / np.arange(1, len(told) + 1)
    return [(n, cost, float(mean)) for n, ((_, cost, _), mean) in enumerate(zip(told, means, strict=True), 1)]


def main() -> None:
    """Run one of the two."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("lcbench", "xgboost"))
    parser.add_argument("--tasks", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--configs", type=int, default=60)
    parser.add_argument("--replays", type=int, default=200)
    parser.add_argument("--steps", choices=tuple(_STEPS), default="rounds", help="of xgboost")
    parser.add_argument("--grace", type=int, default=1, help="of lcbench, in epochs")
    parser.add_argument("--only", default="", help="parts of the names of pruners, by commas")
    parser.add_argument("--whole", type=int, help="candidates that no pruning has: 50, of xgboost 20")
    parser.add_argument("--folds", type=int, default=3, help="of xgboost")
    parser.add_argument("--looks", default="", help="rounds of the first fold, by commas")
    parser.add_argument("--draws", type=int, default=1, help="of rows and candidates")
    parser.add_argument("--curves", metavar="FILE", help="keep what was measured of xgboost, or read it")
    parser.add_argument("--csv", nargs=2, metavar=("FILE", "TARGET"))
    parser.add_argument("--rows", type=int, default=5_000)
    asked = parser.parse_args()
    asked.looks = [int(each) for each in asked.looks.split(",") if each]
    warnings.simplefilter("ignore")
    only = [part for part in asked.only.split(",") if part]
    if asked.what == "lcbench":
        print(compare(lcbench_courses(asked.tasks, asked.seeds, asked.grace, asked.whole or 50), only))
    else:
        print(compare(xgboost_courses(asked), only))


if __name__ == "__main__":
    main()
