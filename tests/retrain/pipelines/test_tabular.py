import json
import logging
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pandas as pd
import pytest

from retrain.config import Config, load_config
from retrain.honest import holdout_gain, holdout_score
from retrain.metrics import METRICS
from retrain.pipeline import Pipeline
from retrain.pipelines import folds as folds_module
from retrain.pipelines import load_pipeline
from retrain.pipelines.artifact import load_model, make_preprocessing
from retrain.pipelines.folds import LoadedTable
from retrain.pipelines.tabular import TabularPipeline
from retrain.results import ResultError
from tests.contracts.pipeline_contract import PipelineContract, evaluate
from tests.retrain.projects import mixed_frame, tabular
from tuner.errors import ConfigError, DataError, StorageError, UsageError
from tuner.experiment import Outcome

QUICK: dict[str, dict[str, Any]] = {
    "xgboost": {"n_estimators": 5},
    "random_forest": {"n_estimators": 5},
    "logistic_regression": {"max_iter": 200},
}
METRIC_OF = {2: "roc_auc", 3: "f1_macro", 0: "rmse"}


def project(
    folder: Path, frame: pd.DataFrame | None = None, rest: str = "", n_classes: int = 2, **pipeline: Any
) -> TabularPipeline:
    """A tabular pipeline on a frame, its model quick by what is fixed."""
    frame = mixed_frame(n_classes=n_classes or 5) if frame is None else frame
    frame.to_csv(folder / "data.csv", index=False)
    keys: dict[str, Any] = {
        "drop": ["day"] if "day" in frame else [],
        "metric": METRIC_OF[n_classes],
        **pipeline,
    }
    model = keys.setdefault("model", "random_forest")
    keys.setdefault("fixed", QUICK.get(model, {}))
    loaded = load_pipeline(tabular(folder, rest=rest, **keys))
    assert isinstance(loaded, TabularPipeline)
    return loaded


def bound(folder: Path, *args: Any, **options: Any) -> TabularPipeline:
    pipeline = project(folder, *args, **options)
    pipeline.use(pipeline.load())
    return pipeline


@pytest.fixture(
    params=[
        ("xgboost", 2),
        ("xgboost", 0),
        ("random_forest", 3),
        ("random_forest", 0),
        ("logistic_regression", 3),
    ],
    ids=lambda case: f"{case[0]}-{case[1]}",
)
def case(request: pytest.FixtureRequest) -> tuple[str, int]:
    return request.param  # type: ignore[no-any-return]


class TestContract(PipelineContract):
    has_data = True

    @pytest.fixture
    def pipeline(self, tmp_path_factory: pytest.TempPathFactory, case: tuple[str, int]) -> Pipeline:
        return project(tmp_path_factory.mktemp("project"), model=case[0], n_classes=case[1])


# ---- scoring


def test_the_value_is_the_mean_of_the_folds_that_were_reported(tmp_path: Path) -> None:
    pipeline = bound(tmp_path, rest="[splits]\nfolds = 4\nrepeats = 2\n")
    evaluation, reports = evaluate(pipeline)
    values = [metrics["roc_auc"] for _, metrics in reports]
    assert [step for step, _ in reports] == list(range(8))
    assert evaluation.value == pytest.approx(np.mean(values))
    # 96 rows to train on, in folds of 24: s^2 (1/8 + 24/72).
    assert evaluation.std_error == pytest.approx(np.std(values, ddof=1) * np.sqrt(1 / 8 + 24 / 72))
    assert {"log_loss", "accuracy", "fit_seconds"} <= set(evaluation.metrics)


def test_the_metrics_of_the_task_come_along(tmp_path: Path) -> None:
    assert {"mae", "r2"} <= set(evaluate(bound(tmp_path, n_classes=0))[0].metrics)


