"""Rounds, epochs and samples as steps: comparable, told on the way, and worth what the whole fit is worth."""

import threading
from pathlib import Path
from typing import Any

import pytest

from retrain.improvement import scores_of_folds
from retrain.pipeline import Pipeline, Pruned
from retrain.pipelines import load_pipeline
from retrain.pipelines.folds import Fold, Folds
from tests.contracts.pipeline_contract import PipelineContract, evaluate
from tests.retrain.projects import config_in
from tuner.errors import ConfigError
from tuner.experiment import Params

BOOSTERS = {
    "xgboost": {"n_estimators": 20, "subsample": 0.5, "colsample_bytree": 0.7},
    "lightgbm": {"n_estimators": 20, "subsample": 0.5, "subsample_freq": 1},
    "gradient_boosting": {"n_estimators": 20, "subsample": 0.5},
}


def pipeline(
    folder: Path,
    model: str = "xgboost",
    pruning: str = "steps = 'rounds'\ngrace = 2",
    data: str = "breast_cancer",
    metric: str = "roc_auc",
    more: str = "",
) -> Pipeline:
    text = f"[pipeline]\nmodel = '{model}'\ndata = '{data}'\nmetric = '{metric}'\n{more}[splits]\nfolds = 3\n"
    return load_pipeline(config_in(folder, f"{text}[pruning]\n{pruning}\n" if pruning else text))


def scored(of: Pipeline, params: Params) -> tuple[Any, list[Any]]:
    of.use(of.load())
    evaluation, reports = evaluate(of, params)
    return evaluation, reports


class TestRounds(PipelineContract):
    has_data = True

    @pytest.fixture
    def pipeline(self, tmp_path: Path) -> Pipeline:
        return pipeline(tmp_path, "xgboost", "steps = 'rounds'\ngrace = 5")


@pytest.mark.parametrize(
    "data_metric", [("breast_cancer", "roc_auc"), ("wine", "accuracy"), ("diabetes", "rmse")]
)
@pytest.mark.parametrize("model", BOOSTERS)
def test_the_value_is_that_of_the_whole_fit(tmp_path: Path, model: str, data_metric: tuple[str, str]) -> None:
    """Also where rows are drawn: side by side, each fold draws as it would alone."""
    data, metric = data_metric
    params = BOOSTERS[model]
    alone, by_fold = scored(pipeline(tmp_path, model, "", data, metric), params)
    stepped, reports = scored(pipeline(tmp_path, model, data=data, metric=metric), params)
    assert (stepped.value, stepped.std_error) == (alone.value, alone.std_error)
    same = {name: value for name, value in alone.metrics.items() if name != "fit_seconds"}
    assert {name: stepped.metrics[name] for name in same} == same
    assert [step for step, _ in reports] == [2, 6, 18]
    curve = {m.step: m.value for m in stepped.measurements if m.metric == metric}
    assert curve == {**{step: told[metric] for step, told in reports}, 20: alone.value}
    folds = scores_of_folds(stepped.measurements, metric, stepped.value)
    assert folds == [told[metric] for _, told in by_fold]


@pytest.mark.parametrize("model", BOOSTERS)
def test_a_step_is_worth_what_a_fit_of_so_many_rounds_is(tmp_path: Path, model: str) -> None:
    params = {**BOOSTERS[model]}
    _, reports = scored(pipeline(tmp_path, model), params)
    at_six = dict(reports)[6]["roc_auc"]
    short, _ = scored(pipeline(tmp_path, model, ""), {**params, "n_estimators": 6})
    assert at_six == pytest.approx(short.value, abs=1e-9)


class TestLooks(PipelineContract):
    has_data = True

    @pytest.fixture
    def pipeline(self, tmp_path: Path) -> Pipeline:
        return pipeline(tmp_path, "xgboost", "steps = 'rounds'\nlooks = [5, 20]")


