"""The sentences: one file in one format, real or made here, and four architectures of one configuration."""

import shutil
from pathlib import Path

import pandas as pd
import pytest

import examples.text
from examples.text.data import COLUMNS, FILE, load, make_sample, prepare
from examples.text.run import ARCHITECTURES
from orchestrator.cli import cli as orchestrator
from retrain.cli import run_command
from retrain.config import load_config
from retrain.metrics import METRICS
from retrain.pipelines import load_pipeline
from tuner.errors import DataError

FOLDER = Path(examples.text.__file__).parent


@pytest.fixture
def project(tmp_path: Path) -> Path:
    shutil.copy(FOLDER / "retrain.toml", tmp_path)
    prepare(tmp_path)
    return tmp_path


def test_the_sample_is_the_same_each_time_and_spans_hold_their_symptom(tmp_path: Path) -> None:
    make_sample(tmp_path / "one.csv")
    make_sample(tmp_path / "two.csv")
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "two.csv").read_bytes()
    frame = load(tmp_path / "one.csv")
    assert list(frame.columns) == COLUMNS
    assert set(frame["status"]) == {0, 1}
    for row in frame.to_dict("records"):
        assert row["sentence_text"][row["span_start"] : row["span_end"]] == row["symptom"]
    assert frame["post_id"].nunique() == 60


def test_a_file_in_the_real_place_is_taken(tmp_path: Path) -> None:
    source = tmp_path / "text_negex"
    source.mkdir()
    make_sample(source / "negex_sentences.csv", n_documents=9, seed=1)
    (tmp_path / "project").mkdir()
    assert prepare(tmp_path / "project", source)["post_id"].nunique() == 9


def test_a_file_that_is_not_there_or_lacks_a_column_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        prepare(tmp_path, tmp_path)
    pd.DataFrame({name: [1] for name in COLUMNS if name != "status"}).to_csv(tmp_path / "negex_sentences.csv")
    with pytest.raises(DataError, match="must have the columns status, but lack them"):
        prepare(tmp_path, tmp_path)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_each_architecture_splits_80_10_10_by_report(project: Path, name: str) -> None:
    config = load_config(project / f"retrain.toml#{name}", environ={})
    pipeline = load_pipeline(config)
    data = pipeline.load()
    pipeline.use(data)
    assert pipeline.metric in METRICS
    assert 0.07 < len(data.holdout) / len(data.table.y) < 0.13  # type: ignore[attr-defined]
    assert config.splits.folds == 9
    if name == "criteria":
        assert len(pipeline.space.params["model"].choices) == 9  # type: ignore[union-attr]
        assert len(pipeline.space.names) > 20


@pytest.mark.parametrize(
    ("column", "value", "part"),
    [
        ("span_end", 9999, "Each span must lie within its text"),
        ("status", 1, "must have at least two classes, but every row is 1"),
    ],
)
def test_bad_sentences_are_refused_before_anything_runs(
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    column: str,
    value: int,
    part: str,
) -> None:
    load(project / FILE).assign(**{column: value}).to_csv(project / FILE, index=False)
    monkeypatch.chdir(project)
    words = ["--method", "random", "--configs", "1", "--pool", "local", "--config", "retrain.toml#joint"]
    assert run_command(orchestrator, "orchestrator", words) == 2
    assert part in " ".join(capsys.readouterr().err.split())
