"""A small study told step by step into a real registry, under a frozen clock."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tuner.experiment import (
    Direction,
    Evaluation,
    Experiment,
    Failure,
    Measurement,
    Outcome,
    Params,
    Partial,
    Provenance,
    Study,
    Suggestion,
)
from tuner.registry import Limits, StudySpec, open_registry
from tuner.space import CategoricalParam, FloatParam, IntParam, SearchSpace

SPACE = SearchSpace(
    [
        FloatParam("learning_rate", 0.001, 1.0, log=True, default=0.1),
        IntParam("max_depth", 2, 10, default=6),
        CategoricalParam("booster", ["gbtree", "dart"]),
        FloatParam("rate_drop", 0.0, 0.5, default=0.1, when={"booster": ["dart"]}),
    ]
)
TODAY = Provenance("3f2a91c0d4e5f6a7", "9d00ab12c3d4e5f6", "roc_auc, maximize; 5 folds")
START = 1_795_251_672.0  # 2026-11-21 09:01:12 UTC


class Story:
    """Writes, runs and finishes experiments one at a time; `clock` moves by hand."""

    def __init__(
        self, folder: Path, *, direction: Direction = Direction.MAXIMIZE, metric: str = "roc_auc"
    ) -> None:
        self.now = START
        self.path = folder / "experiments.db"
        self.registry = open_registry(self.path, create=True, clock=lambda: self.now)
        spec = StudySpec("breast", SPACE.to_dict(), metric, direction, SPACE.defaults(), seed=7)
        self.study: Study = self.registry.open_study(spec)

    def write(
        self, method: str = "random", reason: dict[str, Any] | None = None, **params: Any
    ) -> Experiment:
        full: Params = SPACE.complete(params)
        (row,) = self.registry.add(self.study, [Suggestion(full, method, reason or {})], repeat=True)
        return row

    def scored(
        self,
        folds: Sequence[float],
        method: str = "random",
        *,
        provenance: Provenance = TODAY,
        took_s: float = 4.0,
        **params: Any,
    ) -> Experiment:
        """One experiment from its suggestion to its result; one fold is a value without folds."""
        self.write(method, **params)
        (claim,) = self.registry.claim(self.study)
        self.now += took_s
        mean = math.fsum(folds) / len(folds)
        variance = math.fsum((x - mean) ** 2 for x in folds) / max(1, len(folds) - 1)
        evaluation = Evaluation(
            value=mean,
            std_error=math.sqrt(variance / len(folds)) if len(folds) > 1 else None,
            metrics={"accuracy": 0.9},
            measurements=tuple(Measurement(i, self.study.metric, x) for i, x in enumerate(folds))
            if len(folds) > 1
            else (),
            duration_s=took_s,
        )
        return self.registry.complete(claim, evaluation, provenance)

    def pruned(self, curve: Sequence[float], **params: Any) -> Experiment:
        """One experiment that was stopped at its last step; steps count from 1."""
        self.write(**params)
        (claim,) = self.registry.claim(self.study)
        self.now += 1.0
        steps = tuple(Measurement(i, self.study.metric, value) for i, value in enumerate(curve, 1))
        (row,) = self.registry.finish([(claim, Partial(curve[-1], len(curve), measurements=steps))], TODAY)
        assert isinstance(row, Experiment)
        return row

    def failed(
        self, message: str, outcome: Outcome = Outcome.ERROR, traceback: str = "", **params: Any
    ) -> Experiment:
        self.write(**params)
        (claim,) = self.registry.claim(self.study)
        self.now += 1.0
        return self.registry.fail(claim, Failure(outcome, message, traceback), Limits(failures=1, deaths=1))


BASE = [0.90, 0.93, 0.91, 0.95, 0.92]


def better(folds: Sequence[float], gain: float, noise: float = 0.002) -> list[float]:
    """The same folds, all better by `gain` give or take `noise`."""
    return [fold + gain + noise * sign for fold, sign in zip(folds, (1, -1, 0.5, -0.5, 0), strict=True)]


def tell_all(story: Story) -> None:
    """The study that most tests look at."""
    story.scored(BASE, "default", provenance=Provenance("0123456789abcdef", TODAY.code, TODAY.metric))
    story.scored(BASE, "default")
    story.scored(better(BASE, -0.02), learning_rate=0.01)
    story.scored(better(BASE, 0.004, 0.02), learning_rate=0.2, max_depth=4)
    story.failed("ValueError: bad value 3 in row 17\nsecond line", max_depth=3)
    story.failed(
        "ValueError: bad value 4 in row 23", max_depth=5, traceback="Traceback:\n  line 1\nValueError: bad"
    )
    story.failed("did not finish within 10 min", Outcome.TIMEOUT, max_depth=7)
    story.scored(better(BASE, 0.012), "bayesian", learning_rate=0.3, max_depth=10, booster="dart", took_s=6.5)
    story.write(learning_rate=0.5)