@pytest.mark.parametrize("model", BOOSTERS)
def test_folds_in_turn_are_worth_what_they_are_alone(tmp_path: Path, model: str) -> None:
    """The first is looked at on its way, and where a fit is shorter than a look, that look is left out."""
    params = BOOSTERS[model]
    alone, by_fold = scored(pipeline(tmp_path, model, ""), params)
    looked, reports = scored(pipeline(tmp_path, model, "steps = 'rounds'\nlooks = [3, 7, 99]"), params)
    assert (looked.value, looked.std_error) == (alone.value, alone.std_error)
    one, two, three = (told["roc_auc"] for _, told in by_fold)
    assert [step for step, _ in reports] == [1, 2, 4, 5]
    told = {step: metrics["roc_auc"] for step, metrics in reports}
    said = [
        {name: value for name, value in each.items() if name.startswith("look_at_")} for _, each in reports
    ]
    assert said == [{"look_at_rounds": 3}, {"look_at_rounds": 7}, {"look_at_folds": 1}, {"look_at_folds": 2}]
    assert (told[4], told[5]) == (one, pytest.approx((one + two) / 2, abs=1e-12))
    curve = {m.step: m.value for m in looked.measurements if m.metric == "roc_auc"}
    assert curve == {**told, 6: alone.value}
    assert scores_of_folds(looked.measurements, "roc_auc", looked.value) == [one, two, three]
    _, of_fold = scored(pipeline(tmp_path, model, ""), {**params, "n_estimators": 7})
    assert told[2] == pytest.approx(of_fold[0][1]["roc_auc"], abs=1e-9), "seven rounds of the first fold"


@pytest.mark.parametrize(("at", "n_fits"), [(1, 1), (3, 1), (4, 2)])
@pytest.mark.parametrize("model", BOOSTERS)
def test_a_stop_at_a_look_spares_the_folds_behind_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str, at: int, n_fits: int
) -> None:
    of = pipeline(tmp_path, model, "steps = 'rounds'\nlooks = [3, 7]")
    of.use(of.load())
    begun: list[int] = []
    prepare = Folds.prepare

    def watched(self: Folds, step: int, family: str) -> Fold:
        begun.append(step)
        return prepare(self, step, family)

    monkeypatch.setattr(Folds, "prepare", watched)

    def report(step: int, _: Any) -> None:
        if step == at:
            raise Pruned

    with pytest.raises(Pruned):
        of.evaluate(BOOSTERS[model], report, 0)
    assert begun == list(range(n_fits))


def test_parts_of_the_first_fold_and_epochs_can_be_looked_at_too(tmp_path: Path) -> None:
    for model, looks in (
        ("ridge", "steps = 'samples'\nlooks = [10, 40]"),
        ("sgd", "steps = 'epochs'\nlooks = [2, 5]"),
    ):
        metric = "accuracy"
        looked, reports = scored(pipeline(tmp_path, model, looks, metric=metric), {})
        assert [step for step, _ in reports] == [1, 2, 3, 4]
        assert looked.measurements[0].metric == metric
        folds = scores_of_folds(looked.measurements, metric, looked.value)
        assert folds is not None
        assert sum(folds) / 3 == pytest.approx(looked.value)


class TestEpochs(PipelineContract):
    has_data = True

    @pytest.fixture
    def pipeline(self, tmp_path: Path) -> Pipeline:
        return pipeline(tmp_path, "sgd", "steps = 'epochs'")


SGD: list[Params] = [
    {"alpha": 1e-3, "loss": "log_loss"},
    {"penalty": "elasticnet", "l1_ratio": 0.5, "class_weight": "balanced"},
    {"average": True, "learning_rate": "invscaling", "eta0": 0.01},
]


@pytest.mark.parametrize("params", SGD, ids=["plain", "balanced", "average"])
@pytest.mark.parametrize("data", ["breast_cancer", "wine"])
def test_epochs_end_as_a_fit_without_steps_does(tmp_path: Path, data: str, params: Params) -> None:
    """What is given `epochs` is fitted by them wherever it is fitted, also where nobody looks at it."""
    fixed = f"fixed = {{ epochs = 9, {', '.join(f'{k} = {toml(v)}' for k, v in params.items())} }}\n"
    own = "[space.params]\nl1_ratio = { type = 'float', low = 0.0, high = 1.0, default = 0.5 }\n"
    own = own if "l1_ratio" not in params else own.replace("l1_ratio", "alpha")
    steps = f"steps = 'epochs'\ngrace = 2\n{own}"
    alone, by_fold = scored(pipeline(tmp_path, "sgd", f"pruner = 'none'\n{own}", data, "f1_macro", fixed), {})
    stepped, reports = scored(pipeline(tmp_path, "sgd", steps, data, "f1_macro", fixed), {})
    assert (stepped.value, stepped.std_error) == (alone.value, alone.std_error)
    assert [step for step, _ in reports] == [2, 6]
    curve = {m.step: m.value for m in stepped.measurements if m.metric == "f1_macro"}
    assert curve == {**{step: told["f1_macro"] for step, told in reports}, 9: alone.value}
    folds = scores_of_folds(stepped.measurements, "f1_macro", stepped.value)
    assert folds == [told["f1_macro"] for _, told in by_fold]
    short = pipeline(tmp_path, "sgd", steps, data, "f1_macro", fixed.replace("epochs = 9", "epochs = 6"))
    assert dict(reports)[6]["f1_macro"] == scored(short, {})[0].value


