"""What every Pipeline must keep: subclass it and give a `pipeline` fixture, not bound to data."""

import math
import pickle
from pathlib import Path
from typing import Any

import cloudpickle
import pytest

from retrain.pipeline import Pipeline
from retrain.results import check_report, check_result
from tuner.experiment import Direction, Evaluation, Params
from tuner.space import SearchSpace

__all__ = ["PipelineContract", "evaluate"]


def evaluate(pipeline: Pipeline, params: Params | None = None, seed: int = 0) -> tuple[Evaluation, list[Any]]:
    """Score a configuration (the defaults when not given) and return what was reported, too."""
    reports: list[Any] = []
    evaluation = pipeline.evaluate(
        pipeline.space.defaults() if params is None else params,
        lambda step, metrics: reports.append((step, dict(metrics))),
        seed,
    )
    return evaluation, reports


class PipelineContract:
    """The contract. `has_data`, `reports`: whether the pipeline has its own data, and reports on the way."""

    has_data = False
    reports = True

    @pytest.fixture
    def bound(self, pipeline: Pipeline) -> Pipeline:
        pipeline.use(pipeline.load())
        return pipeline

    def test_it_says_what_it_is(self, pipeline: Pipeline) -> None:
        assert pipeline.name
        assert isinstance(pipeline.space, SearchSpace)
        assert isinstance(pipeline.metric, str)
        assert isinstance(pipeline.direction, Direction)

    def test_it_travels_unbound_and_works_on_the_other_side(self, pipeline: Pipeline) -> None:
        other = pickle.loads(cloudpickle.dumps(pipeline))
        data = pickle.loads(pickle.dumps(pipeline.load(), protocol=5))
        pipeline.use(pipeline.load())
        other.use(data)
        assert other.provenance() == pipeline.provenance()
        assert (other.name, other.metric, other.direction, other.space) == (
            pipeline.name,
            pipeline.metric,
            pipeline.direction,
            pipeline.space,
        )
        assert evaluate(other)[0].value == evaluate(pipeline)[0].value

    def test_a_score_is_plain_finite_numbers(self, bound: Pipeline) -> None:
        evaluation, reports = evaluate(bound)
        assert check_result(evaluation, bound.metric) == evaluation
        for number in (evaluation.value, *evaluation.metrics.values()):
            assert type(number) is float
            assert math.isfinite(number)
        assert bound.metric not in evaluation.metrics
        assert evaluation.duration_s is not None
        assert evaluation.duration_s >= 0
        for step, metrics in reports:
            check_report(step, metrics)

    def test_the_same_seed_gives_the_same_score_whatever_came_between(self, bound: Pipeline) -> None:
        params = bound.space.defaults()
        first = evaluate(bound, params)
        evaluate(bound, params, seed=7)
        again = evaluate(bound, params)
        assert (again[0].value, again[0].std_error, again[1]) == (
            first[0].value,
            first[0].std_error,
            first[1],
        )

    def test_the_parameters_are_not_changed(self, bound: Pipeline) -> None:
        params = bound.space.defaults()
        evaluate(bound, params)
        assert params == bound.space.defaults()

    def test_an_error_of_report_passes_through(self, bound: Pipeline) -> None:
        class Stop(BaseException):
            pass

        def stop(step: int, metrics: Any) -> None:
            raise Stop

        assert bool(evaluate(bound)[1]) == self.reports
        if not self.reports:
            return
        with pytest.raises(Stop):
            bound.evaluate(bound.space.defaults(), stop, 0)
        evaluate(bound)

    def test_provenance_is_stable(self, bound: Pipeline) -> None:
        assert bound.provenance() == bound.provenance()
        assert bound.provenance().code
        assert bound.metric in bound.provenance().metric
        assert bool(bound.provenance().data) == self.has_data

    def test_fit_and_test_go_together(self, bound: Pipeline, tmp_path: Path) -> None:
        params = bound.space.defaults()
        if not bound.can_fit:
            for call in (
                lambda: bound.fit(params, 0),
                lambda: bound.test(None),
                lambda: bound.save(None, tmp_path),
            ):
                with pytest.raises(TypeError, match="cannot"):
                    call()
            return
        model = bound.fit(params, 0)
        scores = bound.test(model)
        assert scores == bound.test(bound.fit(params, 0))
        assert scores.n_rows > 0
        assert f"test_{bound.metric}" in scores.metrics
        assert all(name.startswith("test_") for name in scores.metrics)
        folder = tmp_path / "version"
        folder.mkdir()
        files = bound.save(model, folder)
        assert files
        assert {path for path in folder.rglob("*") if path.is_file()} == set(files)
        assert not [path for path in files if path.suffix in (".pkl", ".pickle", ".joblib")]
        if bound.can_predict:
            assert bound.predict_rows(model, []) == [], "a batch may be empty"
