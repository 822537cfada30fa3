"""Early stopping: on rows of a fold's own training part, and never on what is scored or held out."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from retrain.deploy import apply
from retrain.models import get_family, make_model
from retrain.pipeline import REFIT
from retrain.pipelines.folds import Folds, LoadedTable
from retrain.pipelines.stopping import Stopped, final_rounds, fit_stopping
from retrain.pipelines.tabular import TabularPipeline
from retrain.results import ResultError
from tests.contracts.pipeline_contract import PipelineContract, evaluate
from tests.retrain.pipelines.test_tabular import METRIC_OF, project
from tests.retrain.projects import mixed_frame
from tuner.errors import ConfigError, DataError
from tuner.registry import open_registry
from tuner.space import config_key

MOST = 60
QUICK = {"n_estimators": MOST, "learning_rate": 0.3, "max_depth": 3}


def stopping(folder: Path, n_classes: int = 2, rest: str = "", **keys: Any) -> TabularPipeline:
    """A bound XGBoost pipeline that stops early, its rounds bounded by what is fixed."""
    options = {"model": "xgboost", "fixed": QUICK, "early_stopping_rounds": 3, **keys}
    frame = options.pop("frame", mixed_frame(300, n_classes=n_classes or 5))
    pipeline = project(folder, frame, rest=rest, n_classes=n_classes, **options)
    pipeline.use(pipeline.load())
    return pipeline


class TestStopsEarly(PipelineContract):
    has_data = True

    @pytest.fixture
    def pipeline(self, tmp_path: Path) -> TabularPipeline:
        return project(tmp_path, model="xgboost", fixed=QUICK, early_stopping_rounds=3)


def ubj(pipeline: TabularPipeline, folder: Path) -> bytes:
    folder.mkdir()
    pipeline.save(pipeline.fit(pipeline.space.defaults(), 0), folder)
    return (folder / "model.ubj").read_bytes()


@pytest.mark.parametrize("n_classes", METRIC_OF)
def test_the_best_round_of_each_fold_is_recorded(tmp_path: Path, n_classes: int) -> None:
    pipeline = stopping(tmp_path, n_classes)
    evaluation, reports = evaluate(pipeline)
    best = [metrics["best_iteration"] for _, metrics in reports]
    assert len(best) == 5
    assert all(0 <= each < MOST - 1 for each in best), "more rounds than help: none ends at the bound"
    assert evaluation.metrics["best_iteration"] == pytest.approx(np.mean(best))


def test_it_stops_on_training_rows_of_the_fold_alone(tmp_path: Path) -> None:
    """Scored rows decide nothing: with other targets there, each fold stops where it did."""
    pipeline = stopping(tmp_path)
    data = pipeline.data
    before = evaluate(pipeline)[1]
    folds = Folds(data, pipeline._config.splits, 0)
    for step, (learned, scored) in enumerate(folds.splits):
        learn, stop = folds.parted(step)
        assert sorted([*learn, *stop]) == list(range(len(learned)))
        assert 0.15 < len(stop) / len(learned) < 0.25
        y = data.table.y.copy()
        y[scored] = 1 - y[scored]
        turned = replace(pipeline.data.table, y=y)
        kept = Folds.__new__(Folds)
        for name, value in vars(folds).items():
            setattr(kept, name, value)
        kept._table, kept._kept = turned, {}
        fold = kept.prepare(step, "xgboost")
        estimator = make_model("xgboost", {**pipeline.space.defaults(), **QUICK}, "binary", 0)
        _, best = pipeline._fit(get_family("xgboost"), estimator, fold, kept, step)
        assert best == before[step][1]["best_iteration"]


@pytest.mark.parametrize("rest", ["", '[splits]\ngroup = "site"\n', '[splits]\ntime = "day"\n'])
def test_the_final_fit_does_not_change_with_the_holdout(tmp_path: Path, rest: str) -> None:
    keys: dict[str, Any] = {"drop": []} if "time" in rest else {}
    pipeline = stopping(tmp_path, rest=rest, **keys)
    before = ubj(pipeline, tmp_path / "before")
    data = pipeline.data
    features, y = data.table.features.copy(), data.table.y.copy()
    features[data.holdout] = 0.0
    y[data.holdout] = 1 - y[data.holdout]
    pipeline.use(LoadedTable(replace(data.table, features=features, y=y), data.train, data.holdout))
    assert ubj(pipeline, tmp_path / "after") == before
    y[data.train] = 1 - y[data.train]
    pipeline.use(LoadedTable(replace(data.table, features=features, y=y), data.train, data.holdout))
    assert ubj(pipeline, tmp_path / "other") != before


def test_groups_and_times_hold_within_the_rows_that_are_set_aside(tmp_path: Path) -> None:
    for column, rest in (("groups", '[splits]\ngroup = "site"\n'), ("times", '[splits]\ntime = "day"\n')):
        folder = tmp_path / column
        folder.mkdir()
        keys: dict[str, Any] = {"drop": []} if column == "times" else {}
        pipeline = stopping(folder, rest=rest, **keys)
        folds = Folds(pipeline.data, pipeline._config.splits, 0)
        marks = getattr(pipeline.data.table, column)
        for step, (learned, _) in enumerate(folds.splits):
            learn, stop = (marks[learned[part]] for part in folds.parted(step))
            if column == "groups":
                assert not set(learn) & set(stop)
            else:
                assert learn.max() < stop.min()


# ---- the final fit


def test_the_rounds_of_the_final_fit_follow_the_rule() -> None:
    assert final_rounds(Stopped((9, 19, 99), (64, 64, 64)), 64, 500) == 20
    assert final_rounds(Stopped((9, 19, 99), (60, 64, 68)), 100, 500) == 25
    assert final_rounds(Stopped((9, 19, 99), (64, 64, 64)), 100, 22) == 22
    assert final_rounds(Stopped((0, 0), (64, 64)), 64, 500) == 1


def test_the_final_fit_is_recorded_and_is_what_it_says(tmp_path: Path) -> None:
    pipeline = stopping(tmp_path)
    params = pipeline.space.defaults()
    reports = evaluate(pipeline)[1]
    model = pipeline.fit(params, 0)
    rule = dict(pipeline.fit_rule(model))
    stopped = rule["early_stopping"]
    assert rule["rule"] == REFIT
    assert rule["n_rows"] == len(pipeline.data.train)
    assert stopped["best_iterations"] == [metrics["best_iteration"] for _, metrics in reports]
    n_rounds = rule["params"]["n_estimators"]
    assert n_rounds == stopped["n_estimators"] < MOST
    assert model.estimator.get_booster().num_boosted_rounds() == n_rounds
    assert f"n_estimators = {n_rounds}, of at most {MOST}" in rule["note"]


def test_a_fit_needs_no_score_before(tmp_path: Path) -> None:
    pipeline = stopping(tmp_path)
    alone = ubj(pipeline, tmp_path / "alone")
    pipeline.use(pipeline.data)
    evaluate(pipeline)
    evaluate(pipeline, seed=3)
    assert ubj(pipeline, tmp_path / "after") == alone


def test_without_early_stopping_nothing_changes(tmp_path: Path) -> None:
    pipeline = stopping(tmp_path, early_stopping_rounds=None)
    evaluation, reports = evaluate(pipeline)
    assert "best_iteration" not in evaluation.metrics
    assert {name for _, metrics in reports for name in metrics} == {"roc_auc"}
    model = pipeline.fit(pipeline.space.defaults(), 0)
    assert model.estimator.get_booster().num_boosted_rounds() == MOST
    rule = dict(pipeline.fit_rule(model))
    assert rule == {
        "rule": REFIT,
        "n_rows": len(pipeline.data.train),
        "params": {**pipeline.space.defaults(), **QUICK},
        "columns": list(pipeline.data.table.columns.names),
    }
    assert "stopping" not in pipeline.provenance().code


def test_scores_with_and_without_it_are_not_compared(tmp_path: Path) -> None:
    codes = {stopping(tmp_path, early_stopping_rounds=rounds).provenance().code for rounds in (None, 3, 5)}
    assert len(codes) == 3


def test_a_class_that_was_not_learned_is_not_stopped_on() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 2)), np.tile([0, 2], 30)
    model = make_model("xgboost", {"n_estimators": 5}, "multiclass", 0)
    stop = (x[:6], np.array([0, 1, 2, 0, 1, 2]))
    present, best = fit_stopping("xgboost", model, (x, y), stop, 3, 2)
    assert present is not None
    assert (list(present), 0 <= best < 5) == ([0, 2], True)
    with pytest.raises(ResultError, match="of a class that was learned"):
        fit_stopping("xgboost", model, (x, y), (x[:2], np.array([1, 1])), 3, 2)


# ---- refusals, and what a deployment says


@pytest.mark.parametrize("model", ["random_forest", "logistic_regression"])
def test_models_without_rounds_refuse_it(tmp_path: Path, model: str) -> None:
    with pytest.raises(ConfigError, match="early_stopping_rounds` has no meaning for model"):
        project(tmp_path, model=model, early_stopping_rounds=3)


def test_too_little_to_set_aside_is_told_before_anything_runs(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=12), "site": np.repeat([0, 1, 2], 4), "y": [0, 1] * 6})
    rest = '[splits]\ngroup = "site"\nfolds = 2\nholdout = 0.3\n'
    with pytest.raises(DataError, match="groups"):
        stopping(tmp_path, frame=frame, rest=rest)


def test_a_deployment_says_and_keeps_how_it_was_fitted(tmp_path: Path) -> None:
    pipeline = stopping(tmp_path)
    with open_registry(tmp_path / "experiments.db", create=True) as registry:
        report = apply(pipeline._config, pipeline, registry, pipeline.space.defaults(), who="ann", force=True)
        version = registry.find_active(pipeline.name)
    assert version is not None
    fit = version.manifest["fit"]
    assert fit["rule"] == REFIT
    assert fit["params"]["n_estimators"] == fit["early_stopping"]["n_estimators"] < MOST
    assert any(note.startswith("early stopping: the final fit has n_estimators") for note in report.notes)
    assert config_key(version.params) == config_key(pipeline.space.defaults())