def test_what_goals_are_about_is_measured(tmp_path: Path) -> None:
    goals = "".join(
        f"[[limit]]\nmetric = '{name}'\nmin = 0\n" for name in ("precision", "predict_ms", "model_kb")
    )
    evaluation, _ = evaluate(bound(tmp_path, rest=goals))
    assert 0 <= evaluation.metrics["precision"] <= 1
    assert 0 < evaluation.metrics["predict_ms"] < 1000
    assert 1 < evaluation.metrics["model_kb"] < 10_000
    (tmp_path / "plain").mkdir()
    plain, _ = evaluate(bound(tmp_path / "plain"))
    assert not {"precision", "predict_ms", "model_kb"} & plain.metrics.keys()
    assert plain.value == evaluation.value


def test_a_goal_that_the_data_cannot_have_is_refused(tmp_path: Path) -> None:
    pipeline = project(
        tmp_path, n_classes=3, metric="accuracy", rest="[[limit]]\nmetric = 'roc_auc'\nmin = 0.5\n"
    )
    with pytest.raises(DataError, match=r"'roc_auc' of an objective or limit .* of a multiclass task"):
        pipeline.load()


def test_two_configurations_are_scored_on_the_same_folds(tmp_path: Path) -> None:
    pipeline = bound(tmp_path)
    evaluate(pipeline)
    folds = pipeline._folds_of(0)
    evaluate(pipeline, {**pipeline.space.defaults(), "min_samples_leaf": 5})
    assert pipeline._folds_of(0) is folds
    assert not np.array_equal(pipeline._folds_of(1).splits[0][1], folds.splits[0][1])


