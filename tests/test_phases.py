"""Later phases over both commands: what is deployed is held, and a winner is deployed together with it."""

import json
from pathlib import Path

import pytest

from orchestrator.cli import cli as orchestrator
from retrain.cli import cli as retrain
from retrain.cli import run_command
from retrain.doctor import doctor
from tests.retrain.projects import config_in
from tuner.registry import open_registry

OBJECTIVE = """
def train(params):
    depth, taste = params["depth"], params.get("taste", 0.0)
    return {"loss": (depth - 7) ** 2 + (taste - depth / 10) ** 2 + 0.01 * ("decay" in params)}
"""
CONFIG = """
name = "films"
[pipeline]
kind = "objective.py:train"
metric = "loss"
direction = "minimize"
[space.params]
depth = { type = "int", low = 2, high = 12, default = 4 }
[space.phases.taste.params]
taste = { type = "float", low = 0.0, high = 1.0, default = 0.1 }
[space.phases.phase2.params]
decay = { type = "float", low = 0.0, high = 1.0, default = 0.5 }
[deploy]
target = "params.json"
"""
PHASE = ("--phase", "taste")


def run(command: str, *arguments: str) -> int:
    program = orchestrator if command == "orchestrator" else retrain
    return run_command(program, command, list(arguments))


@pytest.fixture(autouse=True)
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "objective.py").write_text(OBJECTIVE)
    (tmp_path / "retrain.toml").write_text(CONFIG)


def tune(*more: str, n: int = 3) -> int:
    return run("orchestrator", "--method", "random", "--configs", str(n), "--pool", "local", "-q", *more)


def deployed(folder: Path) -> dict[str, object]:
    with open_registry(folder / "experiments.db", create=False, read_only=True) as registry:
        active = registry.find_active("films")
        assert active is not None
        return dict(active.params)


def listed(capsys: pytest.CaptureFixture[str], *more: str) -> list[dict[str, object]]:
    capsys.readouterr()
    assert run("orchestrator", "ls", "--format", "json", *more) == 0
    rows: list[dict[str, object]] = json.loads(capsys.readouterr().out)
    return rows


@pytest.fixture
def first_phase(tmp_path: Path) -> int:
    assert run("retrain", "--apply-hp", '{"depth": 6}', "-q") == 0
    return 6


@pytest.mark.parametrize(
    "act", [("orchestrator", "--configs", "2", "--pool", "local"), ("retrain", "--tune")]
)
def test_a_phase_without_anything_deployed_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], act: tuple[str, ...]
) -> None:
    assert run(*act, *PHASE) == 6
    assert "nothing is yet" in capsys.readouterr().err
    assert not (tmp_path / "experiments.db").exists()


