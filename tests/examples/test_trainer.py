"""The step of a training pipeline: its data, its contract, what it refuses, and what it never looks at."""

import csv
import json
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

import examples.trainer
from examples.trainer import again, trainer
from examples.trainer.contract import ContractError, checked
from examples.trainer.data import COLUMNS, FILE, sample, write_people
from examples.trainer.run import held_out
from examples.trainer.settings import METHODS, METRICS, MODELS, PRUNERS, TASKS, Settings
from examples.trainer.trainer import main, search, train
from retrain.config import load_config
from retrain.models import MODELS as FAMILIES
from retrain.pipelines import load_pipeline
from tuner.errors import ConfigError, DataError, NotFoundError, UsageError
from tuner.experiment import State
from tuner.generators import METHODS as GENERATORS
from tuner.registry import open_registry

HERE = Path(examples.trainer.__file__).parent
QUICK: dict[str, Any] = {"models": ["logistic_regression", "ridge"], "method": "random", "workers": 1}

LATER = {"yrdth", "modth", "dadth", "wt82", "smkintensity82_71", "sbp", "dbp", "censored", "seqn", "id"}
LATER |= {name for name in COLUMNS if name.endswith("82")}
"""What was not known in 1971, or names a person."""


def project(folder: Path, n: int = 160) -> Path:
    for name in TASKS.values():
        shutil.copy(HERE / name, folder)
    write_people(folder / "nhefs.csv", None, n=n)
    return folder


# ---- data


def test_the_sample_has_the_format_of_the_published_file_and_follows_the_seed(tmp_path: Path) -> None:
    people = sample(80, seed=1)
    assert people == sample(80, seed=1) != sample(80, seed=2)
    assert all(tuple(row) == COLUMNS for row in people)
    assert {row["death"] for row in people} == {0, 1}
    assert all((row["yrdth"] == "") == (row["death"] == 0) for row in people), "the date of death tells all"
    write_people(tmp_path / "all.csv", None, n=80, seed=1)
    write_people(tmp_path / "some.csv", None, n=80, seed=1, share=0.25)
    whole = (tmp_path / "all.csv").read_text().splitlines()
    assert (tmp_path / "some.csv").read_text().splitlines() == whole[:21]


def test_the_published_file_is_taken_as_it_is_and_another_is_refused(tmp_path: Path) -> None:
    (tmp_path / FILE).parent.mkdir()
    write_people(tmp_path / FILE, None, n=20)
    with write_people(tmp_path / "nhefs.csv", tmp_path).open(encoding="utf-8", newline="") as file:
        assert len(list(csv.DictReader(file))) == 20
    (tmp_path / FILE).write_text("seqn,death\n1,0\n")
    with pytest.raises(ValueError, match=r"must have the columns of NHEFS, but lacks: qsmk, yrdth"):
        write_people(tmp_path / "nhefs.csv", tmp_path)


@pytest.mark.parametrize("task", TASKS)
def test_what_was_not_known_in_1971_is_no_feature(task: str) -> None:
    pipeline = load_config(HERE / TASKS[task]).pipeline
    other = {"death": "wt82_71", "weight": "death"}[task]
    assert {*pipeline.drop} >= (LATER | {other}) - {pipeline.target}


@pytest.mark.parametrize("task", TASKS)
def test_all_models_of_a_task_are_tried(task: str) -> None:
    kind = {"death": "binary", "weight": "regression"}[task]
    asked = load_config(HERE / TASKS[task]).pipeline.models
    assert asked == tuple(name for name in MODELS if kind in FAMILIES[name].tasks)
    assert len(MODELS) == 8


# ---- the step


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = project(tmp_path_factory.mktemp("trainer"))
    return folder, train(folder, "death", trials=3, **QUICK)


def test_the_step_keeps_its_contract(done: tuple[Path, dict[str, Any]]) -> None:
    _, result = done
    assert checked(result) == {key: value for key, value in result.items() if key != "training_run"}
    assert result["hpo_completed"] is True
    assert result["hpo_trials_run"] == 4, "three, and the default configuration"
    assert result["hpo_study_name"] == "nhefs-death"
    assert 0.5 < result["hpo_best_value"] <= 1


def test_the_best_configuration_is_whole(done: tuple[Path, dict[str, Any]]) -> None:
    folder, result = done
    config = load_config(folder, Settings(**QUICK).overrides)
    space = load_pipeline(config).space
    best = result["best_hyperparameters"]
    assert space.validate(best) == best


