import functools
import math
from typing import Any

import numpy as np
import pytest

from retrain.pipeline import Pipeline
from retrain.pipelines import ObjectivePipeline
from retrain.pipelines.objective import code_version, takes_report, takes_seed
from retrain.results import ResultError
from tests.contracts.pipeline_contract import PipelineContract, evaluate
from tuner.experiment import Direction, Outcome
from tuner.space import FloatParam, SearchSpace

SPACE = SearchSpace([FloatParam("x", 0.0, 1.0)])


def parabola(params: dict[str, Any]) -> float:
    return float((params["x"] - 0.3) ** 2)


def reporting(params: dict[str, Any], report: Any) -> dict[str, float]:
    for step in range(3):
        report(step, {"loss": params["x"] + step})
    return {"loss": params["x"], "size": np.int64(3)}


class TestANumber(PipelineContract):
    reports = False

    @pytest.fixture
    def pipeline(self) -> Pipeline:
        return ObjectivePipeline(parabola, SPACE)


class TestReports(PipelineContract):
    @pytest.fixture
    def pipeline(self) -> Pipeline:
        return ObjectivePipeline(reporting, SPACE, "loss")


def test_a_function_made_on_the_spot_travels_by_value() -> None:
    offset = 2.0
    pipeline = ObjectivePipeline(lambda params: params["x"] + offset, SPACE, direction="maximize")
    assert pipeline.name == "lambda"
    assert pipeline.direction is Direction.MAXIMIZE
    assert evaluate(pipeline, {"x": 0.5})[0].value == 2.5


def test_a_dictionary_gives_the_metric_and_the_rest() -> None:
    evaluation, reports = evaluate(ObjectivePipeline(reporting, SPACE, "loss"), {"x": 0.5})
    assert (evaluation.value, evaluation.metrics) == (0.5, {"size": 3.0})
    assert reports == [(0, {"loss": 0.5}), (1, {"loss": 1.5}), (2, {"loss": 2.5})]


@pytest.mark.parametrize(
    ("returned", "outcome"),
    [(math.nan, Outcome.NON_FINITE), ("0.5", Outcome.BAD_RESULT), ({"los": 1}, Outcome.BAD_RESULT)],
)
def test_what_is_no_result_is_a_failure_of_its_class(returned: Any, outcome: Outcome) -> None:
    with pytest.raises(ResultError) as caught:
        evaluate(ObjectivePipeline(lambda _: returned, SPACE, "loss"))
    assert caught.value.outcome is outcome


def test_the_function_gets_a_dictionary_of_its_own_with_what_is_fixed() -> None:
    def spoil(params: dict[str, Any]) -> float:
        assert params == {"x": 0.5, "n": 3}
        params.clear()
        return 1.0

    given = {"x": 0.5}
    evaluate(ObjectivePipeline(spoil, SPACE, fixed={"n": 3}), given)
    assert given == {"x": 0.5}


def test_an_exception_passes_through() -> None:
    def fail(params: dict[str, Any]) -> float:
        raise ZeroDivisionError("by zero")

    with pytest.raises(ZeroDivisionError):
        evaluate(ObjectivePipeline(fail, SPACE))


class Callable2:
    def __call__(self, params: dict[str, Any], report: Any) -> float:
        return 0.0

    def method(self, params: dict[str, Any]) -> float:
        return 0.0


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (parabola, False),
        (reporting, True),
        (lambda p, report=None: 0, True),
        (lambda p, seed=3: 0, False),
        (lambda p, *rest: 0, False),
        (lambda p, *, report=None: 0, False),
        (Callable2(), True),
        (Callable2().method, False),
        (functools.partial(lambda extra, p, report: 0, 1), True),
        (len, False),
    ],
)
def test_a_second_argument_is_the_report(function: Any, expected: bool) -> None:
    assert takes_report(function) is expected


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (parabola, False),
        (lambda p, seed: 0, True),
        (lambda p, report, seed=3: 0, True),
        (lambda p, *, seed: 0, True),
        (lambda seed: 0, False),  # the parameters, whatever they are called
        (lambda p, *seed: 0, False),
        (functools.partial(lambda p, seed: 0, seed=3), False),
        (functools.partial(lambda extra, p, seed: 0, 1), True),
        (len, False),
    ],
)
def test_an_argument_called_seed_is_the_seed(function: Any, expected: bool) -> None:
    assert takes_seed(function) is expected
    assert not takes_report(lambda p, seed: 0)


def test_a_function_that_takes_a_seed_is_given_it() -> None:
    def plain(params: dict[str, Any], seed: int) -> float:
        return float(seed)

    def reporting(params: dict[str, Any], report: Any, *, seed: int) -> float:
        report(0, {"value": float(seed)})
        return float(seed)

    for function in (plain, reporting):
        pipeline = ObjectivePipeline(function, SPACE)
        assert pipeline.splits_follow_seed
        assert [pipeline.evaluate({"x": 0.0}, lambda *_: None, seed).value for seed in (7, 8)] == [7.0, 8.0]
    assert not ObjectivePipeline(parabola, SPACE).splits_follow_seed


def test_the_code_version_follows_what_a_function_does() -> None:
    def compiled(source: str) -> Any:
        names: dict[str, Any] = {}
        exec(source, names)  # a function without a file
        return names["f"]

    first = compiled("def f(p):\n    return [q + 1 for q in p]")
    assert code_version(first) == code_version(compiled("def f(p):\n    return [q + 1 for q in p]"))
    assert code_version(first) != code_version(compiled("def f(p):\n    return [q + 2 for q in p]"))
    assert code_version(parabola).split()[1] == code_version(reporting).split()[1], "one file, one version"
    for thing in (functools.partial(parabola), Callable2(), Callable2, len, Callable2().method):
        assert code_version(thing) == code_version(thing)


def test_what_cannot_be_called_is_refused() -> None:
    with pytest.raises(TypeError, match="must be callable, but got float"):
        ObjectivePipeline(0.5, SPACE)  # type: ignore[arg-type]
