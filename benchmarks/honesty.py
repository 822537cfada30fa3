"""How honest is the score of the best of many, and how good is what is chosen by it?

25 data sets are drawn from scikit-learn's generators: classification (AUC) and regression (R2), three
levels of noise, four sizes. On each, 30 random configurations of XGBoost are scored by `TabularPipeline`, and
the winner is taken in these ways:

- plain, single split: the best on one validation split of a fifth of the rows;
- plain, 5 folds: the best by 5-fold cross-validation;
- RandomizedSearchCV: scikit-learn's, over the same 30, with its own five folds;
- ours, after either search: the five best raced over five fresh repeats of 5 folds, the winner by its bound.

What each winner is truly worth is its score, fitted on all training rows, on 20,000 fresh rows of the same
generator. Optimism is the score it was chosen by less that; regret is what the best of the 30 is worth more.
Findings against the defaults are checked against fresh training sets and those 20,000 rows; as many data sets
again have shuffled labels, so that no configuration is better than another.

At the end stands how often the gate lets equals, and a planted improvement of 2 %, pass (`gate_errors.py`).

    python benchmarks/honesty.py [--seeds 25] [--promotions 200] [--quick] [--processes 2]
"""

import argparse
import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import pandas as pd
from sklearn import datasets
from sklearn.model_selection import RandomizedSearchCV
from tabulate import tabulate

from benchmarks.gate_errors import GAIN, Scenario, rates
from retrain.config import load_config
from retrain.data import Table, make_table
from retrain.honest import (
    Race,
    Shown,
    compare,
    confirmed,
    confirmed_optimism,
    find_winner,
    holdout_score,
    next_runs,
    standing,
)
from retrain.metrics import get_metric, is_share, score
from retrain.models import make_model
from retrain.pipelines import load_pipeline
from retrain.pipelines.folds import LoadedTable, rows_of
from retrain.pipelines.tabular import TabularPipeline
from retrain.splits import split_holdout
from tuner.experiment import Direction, Params

UP = Direction.MAXIMIZE
N_TRIED, TOP, N_FRESH = 30, 5, 20_000
SEEDS = (101, 102, 103, 104, 105)
SIZES = (200, 400, 800, 1200)
BASE = "base"
N_TRUE = 5
"""Fresh training sets that the true score of a configuration is the mean over."""

PROJECT = """
[pipeline]
kind = "tabular"
model = "xgboost"
data = "drawn.csv"
target = "y"
metric = "{metric}"
[space.params]
n_estimators = {{ type = "int", low = 8, high = 40, log = true, default = 25 }}
max_depth = {{ type = "int", low = 1, high = 6, default = 6 }}
learning_rate = {{ type = "float", low = 0.02, high = 0.5, log = true, default = 0.3 }}
subsample = {{ type = "float", low = 0.4, high = 1.0, default = 1.0 }}
colsample_bytree = {{ type = "float", low = 0.4, high = 1.0, default = 1.0 }}
min_child_weight = {{ type = "float", low = 1.0, high = 20.0, log = true, default = 1.0 }}
reg_lambda = {{ type = "float", low = 0.1, high = 30.0, log = true, default = 1.0 }}
"""


@dataclass(frozen=True)
class Run:
    """A repeat, as `retrain.honest` takes it."""

    seed: int
    value: float
    folds: tuple[float, ...]


@dataclass
class Winner:
    """What one way of choosing chose.

    `optimism` of the score it was chosen by; `regret` against the best of all, in true score.
    """

    optimism: float
    regret: float


@dataclass
class Claim:
    """What is said of a winner against the defaults, and whether it is really better.

    `shown` is corrected for all that were tried, `of_five` for the five confirmed alone.
    """

    shown: Shown
    of_five: Shown
    really: bool


