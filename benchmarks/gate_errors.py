"""How often the gate errs: promotions of what is no better that pass, and real improvements that are found.

    python benchmarks/gate_errors.py                 # the table: 200 promotions a line
    python benchmarks/gate_errors.py --rows 500 1000 --promotions 50
    python benchmarks/gate_errors.py --candidates 20 # the challenger is the luckiest of 20 that are no better

Each promotion is a data set of its own, and a champion and a challenger that both see what is known of the
outcome, and two columns of noise each, never the same ones. So by symmetry neither is better: what differs is
luck, which is as large as luck is on real data. Where an improvement is planted, the challenger sees one more
column, so strong that its score on fresh rows is 2 % better. Both go through the scoring and the gate that
`retrain --apply-hp` uses.
"""

import argparse
import math
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from statistics import NormalDist
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression

from retrain.config import GateConfig
from retrain.config.gate import named
from retrain.deploy.gate import Figures, Needs, judge
from retrain.deploy.scoring import Scorer
from retrain.metrics import Predictions, direction_of, get_metric, score
from retrain.pipeline import Pipeline, Report
from retrain.splits import Rows, make_folds, standard_error
from retrain.tables import render
from tuner.experiment import Direction, Evaluation, Params, Provenance
from tuner.space import CategoricalParam, SearchSpace

__all__ = ["Columns", "Rate", "Scenario", "compare", "gates", "main", "passes", "promotions", "rates"]

FOLDS = 5
N_NOISE = 2
GAIN = 0.02
"""Relative to the champion's score on fresh rows."""

_AUC = 0.80
_CHAMPION = math.sqrt(2) * NormalDist().inv_cdf(_AUC)
_CHALLENGER = math.sqrt(2) * NormalDist().inv_cdf(_AUC * (1 + GAIN))
SHIFT = math.sqrt(_CHALLENGER**2 - _CHAMPION**2)
"""Of the classes in the column that lifts the AUC of two normal classes, Phi(distance / sqrt(2)), by GAIN."""

WEIGHT = math.sqrt((1 - GAIN) ** -2 - 1)
"""Of the column without which the error of a regression is 1 / (1 - GAIN) times as large."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is promoted, and how often.

    Attributes:
        task: "binary" (roc_auc of logistic regression) or "regression" (rmse of ridge regression).
        n_rows: of each data set.
        planted: whether the challenger is GAIN better; else neither is.
        n_candidates: the challenger is the best of so many equal ones by the study's own folds.
    """

    task: str
    n_rows: int
    planted: bool = False
    n_candidates: int = 1

    @property
    def metric(self) -> str:
        """The study's metric."""
        return "roc_auc" if self.task == "binary" else "rmse"

    @property
    def direction(self) -> Direction:
        """Whether less or more of it is better."""
        return Direction.MAXIMIZE if self.task == "binary" else Direction.MINIMIZE


class Columns(Pipeline):
    """Linear models; their hyperparameter is which columns they see: the champion's (0) or a candidate's."""

    name = "columns"

    def __init__(self, scenario: Scenario, seed: int) -> None:
        self.scenario = scenario
        self.metric, self.direction = scenario.metric, scenario.direction
        self.space = SearchSpace([CategoricalParam("who", list(range(scenario.n_candidates + 1)))])
        self.x, self.y = _data(scenario, np.random.default_rng(seed))
        self.n_classes = 2 if scenario.task == "binary" else 0

    def provenance(self) -> Provenance:
        """Nothing outlives the promotion."""
        return Provenance()

    def evaluate(self, params: Params, report: Report, seed: int) -> Evaluation:
        """Cross-validate."""
        x = self.x[:, self._columns(int(params["who"] or 0))]
        folds = make_folds(Rows(self.y, self.n_classes), FOLDS, 1, seed)
        values = []
        for step, (train, valid) in enumerate(folds):
            said = self._fitted_predictions(x[train], self.y[train], x[valid])
            values.append(score(get_metric(self.metric), self.y[valid], said, self.n_classes))
            report(step, {self.metric: values[-1]})
        return Evaluation(float(np.mean(values)), standard_error(values, FOLDS - 1, 1))

    def _columns(self, who: int) -> list[int]:
        """What is known to all, what was planted for the candidates, and noise of one's own."""
        start = 4 + N_NOISE * who
        planted = [3] if self.scenario.planted and who else []
        return [0, 1, 2, *planted, *range(start, start + N_NOISE)]

    def _fitted_predictions(self, x: np.ndarray, y: np.ndarray, fresh: np.ndarray) -> Predictions:
        if not self.n_classes:
            centre, level = x.mean(axis=0), y.mean()
            gram = (x - centre).T @ (x - centre) + np.eye(x.shape[1])
            weights = np.linalg.solve(gram, (x - centre).T @ (y - level))
            return Predictions(level + (fresh - centre) @ weights)
        probabilities = LogisticRegression().fit(x, y).predict_proba(fresh)
        return Predictions(probabilities.argmax(axis=1), probabilities)


