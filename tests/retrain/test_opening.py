"""Nothing is made before what the user gave is known to be sound."""

import gzip
from pathlib import Path

import pytest

from orchestrator.cli import cli as orchestrator_cli
from retrain.cli import cli, run_command

CONFIGURATION = """
name = "toy"
[pipeline]
kind = "train.py:objective"
metric = "score"
direction = "maximize"
[space.params]
x = { type = "float", low = 0.0, high = 1.0, default = 0.2 }
[deploy]
target = "model.py"
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "retrain.toml").write_text(CONFIGURATION)
    (tmp_path / "train.py").write_text("def objective(params):\n    return params['x']\n")
    (tmp_path / "model.py").write_text("X = 0.2\n")
    return tmp_path


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {"__pycache__"}


@pytest.mark.parametrize("broken", ["Y = 0.2\n", "X = 0.2\nX = 0.3\n", "X = (\n", "X = open('x')\n"])
@pytest.mark.parametrize("arguments", [["--apply-hp", '{"x": 0.5}'], []])
def test_a_refused_first_deployment_leaves_no_registry(
    project: Path, broken: str, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "model.py").write_text(broken)
    before = files(project)
    assert run_command(cli, "retrain", arguments) == 2
    assert "model.py" in capsys.readouterr().err
    assert files(project) == before


@pytest.mark.parametrize("given", ['{"x": 2}', '{"y": 1}', "{", "best", "random_2026", "@nowhere"])
def test_hyperparameters_that_are_refused_leave_no_registry(project: Path, given: str) -> None:
    before = files(project)
    assert run_command(cli, "retrain", ["--apply-hp", given]) in (2, 6)
    assert files(project) == before


def test_candidates_are_not_written_beside_a_target_that_cannot_be_read(project: Path) -> None:
    (project / "model.py").write_text("X = (\n")
    before = files(project)
    assert run_command(cli, "retrain", ["--tune"]) == 2
    line = ["--method", "random", "--configs", "2", "--pool", "local", "--workers", "1", "-q"]
    assert run_command(orchestrator_cli, "orchestrator", line) == 2
    assert files(project) == before


def test_what_is_sound_makes_one(project: Path) -> None:
    assert run_command(cli, "retrain", ["--apply-hp", '{"x": 0.5}', "-q"]) == 0
    assert "experiments.db" in files(project)


@pytest.fixture
def outdated(project: Path) -> Path:
    """A registry of schema 1."""
    golden = Path(__file__).resolve().parents[1] / "tuner" / "registry" / "golden" / "v1.db.gz"
    path = project / "experiments.db"
    path.write_bytes(gzip.decompress(golden.read_bytes()))
    return path


def backups(path: Path) -> list[str]:
    return [each.name for each in path.parent.glob("experiments.db.*.backup")]


def test_an_older_registry_is_brought_up_to_date_as_its_error_says(
    outdated: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(orchestrator_cli, "orchestrator", ["--summary"]) == 4
    assert "Run `retrain --history` once" in capsys.readouterr().err
    run_command(cli, "retrain", ["--history"])
    assert backups(outdated) == ["experiments.db.schema1.backup"]
    assert run_command(orchestrator_cli, "orchestrator", ["--summary"]) == 6
    assert "schema" not in capsys.readouterr().err, "there is no such study in it, and that is all"


@pytest.mark.parametrize("arguments", [["--apply-hp", '{"x": 0.5}'], []], ids=str)
def test_what_deploys_brings_an_older_registry_up_to_date(outdated: Path, arguments: list[str]) -> None:
    assert run_command(cli, "retrain", arguments) == 0
    assert backups(outdated) == ["experiments.db.schema1.backup"]
    assert run_command(cli, "retrain", ["--history"]) == 0


def test_a_dry_run_leaves_an_older_registry_as_it_is(
    outdated: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = outdated.read_bytes()
    assert run_command(cli, "retrain", ["--apply-hp", '{"x": 0.5}', "--dry-run"]) == 4
    assert "Run `retrain --history` once" in capsys.readouterr().err
    assert (outdated.read_bytes(), backups(outdated)) == (before, [])