def test_the_model_is_linked_to_its_study_and_experiment(done: tuple[Path, dict[str, Any]]) -> None:
    folder, result = done
    run = result["training_run"]
    record = json.loads((folder / run["model"]).with_name("training.json").read_text())
    assert record["hpo_best_trial"] == record["experiment"] == result["hpo_best_trial"]
    assert record["study"] == result["hpo_study_name"]
    config = load_config(folder, Settings(**QUICK).overrides)
    with open_registry(config.db, create=False, read_only=True) as registry:
        [event] = registry.events(kind="trained")
        assert event.data["experiment"] == run["experiment"]
        assert registry.get_experiment(run["experiment"]).value == result["hpo_best_value"]
    pipeline = load_pipeline(config)
    pipeline.use(pipeline.load())
    model = pipeline.load_model(folder / run["model"])
    assert len(pipeline.predict_rows(model, pipeline.sample_rows(3))) == 3


def test_neither_search_nor_training_looks_at_the_test_set(
    done: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    """Not counted, and not done: with other targets there, everything comes out as before."""
    folder, result = done
    config = load_config(folder, Settings(**QUICK).overrides)
    with open_registry(config.db, create=False, read_only=True) as registry:
        assert not registry.holdout_reads(config.name)
    pipeline: Any = load_pipeline(config)
    kept_out = {int(i) for i in pipeline.load().holdout}
    assert kept_out
    project(tmp_path)
    with (folder / "nhefs.csv").open(encoding="utf-8", newline="") as file:
        people = list(csv.DictReader(file))
    ill = [i for i in sorted(kept_out) if people[i]["death"] == "1"]
    well = [i for i in sorted(kept_out) if people[i]["death"] == "0"]
    for sick, sound in zip(ill, well, strict=False):  # as many of each as before, so that the split stays
        for name in COLUMNS:
            if name != "death":
                people[sick][name], people[sound][name] = people[sound][name], people[sick][name]
    with (tmp_path / "nhefs.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(people)
    turned = search(tmp_path, "death", trials=3, **QUICK)
    assert turned["hpo_best_value"] == result["hpo_best_value"]
    assert turned["best_hyperparameters"] == result["best_hyperparameters"]


def test_the_one_look_at_the_test_set_is_counted(done: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(done[0], tmp_path / "copy"))
    gained = held_out(folder, "death", done[1], time.perf_counter())
    assert gained.low is not None
    assert gained.high is not None
    assert gained.low <= gained.tuned - gained.default <= gained.high
    with open_registry(load_config(folder).db, create=False, read_only=True) as registry:
        assert len(registry.holdout_reads("nhefs-death")) == 2


def test_a_regression_by_another_metric_with_a_pruner(tmp_path: Path) -> None:
    folder = project(tmp_path)
    given: dict[str, Any] = {"models": ["lasso"], "method": "random", "metric": "r2", "pruner": "halving"}
    result = train(folder, "weight", trials=8, workers=1, **given)
    assert result["hpo_best_value"] < 1
    assert set(result["best_hyperparameters"]) == {"alpha", "fit_intercept"}
    assert result["hpo_trials_run"] == 9, "those that were stopped count"
    with open_registry(load_config(folder / "weight.toml").db, create=False, read_only=True) as registry:
        study = registry.find_study("nhefs-weight")
        assert study is not None
        assert [each for each in registry.experiments(study) if each.state is State.PRUNED]


def test_what_is_not_done_in_time_is_left_out(tmp_path: Path) -> None:
    result = train(project(tmp_path), "death", trials=50, timeout_s=0.001, **QUICK)
    assert result["hpo_completed"] is False
    assert (result["hpo_best_trial"], result["hpo_best_value"], result["hpo_trials_run"]) == (None, None, 0)
    assert result["best_hyperparameters"]["model"] == "logistic_regression", "the defaults"
    assert result["training_run"] is None


# ---- what is refused


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"method": "tpee"}, "Unknown method 'tpee'. Did you mean 'tpe'?"),
        ({"pruner": "mediam"}, "Unknown pruner 'mediam'. Did you mean 'median'?"),
        ({"metric": "auc"}, "Unknown metric 'auc'."),
        ({"models": ["ridge", "laso"]}, "Unknown model 'laso'. Did you mean 'lasso'?"),
    ],
)
def test_unknown_settings_are_named(settings: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        train(tmp_path, "death", **settings)
    assert said in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("task", "settings", "error"),
    [
        ("deaths", {}, UsageError),
        ("weight", {"metric": "roc_auc", "models": ["xgboost"]}, DataError),
        ("death", {"metric": "r2"}, ConfigError),
        ("death", {"models": ["lasso"]}, ConfigError),
        ("death", {"warm_start": ["never"], "models": ["ridge"]}, NotFoundError),
    ],
)
def test_what_does_not_suit_the_task_is_refused_before_anything_runs(
    task: str, settings: dict[str, Any], error: type[Exception], tmp_path: Path
) -> None:
    with pytest.raises(error):
        train(project(tmp_path, 60), task, trials=2, workers=1, **settings)
    assert not (tmp_path / "runs").exists()


