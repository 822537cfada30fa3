"""A model is loaded in a fresh process, and must predict what it did, before its version becomes active."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from retrain import reloading
from retrain.deploy.report import ApplyOutcome
from retrain.deploy.versions import VersionStore
from retrain.reloading import predict_afresh
from tests.retrain.deploy.project import BETTER, GOOD, Project, assert_consistent
from tests.retrain.deploy.reloadable import FAULT, Reloadable, reloadable
from tests.retrain.projects import mixed_frame, tabular
from tuner.errors import StorageError


@pytest.fixture(scope="module")
def _both(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("reloadable")
    project = reloadable(root)
    project.apply(GOOD)
    project.apply(BETTER)
    return root


@pytest.fixture
def twice(_both: Path, tmp_path: Path) -> Project:
    """Versions 2 (GOOD) and 3 (BETTER, active), both with golden rows."""
    root = tmp_path / "copy"
    shutil.copytree(_both, root, ignore=shutil.ignore_patterns("*owners*"))
    project = Project.__new__(Project)
    project.root, project.target, project.pipeline = root, root / "model.py", Reloadable()
    return project


def test_a_version_keeps_rows_without_the_target_and_what_its_model_says(twice: Project) -> None:
    folder = twice.root / "versions" / "000003"
    golden = json.loads((folder / "golden.json").read_text())
    assert len(golden["rows"]) == len(golden["predictions"]) == 20
    assert all(row.keys() == {"x"} for row in golden["rows"])
    manifest = json.loads((folder / "manifest.json").read_text())
    assert "golden.json" in manifest["files"]
    assert manifest["golden"] == {"file": "golden.json", "n_rows": 20, "note": golden["note"]}
    assert "Real rows of the training data" in golden["note"]
    assert "`golden_rows = 0` under [deploy] keeps none" in golden["note"]


def test_where_the_code_came_from_is_recorded_and_changes_nothing(tmp_path: Path) -> None:
    def git(*arguments: str) -> str:
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
        command = ["git", "-C", str(tmp_path), *identity, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    project = Project(tmp_path)
    git("init", "--quiet")
    git("add", ".")
    git("commit", "--quiet", "--message", "first")
    project.apply(GOOD)
    with project.registry() as registry:
        active = registry.find_active("ridge")
    assert active is not None
    code, libraries = active.manifest["code"], active.manifest["libraries"]
    assert code == {"commit": git("rev-parse", "HEAD"), "dirty": True, "diff": None}
    assert {"python", "numpy"} <= libraries.keys()
    git("commit", "--quiet", "--all", "--allow-empty", "--message", "second")
    assert project.apply(GOOD).outcome is ApplyOutcome.UNCHANGED


def test_a_rollback_says_what_was_checked(twice: Project) -> None:
    report = twice.rollback(dry_run=True)
    said = "the model of version 2 loads in a fresh process and predicts its 20 golden rows as before"
    assert said in report.notes
    assert twice.rollback().version == 2
    assert assert_consistent(twice) == 2


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("1e-5", r"20 of 20 golden rows are predicted otherwise than when it was deployed: row 1 as 0\.\d+"),
        ("raise", r"tried in a fresh process: ValueError: no such thing"),
        ("exit", r"tried in a fresh process: SystemExit: 0"),
        ("leave", r"loading it ended with exit code 0"),
        ("segfault", r"loading it ended with SIGSEGV"),
        ("memory", r"MemoryError"),
    ],
)
def test_a_model_that_is_not_what_it_was_is_not_rolled_back_to(
    fault: str, said: str, twice: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = twice.tree()
    monkeypatch.setenv(FAULT, fault)
    with pytest.raises(StorageError, match=rf"Version 2 was not switched to: .*{said}") as caught:
        twice.rollback()
    assert caught.value.exit_code == 4
    assert caught.value.remedy.endswith("versions/000002/params.json")
    assert twice.tree() == tree
    monkeypatch.delenv(FAULT)
    assert assert_consistent(twice) == 3


@pytest.mark.parametrize("fault", ["1e-8", "print"])
def test_rounding_and_prints_are_no_difference(
    fault: str, twice: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FAULT, fault)
    assert twice.rollback().version == 2


def test_a_model_that_hangs_is_not_waited_for(twice: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = twice.root / "versions" / "000002" / "model"
    monkeypatch.setenv(FAULT, "hang")
    monkeypatch.setattr(reloading, "_BASE_S", 0.5)
    with pytest.raises(StorageError, match=r"it was not loaded within 0\.5\d* s"):
        predict_afresh(folder, "x:X", [{"x": 1.0}], twice.config.source)


def test_memory_is_limited(twice: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Below what the machine has: without a limit, the model would load."""
    monkeypatch.setattr(reloading, "_BASE_BYTES", 400 * 2**20)
    monkeypatch.setenv(FAULT, "grow")
    with pytest.raises(StorageError, match=r"MemoryError: Unable to allocate 1\.00 GiB"):
        twice.rollback()


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_new_model_that_cannot_be_loaded_again_never_becomes_active(
    dry_run: bool, twice: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = twice.tree()
    monkeypatch.setenv(FAULT, "unsaved")
    what = "The new version" if dry_run else "Version 4"
    with pytest.raises(StorageError, match=f"{what} was not switched to: .* golden rows are predicted"):
        twice.apply({**GOOD, "alpha": 0.02}, dry_run=dry_run, force=True)
    assert twice.tree() == tree
    assert assert_consistent(twice) == 3


@pytest.mark.parametrize("fault", ["", "raise"])
def test_no_rows_are_kept_but_the_model_is_loaded(
    fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = reloadable(tmp_path, "golden_rows = 0\n")
    monkeypatch.setenv(FAULT, fault)
    if fault:
        with pytest.raises(StorageError, match="no such thing"):
            project.apply(GOOD)
        return
    project.apply(GOOD)
    golden = json.loads((tmp_path / "versions" / "000002" / "golden.json").read_text())
    assert golden["rows"] == golden["predictions"] == []


def test_a_version_of_another_pipeline_is_not_loaded_by_this_one(twice: Project) -> None:
    toml = twice.root / "retrain.toml"
    toml.write_text(toml.read_text().replace("reloadable:Reloadable", "project:Ridge"))
    with pytest.raises(StorageError, match=r"'.*reloadable:Reloadable'.* names '.*project:Ridge'") as caught:
        twice.rollback()
    assert "`kind` under [pipeline]" in caught.value.remedy


def test_a_pipeline_that_cannot_load_its_models_says_that_nothing_was_loaded(deployed_twice: Project) -> None:
    assert any("so its model was not loaded" in note for note in deployed_twice.rollback().notes)


@pytest.mark.parametrize(("metric", "n_classes"), [("accuracy", 3), ("rmse", 9)])
def test_rows_of_a_table_are_predicted_alike_in_a_fresh_process(
    metric: str, n_classes: int, tmp_path: Path
) -> None:
    mixed_frame(90, n_classes=n_classes).drop(columns="day").to_csv(tmp_path / "data.csv", index=False)
    config = tabular(tmp_path, model="xgboost", metric=metric, fixed={"n_estimators": 5})
    from retrain.pipelines import load_pipeline

    pipeline = load_pipeline(config)
    pipeline.use(pipeline.load())
    rows = pipeline.sample_rows(30)
    assert rows == pipeline.sample_rows(30)
    assert len(rows) == 30
    assert "y" not in rows[0]
    assert None in [row["a"] for row in rows]
    json.dumps(rows, allow_nan=False)
    model = pipeline.fit(pipeline.space.defaults(), 0)
    here = pipeline.predict_rows(model, rows)
    (tmp_path / "model").mkdir()
    pipeline.save(model, tmp_path / "model")
    assert predict_afresh(tmp_path / "model", "tabular", rows, config.source) == here
    if n_classes == 9:
        return
    # XGBoost crashes on it, which is none of ours (E15).
    path = tmp_path / "model" / "model.ubj"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(StorageError, match=r"model\.ubj|ended with SIG"):
        predict_afresh(tmp_path / "model", "tabular", rows, config.source)


def test_every_row_of_a_table_is_its_own_encoding(tmp_path: Path) -> None:
    mixed_frame(90).drop(columns="day").to_csv(tmp_path / "data.csv", index=False)
    from retrain.pipelines.tabular import TabularPipeline

    pipeline = TabularPipeline(tabular(tmp_path))
    table = pipeline.data.table
    again = table.columns.encode(table.columns.frame(table.columns.decode(table.features)))
    assert (again.tobytes()) == table.features.tobytes()


def test_a_flipped_byte_is_found_before_anything_is_loaded(
    twice: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("retrain.deploy.golden.predict_afresh", lambda *_: pytest.fail("it was loaded"))
    store = VersionStore.of(twice.config)
    for name in ("golden.json", "model/model.json"):
        path = store.path(2) / name
        data = path.read_bytes()
        path.write_bytes(data[:-2] + bytes([data[-2] ^ 1]) + data[-1:])
        with pytest.raises(StorageError, match=f"Version 2 failed its checksum: '{name}' was changed"):
            twice.rollback()
        path.write_bytes(data)
