"""I16: whatever fails ends with exactly one `error:` line, no traceback, and the exit code of its kind."""

import shlex
from pathlib import Path

import pytest

from orchestrator.cli import cli as orchestrator
from retrain.cli import cli as retrain
from retrain.cli import run_command
from tests.retrain.test_cli import CONFIGURATION, MODEL, TRAIN

FAILING = [
    ("retrain --no-such-option", 2),
    ("retrain no-such-command", 2),
    ("retrain --tune --history", 2),
    ("retrain --tune-configs 3", 2),
    ("retrain --tune --tune-configs 0", 2),
    ("retrain --tune --tune-method no-such-method", 2),
    ("retrain --tune-report", 6),
    ("retrain --history", 6),
    ("retrain --rollback", 6),
    ("retrain --rollback 77", 6),
    ("retrain --rollback seven", 2),
    ("retrain --apply-hp best", 6),
    ("retrain --apply-hp no-such-id", None),
    ("retrain --apply-hp '{\"x\": 77}'", 2),
    ('retrain --apply-hp \'{"x": 0.5, "x": 0.6}\'', 2),
    ("retrain --apply-hp '{broken'", 2),
    ("retrain --apply-hp @no-such-file.json", None),
    ("retrain --config no-such-file.toml", 2),
    ("retrain --db folder", 2),
    ("retrain --db missing/experiments.db", 2),
    ("retrain --db text.txt --history", 4),
    ("retrain --db mysql://host/x --history", 2),
    ("retrain --format xml", 2),
    ("retrain init --example no-such-example", None),
    ("retrain init", None),
    ("retrain doctor --db text.txt", 1),
    ("retrain doctor --deep --db text.txt", 1),
    ("retrain doctor --config no-such-file.toml", 1),
    ("orchestrator", 6),
    ("orchestrator --method no-such-method --configs 1 --pool local", 2),
    ("orchestrator --method random --configs 0", 2),
    ("orchestrator --pool cluster --method random --configs 1", 2),
    ("orchestrator --timeout soon --method random --configs 1", 2),
    ("orchestrator --top 3", 2),
    ("orchestrator --summary", 6),
    ("orchestrator --summary --configs 3", 2),
    ("orchestrator ls", 6),
    ("orchestrator ls --state asleep", 2),
    ("orchestrator show best", 6),
    ("orchestrator diff a b", 6),
    ("orchestrator backup", 2),
    ("orchestrator backup copy.db", 6),
    ("orchestrator --db text.txt --summary", 4),
]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "retrain.toml").write_text(CONFIGURATION)
    (tmp_path / "train.py").write_text(TRAIN)
    (tmp_path / "model.py").write_text(MODEL)
    (tmp_path / "folder").mkdir()
    (tmp_path / "text.txt").write_text("not a registry\n" * 100)
    return tmp_path


def run(line: str) -> int:
    program, *arguments = shlex.split(line)
    return run_command({"retrain": retrain, "orchestrator": orchestrator}[program], program, arguments)


@pytest.mark.parametrize(("line", "code"), FAILING)
def test_one_error_line_and_no_traceback(
    project: Path, capsys: pytest.CaptureFixture[str], line: str, code: int | None
) -> None:
    ended = run(line)
    out, err = capsys.readouterr()
    assert ended != 0
    assert code in (None, ended), err
    assert [each[:7] for each in err.splitlines()].count("error: ") == 1, err
    assert "Traceback" not in out + err
    assert not (project / "experiments.db").exists()


def test_what_is_no_error_of_ours_has_the_same_form(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def defect(*given: object, **named: object) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr("retrain.history.history_on", defect)
    assert run("retrain --history") == 1
    _, err = capsys.readouterr()
    assert err.splitlines()[0] == "error: RuntimeError: a defect"
    assert len(err.splitlines()) == 2
