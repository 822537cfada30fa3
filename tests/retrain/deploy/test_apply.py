"""Apply and retrain: what they change, what they refuse, and what they leave untouched."""

import json
import os
import resource
from pathlib import Path
from typing import Any

import pytest

from retrain.deploy import ApplyOutcome, ApplyReport, find_deployed, finish_pending
from retrain.deploy.files import sha256_hex
from retrain.deploy.report import ApplyReport as Report
from retrain.history import history
from retrain.pipeline import Scores
from tests.retrain.deploy.project import (
    BAD,
    BETTER,
    GOOD,
    MODULE,
    SPACE,
    WHO,
    Project,
    Ridge,
    assert_consistent,
)
from tuner.errors import ConfigError, GateError, MismatchError, ParamsError, RetrainError, StorageError
from tuner.experiment import Evaluation, Params

DEFAULTS = {"alpha": 0.5, "degree": 1, "centred": True}
DEPLOYED = MODULE.replace("0.50", "0.01").replace("DEGREE = 1", "DEGREE = 2")


# ---- what it does


def test_the_first_apply_records_what_was_found_and_switches(project: Project) -> None:
    report = project.apply(GOOD, reason="better")
    assert (report.outcome, report.version, report.from_version) == (ApplyOutcome.DEPLOYED, 2, 1)
    assert report.message == "deployed as v2 (before: v1)"
    assert project.target.read_text() == DEPLOYED
    assert assert_consistent(project) == 2
    with project.registry() as registry:
        found, applied = history(registry, "ridge")
    assert (found["action"], found["from"], found["to"]) == ("found", None, 1)
    assert (applied["action"], applied["from"], applied["to"]) == ("apply", 1, 2)
    assert (applied["who"], applied["reason"]) == (WHO, "better")
    assert "rmse" in applied["gates"]
    folder = project.root / "versions" / "000002"
    assert json.loads((folder / "params.json").read_text()) == GOOD
    assert json.loads((folder / "model" / "model.json").read_text())["params"] == GOOD
    assert (folder / "target" / "model.py").read_text() == DEPLOYED
    assert (folder / "before" / "model.py").read_text() == MODULE
    manifest = json.loads((folder / "manifest.json").read_text())
    for name, entry in manifest["files"].items():
        assert entry["sha256"] == sha256_hex((folder / name).read_bytes())
    assert manifest["provenance"] == {"data": "toy", "code": "1", "metric": "rmse on 4 folds"}
    assert manifest["metrics"].keys() == {"rmse", "test_rmse"}


def test_figures_of_both_are_reported(project: Project) -> None:
    report = project.apply(GOOD)
    assert report.before["rmse"] > report.after["rmse"]
    assert report.before["test_rmse"] > report.after["test_rmse"]
    (verdict,) = report.verdicts
    assert (verdict.rule, verdict.passed) == ("not_worse", True)
    assert verdict.improvement == pytest.approx(report.before["rmse"] - report.after["rmse"])
    assert json.loads(json.dumps(report.to_dict()))["message"] == report.message


def test_the_same_again_is_no_new_version(deployed: Project) -> None:
    tree = deployed.tree()
    again = deployed.apply(GOOD)
    assert (again.outcome, again.message) == (ApplyOutcome.UNCHANGED, "already active as v2")
    assert deployed.tree() == tree
    forced = deployed.apply(GOOD, force=True)
    assert (forced.outcome, forced.version) == (ApplyOutcome.DEPLOYED, 3)


@pytest.mark.parametrize("change", ["params", "code", "target", "version"])
def test_it_is_not_the_same_when_anything_changed(change: str, deployed: Project) -> None:
    params: Params = dict(GOOD)
    if change == "params":
        params = BETTER
    elif change == "code":
        deployed.pipeline = Ridge(code="2")
    elif change == "target":
        deployed.target.write_text(MODULE)
    else:
        (deployed.root / "versions" / "000002" / "model" / "model.json").write_text("{}")
    assert deployed.apply(params).version == 3


def test_the_experiment_is_kept(project: Project) -> None:
    from tests.retrain.deploy.test_params_input import run_experiments

    with project.registry() as registry:
        experiment, _ = run_experiments(registry)
    project.apply(GOOD, experiment=experiment)
    with project.registry() as registry:
        assert history(registry, "ridge")[-1]["experiment"] == experiment
        active = registry.find_active("ridge")
    assert active is not None
    assert (active.experiment, active.manifest["experiment"]) == (experiment, experiment)