@dataclass
class Outcome:
    """What one data set taught."""

    task: str
    winners: dict[str, Winner] = field(default_factory=dict)
    counts: dict[str, list[bool]] = field(default_factory=dict)
    widths: dict[str, list[float]] = field(default_factory=dict)
    n_runs: dict[str, int] = field(default_factory=dict)
    findings: list["Claim"] = field(default_factory=list)

    def count(self, name: str, low: float | None, truth: float, high: float | None) -> None:
        assert low is not None
        assert high is not None
        self.counts.setdefault(name, []).append(low <= truth <= high)
        self.widths.setdefault(name, []).append((high - low) / 2)


# ---- data


def draw(number: int, n: int) -> tuple[str, np.ndarray, np.ndarray]:
    """Data set `number` with n rows: its task, features and target. Noise and kind depend on the number."""
    noise, kind = (number // 2) % 3, (number // 6) % 2
    if number % 2 == 0:
        x, y = datasets.make_classification(
            n,
            n_features=(12, 20)[kind],
            n_informative=(4, 8)[kind],
            n_clusters_per_class=(1, 3)[kind],
            class_sep=(1.2, 0.9, 0.7)[noise],
            flip_y=(0.02, 0.15, 0.35)[noise],
            weights=[(0.5, 0.75)[kind]],
            random_state=number,
        )
        return "classification", x, y
    if kind == 0:
        x, y = datasets.make_friedman1(n, 10, noise=(1.0, 3.0, 6.0)[noise], random_state=number)
    else:
        x, y = datasets.make_regression(
            n, 15, n_informative=6, noise=(20.0, 80.0, 200.0)[noise], random_state=number
        )
    return "regression", x, y


class Drawn:
    """One data set: the pipeline on its rows, and the fresh rows that tell the truth.

    Args:
        number: which.
        shuffled: the labels say nothing, so that all configurations are equal; a classification.
    """

    def __init__(self, number: int, *, shuffled: bool) -> None:
        number = 2 * number if shuffled else number
        n = SIZES[(number // 2) % len(SIZES)]
        self.task, x, y = draw(number, n * (N_TRUE + 1) + N_FRESH)
        if shuffled:
            y = np.random.default_rng(number).permutation(y)
        metric = "roc_auc" if self.task == "classification" else "r2"
        frame = pd.DataFrame(x, columns=[f"x{i}" for i in range(x.shape[1])]).assign(y=y)
        self.all: Table = make_table(frame, "y", get_metric(metric))
        order = np.random.default_rng(1000 + number).permutation(len(y))
        self.own, self.fresh = order[:n], order[-N_FRESH:]
        self.further = order[n:-N_FRESH].reshape(N_TRUE, n)
        self.metric = metric
        self.pipeline = self._pipeline(self.own)
        self.evaluated: dict[tuple[str, int], Run] = {}
        space = self.pipeline.space
        rng = np.random.default_rng(2000 + number)
        self.params: dict[str, Params] = {str(i): space.sample(rng) for i in range(N_TRIED)}
        self.params[BASE] = space.defaults()

    def _pipeline(self, rows: np.ndarray) -> TabularPipeline:
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "retrain.toml").write_text(PROJECT.format(metric=self.metric), "utf-8")
            pipeline = load_pipeline(load_config(Path(folder), {}, environ={}))
        assert isinstance(pipeline, TabularPipeline)
        table = replace(self.all, features=self.all.features[rows], y=self.all.y[rows])
        train, holdout = split_holdout(rows_of(table), 0.2, seed=0)
        pipeline.use(LoadedTable(table, train, holdout))
        return pipeline

    def evaluate(self, name: str, seed: int) -> Run:
        if (name, seed) not in self.evaluated:
            folds: dict[int, float] = {}

            def report(step: int, metrics: Mapping[str, float]) -> None:
                folds[step] = metrics[self.metric]

            value = self.pipeline.evaluate(self.params[name], report, seed).value
            self.evaluated[name, seed] = Run(seed, value, tuple(folds.values()))
        return self.evaluated[name, seed]

    def worth(self, predictions: Any) -> float:
        return score(get_metric(self.metric), self.all.y[self.fresh], predictions, self.all.n_classes)

    def worth_of_fit(self, name: str) -> float:
        """The true score of the model that is fitted on all training rows, as `retrain` would deploy it."""
        model = self.pipeline.fit(self.params[name], seed=0)
        return self.worth(model.predictions(self.all.features[self.fresh]))

    def worth_of_configuration(self, name: str) -> float:
        """The true score of a configuration: over fresh training sets as large as those of a fold."""
        n_train = round(len(self.pipeline.data.train) * 0.8)
        found = []
        for i, rows in enumerate(self.further):
            pipeline = self._pipeline(rows)
            pipeline.use(LoadedTable(pipeline.data.table, np.arange(n_train), pipeline.data.holdout))
            model = pipeline.fit(self.params[name], seed=3000 + i)
            found.append(self.worth(model.predictions(self.all.features[self.fresh])))
        return float(np.mean(found))


# ---- one data set


def confirm(data: Drawn, validation: Mapping[str, float]) -> tuple[Race, str, int]:
    """Race the best by validation, the defaults riding along: the race, its winner, and how many runs."""
    top = sorted(validation, key=lambda name: -validation[name])[:TOP]
    race = Race(tuple(top), SEEDS, UP, {}, references=(BASE,))
    repeats: dict[str, list[Run]] = {name: [] for name in (*top, BASE)}
    while runs := next_runs(replace(race, repeats=repeats)):
        name, seed = runs[0]
        repeats[name].append(data.evaluate(name, seed))
    race = replace(race, repeats=repeats)
    winner = find_winner(race)
    assert winner is not None
    return race, winner, sum(map(len, repeats.values()))


def claim(race: Race, winner: str, *, really: bool) -> Claim:
    """What is said of the winner against the defaults."""
    runs = (race.repeats[winner], race.repeats[BASE])
    of_all, of_five = (
        compare(*runs, UP, against="the defaults", n_tried=n, n_confirmed=TOP) for n in (N_TRIED, TOP)
    )
    assert of_all is not None
    assert of_five is not None
    return Claim(of_all.shown, of_five.shown, really)


def searched(data: Drawn) -> dict[str, dict[str, float]]:
    """The validation scores of all configurations, by a single split and by five folds of the same fits."""
    runs = {str(i): data.evaluate(str(i), 0) for i in range(N_TRIED)}
    return {
        "single split": {name: run.folds[0] for name, run in runs.items()},
        "5 folds": {name: run.value for name, run in runs.items()},
    }


def peer(data: Drawn) -> tuple[float, float]:
    """RandomizedSearchCV over the same configurations: the score it names, and what its model is worth."""
    table, rows = data.pipeline.data.table, data.pipeline.data.train
    task = "binary" if data.task == "classification" else "regression"
    search = RandomizedSearchCV(
        make_model("xgboost", {}, task, seed=0),
        [{key: [value] for key, value in data.params[str(i)].items()} for i in range(N_TRIED)],
        n_iter=N_TRIED,
        scoring=data.metric,
        cv=5,
        random_state=0,
    ).fit(table.features[rows], table.y[rows])
    predicted = search.best_estimator_
    fresh = data.all.features[data.fresh]
    said = predicted.predict_proba(fresh)[:, 1] if data.task == "classification" else predicted.predict(fresh)
    return float(search.best_score_), _peer_score(data, said)


def _peer_score(data: Drawn, said: np.ndarray) -> float:
    from sklearn.metrics import r2_score, roc_auc_score

    metric = roc_auc_score if data.task == "classification" else r2_score
    return float(metric(data.all.y[data.fresh], said))


def real(number: int) -> Outcome:
    data = Drawn(number, shuffled=False)
    outcome = Outcome(data.task)
    worth = {name: data.worth_of_fit(name) for name in data.params}
    best = max(worth[str(i)] for i in range(N_TRIED))
    seen: set[str] = set()
    winners: set[str] = set()
    true: dict[str, float] = {}
    for search, validation in searched(data).items():
        plain = max(validation, key=lambda name: validation[name])
        outcome.winners[f"plain, {search}"] = Winner(validation[plain] - worth[plain], best - worth[plain])
        race, winner, n_runs = confirm(data, validation)
        estimate = confirmed(race.repeats[winner], UP, n_chosen_from=N_TRIED)
        outcome.winners[f"ours, after {search}"] = Winner(estimate.mean - worth[winner], best - worth[winner])
        outcome.n_runs[search] = n_runs
        for name in (*standing(race).alive, BASE):
            true.setdefault(name, data.worth_of_configuration(name))
            if name not in seen:
                runs = confirmed(race.repeats[name], UP)
                outcome.count("confirmed, configuration", runs.low, true[name], runs.high)
                outcome.count("confirmed, fitted model", runs.low, worth[name], runs.high)
                seen.add(name)
        outcome.findings.append(claim(race, winner, really=true[winner] > true[BASE]))
        if winner in winners:
            continue
        winners.add(winner)
        outcome.count("winner, configuration", estimate.low, true[winner], estimate.high)
        plain_interval = confirmed(race.repeats[winner], UP)
        outcome.count("winner, as if not chosen", plain_interval.low, true[winner], plain_interval.high)
        outcome.count("winner, fitted model", estimate.low, worth[winner], estimate.high)
        outcome.count("winner, lower bound", estimate.low, true[winner], np.inf)
        scores = data.pipeline.test(data.pipeline.fit(data.params[winner], seed=0))
        key = f"test_{data.metric}"
        n_rows = scores.n_rows if is_share(key) else None
        held = holdout_score(scores.metrics[key], scores.left_out[key], n_rows=n_rows)
        assert held is not None
        outcome.count("holdout, fitted model", held.low, worth[winner], held.high)
        optimism = confirmed_optimism(estimate, held.value, held.std_error, held.df, UP)
        truth = true[winner] - worth[winner]
        outcome.count("confirmed less holdout", optimism.low, truth, optimism.high)
    named, got = peer(data)
    outcome.winners["RandomizedSearchCV"] = Winner(named - got, best - got)
    return outcome


def shuffled(number: int) -> Outcome:
    data = Drawn(number, shuffled=True)
    outcome = Outcome("shuffled")
    winners: set[str] = set()
    for search, validation in searched(data).items():
        plain = max(validation.values())
        race, winner, _ = confirm(data, validation)
        outcome.winners[f"plain, {search}"] = Winner(plain - 0.5, 0.0)
        estimate = confirmed(race.repeats[winner], UP, n_chosen_from=N_TRIED)
        outcome.winners[f"ours, after {search}"] = Winner(estimate.mean - 0.5, 0.0)
        outcome.findings.append(claim(race, winner, really=False))
        if winner in winners:
            continue
        winners.add(winner)
        plain_interval = confirmed(race.repeats[winner], UP)
        outcome.count("winner, configuration", estimate.low, 0.5, estimate.high)
        outcome.count("winner, as if not chosen", plain_interval.low, 0.5, plain_interval.high)
    return outcome


# ---- the tables


WAYS = (
    "plain, single split",
    "ours, after single split",
    "plain, 5 folds",
    "RandomizedSearchCV",
    "ours, after 5 folds",
)


def mean_and_error(values: list[float]) -> str:
    error = float(np.std(values, ddof=1)) / len(values) ** 0.5 if len(values) > 1 else 0.0
    return f"{np.mean(values):+.4f} ± {error:.4f}"


def winners_table(outcomes: list[Outcome], shuffles: list[Outcome]) -> str:
    by_task = {
        task: [each for each in outcomes if each.task == task] for task in ("classification", "regression")
    }
    rows = []
    for way in WAYS:
        row = [way]
        for some in by_task.values():
            row += [
                mean_and_error([each.winners[way].optimism for each in some]),
                mean_and_error([each.winners[way].regret for each in some]),
            ]
        luck = [each.winners[way].optimism for each in shuffles if way in each.winners]
        rows.append([*row, mean_and_error(luck) if luck else ""])
    names = ("AUC optimism", "AUC regret", "R2 optimism", "R2 regret", "shuffled, AUC optimism")
    return tabulate(rows, ["chosen by", *names], disable_numparse=True)


def coverage_table(outcomes: list[Outcome], shuffles: list[Outcome]) -> str:
    rows = []
    for label, some in (("", outcomes), (", shuffled labels", shuffles)):
        for name in dict.fromkeys(name for each in some for name in each.counts):
            counts = [hit for each in some for hit in each.counts.get(name, ())]
            widths = [width for each in some for width in each.widths.get(name, ()) if np.isfinite(width)]
            width = f"{np.mean(widths):.3f}" if widths else ""
            rows.append([name + label, f"{sum(counts)} of {len(counts)}", f"{np.mean(counts):.1%}", width])
    return tabulate(rows, ["interval of 95 %", "covers", "", "half width"], disable_numparse=True)


def findings_table(outcomes: list[Outcome], shuffles: list[Outcome]) -> str:
    said = [each for outcome in outcomes for each in outcome.findings]
    null = [each for outcome in shuffles for each in outcome.findings]

    def row(name: str, how_many: Callable[[Claim], bool], of: list[Claim]) -> list[str]:
        return [name, f"{sum(map(how_many, of))} of {len(of)}"]

    rows = [
        row("really better than the defaults", lambda each: each.really, said),
        row("called better", lambda each: each.shown is Shown.BETTER, said),
        row("called better wrongly", lambda each: each.shown is Shown.BETTER and not each.really, said),
        row("called worse wrongly", lambda each: each.shown is Shown.WORSE and each.really, said),
        row("shuffled labels: called better", lambda each: each.shown is Shown.BETTER, null),
        row("... corrected for five only", lambda each: each.of_five is Shown.BETTER, null),
        row("shuffled labels: called worse", lambda each: each.shown is Shown.WORSE, null),
    ]
    n_runs = [n for each in outcomes for n in each.n_runs.values()]
    full = (TOP + 1) * len(SEEDS)
    rows.append(["runs of a confirmation, of " + str(full), f"{np.mean(n_runs):.1f}"])
    return tabulate(rows, ["findings at 95 %", ""], disable_numparse=True)


def gate_table(n: int, processes: int) -> str:
    """Promotions that pass each gate; where neither is better, none should."""
    rows = []
    for planted in (False, True):
        found = rates(Scenario("binary", 1000, planted=planted), n, workers=processes)
        truth = f"{GAIN:.0%} better" if planted else "no better"
        rows.append([truth, *(f"{rate.n_passed} of {rate.n}" for rate in found)])
    return tabulate(rows, ["challenger", *(rate.gate for rate in found)], disable_numparse=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=25, help="data sets, and as many shuffled ones")
    parser.add_argument("--quick", action="store_true", help="four of each")
    parser.add_argument("--promotions", type=int, default=200, help="of each kind, through the gate")
    parser.add_argument("--processes", type=int, default=2)
    given = parser.parse_args()
    n = 4 if given.quick else given.seeds
    start = time.perf_counter()
    jobs: list[tuple[Callable[[int], Outcome], int]] = [
        (job, i) for i in range(n) for job in (real, shuffled)
    ]
    with ProcessPoolExecutor(given.processes) as pool:
        futures = [pool.submit(job, number) for job, number in jobs]
        done = []
        for i, future in enumerate(futures):
            done.append(future.result())
            print(f"{i + 1} of {len(jobs)} data sets", file=sys.stderr, flush=True)
    outcomes, shuffles = done[::2], done[1::2]
    print(f"{n} data sets, {N_TRIED} configurations each, and {n} with shuffled labels")
    print(f"{time.perf_counter() - start:.0f} s in {given.processes} processes\n")
    print(winners_table(outcomes, shuffles), end="\n\n")
    print(coverage_table(outcomes, shuffles), end="\n\n")
    print(findings_table(outcomes, shuffles), end="\n\n")
    print(gate_table(20 if given.quick else given.promotions, given.processes))


if __name__ == "__main__":
    main()