def test_the_names_are_those_of_the_tool() -> None:
    assert {*METHODS} <= {*GENERATORS}
    assert {*MODELS} <= {*FAMILIES}
    assert Settings(pruner="halving", memory=True).overrides["pruning.pruner"] == PRUNERS["halving"] == "asha"
    assert METRICS == ("roc_auc", "accuracy", "f1", "rmse", "r2")


def test_the_command_prints_the_result_or_one_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[Any] = []

    def stand_in(folder: Path, task: str, stop: Any, **settings: Any) -> dict[str, Any]:
        asked.append((folder, task, Settings(**settings)))
        return {"hpo_completed": True}

    monkeypatch.setattr(trainer, "train", stand_in)
    words = ["weight", "--folder", str(tmp_path), "--models", "ridge", "lasso", "--timeout", "60", "--memory"]
    assert main(words) == 0
    assert json.loads(capsys.readouterr().out) == {"hpo_completed": True}
    [(folder, task, settings)] = asked
    assert (folder, task, settings.models) == (tmp_path, "weight", ["ridge", "lasso"])
    assert (settings.timeout_s, settings.memory, settings.method) == (60, True, "bayesian")
    assert main(["death", "--method", "tpee"]) == 2
    assert capsys.readouterr().err.startswith("error: Unknown method 'tpee'. Did you mean 'tpe'?\ntry: ")


# ---- the contract

GOOD: dict[str, Any] = {
    "hpo_completed": True,
    "hpo_best_trial": "tpe_20260101_000000_001",
    "best_hyperparameters": {"alpha": 1.0},
    "hpo_study_name": "nhefs-death",
    "hpo_best_value": 0.8,
    "hpo_trials_run": 3,
    "hpo_duration_seconds": 1.5,
}


def test_a_good_result_is_handed_over_without_other_keys() -> None:
    assert checked({**GOOD, "more": 1}) == GOOD
    nothing = {"hpo_completed": False, "hpo_best_trial": None, "hpo_best_value": None, "hpo_trials_run": 0}
    assert checked(GOOD | nothing) == GOOD | nothing


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"hpo_completed": 1}, "'hpo_completed' must be of type bool"),
        ({"hpo_trials_run": True}, "'hpo_trials_run' must be of type int"),
        ({"hpo_best_value": 1}, "'hpo_best_value' must be of type float or NoneType"),
        ({"hpo_best_value": float("nan")}, "must be finite"),
        ({"hpo_best_value": None}, "a best trial has a value"),
        ({"hpo_best_trial": None}, "a best trial has a value"),
        ({"hpo_best_trial": None, "hpo_best_value": None}, "that was completed has a best trial"),
        ({"best_hyperparameters": {}}, "must not be empty"),
        ({"hpo_study_name": ""}, "must not be empty"),
        ({"hpo_trials_run": -1}, "at least 0"),
        ({"hpo_duration_seconds": float("inf")}, "finite number of at least 0"),
    ],
)
def test_a_result_that_breaks_the_contract_is_not_handed_over(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(ContractError, match=said):
        checked(GOOD | changed)


def test_every_missing_key_is_named() -> None:
    with pytest.raises(ContractError) as caught:
        checked({})
    assert all(repr(key) in str(caught.value) for key in GOOD)


# ---- a second run


def test_a_second_run_starts_from_what_the_first_has_taught(tmp_path: Path, monkeypatch: Any) -> None:
    """The short search with a memory is told of the long one; the cold one is not."""
    folder = project(tmp_path)
    seen: dict[str, bool] = {}

    def quick(folder: Path, task: str, **settings: Any) -> Any:
        seen[settings["study"]] = settings.get("memory", False)
        return search(folder, task, **{**settings, "models": ["ridge"], "trials": 4, "workers": 1})

    monkeypatch.setattr(again, "search", quick)
    found = again.run_again(folder, "death", None, trials=4, again=4)
    assert seen == {"before": False, "cold": False, "memory": True}
    assert len(found["memory"]) == len(found["cold"]) == 3
    config = load_config(folder / "again-death-0")
    with open_registry(config.db, create=False, read_only=True) as registry:
        study = registry.find_study("memory")
        assert study is not None
        told = [event.message for event in registry.events() if "before" in event.message]
        rows = list(registry.experiments(study))
    assert told or any("earlier" in str(row) for row in rows)
    assert again.again_table("death", [found]).splitlines()[0].split() == [
        "death,",
        "best",
        "of",
        "1",
        "2",
        "4",
    ]
