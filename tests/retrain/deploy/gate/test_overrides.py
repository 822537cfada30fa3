"""Overriding a gate: by name, with a reason, and kept by the ledger exactly once."""

import json
from pathlib import Path
from typing import Any

import pytest

from retrain.apply_text import apply_text
from retrain.deploy import ApplyOutcome, Overrides, finish_pending
from retrain.history import history, history_text
from tests.retrain.deploy.project import BAD, BETTER, GOOD, Project, assert_consistent, run
from tests.retrain.deploy.test_crash import APPLY_POINTS, COMMIT, KILLED
from tuner.errors import GateError, UsageError

STRICT = "[[gate]]\nname = 'strict'\nmetric = 'rmse'\nmax = 0.001\n"
DRILL = Overrides(("default",), "a drill")


def ledger(project: Project) -> list[Any]:
    with project.registry() as registry:
        return list(registry.deployments("ridge"))


def test_it_deploys_what_is_worse_and_says_so_everywhere(deployed: Project) -> None:
    with pytest.raises(GateError):
        deployed.apply(BAD)
    report = deployed.apply(BAD, overrides=DRILL, reason="a drill")
    assert (report.outcome, report.version) == (ApplyOutcome.DEPLOYED, 3)
    (verdict,) = report.verdicts
    assert (verdict.passed, verdict.override, verdict.reason) == (False, "needed", "a drill")
    text = apply_text(report)
    assert "NOT MET, OVERRIDDEN (default): rmse is" in text
    assert "gate default was overridden: a drill" in apply_text(report, brief=True)
    assert json.loads(apply_text(report, "json"))["verdicts"][0]["override"] == "needed"
    (kept,) = ledger(deployed)[-1].gates
    assert (kept["name"], kept["override"], kept["reason"], kept["passed"]) == (
        "default",
        "needed",
        "a drill",
        False,
    )
    with deployed.registry() as registry:
        rows = history(registry, "ridge")
    assert [row["overridden"] for row in rows] == ["", "", "default: a drill"]
    assert "default: a drill" in history_text(rows, verbose=True)
    assert "default: a drill" in history_text(rows, "json")
    assert "a drill" not in history_text(rows)


def test_only_what_was_named_is_overridden(tmp_path: Path) -> None:
    project = Project(tmp_path, extra=STRICT)
    with pytest.raises(GateError, match="strict: rmse is") as caught:
        project.apply(BAD, overrides=DRILL)
    assert "default:" not in str(caught.value)
    with pytest.raises(GateError, match="default: rmse is"):
        project.apply(BAD, overrides=Overrides(("strict",), "a drill"))
    project.apply(BAD, overrides=Overrides(("strict", "default"), "a drill"))
    assert [gate["override"] for gate in ledger(project)[-1].gates] == ["needed", "needed"]


def test_an_override_that_was_not_needed_is_kept_as_such(tmp_path: Path) -> None:
    project = Project(tmp_path, extra="[[gate]]\nname = 'loose'\nmetric = 'rmse'\nmax = 9\n")
    report = project.apply(GOOD, overrides=Overrides(("loose", "data"), "to be sure"))
    assert report.message == "deployed as v2 (before: v1)"
    assert "the override was not needed" in apply_text(report)
    assert "was overridden" not in apply_text(report)
    kept = {gate["name"]: gate["override"] for gate in ledger(project)[-1].gates}
    assert kept == {"default": "", "loose": "not needed", "data": "not needed"}
    with project.registry() as registry:
        said = history(registry, "ridge")[-1]["overridden"]
    assert said == "loose (not needed): to be sure; data (not needed): to be sure"


def test_a_dry_run_shows_it_and_changes_nothing(deployed: Project) -> None:
    tree = deployed.tree()
    report = deployed.apply(BAD, dry_run=True, overrides=DRILL)
    assert report.outcome is ApplyOutcome.DRY_RUN
    assert report.message == "dry run: the gate is not met, but overridden; nothing was changed"
    report.raise_if_refused()
    assert deployed.tree() == tree
    assert len(ledger(deployed)) == 2


def test_unknown_names_and_missing_reasons_are_usage_errors(tmp_path: Path) -> None:
    config = Project(tmp_path, extra=STRICT).config
    with pytest.raises(UsageError, match=r"no gate 'strickt' .*Did you mean 'strict'") as caught:
        Overrides.of(config, ["strickt"], "why not")
    assert "strict, default, data" in caught.value.remedy
    for reason in ("", " \n"):
        with pytest.raises(UsageError, match="needs a reason"):
            Overrides.of(config, ["strict"], reason)
    assert Overrides.of(config, ["strict", "strict"], " be\ncause ") == Overrides(("strict",), "be cause")
    assert Overrides.of(config, [], "") == Overrides()


@pytest.mark.parametrize("point", APPLY_POINTS)
def test_killed_anywhere_it_is_kept_exactly_once(point: str, deployed: Project) -> None:
    def overridden() -> list[Any]:
        return [e for e in ledger(deployed) if any(gate["override"] for gate in e.gates)]

    assert run(deployed.root, "apply_overridden", crash=point) == KILLED
    with deployed.registry() as registry:
        finish_pending(deployed.config, registry)
    assert len(overridden()) == int(APPLY_POINTS.index(point) >= COMMIT)
    assert run(deployed.root, "apply_overridden") == 0
    (entry,) = overridden()
    assert entry.gates[0]["reason"] == "a drill"
    assert assert_consistent(deployed) == entry.to_version


def test_what_was_overridden_is_judged_anew_where_somebody_deployed_meanwhile(deployed: Project) -> None:
    """The override holds for the gate by its name, not for one verdict of it."""
    asked: list[Any] = []

    def meanwhile(report: Any) -> bool:
        asked.append(report.verdicts)
        if len(asked) == 1:
            deployed.apply(BETTER)
        return True

    deployed.apply(BAD, overrides=DRILL, confirm=meanwhile)
    assert [verdict.override for verdicts in asked for verdict in verdicts] == ["needed", "needed"]
    assert [len([g for g in e.gates if g["override"]]) for e in ledger(deployed)][-2:] == [0, 1]
