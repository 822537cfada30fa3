"""The example with six sites: its data, that no label leaks, and its loop in short."""

import csv
import re
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from examples.verbal_autopsy import data as deaths
from examples.verbal_autopsy import run as example
from examples.verbal_autopsy.data import LABELS, SITES, sample, write_deaths
from orchestrator.comparison.design import Asked, design
from retrain.config import load_config
from retrain.data import Roles, find_leaks, known_rows, make_table, read_table
from retrain.metrics import cod_accuracy, csmf_accuracy, get_metric

FOLDER = Path(deaths.__file__).parent


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A scratch copy with the sample."""
    folder = tmp_path / "verbal_autopsy"
    shutil.copytree(FOLDER, folder, ignore=shutil.ignore_patterns("__pycache__"))
    write_deaths(folder / "deaths.csv", None)
    return folder


def test_the_sample_is_as_the_published_file(project: Path) -> None:
    with (project / "deaths.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    names = list(rows[0])
    assert names[:2] == ["sid", "site"]
    assert names[2:14] == list(LABELS)
    assert names[14:16] == ["age", "sex"]
    assert all(re.fullmatch(r"s\d+", name) for name in names[16:])
    assert {row["site"] for row in rows} == set(SITES[:3])
    assert {row["va34"] for row in rows} == {str(i) for i in range(1, 9)}
    assert (
        min(Counter(row["va34"] for row in rows).values())
        < 20
        < max(Counter(row["va34"] for row in rows).values())
    )
    symptoms = np.array([[float(row[name]) for name in names[16:]] for row in rows])
    assert set(np.unique(symptoms)) == {0.0, 1.0}
    assert symptoms.mean() < 0.25
    assert any(row["sex"] == "" for row in rows)


def test_the_sample_is_made_from_its_seed() -> None:
    assert sample(30, 1) == sample(30, 1) != sample(30, 2)


def test_the_real_file_is_taken_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "va_phmrc").mkdir()
    (tmp_path / "va_phmrc" / "validated-child.csv").write_bytes(b"sid,site\r\n1,UP\r\n")
    assert write_deaths(tmp_path / "deaths.csv", tmp_path).read_bytes() == b"sid,site\r\n1,UP\r\n"
    with pytest.raises(FileNotFoundError):
        write_deaths(tmp_path / "other.csv", tmp_path / "elsewhere")


def test_no_label_is_a_feature(project: Path) -> None:
    config = load_config(project)
    found = design(config, Asked())
    features = set(found.sites.table.columns.names)
    assert not features & {"sid", "site", *LABELS}
    assert not [name for name in features if name.startswith(("gs_", "va"))]
    assert config.pipeline.target in LABELS
    assert {"sid", *LABELS} - {config.pipeline.target} == set(config.pipeline.drop)


@pytest.mark.parametrize(
    "label", [name for name in LABELS if "comorbid" not in name and name not in ("gs_level", "va34")]
)
def test_a_label_that_was_forgotten_would_be_noticed(project: Path, label: str) -> None:
    """The guard of all projects sees each of them, if it were not dropped."""
    config = load_config(project)
    drop = [name for name in config.pipeline.drop if name != label] + ["site"]
    frame = read_table("deaths.csv", project)
    table = make_table(frame, "va34", get_metric("csmf_accuracy"), drop=drop)
    rows = np.arange(len(table.y))
    leaks = find_leaks(known_rows(frame, "va34"), table, (rows[::2], rows[1::2]), [], Roles("va34"))
    assert label in {column for leak in leaks for column in leak.columns}


def test_the_loop_as_a_user_types_it(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    rows = example.compare(project, "others", 2, models=["logistic_regression"])
    [row] = rows
    assert (row.application, row.metric) == ("verbal_autopsy, new logistic_regression", "csmf_accuracy")
    assert 0 < row.default <= 1
    assert row.low is not None
    assert row.high is not None
    assert row.low <= row.tuned - row.default <= row.high
    assert row.n_experiments == 9
    out, _ = capfd.readouterr()
    assert "New sites: trained on the others; mean of 3 sites, 480 rows" in out
    assert (project / "others" / "default_against_tuned.png").is_file()


def test_csmf_accuracy_is_that_of_murray_and_others() -> None:
    """1 - sum |true - predicted| / (2 (1 - min true)), by hand, and at its two ends."""
    truth = np.array([0] * 5 + [1] * 3 + [2] * 2)
    said = np.array([0] * 3 + [1] * 5 + [2] * 2)
    assert csmf_accuracy(truth, said) == pytest.approx(1 - (0.2 + 0.2) / (2 * 0.8))
    assert csmf_accuracy(truth, truth[::-1]) == 1.0  # who died of what does not matter
    assert csmf_accuracy(truth, np.full(10, 2)) == pytest.approx(0.0)  # all put down to the rarest
    assert cod_accuracy(truth, said) == pytest.approx(0.8)
