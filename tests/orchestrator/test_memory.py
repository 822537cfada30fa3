"""`--memory`, and `orchestrator memory`: what studies taught is listed, explained, used and forgotten."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator import tune
from orchestrator.cli import cli
from retrain.cli import cli as retrain_cli
from retrain.cli import run_command
from tests.orchestrator.toy import write_toy
from tuner.errors import UsageError
from tuner.experiment import Evaluation, Provenance
from tuner.patterns import Traits
from tuner.recollect import remember
from tuner.registry import open_registry

Run = Callable[..., tuple[int, str, str]]
SPRING = Provenance("spring")
LOCAL = ("--pool", "local", "--workers", "1", "--no-progress")


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    write_toy(tmp_path)

    def run(*arguments: str, program: str = "orchestrator") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", [program, *arguments])
        code = run_command(cli if program == "orchestrator" else retrain_cli, program)
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def spring(run: Run) -> str:
    """A study that taught something."""
    run("--tune", "--tune-method", "random", "--tune-configs", "11", "--study", "spring", program="retrain")
    with open_registry("experiments.db", create=False) as registry:
        [study] = registry.studies()
        for claim in registry.claim(study, 20):
            registry.complete(
                claim, Evaluation(float(claim.experiment.params["x"] or 0)), Provenance("spring")
            )
        assert remember(registry, study, Provenance("spring"), Traits("toy")) is not None
    return "spring"


def test_what_a_run_found_is_remembered(run: Run) -> None:
    assert run("--method", "random", "--configs", "3", *LOCAL)[0] == 0
    with open_registry("experiments.db", create=False, read_only=True) as registry:
        [pattern], [study] = registry.patterns(), registry.studies()
        assert pattern.experiment == registry.best(study)[0].public_id
    assert pattern.traits == {"model": "toy", "kind": "", "features": {}}


def test_a_study_starts_from_it_when_asked_and_only_hints_else(run: Run, spring: str) -> None:
    _, _, err = run("--method", "bayesian", "--configs", "1", "--study", "cold", *LOCAL)
    assert "1 similar study is remembered (spring #1): --memory would start from" in err
    _, _, err = run("--method", "bayesian", "--configs", "1", "--study", "cold", *LOCAL)
    assert "remembered" not in err, "a hint is given before the first result only"
    _, _, err = run("--method", "bayesian", "--configs", "1", "--study", "no", "--no-memory", *LOCAL)
    assert "remembered" not in err

    code, _, err = run("--method", "bayesian", "--configs", "12", "--study", "summer", "--memory", *LOCAL)
    assert code == 0
    assert "starts from what" in err
    assert "spring #1 (1.00)" in err
    with open_registry("experiments.db", create=False, read_only=True) as registry:
        lessons, study = registry.lessons(), registry.find_study("summer")
        rows = registry.experiments(study)
    assert {(each.kind, each.study) for each in lessons} == {("used", "summer"), ("judged", "summer")}
    assert rows[1].reason["design"] == "earlier"
    _, _, err = run("--method", "bayesian", "--configs", "1", "--study", "summer", "--memory", *LOCAL)
    assert "started from what" in err


def test_retrain_tune_starts_from_it_too(run: Run, spring: str, tmp_path: Path) -> None:
    text = (tmp_path / "retrain.toml").read_text()
    (tmp_path / "retrain.toml").write_text(text + "\n[study]\nmemory = 0.9\n")
    code, out, _ = run("--tune", "--tune-configs", "2", "--study", "summer", program="retrain")
    assert code == 0
    assert "starts from what 1 similar study taught: spring #1 (1.00)." in out
    _, out, _ = run("--tune", "--tune-configs", "2", "--study", "autumn", "--no-memory", program="retrain")
    assert "similar" not in out
    _, out, _ = run(
        "--tune", "--tune-method", "random", "--tune-configs", "1", "--study", "winter", program="retrain"
    )
    assert "similar" not in out


def test_a_method_that_does_not_learn_says_so(run: Run, spring: str) -> None:
    _, _, err = run("--method", "random", "--configs", "1", "--study", "summer", "--memory", *LOCAL)
    assert "nothing is learned from memory by method random" in err


def test_patterns_are_listed_explained_and_forgotten(run: Run, spring: str) -> None:
    code, out, _ = run("memory", "--format", "json")
    assert code == 0
    [row] = json.loads(out)
    assert (row["id"], row["study"], row["used"], row["forgotten"]) == (1, "spring", 0, None)
    assert "forgotten" not in run("memory")[1], "nothing is: no column says so"
    code, out, _ = run("memory", "1")
    assert code == 0
    assert "was the best of study 'spring'" in out
    assert "it was not used and judged yet" in out

    code, out, _ = run("memory", "1", "--forget", "--reason", "other sensors")
    assert (code, out) == (0, "pattern 1 is forgotten: no study starts from it any more\n")
    assert "forgotten" in run("memory")[1]
    _, out, _ = run("memory", "1", "--forget")
    assert "is forgotten already, by " in out
    _, out, _ = run("memory", "1")
    assert "never again: it was forgotten, by " in out
    assert "other sensors" in out
    with open_registry("experiments.db", create=False, read_only=True) as registry:
        [event] = registry.events(kind="pattern forgotten")
        assert len(registry.patterns()) == 1
    assert event.message.endswith(": other sensors.")
    _, _, err = run("--method", "bayesian", "--configs", "1", "--study", "summer", "--memory", *LOCAL)
    assert "no similar study is remembered, so that this one starts from nothing" in err


@pytest.mark.parametrize("output", ["table", "markdown", "csv", "json"])
def test_what_mattered_is_listed_by_its_salience(run: Run, spring: str, output: str) -> None:
    run("memory", "1", "--forget")
    code, out, _ = run("memory", "--events", "--format", output)
    assert code == 0
    assert "was forgotten" in out
    assert "taught" not in out
    code, out, _ = run("memory", "--events", "0.3", "--format", output)
    assert out.index("taught") < out.index("was forgotten"), "oldest first"
    code, out, err = run("memory", "--events", "1.0", "--format", output)
    assert (code, out) == (6, "")
    assert "no event of a salience of 1 or more" in err


@pytest.mark.parametrize("output", ["table", "markdown", "csv", "json"])
def test_an_explanation_has_every_format(run: Run, spring: str, output: str) -> None:
    code, out, _ = run("memory", "1", "--format", output)
    assert code == 0
    assert "spring" in out


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ("memory 7", 6, "There is no pattern 7. There are: 1."),
        ("memory 0", 2, "must be at least 1"),
        ("memory --forget", 2, "--forget goes with the number of a pattern"),
        ("memory 1 --reason x", 2, "--reason goes with --forget"),
        ("memory 1 --events", 2, "give it alone"),
        ("memory --events 7", 2, "7"),
        ("--memory", 2, "--memory goes with --method or --configs"),
    ],
)
def test_what_cannot_be_is_refused(run: Run, spring: str, arguments: str, code: int, message: str) -> None:
    given, out, err = run(*arguments.split())
    assert (given, out) == (code, "")
    assert message in err


def test_an_empty_memory_says_how_it_is_filled(run: Run) -> None:
    run("--tune", "--tune-configs", "1", program="retrain")
    with open_registry("experiments.db", create=False) as registry:
        [study] = registry.studies()
        registry.claim(study)
    code, _, err = run("memory")
    assert code == 6
    assert "Nothing is remembered yet" in err


@pytest.mark.parametrize("given", ["1.5", "0.0", '"yes"'])
def test_a_threshold_is_a_share(run: Run, tmp_path: Path, given: str) -> None:
    text = (tmp_path / "retrain.toml").read_text()
    (tmp_path / "retrain.toml").write_text(text + f"\n[study]\nmemory = {given}\n")
    code, _, err = run("--tune", program="retrain")
    assert code == 2
    assert "study.memory" in err


def test_from_python_too(tmp_path: Path) -> None:
    def objective(params: dict[str, float]) -> float:
        return params["x"]

    settings: dict[str, Any] = {"db": tmp_path / "e.db", "workers": 1, "progress": False}
    tune(objective, {"x": (0.0, 1.0)}, study="spring", method="random", configs=2, **settings)
    result = tune(objective, {"x": (0.0, 1.0)}, study="summer", configs=1, memory=True, **settings)
    assert result.experiments[1].reason["study"] == "spring #1"
    with pytest.raises(UsageError, match=r"in \(0, 1\], but got 7"):
        tune(objective, {"x": (0.0, 1.0)}, memory=7)