def toml(value: Any) -> str:
    return {True: "true"}.get(value) or repr(value)


def test_epochs_are_searched_and_deployed(tmp_path: Path) -> None:
    """The presets of sgd say how many there are, and have nothing that only a fit of one call heeds."""
    for appetite in ("conservative", "default", "aggressive"):
        of = pipeline(tmp_path, "sgd", f"steps = 'epochs'\n[space]\npreset = 'sgd/{appetite}'")
        assert "epochs" in of.space.names
        assert not {"max_iter", "tol"} & set(of.space.names)
        of.use(of.load())
    model = of.fit({**of.space.defaults(), "epochs": 4}, 0)
    assert model.estimator.t_ == 1 + 4 * len(of.data.train)  # type: ignore[attr-defined]
    assert "epochs" not in pipeline(tmp_path, "sgd", "").space.names


def test_naive_bayes_comes_to_its_end_in_one_epoch_beside_a_model_of_many(tmp_path: Path) -> None:
    several = "model = ['sgd', 'naive_bayes']\ndata = 'breast_cancer'\nmetric = 'accuracy'\n"
    text = f"[pipeline]\n{several}[splits]\nfolds = 3\n"
    stepped = load_pipeline(config_in(tmp_path, f"{text}[pruning]\nsteps = 'epochs'\ngrace = 1\n"))
    assert stepped.space.params["sgd_epochs"].when == {"model": ("sgd",)}
    at_once = {**stepped.space.defaults(), "model": "naive_bayes"}
    at_once = {name: value for name, value in at_once.items() if not name.startswith("sgd_")}
    evaluation, reports = scored(stepped, at_once)
    assert (reports, evaluation.measurements[0].step) == ([], 1)
    whole, _ = scored(load_pipeline(config_in(tmp_path, text)), at_once)
    assert evaluation.value == whole.value
    _, reports = scored(stepped, stepped.space.defaults())
    assert [step for step, _ in reports] == [1, 3, 9]


def test_samples_grow_by_the_factor_and_end_with_all(tmp_path: Path) -> None:
    plain = scored(pipeline(tmp_path, "random_forest", ""), {"n_estimators": 5})[0]
    grown = "steps = 'samples'\ngrace = 10\nreduction_factor = 3"
    evaluation, reports = scored(pipeline(tmp_path, "random_forest", grown), {"n_estimators": 5})
    assert [step for step, _ in reports] == [10, 30, 90]
    assert evaluation.value == plain.value
    assert {m.step for m in evaluation.measurements if m.metric == "roc_auc"} == {10, 30, 90, 100}
    assert len({told["roc_auc"] for _, told in reports}) == 3


@pytest.mark.parametrize("steps", ["rounds", "folds"])
def test_of_several_objectives_each_is_told_at_each_step(tmp_path: Path, steps: str) -> None:
    pruning = f"steps = '{steps}'\ngrace = 2\n[[objective]]\nmetric = 'accuracy'"
    _, reports = scored(pipeline(tmp_path, pruning=pruning), BOOSTERS["xgboost"])
    assert len(reports) == 3
    metrics = [{name for name in told if not name.startswith("step_in_")} for _, told in reports]
    assert metrics == [{"roc_auc", "accuracy"}] * 3