def _data(scenario: Scenario, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Columns 0 to 2 are known to all, 3 is the planted one, the rest is noise."""
    n = scenario.n_rows
    x = rng.normal(size=(n, 4 + N_NOISE * (scenario.n_candidates + 1)))
    if scenario.task == "binary":
        y = rng.integers(0, 2, n)
        x[:, 0] += _CHAMPION * y
        if scenario.planted:
            x[:, 3] += SHIFT * y
        return x, y
    planted = WEIGHT * x[:, 3] if scenario.planted else 0.0
    return x, x[:, 0] + 0.5 * x[:, 1] + planted + rng.normal(size=n)


def gates(metric: str, alpha: float, repeats: int) -> dict[str, GateConfig | None]:
    """The gates of the table; None is the default one."""
    better: dict[str, Any] = {"metric": metric, "min_improvement": 0.0}
    return {
        "default": None,
        "better": GateConfig(**better),
        "surely better": GateConfig(**better, confidence=1 - alpha, repeats=repeats),
    }


def compare(scenario: Scenario, seed: int, repeats: int) -> tuple[Figures, Figures]:
    """The figures of challenger and champion on the data set of one seed, as a deployment scores them."""
    pipeline = Columns(scenario, seed)
    scorer = Scorer(pipeline, seed, Needs(challenger=repeats, champion=repeats))
    sign = 1 if scenario.direction is Direction.MAXIMIZE else -1
    candidates = [{"who": who} for who in range(1, scenario.n_candidates + 1)]
    best = max(candidates, key=lambda params: sign * scorer.evaluate(params).value)
    return scorer.score(best, repeats).figures, scorer.score({"who": 0}, repeats).figures


def passes(scenario: Scenario, gate: GateConfig | None, challenger: Figures, champion: Figures) -> bool:
    """Whether the challenger may be deployed."""
    verdicts = judge(
        named([gate] if gate else []),
        challenger,
        champion,
        metric=scenario.metric,
        direction=scenario.direction,
        direction_of=direction_of,
        n_folds=FOLDS,
    )
    return all(verdict.passed for verdict in verdicts)


def promotions(scenario: Scenario, seed: int, *, alpha: float = 0.05, repeats: int = 4) -> dict[str, bool]:
    """One promotion: which of the gates it passes."""
    challenger, champion = compare(scenario, seed, repeats)
    found = gates(scenario.metric, alpha, repeats)
    return {name: passes(scenario, gate, challenger, champion) for name, gate in found.items()}


@dataclass(frozen=True, slots=True)
class Rate:
    """How many of `n` promotions passed a gate."""

    gate: str
    n_passed: int
    n: int

    @property
    def share(self) -> float:
        """In [0, 1]."""
        return self.n_passed / self.n


def rates(
    scenario: Scenario, n: int = 200, *, alpha: float = 0.05, repeats: int = 4, workers: int = 1
) -> list[Rate]:
    """How often each gate lets a promotion of this scenario pass, over the seeds 0 to n - 1."""
    one = partial(promotions, scenario, alpha=alpha, repeats=repeats)
    if workers == 1:
        found = list(map(one, range(n)))
    else:
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            found = list(pool.map(one, range(n), chunksize=5))
    return [Rate(gate, sum(each[gate] for each in found), n) for gate in found[0]]


def _scenarios(rows: Sequence[int], n_candidates: int) -> Iterator[Scenario]:
    for task in ("regression", "binary"):
        for n_rows in rows:
            yield Scenario(task, n_rows, n_candidates=n_candidates)
            if n_candidates == 1:
                yield Scenario(task, n_rows, planted=True)


def main() -> None:
    """Print the table."""
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--promotions", type=int, default=200)
    parser.add_argument("--rows", type=int, nargs="+", default=[1000, 2000])
    parser.add_argument("--candidates", type=int, default=1, help="the challenger is the luckiest of so many")
    parser.add_argument("--alpha", type=float, default=0.05)
    parser.add_argument("--repeats", type=int, default=4)
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    table: list[dict[str, Any]] = []
    for scenario in _scenarios(given.rows, given.candidates):
        found = rates(
            scenario, given.promotions, alpha=given.alpha, repeats=given.repeats, workers=given.workers
        )
        truth = f"{GAIN:.0%} better" if scenario.planted else "no better"
        if scenario.n_candidates > 1:
            truth += f", best of {scenario.n_candidates}"
        row = {"metric": scenario.metric, "rows": scenario.n_rows, "the challenger is": truth}
        row |= {rate.gate: f"{rate.n_passed} of {rate.n}" for rate in found}
        table.append(row)
        print(", ".join(f"{name} {value}" for name, value in row.items()), file=sys.stderr, flush=True)
    print(
        f"\nPromotions that pass a gate; {FOLDS} folds x {given.repeats} fresh repeats,"
        f" confidence {1 - given.alpha:g}\n"
    )
    print(render(table, list(table[0])))


if __name__ == "__main__":
    main()