def test_an_unknown_phase_and_two_phases_at_once_are_usage_errors(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert tune("--phase", "tase") == 2
    assert "Did you mean 'taste'" in capsys.readouterr().err
    assert tune("--phase", "taste", "--phase2") == 2
    assert "exclude each other" in capsys.readouterr().err
    assert run("retrain", "--phase2") == 2
    assert "--phase2 goes with --tune, --tune-report, --apply-hp" in capsys.readouterr().err


@pytest.mark.usefixtures("first_phase")
def test_a_phase_searches_its_own_and_holds_what_is_deployed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tune(*PHASE) == 0
    rows = listed(capsys, *PHASE)
    assert len(rows) == 4
    assert all(set(row["params"]) == {"taste"} for row in rows)  # type: ignore[call-overload]
    (baseline,) = (row for row in rows if row["method"] == "default")
    assert baseline["params"] == {"taste": 0.1}
    assert baseline["value"] == pytest.approx((6 - 7) ** 2 + (0.1 - 0.6) ** 2), "depth was held at 6"
    with open_registry(tmp_path / "experiments.db", create=False, read_only=True) as registry:
        assert [study.name for study in registry.studies()] == ["films-taste"]

    capsys.readouterr()
    assert run("retrain", "--apply-hp", "best", *PHASE, "-q", "--force") == 0
    back = next(line for line in capsys.readouterr().out.splitlines() if "back again" in line)
    assert back.endswith("retrain --rollback"), "which knows no phases"
    best = min(rows, key=lambda row: row["value"])  # type: ignore[arg-type,return-value]
    both = {"depth": 6, **best["params"]}  # type: ignore[dict-item]
    assert deployed(tmp_path) == both, "both are deployed together"
    assert json.loads((tmp_path / "params.json").read_text()) == both
    capsys.readouterr()
    assert run("retrain") == 0
    assert "already active as v3" in capsys.readouterr().out
    run("retrain", "--history", "-v")
    assert "phase taste" in capsys.readouterr().out

    run("orchestrator", "--summary", *PHASE, "--format", "json")
    summary = json.loads(capsys.readouterr().out)
    assert summary["study"] == "films-taste"
    assert run("orchestrator", "--summary", *PHASE) == 0
    said = capsys.readouterr().out
    assert "orchestrator confirm --phase taste" in said
    assert "--apply-hp" not in said, "the best is in production already"


@pytest.mark.usefixtures("first_phase")
def test_the_id_of_an_experiment_says_its_phase(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert tune(*PHASE) == 0
    best = min(listed(capsys, *PHASE), key=lambda row: row["value"])  # type: ignore[arg-type,return-value]
    assert run("retrain", "--apply-hp", str(best["id"]), "-q") == 0
    assert set(deployed(tmp_path)) == {"depth", "taste"}


@pytest.mark.usefixtures("first_phase")
def test_a_parameter_of_a_later_phase_says_the_flag(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("retrain", "--apply-hp", '{"taste": 0.7}') == 2
    assert "add --phase taste" in capsys.readouterr().err
    assert run("retrain", "--apply-hp", '{"tste": 0.7}') == 2
    assert "The space has: depth" in capsys.readouterr().err


@pytest.mark.usefixtures("first_phase")
def test_after_another_deployment_scores_are_kept_and_not_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tune(*PHASE) == 0
    assert run("retrain", "--apply-hp", '{"depth": 7}', "-q", "--force") == 0
    assert run("retrain", "--apply-hp", "best", *PHASE) == 2
    assert "other fixed or deployed hyperparameters" in capsys.readouterr().err
    assert deployed(tmp_path) == {"depth": 7}
    assert run("orchestrator", "--configs", "1", "--method", "random", "--pool", "local", *PHASE) == 0
    said = capsys.readouterr().err
    assert "came from other fixed or deployed hyperparameters: kept, but not compared" in said
    assert "phase 'taste' starts from what is deployed: 1 parameter is held at it" in said


@pytest.mark.usefixtures("first_phase")
def test_the_first_space_holds_what_a_later_phase_has_deployed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("retrain", "--apply-hp", '{"taste": 0.7}', *PHASE, "-q") == 0
    assert deployed(tmp_path) == {"depth": 6, "taste": 0.7}
    assert tune() == 0
    rows = listed(capsys)
    assert all(set(row["params"]) == {"depth"} for row in rows)  # type: ignore[call-overload]
    now = {row["params"]["depth"]: row["value"] for row in rows}  # type: ignore[index]
    assert now[6] == pytest.approx(1 + 0.1**2), "what is deployed is the baseline, with its taste"
    assert run("retrain", "--apply-hp", '{"depth": 7}', "-q") == 0
    assert deployed(tmp_path) == {"depth": 7, "taste": 0.7}
    assert run("retrain", "--rollback", "-q") == 0
    assert deployed(tmp_path) == {"depth": 6, "taste": 0.7}


@pytest.mark.usefixtures("first_phase")
def test_phase2_is_the_phase_of_that_name_or_else_the_first_of_the_later_ones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("retrain", "--tune", "--phase2", "--tune-configs", "1") == 0
    out = capsys.readouterr().out
    assert "films-phase2" in out
    assert "run them: orchestrator --phase2" in out
    (tmp_path / "retrain.toml").write_text(CONFIG.replace("phases.phase2", "phases.later"))
    assert run("retrain", "--tune", "--phase2", "--tune-configs", "1") == 0
    assert "films-taste" in capsys.readouterr().out
    (tmp_path / "retrain.toml").write_text(CONFIG.replace("space.phases.", "limits."))
    assert config_in(tmp_path, CONFIG.split("[space.phases.taste")[0]).space.phases == {}
    assert run("retrain", "--tune", "--phase2") == 2
    assert "[space.phases.phase2]" in capsys.readouterr().err


@pytest.mark.usefixtures("first_phase")
def test_a_phase_may_search_an_earlier_parameter_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    again = '[space.phases.fine.params]\ndepth = { type = "int", low = 5, high = 9, default = 5 }\n'
    (tmp_path / "retrain.toml").write_text(CONFIG + again)
    assert tune("--phase", "fine") == 0
    rows = listed(capsys, "--phase", "fine")
    assert {row["method"]: row["params"] for row in rows}["deployed"] == {"depth": 6}, "the baseline"
    assert run("retrain", "--apply-hp", "best", "--phase", "fine", "-q", "--force") == 0
    assert set(deployed(tmp_path)) == {"depth"}


@pytest.mark.usefixtures("first_phase")
def test_a_parameter_that_was_taken_out_of_the_space_is_not_held(tmp_path: Path) -> None:
    old = CONFIG.replace(
        "[space.phases.taste", 'old = { type = "int", low = 1, high = 9 }\n[space.phases.taste'
    )
    (tmp_path / "retrain.toml").write_text(old)
    assert run("retrain", "--apply-hp", '{"depth": 7, "old": 3}', "-q") == 0
    assert set(deployed(tmp_path)) == {"depth", "old"}
    (tmp_path / "retrain.toml").write_text(CONFIG)
    assert run("retrain", "--apply-hp", '{"taste": 0.7}', *PHASE, "-q") == 0
    assert deployed(tmp_path) == {"depth": 7, "taste": 0.7}


def test_doctor_looks_at_each_phase(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def said() -> list[str]:
        return [each.detail for each in doctor(tmp_path) if each.check == "phases"]

    assert said() == ["taste begins once something is deployed", "phase2 begins once something is deployed"]
    assert run("retrain", "--apply-hp", '{"depth": 6}', "-q") == 0
    assert "params.json holds 0 of 1 parameters, and lacks taste" in said()[0]
    assert run("retrain", "--apply-hp", '{"taste": 0.7}', *PHASE, "-q") == 0
    assert said()[0] == "taste: params.json holds 1 of 1 parameters"
    broken = CONFIG.replace('taste = { type = "float", low = 0.0', 'taste = { type = "float", low = 2.0')
    (tmp_path / "retrain.toml").write_text(broken)
    (problem,) = (each for each in doctor(tmp_path) if each.check == "phases" and each.verdict == "problem")
    assert "taste" in problem.detail