@pytest.mark.parametrize(
    ("model", "unit", "params"),
    [
        ("xgboost", "rounds", {"n_estimators": 5}),
        ("sgd", "epochs", {"epochs": 5}),
        ("ridge", "samples", {}),
    ],
)
def test_each_step_says_what_it_counts_and_so_does_the_end(
    tmp_path: Path, model: str, unit: str, params: Params
) -> None:
    """Also where the end is all there is: a fit that is shorter than the first step."""
    for grace in (2, 99):
        of = pipeline(tmp_path, model, f"steps = '{unit}'\ngrace = {grace}", metric="accuracy")
        evaluation, reports = scored(of, params)
        assert [told[f"step_in_{unit}"] for _, told in reports] == [step for step, _ in reports]
        stepped = [m.step for m in evaluation.measurements if m.metric == "accuracy"]
        marked = [m.step for m in evaluation.measurements if m.metric == f"step_in_{unit}"]
        assert marked == stepped
        assert len(marked) == len(reports) + 1


def test_what_is_pruned_ends_every_fold(tmp_path: Path) -> None:
    of = pipeline(tmp_path)
    of.use(of.load())

    def stop(step: int, metrics: Any) -> None:
        if step == 6:
            raise Pruned

    with pytest.raises(Pruned):
        of.evaluate(BOOSTERS["xgboost"], stop, 0)
    assert not [each for each in threading.enumerate() if each.name == "retrain-fit"]


def test_the_detail_of_a_gate_is_told_by_folds(tmp_path: Path) -> None:
    of = pipeline(tmp_path)
    of.use(of.load())
    told: list[int] = []
    evaluation, detail = of.evaluate_in_detail(BOOSTERS["xgboost"], lambda step, _: told.append(step), 0, {})
    assert told == [0, 1, 2]
    assert sum(detail.folds["roc_auc"]) / 3 == pytest.approx(evaluation.value)


@pytest.mark.parametrize(
    ("model", "pruning", "more", "words"),
    [
        ("ridge", "steps = 'rounds'", "", "no meaning for ridge: only for xgboost, lightgbm"),
        ("xgboost", "steps = 'epochs'", "", "only for naive_bayes, sgd. All models have"),
        ("naive_bayes", "steps = 'epochs'", "", "nothing to stop of naive_bayes, which learns in one"),
        ("sgd", "steps = 'rounds'", "", "no meaning for sgd: only for xgboost, lightgbm"),
        (
            "sgd",
            "steps = 'epochs'\n[space.params]\nalpha = { type = 'float', low = 0.1, high = 1.0 }",
            "",
            "needs a number of epochs for 'sgd', but 'epochs' is neither",
        ),
        ("xgboost", "steps = 'rounds'", "early_stopping_rounds = 5\n", "early_stopping_rounds"),
        ("xgboost", "pruner = 'wilcoxon'\nsteps = 'rounds'", "", "compares folds"),
        ("xgboost", "pruner = 'ahsa'", "", "Did you mean 'asha'"),
        ("xgboost", "steps = 'samples'\ngrace = 100", "", "below 100"),
        ("xgboost", "steps = 'rounds'\nmax_steps = 5", "", "at least grace, which is 10"),
        ("xgboost", "reduction_factor = 1", "", "reduction_factor"),
        ("xgboost", "looks = [30]", "", "need steps = 'rounds', 'epochs' or 'samples'"),
        ("xgboost", "steps = 'rounds'\nlooks = [30, 30]", "", "must rise, but are [30, 30]"),
        ("xgboost", "steps = 'rounds'\nlooks = 30", "", "`pruning.looks` must be a list, but got 30"),
        ("xgboost", "steps = 'rounds'\nlooks = [0]", "", "greater than or equal to 1"),
        ("xgboost", "steps = 'samples'\nlooks = [10, 100]", "", "must be below 100"),
        ("xgboost", "steps = 'rounds'\nlooks = [30]\ngrace = 10", "", "no meaning beside looks"),
        ("xgboost", "steps = 'rounds'\nlooks = [30]\npruner = 'wilcoxon'", "", "compares folds"),
    ],
)
def test_steps_that_cannot_be_made_are_refused_before_anything_runs(
    tmp_path: Path, model: str, pruning: str, more: str, words: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        pipeline(tmp_path, model, pruning, more=more)
    assert words in str(caught.value)
