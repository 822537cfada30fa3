"""`retrain --tune --warm-start`, and `warm_start` in the configuration."""

from pathlib import Path

import pytest

from tests.retrain.test_cli import CONFIGURATION, Run, content, project, run
from tuner.experiment import Evaluation, Provenance
from tuner.registry import open_registry

__all__ = ["project", "run"]


@pytest.fixture
def earlier(run: Run) -> str:
    """A study with results, in a registry that has others too."""
    run("--tune", "--tune-method", "random", "--tune-configs", "6", "--study", "old")
    with open_registry("experiments.db", create=False) as registry:
        study = registry.find_study("old")
        assert study is not None
        for claim in registry.claim(study, 9):
            value = 1 - (float(claim.experiment.params["x"] or 0) - 0.5) ** 2
            registry.complete(claim, Evaluation(value), Provenance())
    return "old"


def test_the_flag_names_an_earlier_study(run: Run, earlier: str) -> None:
    code, out, err = run("--tune", "--tune-configs", "3", "--warm-start", earlier)
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "3 bayesian candidates written into study 'toy'.",
        "4 experiments waiting in all.",
        "warm start: old.",
        "run them: orchestrator",
    ]
    with open_registry("experiments.db", create=False) as registry:
        study = registry.find_study("toy")
        rows = registry.experiments(study)
    assert rows[1].reason["design"] == "earlier"
    assert [row.reason.get("earlier") for row in rows] == [None, *[{"old": 7}] * 3]


@pytest.mark.parametrize("written", ['["old"]', '"old"'])
def test_the_file_names_earlier_studies(run: Run, earlier: str, project: Path, written: str) -> None:
    (project / "retrain.toml").write_text(CONFIGURATION + f"[study]\nwarm_start = {written}\n")
    _, out, _ = run("--tune", "--tune-configs", "1")
    assert "warm start: old." in out


def test_the_flag_wins_over_the_environment_and_that_over_the_file(
    run: Run, earlier: str, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "retrain.toml").write_text(CONFIGURATION + '[study]\nwarm_start = ["of the file"]\n')
    _, _, err = run("--tune")
    assert "no study 'of the file'" in err
    monkeypatch.setenv("RETRAIN_STUDY_WARM_START", '["of the environment"]')
    _, _, err = run("--tune")
    assert "no study 'of the environment'" in err
    code, out, _ = run("--tune", "--tune-configs", "1", "--warm-start", "old")
    assert code == 0
    assert "warm start: old." in out


@pytest.mark.parametrize(
    ("arguments", "message", "code"),
    [
        ("--tune --warm-start odl", "There is no study 'odl' to start from. Did you mean 'old'?", 6),
        ("--tune --warm-start old --study old", "Study 'old' cannot have a warm start from itself", 2),
        (
            "--tune --tune-method random --warm-start old",
            "The method random learns nothing from earlier studies.",
            2,
        ),
        ("--warm-start old", "--warm-start goes with --tune, not alone.", 2),
        (
            "--tune --tune-guess {} --warm-start old",
            "--warm-start informs a method, but --tune-guess alone writes no candidates of one",
            2,
        ),
        ("--history --warm-start old", "--warm-start goes with --tune, not with --history.", 2),
    ],
)
def test_what_cannot_be_is_refused_and_writes_nothing(
    run: Run, earlier: str, project: Path, arguments: str, message: str, code: int
) -> None:
    before = content(project)
    given, out, err = run(*arguments.split())
    assert (given, out) == (code, "")
    assert f"error: {message}" in err
    assert content(project) == before


def test_without_a_registry_there_is_none_to_start_from(run: Run, project: Path) -> None:
    code, _, err = run("--tune", "--warm-start", "old")
    assert code == 6
    assert "Traceback" not in err
    assert not (project / "experiments.db").exists()