@pytest.mark.parametrize(
    ("target", "content"), [(None, None), ("hp.json", None), ("hp.toml", "# c\n"), ("sub/hp.yaml", "a: 1\n")]
)
def test_other_targets(target: str | None, content: str | None, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    project = Project(tmp_path, target, content)
    report = project.apply(GOOD)
    assert assert_consistent(project) == 2
    if target is None:
        assert (report.target, report.diff) == (None, "")
    else:
        assert (content or "").strip() in project.target.read_text()
        with project.registry() as registry:
            assert find_deployed(project.config, registry, SPACE).params == GOOD
        project.rollback()
        assert (project.target.read_text() if content else None) == content
        assert project.target.exists() == (content is not None)


def test_a_bare_objective_has_no_model_but_versions(project: Project) -> None:
    project.pipeline = Ridge(fits=False)
    assert project.apply(GOOD).after.keys() == {"rmse"}
    assert not (project.root / "versions" / "000002" / "model").exists()
    assert assert_consistent(project) == 2


# ---- what it refuses


@pytest.mark.parametrize(
    "gate",
    [
        "min = 0.9",
        "max = 0.01",
        "min_improvement = 0.5",
        "max = 0.0\n[[gate]]\nmetric = 'rmse'\nmax = 1.0",
    ],
)
@pytest.mark.parametrize("metric", ["rmse", "test_rmse"])
def test_a_gate_that_is_not_met_changes_nothing(gate: str, metric: str, tmp_path: Path) -> None:
    project = Project(tmp_path, extra=f"[[gate]]\nmetric = '{metric}'\n{gate}\n")
    tree = project.tree()
    with pytest.raises(GateError, match=f"{metric} is 0.0") as caught:
        project.apply(GOOD)
    assert caught.value.exit_code == 3
    assert project.tree() == tree
    with project.registry() as registry:
        assert registry.versions("ridge") == []
        (event,) = registry.events()
    assert (event.kind, event.data["pipeline"]) == ("gate_refused", "ridge")


def test_worse_than_deployed_is_refused_by_default_and_force_does_not_skip_it(deployed: Project) -> None:
    tree = deployed.tree()
    with pytest.raises(GateError, match="worse than what is deployed"):
        deployed.apply(BAD, force=True)
    assert deployed.tree() == tree


@pytest.mark.parametrize("gate", ["", "metric = 'rmse'\nmax = 9", "metric = 'test_rmse'\nmax = 9"])
def test_worse_on_the_holdout_is_said_where_no_gate_looks(
    gate: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Project(tmp_path, extra=gate and f"[[gate]]\n{gate}\n")
    errors = {1: 0.05, 2: 0.0864}
    monkeypatch.setattr(
        project.pipeline,
        "test",
        lambda model: Scores({"test_rmse": errors[model["params"]["degree"]]}, 12),
    )
    report = project.apply(GOOD, dry_run=True)
    assert report.outcome is ApplyOutcome.DRY_RUN
    said = ("on the holdout it is worse: test_rmse 0.05 -> 0.0864 on 12 rows; the gate does not look at it",)
    assert report.warnings == (() if "test_rmse" in gate else said)
    errors[2] = 0.05001
    assert project.apply(GOOD, dry_run=True).warnings == ()


def test_a_holdout_gate_without_a_model_is_refused(tmp_path: Path) -> None:
    project = Project(tmp_path, extra="[[gate]]\nmetric = 'test_rmse'\nmax = 1.0\n")
    project.pipeline = Ridge(fits=False)
    with pytest.raises(GateError, match="it was not measured, but rmse was"):
        project.apply(GOOD)


def test_a_champion_that_cannot_be_scored_is_refused_unless_the_bounds_are_absolute(tmp_path: Path) -> None:
    class Picky(Ridge):
        def evaluate(self, params: Params, *rest: Any) -> Evaluation:
            if params["degree"] == 1:
                raise ValueError("degree 1 is gone")
            return super().evaluate(params, *rest)

    project = Project(tmp_path)
    project.pipeline = Picky()
    with pytest.raises(GateError, match=r"could not be scored .*ValueError: degree 1 is gone"):
        project.apply(GOOD)
    project = Project(tmp_path, extra="[[gate]]\nmetric = 'rmse'\nmax = 1.0\n")
    project.pipeline = Picky()
    assert project.apply(GOOD).before == {}


@pytest.mark.parametrize("step", ["evaluate", "fit", "test", "save"])
@pytest.mark.parametrize("error", [ValueError("boom"), SystemExit(0), RetrainError("boom")])
def test_user_code_that_fails_is_one_error_and_changes_nothing(
    step: str, error: BaseException, deployed: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = deployed.tree()

    def fail(*_: Any) -> Any:
        raise error

    monkeypatch.setattr(deployed.pipeline, step, fail)
    with pytest.raises(RetrainError, match=r"boom|sys\.exit\(0\)") as caught:
        deployed.apply(BETTER)
    assert caught.value.exit_code == 1
    monkeypatch.undo()
    assert deployed.tree() == tree
    assert assert_consistent(deployed) == 2


@pytest.mark.parametrize("result", [float("nan"), float("inf"), "0.5", None, True])
def test_a_result_that_is_none_is_refused(
    result: Any, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(project.pipeline, "evaluate", lambda *_: Evaluation(result))
    with pytest.raises(RetrainError, match="rmse"):
        project.apply(GOOD)
    assert not (project.root / "versions").exists()


def test_invalid_parameters_and_targets_change_nothing(tmp_path: Path) -> None:
    project = Project(tmp_path)
    tree = project.tree()
    with pytest.raises(ParamsError):
        project.apply({"alpha": 1.0})
    assert project.tree() == tree
    project = Project(tmp_path, content="ALPHA = 0.5\n")
    with pytest.raises(ConfigError, match="no DEGREE, no CENTRED"):
        project.apply(GOOD)
    for target in ("../model.py", "model.ini", "versions"):
        with pytest.raises(ConfigError):
            Project(tmp_path, target, None).apply(GOOD)
    project.target.unlink()
    project.target.symlink_to(tmp_path / "retrain.toml")
    with pytest.raises(ConfigError, match="symbolic link"):
        Project(tmp_path, content=None).apply(GOOD)
    assert not (tmp_path / "versions").exists()


def test_a_folder_of_another_registry_is_not_touched(project: Project) -> None:
    foreign = project.root / "versions" / "000002"
    foreign.mkdir(parents=True)
    (foreign / "manifest.json").write_text('{"token": "other"}')
    with pytest.raises(StorageError, match="another database"):
        project.apply(GOOD)
    assert (foreign / "manifest.json").read_text() == '{"token": "other"}'
    assert project.target.read_text() == MODULE


def test_a_full_disk_while_writing_the_version_leaves_the_active_one(
    deployed: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = deployed.tree()
    model = deployed.pipeline.save
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def save(*arguments: Any) -> Any:
        resource.setrlimit(resource.RLIMIT_FSIZE, (50, before[1]))
        return model(*arguments)

    monkeypatch.setattr(deployed.pipeline, "save", save)
    try:
        with pytest.raises(StorageError, match="refused saving the model"):
            deployed.apply(BETTER)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert deployed.tree() == tree
    with deployed.registry() as registry:  # its row could not be removed either; the next command does that
        assert finish_pending(deployed.config, registry) in (
            ["discarded version 3, which a killed process had not finished"],
            [],
        )
    assert assert_consistent(deployed) == 2
    monkeypatch.undo()
    assert deployed.apply(BETTER).version is not None
    assert_consistent(deployed)


def test_a_versions_folder_that_cannot_be_is_one_error(project: Project) -> None:
    (project.root / "versions").write_text("")
    with pytest.raises(StorageError, match="'versions'"):
        project.apply(GOOD)
    assert project.target.read_text() == MODULE


def test_a_target_in_a_read_only_folder_is_said_before_anything_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "conf").mkdir()
    project = Project(tmp_path, "conf/model.py")
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name != "conf" and access(path, mode))
    with pytest.raises(StorageError, match="must be writable"):
        project.apply(GOOD)
    with project.registry() as registry:
        assert registry.versions("ridge")[1:] == []
    assert project.target.read_text() == MODULE


def test_a_target_that_cannot_be_written_after_the_commit_is_said_and_mended(
    deployed: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    from retrain.deploy.target_file import TargetFile

    def refuse(*_: Any) -> None:
        raise StorageError("The file system refused writing 'model.py': No space left on device.")

    monkeypatch.setattr(TargetFile, "write", refuse)
    with pytest.raises(StorageError, match=r"Version 3 is active, but not everything .* No space left"):
        deployed.apply(BETTER)
    monkeypatch.undo()
    with deployed.registry() as registry:
        notes = finish_pending(deployed.config, registry)
        assert finish_pending(deployed.config, registry) == []
    assert any("brought to version 3" in note for note in notes)
    assert assert_consistent(deployed) == 3


# ---- asking, and trying without doing


@pytest.mark.parametrize("first", [True, False])
def test_a_dry_run_goes_the_whole_way_and_changes_nothing(
    first: bool, project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if first:
        with project.registry():
            pass
    else:
        project.apply(GOOD)
    saved: list[Path] = []
    save = project.pipeline.save

    def watched(model: Any, folder: Path) -> Any:
        saved.append(folder)
        return save(model, folder)

    monkeypatch.setattr(project.pipeline, "save", watched)
    before = project.tree(), (tmp_path / "experiments.db").read_bytes()
    report = project.apply(BETTER, dry_run=True)
    assert (project.tree(), (tmp_path / "experiments.db").read_bytes()) == before
    assert report.outcome is ApplyOutcome.DRY_RUN
    assert "+ALPHA = 0.001" in report.diff
    assert report.after["test_rmse"] < 0.1
    (folder,) = saved
    assert not folder.exists()
    assert not folder.is_relative_to(tmp_path)


def test_a_dry_run_shows_a_refusal_before_it_is_raised(deployed: Project) -> None:
    report = deployed.apply(BAD, dry_run=True)
    assert report.outcome is ApplyOutcome.REFUSED
    with pytest.raises(GateError):
        report.raise_if_refused()
    deployed.apply(BETTER, dry_run=True).raise_if_refused()


def test_a_dry_run_of_the_first_apply_leaves_no_folder(project: Project) -> None:
    project.apply(GOOD, dry_run=True)
    assert not (project.root / "versions").exists()


def test_asked_after_the_gate_and_not_with_force(project: Project) -> None:
    asked: list[ApplyReport] = []

    def no(report: Report) -> bool:
        asked.append(report)
        return False

    assert project.apply(GOOD, confirm=no).outcome is ApplyOutcome.DECLINED
    assert "DEGREE = 2" in asked[0].diff
    assert asked[0].verdicts[0].passed
    assert not (project.root / "versions").exists()
    assert project.apply(GOOD, confirm=no, force=True).outcome is ApplyOutcome.DEPLOYED
    with pytest.raises(GateError):
        project.apply(BAD, confirm=no)
    assert len(asked) == 1


def test_another_deployment_while_asking_is_judged_anew(project: Project) -> None:
    """The answer was about another champion: the question is asked again, with the new one."""
    asked: list[int | None] = []

    def meanwhile(report: Report) -> bool:
        asked.append(report.from_version)
        if len(asked) == 1:
            project.apply(BETTER)
        return True

    report = project.apply(GOOD, confirm=meanwhile)
    assert asked == [None, 2]
    assert (report.version, report.from_version, report.previous) == (3, 2, BETTER)
    assert_consistent(project)


def test_an_edit_of_the_target_while_asking_is_not_lost(project: Project) -> None:
    def meanwhile(report: Report) -> bool:
        project.target.write_text(project.target.read_text().replace("# ridge penalty", "# edited"))
        return True

    project.apply(GOOD, confirm=meanwhile)
    assert project.target.read_text() == DEPLOYED.replace("# ridge penalty", "# edited")


# ---- retrain


def test_retrain_fits_the_deployed_hyperparameters_anew_when_something_changed(project: Project) -> None:
    first = project.retrain()
    assert (first.action, first.version, first.params) == ("retrain", 2, DEFAULTS)
    assert project.target.read_text() == MODULE  # 0.50 stays 0.50
    assert project.retrain().message == "already active as v2"
    project.apply(GOOD)
    project.pipeline = Ridge(code="2")
    again = project.retrain()
    assert (again.outcome, again.version, again.params) == (ApplyOutcome.DEPLOYED, 4, GOOD)
    assert project.retrain(force=True).version == 5
    with project.registry() as registry:
        assert [row["action"] for row in history(registry, "ridge")][-3:] == ["apply", "retrain", "retrain"]
    assert assert_consistent(project) == 5


def test_a_retrain_is_compared_with_what_was_recorded(project: Project) -> None:
    recorded = project.apply(GOOD).after
    project.pipeline = coin_flip()
    report = project.retrain(dry_run=True)
    assert report.before["rmse"] == pytest.approx(recorded["rmse"])
    assert report.after["rmse"] > 2 * report.before["rmse"], "and not the new fit with itself"
    assert report.standing("rmse") == "worse"


def test_retrain_is_asked_for_no_improvement_but_for_absolute_bounds(tmp_path: Path) -> None:
    project = Project(tmp_path, extra="[[gate]]\nmetric = 'rmse'\nmin_improvement = 0.1\nmax = 0.35\n")
    assert project.retrain().outcome is ApplyOutcome.DEPLOYED
    project = Project(tmp_path, extra="[[gate]]\nmetric = 'rmse'\nmin_improvement = 0.1\nmax = 0.3\n")
    with pytest.raises(GateError, match="above the max"):
        project.retrain(force=True)


def coin_flip(**options: Any) -> Ridge:
    """The same pipeline on new data in which x says nothing about y."""
    pipeline = Ridge(code="new data", **options)
    pipeline.y = pipeline.y[::-1].copy()
    return pipeline


@pytest.mark.parametrize("gate", ["", "metric = 'test_rmse'\nmax = 9", "metric = 'rmse'\nmax_drop = 0.1"])
@pytest.mark.parametrize("force", [False, True])
def test_retrain_on_data_gone_bad_is_refused(gate: str, force: bool, tmp_path: Path) -> None:
    """Challenger and champion are the same on the new data; only what was recorded tells."""
    project = Project(tmp_path, extra=gate and f"[[gate]]\n{gate}\n")
    project.apply(GOOD)
    project.pipeline = coin_flip()
    tree = project.tree()
    with pytest.raises(GateError, match=r"worse than was recorded .*two standard errors") as caught:
        project.retrain(force=force)
    assert caught.value.exit_code == 3
    assert '[[gate]] with metric = "rmse" and max' in caught.value.remedy
    assert project.tree() == tree
    assert project.retrain(dry_run=True, force=force).outcome is ApplyOutcome.REFUSED


def test_harder_data_are_accepted_by_an_explicit_bound(tmp_path: Path) -> None:
    project = Project(tmp_path, extra="[[gate]]\nmetric = 'rmse'\nmax = 9\n")
    project.apply(GOOD)
    project.pipeline = coin_flip()
    assert project.retrain().outcome is ApplyOutcome.DEPLOYED
    assert project.retrain(force=True).outcome is ApplyOutcome.DEPLOYED


def test_a_fitted_version_without_its_recorded_value_is_refused(deployed: Project) -> None:
    deployed.pipeline = Ridge(code="2")
    deployed.pipeline.metric = "rmse_of_mine"
    evaluate = deployed.pipeline.evaluate
    deployed.pipeline.evaluate = lambda params, report, seed: evaluate(  # type: ignore[method-assign]
        params, lambda step, metrics: report(step, {"rmse_of_mine": metrics["rmse"]}), seed
    )
    with pytest.raises(GateError, match="the active version has no recorded value of it"):
        deployed.retrain()


def test_the_first_retrain_has_nothing_recorded_and_says_so(project: Project) -> None:
    (verdict,) = project.retrain().verdicts
    assert (verdict.rule, verdict.passed) == ("recorded", True)
    assert "nothing was fitted before" in verdict.why
    manifest = json.loads((project.root / "versions" / "000002" / "manifest.json").read_text())
    assert manifest["metric"] == "rmse"
    assert manifest["std_error"] > 0


def test_retrain_never_overwrites_an_edit_by_hand(deployed: Project) -> None:
    edited = deployed.target.read_text().replace("0.01", "0.02")
    deployed.target.write_text(edited)
    with pytest.raises(MismatchError, match="edited") as caught:
        deployed.retrain()
    assert "--apply-hp" in caught.value.remedy
    assert deployed.target.read_text() == edited
    assert deployed.retrain(force=True).params == GOOD
    assert assert_consistent(deployed) == 3


def test_an_edit_elsewhere_in_the_target_stays(deployed: Project) -> None:
    edited = deployed.target.read_text().replace("return ALPHA", "return 2 * ALPHA")
    deployed.target.write_text(edited)
    deployed.pipeline = Ridge(code="2")
    deployed.retrain()
    assert deployed.target.read_text() == edited
    deployed.apply(BETTER)
    assert "return 2 * ALPHA" in deployed.target.read_text()


def test_what_is_in_production_is_fitted_also_when_the_space_moved_on(tmp_path: Path) -> None:
    project = Project(tmp_path, content=MODULE.replace("0.50", "500.0"))
    report = project.retrain()
    assert report.params == {**DEFAULTS, "alpha": 500.0}
    assert project.target.read_text() == MODULE.replace("0.50", "500.0")
