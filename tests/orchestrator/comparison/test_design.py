"""What cannot be compared is refused with one clear error, before anything is run or written."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.orchestrator.comparison.places import CONFIG, InlinePool, table, write_places

Run = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["--sites", "north", "suoth"],
            "There is no site 'suoth' in the column 'place'. Did you mean 'south'?",
        ),
        (["--models", "xgbost"], "Unknown model 'xgbost'. Did you mean 'xgboost'?"),
        (["--models", "ridge_", "--sites", "north"], "Unknown model"),
        (["--training-sizes", "0", "1"], "above 0 and at most 1, but got 0."),
        (["--training-sizes", "0.5", "2"], "above 0 and at most 1, but got 2."),
        (["--training-sizes", "nan"], "above 0 and at most 1, but got nan."),
        (["--training-sizes", "0.004"], "Trained on north, south, west with training size 0.004: "),
        (["--tuning-method", "optuma"], "Unknown tuning method 'optuma'. Did you mean 'optuna'?"),
        (["--tuning-metric", "csmf"], "Unknown metric 'csmf'"),
        (
            ["--tuning-metric", "log_loss", "--models", "ridge"],
            "needs probabilities, which the model 'ridge'",
        ),
        (["--tuning-metric", "rmse"], "must hold numbers for the metric 'rmse'"),
        (["--train-on", "others", "--sites", "west"], "it is the only site"),
        (["--data-path", "elsewhere.csv"], "elsewhere.csv' do not exist"),
        (
            ["--data-path", "other.csv"],
            "The data have no column 'cause', as target names it. Did you mean 'causes'?",
        ),
    ],
)
def test_bad_input_is_one_error_and_nothing_is_written(
    run: Run, project: Path, pools: list[InlinePool], arguments: list[str], said: str
) -> None:
    table().rename(columns={"cause": "causes"}).to_csv(project / "other.csv", index=False)
    code, out, err = run("compare", "--tune-hyperparameters", *arguments)
    assert code == 2
    assert out == ""
    assert said in re.sub(r"\s+", " ", err)
    assert err.count("error:") == 1
    assert not pools
    assert not (project / "experiments.db").exists()
    assert not (project / "comparison").exists()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('site = "place"', "", "which column holds the sites"),
        (
            'site = "place"',
            'site = "plaice"',
            "no column 'plaice', as compare.site names it. Did you mean 'place'?",
        ),
        ('site = "place"', 'site = "cause"', "must not be dropped"),
        ("holdout = 0.25", 'holdout = 0.25\ntime = "x"', "splits.time orders them"),
        ('metrics = ["csmf_accuracy"]', 'metrics = ["rmse"]', "must be defined for the data"),
        ('metrics = ["csmf_accuracy"]', 'metrics = ["csmf"]', "is an unknown metric"),
        ("[compare.spaces.random_forest.params]", "[compare.spaces.forest.params]", "is an unknown model"),
        ('model = "logistic_regression"', 'kind = "mine:train"', "is of kind 'mine:train'"),
    ],
)
def test_a_configuration_that_cannot_be_compared(
    run: Run, project: Path, pools: list[InlinePool], old: str, new: str, said: str
) -> None:
    write_places(project, config=CONFIG.replace(old, new))
    code, _, err = run("compare")
    assert code == 2
    assert said in re.sub(r"\s+", " ", err)
    assert not pools
    assert not (project / "experiments.db").exists()


@pytest.mark.parametrize(
    ("model", "param", "said"),
    [
        ("random_forest", "max_features", "must not be above the 4 features that there are"),
        ("k_nearest_neighbors", "n_neighbors", "rows that a fold learns from"),
    ],
)
def test_a_space_that_its_model_refuses(
    run: Run, project: Path, pools: list[InlinePool], model: str, param: str, said: str
) -> None:
    space = f'[compare.spaces.{model}.params]\n{param} = {{ type = "int", low = 1, high = 150 }}\n'
    write_places(project, config=CONFIG[: CONFIG.index("[compare.spaces")] + space)
    code, _, err = run("compare", "--tune-hyperparameters", "--models", "logistic_regression", model)
    assert code == 2
    assert said in re.sub(r"\s+", " ", err)
    assert not pools
    assert not (project / "experiments.db").exists()


def test_one_class_left_after_a_split(run: Run, project: Path) -> None:
    frame = table()
    frame.loc[frame.place != "west", "cause"] = "a"
    write_places(project, frame)
    code, _, err = run("compare")
    assert code == 2
    assert "Trained on north, south with training size 1:" in re.sub(r"\s+", " ", err)
    assert "at least two classes, but all are 'a'" in re.sub(r"\s+", " ", err)


def test_a_site_with_nothing_to_test_on(run: Run, project: Path) -> None:
    frame = table()
    frame.loc[[170, 175], "cause"] = ["a", "b"]  # one of each: whether it is held out is left to chance
    frame = frame[(frame.place != "west") | (frame.index.isin([170, 175]))]
    seeds = (CONFIG.replace("folds = 3", f"folds = 3\nseed = {seed}") for seed in range(20))
    for config in seeds:
        write_places(project, frame, config)
        code, _, err = run("compare")
        if code:
            break
    assert code == 2
    assert "The site 'west' must have rows to test on" in re.sub(r"\s+", " ", err)


def test_a_group_is_the_site_where_nothing_else_is_said(run: Run, project: Path) -> None:
    config = CONFIG.replace('site = "place"', "").replace("folds = 3", 'folds = 3\ngroup = "place"')
    write_places(project, config=config)
    code, out, err = run("compare", "--sites", "north", "west")
    assert code == 0, err
    assert "Comparison by accuracy: 2 sites, 120 rows" in out


def test_a_folder_that_is_a_file(run: Run, project: Path) -> None:
    (project / "comparison").write_text("")
    code, _, err = run("compare")
    assert code == 2
    assert "Give another --output-dir." in err
    assert not (project / "experiments.db").exists()
