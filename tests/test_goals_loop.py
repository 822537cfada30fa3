"""Several objectives and limits over both commands, with a pipeline that is any program."""

import json
from pathlib import Path

import pytest

from orchestrator.cli import cli as orchestrator
from retrain.cli import cli as retrain
from retrain.cli import run_command

PROGRAM = """import json, sys
given = json.loads(sys.stdin.read())
size = given["size"]
print(json.dumps({"auc": 1 - 1 / size, "predict_ms": size / 2}))
"""

CONFIG = """
[pipeline]
kind = "command"
command = "python3 program.py"
params_as = "json"
metric = "auc"
direction = "maximize"
[space.params]
size = {{ type = "int", low = 1, high = 40, default = 30 }}
{goals}
"""
FRONT = '[[objective]]\nmetric = "predict_ms"\n'
LIMIT = '[[limit]]\nmetric = "predict_ms"\nmax = 5\n'


def project(folder: Path, goals: str) -> None:
    (folder / "program.py").write_text(PROGRAM)
    (folder / "retrain.toml").write_text(CONFIG.format(goals=goals))


def run(command: str, *arguments: str) -> int:
    program = orchestrator if command == "orchestrator" else retrain
    return run_command(program, command, list(arguments))


TUNE = ("--method", "random", "--configs", "7", "--pool", "local", "--workers", "1", "--no-progress", "-q")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_limit_decides_what_is_the_best(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project(tmp_path, LIMIT)
    assert run("orchestrator", *TUNE) == 0
    capsys.readouterr()
    assert run("orchestrator", "--summary", "--format", "json") == 0
    summary = json.loads(capsys.readouterr().out)
    best = summary["best"][0]
    rows = json.loads((run("orchestrator", "ls", "--format", "json"), capsys.readouterr().out)[1])
    kept = [row for row in rows if row["metrics"]["predict_ms"] <= 5]
    assert {row["id"] for row in rows if row.get("feasible", True)} == {row["id"] for row in kept}
    assert best["id"] == max(kept, key=lambda row: row["value"])["id"]
    assert summary["n_infeasible"] == len(rows) - len(kept) > 0
    assert summary["goals"]["limits"] == [{"metric": "predict_ms", "max": 5.0}]

    assert run("orchestrator", "--summary") == 0
    text = capsys.readouterr().out
    assert f"{len(rows) - len(kept)} of 8 break a limit: predict_ms at most 5" in text
    assert run("retrain", "--tune-report") == 0
    assert best["id"] in capsys.readouterr().out
    assert run("retrain", "--apply-hp", "best", "--dry-run") in (0, 3)


def test_several_objectives_have_a_front_to_choose_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project(tmp_path, FRONT + LIMIT)
    assert run("orchestrator", *TUNE, "--configs", "12") == 0
    ended = capsys.readouterr().out.splitlines()
    rows = json.loads((run("orchestrator", "ls", "--format", "json"), capsys.readouterr().out)[1])
    kept = [
        row for row in rows if row.get("feasible", True)
    ]  # the larger, the better and the slower: all of them
    by_value = [row["id"] for row in sorted(kept, key=lambda row: -row["value"])]
    assert run("orchestrator", "--summary", "--format", "json") == 0
    summary = json.loads(capsys.readouterr().out)
    assert [row["id"] for row in summary["front"]] == by_value
    assert [row["predict_ms"] for row in summary["front"]] == sorted(
        (row["metrics"]["predict_ms"] for row in kept), reverse=True
    )

    assert run("orchestrator", "--summary") == 0
    text = capsys.readouterr().out
    assert "Pareto front" in text
    assert "What mattered for auc in 13 results" in text
    assert "What mattered for predict_ms in 13 results" in text
    assert "Going on" not in text, "a gain in one of them is no gain of the front"
    assert [row["name"] for row in summary["further"]["predict_ms"]["importances"]] == ["size"]
    n = f"{len(kept)} experiment{'' if len(kept) == 1 else 's'}"
    assert ended[1:] == [f"front of auc, predict_ms: {n}", "choose by: orchestrator --summary"]
    assert all(one in text for one in by_value)

    assert run("retrain", "--apply-hp", "best", "--dry-run") == 2
    error = capsys.readouterr().err
    assert "no best one" in error
    assert all(one in error for one in by_value[:5])
    assert run("orchestrator", "show", by_value[0]) == 0
    assert "predict_ms" in capsys.readouterr().out


def test_goals_belong_to_the_study(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project(tmp_path, LIMIT)
    assert run("retrain", "--tune", "--tune-method", "random", "--tune-configs", "2") == 0
    project(tmp_path, LIMIT.replace("5", "6"))
    assert run("retrain", "--tune", "--tune-method", "random", "--tune-configs", "2") == 2
    assert "set of goals" in capsys.readouterr().err


def test_a_result_without_the_metric_of_a_goal_is_a_failure_that_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project(tmp_path, LIMIT.replace("predict_ms", "predict_mss"))
    run("orchestrator", *TUNE)
    assert run("orchestrator", "--summary") == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "The result must hold the metric 'predict_mss'" in text
    assert "Did you mean 'predict_ms'?" in text


def test_a_method_that_learns_from_one_metric_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    project(tmp_path, FRONT)
    assert run("retrain", "--tune", "--tune-method", "skopt-gp", "--tune-configs", "2") == 2
    assert "The method skopt-gp learns from one metric alone" in capsys.readouterr().err


def test_where_nothing_keeps_the_limits_the_summary_counts_all_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project(tmp_path, LIMIT.replace("max = 5", "max = 0"))
    assert run("orchestrator", *TUNE) == 6
    capsys.readouterr()
    assert run("orchestrator", "--summary") == 0
    text = capsys.readouterr().out
    assert "8 of 8 break a limit: predict_ms at most 0" in text
    assert "None yet: no experiment keeps the limits." in text