def test_no_experiment_sees_the_holdout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever stands in the rows of the holdout, no score changes."""
    pipeline = bound(tmp_path)
    before = evaluate(pipeline)[0]
    data = pipeline.data
    features, y = data.table.features.copy(), data.table.y.copy()
    features[data.holdout], y[data.holdout] = 1e6, 1 - y[data.holdout]
    spoilt = replace(data.table, features=features, y=y)
    pipeline.use(LoadedTable(spoilt, data.train, data.holdout))
    after = evaluate(pipeline)[0]
    assert (after.value, after.std_error) == (before.value, before.std_error)
    model = pipeline.fit(pipeline.space.defaults(), 0)
    pipeline.use(data)
    assert pipeline.test(model) == pipeline.test(pipeline.fit(pipeline.space.defaults(), 0))


def test_a_fold_is_prepared_from_its_training_rows_alone(tmp_path: Path) -> None:
    pipeline = bound(tmp_path, model="logistic_regression")
    fold = pipeline._folds_of(0).prepare(0, "logistic_regression")
    np.testing.assert_allclose(fold.x_train[:, :2].mean(axis=0), 0, atol=1e-9)
    train, valid = pipeline._folds_of(0).splits[0]
    again = make_preprocessing("logistic_regression", pipeline.data.table.columns)
    expected = again.fit(pipeline.data.table.features[train]).transform(pipeline.data.table.features[valid])
    np.testing.assert_array_equal(fold.x_valid, expected)


def test_folds_that_are_kept_and_folds_that_are_not_score_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = bound(tmp_path)
    kept = evaluate(pipeline)[0]
    assert pipeline._folds_of(0).prepare(2, "random_forest") is pipeline._folds_of(0).prepare(
        2, "random_forest"
    )
    monkeypatch.setattr(folds_module, "MAX_CACHE_BYTES", 100)
    pipeline.use(pipeline.data)
    assert evaluate(pipeline)[0].value == kept.value
    assert pipeline._folds_of(0).prepare(2, "random_forest") is not pipeline._folds_of(0).prepare(
        2, "random_forest"
    )


def test_a_pipeline_travels_without_its_data(tmp_path: Path) -> None:
    pipeline = project(tmp_path)
    alone = len(cloudpickle.dumps(pipeline))
    pipeline.use(pipeline.load())
    evaluate(pipeline)
    assert len(cloudpickle.dumps(pipeline)) == alone
    evaluate(pipeline)


def test_data_that_may_not_be_written_to_will_do(tmp_path: Path) -> None:
    pipeline = bound(tmp_path, model="xgboost")
    table = pipeline.data.table
    for array in (table.features, table.y, pipeline.data.train, pipeline.data.holdout):
        array.flags.writeable = False
    evaluate(pipeline)
    pipeline.test(pipeline.fit(pipeline.space.defaults(), 0))


def test_what_is_fixed_wins_and_is_part_of_the_provenance(tmp_path: Path) -> None:
    pipeline = bound(tmp_path, fixed={"n_estimators": 3})
    assert len(pipeline.fit(pipeline.space.defaults(), 0).estimator.estimators_) == 3
    other = bound(tmp_path, fixed={"n_estimators": 4})
    assert pipeline.provenance().data == other.provenance().data
    assert pipeline.provenance().code != other.provenance().code


@pytest.mark.parametrize(
    "rest", ["folds = 4", "repeats = 2", "holdout = 0.3", "seed = 1", "group = 'site'", "time = 'b'"]
)
def test_every_part_of_the_splits_is_part_of_the_metrics_definition(tmp_path: Path, rest: str) -> None:
    plain, other = bound(tmp_path).provenance(), bound(tmp_path, rest=f"[splits]\n{rest}\n").provenance()
    assert plain.metric != other.metric
    assert plain.code == other.code


def test_a_fit_that_did_not_converge_is_counted(tmp_path: Path) -> None:
    pipeline = bound(tmp_path, model="logistic_regression", fixed={"max_iter": 1})
    assert evaluate(pipeline)[0].metrics["n_not_converged"] == 5
    assert "n_not_converged" not in evaluate(bound(tmp_path, model="logistic_regression"))[0].metrics


@pytest.mark.parametrize("rest", ["group = 'site'", "time = 'day'"])
def test_groups_and_times_are_scored_end_to_end(tmp_path: Path, rest: str) -> None:
    pipeline = bound(tmp_path, rest=f"[splits]\nfolds = 3\n{rest}\n", drop=[] if "day" in rest else ["day"])
    assert len(evaluate(pipeline)[1]) == 3
    data = pipeline.data
    if data.table.times is not None:
        assert data.table.times[data.train].max() < data.table.times[data.holdout].min()
    else:
        assert data.table.groups is not None
        assert not set(data.table.groups[data.train]) & set(data.table.groups[data.holdout])


# ---- rare classes and degenerate folds


def rare(n: int = 100, n_rare: int = 4) -> pd.DataFrame:
    frame = mixed_frame(n)[["a", "b", "colour"]]
    return frame.assign(y=[0] * (n - n_rare) + [1] * n_rare)


def test_a_rare_class_gets_plain_folds_with_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pipeline = project(tmp_path, rare(), metric="accuracy")
    with caplog.at_level(logging.WARNING):
        pipeline.use(pipeline.load())
        evaluate(pipeline)
        evaluate(pipeline)
    assert caplog.text.count("drawn without regard to classes") == 1


def test_an_auc_that_is_undefined_is_a_failure_and_not_one_half(tmp_path: Path) -> None:
    frame = mixed_frame(60)[["a", "b"]].assign(t=range(60), y=[0, 1] * 10 + [0] * 38 + [1, 0])
    pipeline = bound(tmp_path, frame, rest="[splits]\ntime = 't'\n")
    with pytest.raises(
        ResultError, match=r"has no value on fold \d: roc_auc is undefined.*hold 1 of 2 classes"
    ) as caught:
        evaluate(pipeline)
    assert caught.value.outcome is Outcome.NON_FINITE


@pytest.mark.parametrize(("grouped", "said"), [(False, "3 of the rows"), (True, "2 of the groups")])
def test_a_class_that_some_fold_must_lack_is_refused_before_anything_runs(
    tmp_path: Path, grouped: bool, said: str
) -> None:
    frame = rare()
    rest = ""
    if grouped:  # enough rows of the class, but of two groups alone
        frame = frame.assign(y=[1] * 20 + [0] * (len(frame) - 20), g=[i // 10 for i in range(len(frame))])
        rest = "[splits]\ngroup = 'g'\nholdout = 0.1\nfolds = 3\n"
    with pytest.raises(
        DataError, match=f"'roc_auc' needs every class in each of . folds, but 1 is in {said}"
    ):
        bound(tmp_path, frame, rest=rest)


def test_other_metrics_that_are_undefined_are_left_out(tmp_path: Path) -> None:
    metrics = evaluate(bound(tmp_path, rare(), metric="accuracy"))[0].metrics
    assert "roc_auc" not in metrics
    assert "log_loss" in metrics


@pytest.mark.parametrize("model", ["xgboost", "random_forest", "logistic_regression"])
def test_a_class_that_a_fold_does_not_train_on_has_probability_zero(tmp_path: Path, model: str) -> None:
    frame = mixed_frame(60)[["a", "b", "y"]]
    frame["y"] = frame["y"].replace({1: 2})
    frame.loc[[3, 4], "y"] = 1
    evaluation = evaluate(bound(tmp_path, frame, metric="log_loss", model=model))[0]
    assert np.isfinite(evaluation.value)


@pytest.mark.parametrize(
    "steps",
    [
        "folds",
        "rounds",
        "samples",
        "rounds'\nlooks = [2]\npruner = 'asha",
        "samples'\nlooks = [20]\npruner = 'asha",
    ],
)
def test_a_fold_of_one_class_is_a_failure(tmp_path: Path, steps: str) -> None:
    """In words of ours, however the fold is fitted."""
    frame = mixed_frame(60)[["a", "b"]].assign(t=range(60), y=[0] * 30 + [1, 0] * 15)
    rest = f"[splits]\ntime = 't'\n[pruning]\nsteps = '{steps}'\n"
    model = "xgboost" if "rounds" in steps else "random_forest"
    pipeline = bound(tmp_path, frame, metric="accuracy", model=model, rest=rest)
    with pytest.raises(ResultError, match="Fold 0 has one class only, 0, to learn from"):
        evaluate(pipeline)


def test_training_rows_of_one_class_are_refused_before_anything_runs(tmp_path: Path) -> None:
    frame = mixed_frame(60)[["a", "b"]].assign(t=range(60), y=[0] * 50 + [1] * 10)
    with pytest.raises(DataError, match="must hold at least two classes, but all are 0"):
        project(tmp_path, frame, metric="accuracy", rest="[splits]\ntime = 't'\n").load()


# ---- bad input


@pytest.mark.parametrize(
    ("frame", "options", "part"),
    [
        (mixed_frame()[["a", "b"]], {}, "have no column 'y', as target names it."),
        (mixed_frame().assign(y=1), {}, "at least two classes, but every row is 1"),
        (mixed_frame()[:0], {}, "no rows"),
        (mixed_frame(), {"drop": []}, "'day' holds dates"),
        (mixed_frame(), {"metric": "rmse", "target": "colour"}, "must hold numbers"),
        (mixed_frame()[:5].assign(y=[0, 1, 0, 1, 0]), {}, "at least 5 rows to train on, but there are 4"),
        (mixed_frame()[:3].assign(y=[0, 1, 0]), {}, "at least 4 rows"),
        (mixed_frame(n_classes=3), {}, "needs two classes"),
        (mixed_frame(), {"model": "logistic_regression", "metric": "rmse"}, "cannot learn a regression task"),
    ],
)
def test_bad_data_is_one_sentence(
    tmp_path: Path, frame: pd.DataFrame, options: dict[str, Any], part: str
) -> None:
    pipeline = project(tmp_path, frame, **{"fixed": {}, **options})
    with pytest.raises(UsageError) as caught:
        pipeline.load()
    assert part in str(caught.value)


def test_an_unknown_hyperparameter_is_refused_before_the_data_are_read(tmp_path: Path) -> None:
    space = "[space.params]\nlearnig_rate = { type = 'float', low = 0.1, high = 0.2 }\n"
    config = tabular(tmp_path, model="xgboost", rest=space, fixed={"n_jobs": 4})
    with pytest.raises(ConfigError, match=r"'learnig_rate'.*Did you mean 'learning_rate'.*'n_jobs'"):
        load_pipeline(config)


# ---- the model


def test_a_stored_model_predicts_raw_rows_in_any_order(tmp_path: Path, case: tuple[str, int]) -> None:
    model_name, n_classes = case
    pipeline = bound(tmp_path, model=model_name, n_classes=n_classes)
    model = pipeline.fit(pipeline.space.defaults(), 0)
    folder = tmp_path / "version"
    folder.mkdir()
    files = pipeline.save(model, folder)
    assert {path.name for path in files} == {
        "schema.json",
        "preprocess.skops",
        "model.ubj" if model_name == "xgboost" else "model.skops",
    }
    rows = mixed_frame(30, seed=9).drop(columns="y").sample(axis=1, frac=1, random_state=0)
    rows.loc[0, "colour"] = "never seen"
    rows.loc[1, "colour"] = None
    back = load_model(folder)
    np.testing.assert_array_equal(back.predict(rows), model.predict(rows))
    assert pipeline.test(back) == pipeline.test(model)
    if n_classes:
        assert set(back.predict(rows)) <= set(model.classes)
        np.testing.assert_allclose(back.predict_proba(rows).sum(axis=1), 1)
        assert back.predict_proba(rows.iloc[:0]).shape == (0, n_classes)
    else:
        with pytest.raises(TypeError, match="no probabilities"):
            back.predict_proba(rows)
    assert back.predict(rows.iloc[:0]).shape == (0,)
    with pytest.raises(DataError, match="must have the columns 'b'"):
        back.predict(rows.drop(columns="b"))


def test_labels_come_back_as_they_were(tmp_path: Path) -> None:
    frame = mixed_frame().assign(y=lambda f: f["y"].map({0: "good", 1: "bad"}))
    pipeline = bound(tmp_path, frame)
    assert pipeline.data.table.classes == ("bad", "good")
    assert set(pipeline.fit(pipeline.space.defaults(), 0).predict(frame)) == {"good", "bad"}


def test_the_test_scores_are_those_of_the_holdout(tmp_path: Path) -> None:
    pipeline = bound(tmp_path)
    model = pipeline.fit(pipeline.space.defaults(), 0)
    scores = pipeline.test(model)
    frame = pd.read_csv(tmp_path / "data.csv").iloc[pipeline.data.holdout]
    assert scores.n_rows == len(frame) == 24
    assert scores.metrics["test_accuracy"] == np.mean(model.predict(frame) == frame["y"])


@pytest.mark.parametrize("damage", ["missing", "truncated", "newer"])
def test_a_damaged_model_folder_is_one_sentence(tmp_path: Path, damage: str) -> None:
    pipeline = bound(tmp_path)
    pipeline.save(pipeline.fit(pipeline.space.defaults(), 0), tmp_path)
    schema = tmp_path / "schema.json"
    if damage == "missing":
        schema.unlink()
    elif damage == "truncated":
        schema.write_text(schema.read_text()[:20])
    else:
        schema.write_text(json.dumps({**json.loads(schema.read_text()), "format": 99}))
    with pytest.raises(StorageError, match="format 99" if damage == "newer" else "cannot be read"):
        load_model(tmp_path)


def test_the_built_in_data_sets_learn(tmp_path: Path) -> None:
    """Better than guessing, by far: any real model reaches these on any split."""
    floors = {"breast_cancer": ("roc_auc", 0.95), "wine": ("accuracy", 0.9), "diabetes": ("r2", 0.25)}
    for name, (metric, floor) in floors.items():
        config: Config = tabular(tmp_path, data=name, target=None, metric=metric, fixed={"n_estimators": 30})
        pipeline = load_pipeline(config)
        pipeline.use(pipeline.load())
        assert evaluate(pipeline)[0].value > floor
        assert METRICS[metric].direction is pipeline.direction


def test_use_refuses_what_load_did_not_make(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="expected a LoadedTable"):
        project(tmp_path).use({"x": 1})


def test_the_versions_of_what_scores_are_recorded(tmp_path: Path) -> None:
    assert re.search(
        r"scikit-learn \d+\.\d+.*xgboost \d+\.\d+", bound(tmp_path, model="xgboost").provenance().code
    )


def test_a_model_lists_only_the_categories_it_tells_apart(tmp_path: Path) -> None:
    frame = mixed_frame(n=400)
    rng = np.random.default_rng(1)
    frame["town"] = [f"t{int(i):03}" for i in rng.exponential(40, size=400)]
    frame.loc[:20, "town"] = None
    pipeline = bound(tmp_path, frame)
    params = pipeline.space.defaults()
    model = pipeline.fit(params, 0)
    listed = model.columns.categories["town"]
    assert len(listed) <= 32 < frame["town"].nunique()
    assert set(model.columns.categories["colour"]) == {"red", "green", "blue"}
    pipeline.save(model, tmp_path)
    again = pipeline.load_model(tmp_path)
    data = pipeline.data
    whole = replace(model, columns=data.table.columns)
    assert (again.predict_proba(frame) == whole.predict_proba(frame)).all()
    assert json.loads((tmp_path / "schema.json").read_text())["columns"]["categories"]["town"] == list(listed)


# ---- how sure the holdout is


@pytest.mark.parametrize("n_classes", [2, 0])
def test_the_holdout_is_scored_without_each_of_its_blocks(tmp_path: Path, n_classes: int) -> None:
    pipeline = bound(tmp_path, n_classes=n_classes, model="xgboost")
    first, second = (pipeline.test(pipeline.fit({"max_depth": depth}, 0)) for depth in (1, 4))
    name = f"test_{METRIC_OF[n_classes]}"
    assert set(first.left_out) == {name}
    found = holdout_score(first.metrics[name], first.left_out[name])
    assert found is not None
    assert found.std_error > 0
    assert found.low < first.metrics[name] < found.high
    gain = holdout_gain(
        first.metrics[name],
        first.left_out[name],
        second.metrics[name],
        second.left_out[name],
        pipeline.direction,
    )
    assert gain is not None


def test_its_traits_say_model_task_and_what_the_training_rows_are_like(tmp_path: Path) -> None:
    lines = ["a,b,c,target"]
    lines += [
        f"{i},{'' if i % 4 == 0 else i % 3},{'xy'[i % 2]},{'no' if i % 4 else 'yes'}" for i in range(100)
    ]
    (tmp_path / "some.csv").write_text("\n".join(lines))
    (tmp_path / "retrain.toml").write_text(
        '[pipeline]\nmodel = "ridge"\ndata = "some.csv"\ntarget = "target"\nmetric = "accuracy"\n'
        'trusted = ["a", "b"]\n'
    )
    pipeline = load_pipeline(load_config(tmp_path / "retrain.toml"))
    pipeline.use(pipeline.load())
    traits = pipeline.traits()
    assert (traits.model, traits.kind) == ("ridge", "binary")
    assert dict(traits.features) == {
        "n_rows": 80.0,
        "n_columns": 3.0,
        "share_categories": pytest.approx(1 / 3),
        "share_missing": pytest.approx(20 / 240),
        "n_classes": 2.0,
        "share_largest_class": 0.75,
    }
