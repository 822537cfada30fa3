"""`retrain.toml#NAME`: what an architecture changes, and that two of one file never share a study."""

from pathlib import Path

import pytest

from retrain.config import load_config, look_up
from tuner.errors import ConfigError

CONFIG = """
[pipeline]
model = "ridge"
data = "iris"
metric = "accuracy"
[splits]
folds = 3
[architectures.small.splits]
holdout = 0.3
[architectures.forest.pipeline]
model = "random_forest"
[architectures.named]
name = "mine"
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "retrain.toml").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_it_is_laid_over_the_rest_key_by_key(folder: Path) -> None:
    plain, small, forest = (load_config(Path(f"retrain.toml{name}")) for name in ("", "#small", "#forest"))
    assert (plain.splits.folds, plain.splits.holdout) == (3, 0.2)
    assert (small.splits.folds, small.splits.holdout) == (3, 0.3)
    assert (plain.pipeline.model, forest.pipeline.model) == ("ridge", "random_forest")
    assert [each.study_name for each in (plain, small, forest)] == [
        "ridge-iris",
        "ridge-iris-small",
        "random_forest-iris-forest",
    ]
    assert load_config(Path("retrain.toml#named")).name == "mine"
    assert plain.db == small.db


@pytest.mark.parametrize("path", ["retrain.toml#small", "#small", "./#small"])
def test_reports_mean_the_same(folder: Path, path: str) -> None:
    assert look_up(Path(path)).study_name == load_config(Path(path)).study_name == "ridge-iris-small"


def test_a_study_that_is_named_is_told_apart_too(folder: Path) -> None:
    (folder / "retrain.toml").write_text(CONFIG + '[study]\nname = "spring"\n')
    assert load_config(Path("#small")).study_name == "spring-small"
    assert load_config(Path("#small"), {"study.name": "flag"}).study_name == "flag"


def test_of_a_pyproject_and_a_folder(tmp_path: Path) -> None:
    text = CONFIG.replace("[", "[tool.retrain.")
    (tmp_path / "pyproject.toml").write_text(text)
    assert load_config(Path(f"{tmp_path}#small")).study_name == "ridge-iris-small"


def test_a_file_with_that_very_name_is_that_file(folder: Path) -> None:
    (folder / "odd#small").write_text(CONFIG.replace("ridge", "lasso"))
    assert load_config(Path("odd#small")).name == "lasso-iris"


def test_an_unknown_one_is_refused_with_the_nearest(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"no architecture 'smal'. Did you mean 'small'\?") as caught:
        load_config(Path("#smal"))
    assert "It has: small, forest, named." in caught.value.remedy


@pytest.mark.parametrize(
    "bad", ["architectures = 3\n", "[architectures]\nsmall = 3\n", '[architectures."a b"]\n']
)
def test_what_cannot_be_an_architecture_is_refused(folder: Path, bad: str) -> None:
    base = CONFIG[: CONFIG.index("[architectures")]
    (folder / "retrain.toml").write_text(bad + base if bad.startswith("architectures =") else base + bad)
    for read in (load_config, look_up):
        with pytest.raises(ConfigError, match="`architectures` must be"):
            read(Path("retrain.toml"))


def test_a_fault_inside_one_is_named(folder: Path) -> None:
    (folder / "retrain.toml").write_text(CONFIG + "[architectures.bad.splits]\nfold = 3\n")
    assert load_config(Path("retrain.toml")).splits.folds == 3
    with pytest.raises(ConfigError, match=r"splits\.fold"):
        load_config(Path("#bad"))
