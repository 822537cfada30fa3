from pathlib import Path

import pytest

from retrain.pipelines import load_pipeline
from retrain.pipelines.constants import without_constants
from tests.retrain.projects import config_in
from tuner.experiment import Provenance

CONFIG = """
[pipeline]
kind = "model.py:train"
direction = "minimize"
[space.params]
depth = { type = "int", low = 1, high = 9 }
kernel = { type = "categorical", choices = ["rbf", "linear"] }
[deploy]
target = "%s"
"""
CODE = """
DEPTH = 3
OTHER = 3
HP = {"kernel": "rbf"}
def train(params):
    return params["depth"] * OTHER
"""


def provenance(folder: Path, code: str, target: str = "model.py") -> Provenance:
    folder.mkdir()
    (folder / "model.py").write_text(code)
    (folder / "params.json").write_text('{"depth": 3, "kernel": "rbf"}')
    return load_pipeline(config_in(folder, CONFIG % target)).provenance()


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("DEPTH = 3", "DEPTH = 7", True),
        ('"rbf"', "'linear'", True),
        ("OTHER = 3", "OTHER = 4", False),
        ("DEPTH = 3", "DEPTH = max(1, 7)", False),
        ("return ", "return 2 * ", False),
    ],
)
def test_only_what_a_deployment_writes_is_no_change_of_the_function(
    tmp_path: Path, old: str, new: str, same: bool
) -> None:
    before = provenance(tmp_path / "a", CODE)
    after = provenance(tmp_path / "b", CODE.replace(old, new))
    assert (before == after) is same


def test_without_a_target_in_python_all_of_the_file_counts(tmp_path: Path) -> None:
    before = provenance(tmp_path / "a", CODE, "params.json")
    after = provenance(tmp_path / "b", CODE.replace("DEPTH = 3", "DEPTH = 7"), "params.json")
    assert before != after


def test_a_target_that_cannot_be_written_or_is_not_there_blanks_nothing(tmp_path: Path) -> None:
    config = config_in(tmp_path, CONFIG % "model.py")
    assert without_constants(config, ["depth"]) == {}
    (tmp_path / "model.py").write_text("DEPTH = 3\nDEPTH = 4\n")
    assert without_constants(config, ["depth"]) == {}
    (tmp_path / "model.py").write_text("DEPTH = 3\n")
    assert without_constants(config, ["depth"]) == {(tmp_path / "model.py").resolve(): b"DEPTH = \n"}
