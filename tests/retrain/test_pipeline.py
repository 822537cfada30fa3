"""Which of two methods speaks for a pipeline that a user has changed in one of them."""

from typing import Any

import pytest

from retrain.pipeline import Detail, Pipeline, evaluate_in_detail
from tuner.experiment import Direction, Evaluation, Provenance
from tuner.space import FloatParam, SearchSpace


class General(Pipeline):
    name, metric, direction = "p", "m", Direction.MAXIMIZE
    space = SearchSpace([FloatParam("x", 0.0, 1.0)])

    def provenance(self) -> Provenance:
        return Provenance("d", "c", "m")

    def evaluate(self, params: Any, report: Any, seed: int) -> Evaluation:
        return self.evaluate_in_detail(params, report, seed, {})[0]

    def evaluate_in_detail(self, params: Any, report: Any, seed: int, by: Any) -> tuple[Evaluation, Detail]:
        return Evaluation(0.5), Detail({"m": (0.4, 0.6)})


class Scaled(General):
    def evaluate(self, params: Any, report: Any, seed: int) -> Evaluation:
        return Evaluation(10 * super().evaluate(params, report, seed).value)


class Both(Scaled):
    def evaluate_in_detail(self, params: Any, report: Any, seed: int, by: Any) -> tuple[Evaluation, Detail]:
        return Evaluation(5.0), Detail({"m": (4.0, 6.0)})


@pytest.mark.parametrize(
    ("pipeline", "value", "folds"),
    [(General(), 0.5, (0.4, 0.6)), (Scaled(), 5.0, ()), (Both(), 5.0, (4.0, 6.0))],
)
def test_the_gate_never_bypasses_an_evaluate_of_the_users_own(
    pipeline: Pipeline, value: float, folds: tuple[float, ...]
) -> None:
    evaluation, detail = evaluate_in_detail(pipeline, {"x": 0.5}, lambda *_: None, 0, {})
    assert (evaluation.value, detail.folds.get("m", ())) == (value, folds)
