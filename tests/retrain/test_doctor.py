import json
import os
import shutil
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest

from retrain.cli import cli, run_command
from retrain.config import load_config
from retrain.doctor import Finding, Verdict, doctor, findings_text, is_healthy
from retrain.pipelines import load_pipeline
from tests.retrain.test_cli import CONFIGURATION, MODEL, TRAIN
from tuner.registry import open_registry
from tuner.registry.engine import connect
from tuner.registry.invariants import INVARIANTS


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("RETRAIN_")]:
        monkeypatch.delenv(name)
    (tmp_path / "retrain.toml").write_text(CONFIGURATION)
    (tmp_path / "train.py").write_text(TRAIN)
    (tmp_path / "model.py").write_text(MODEL)
    return tmp_path


def deploy(x: float) -> None:
    assert run_command(cli, "retrain", ["--apply-hp", json.dumps({"x": x}), "-q"]) == 0


def look(check: str, verdict: Verdict | None = None) -> list[Finding]:
    found = [each for each in doctor() if each.check == check]
    return found if verdict is None else [each for each in found if each.verdict is verdict]


def test_a_sound_project(project: Path) -> None:
    deploy(0.5)
    findings = doctor()
    assert is_healthy(findings)
    assert [each.check for each in findings if each.check != "sqlite"] == [
        "python",
        "libraries",
        "configuration",
        "pipeline",
        "search space",
        "deploy target",
        "file system",
        "disk",
        "registry",
        "integrity",
        "owners",
        "versions",
    ]


def test_it_changes_nothing(project: Path) -> None:
    deploy(0.5)
    before = {path: path.read_bytes() for path in project.rglob("*") if path.is_file()}
    doctor()
    assert {path: path.read_bytes() for path in project.rglob("*") if path.is_file()} == before


def test_a_network_file_system_is_a_problem(project: Path) -> None:
    findings = doctor(mounts=lambda: "22 1 8:1 / / rw - nfs4 server:/ rw")
    (found,) = [each for each in findings if each.check == "file system"]
    assert found.verdict is Verdict.PROBLEM
    assert "nfs4" in found.detail


def test_a_missing_data_file_is_named(project: Path) -> None:
    text = '[pipeline]\nmodel = "xgboost"\ndata = "no.csv"\ntarget = "y"\nmetric = "roc_auc"\n'
    (project / "retrain.toml").write_text(text)
    (found,) = look("data")
    assert (found.verdict, found.detail) == (Verdict.PROBLEM, f"there is no {project / 'no.csv'}")
    (project / "retrain.toml").write_text(text.replace("no.csv", "breast_canser"))
    (found,) = look("data")
    assert found.detail.endswith("breast_canser. Did you mean 'breast_cancer'?")
    (project / "retrain.toml").write_text(text)
    (project / "no.csv").write_text("a,z\n1,0\n")
    (found,) = look("data")
    assert found.verdict is Verdict.PROBLEM
    assert found.detail.startswith("The data have no column 'y', as target names it.")
    (project / "no.csv").write_text("a,y\n1,0\n")
    (found,) = look("data")
    assert (found.verdict, found.detail) == (Verdict.OK, f"{project / 'no.csv'}, 8 bytes")


def test_a_target_that_does_not_parse_is_a_problem(project: Path) -> None:
    (project / "model.py").write_text("X = = 3\n")
    assert look("deploy target")[0].verdict is Verdict.PROBLEM


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        ("train.py:objective", "train:objectiv", "Did you mean 'objective'?"),
        ("train.py:objective", "nomod:x", "There is no module 'nomod'"),
        ('direction = "maximize"\n', "", "pipeline.direction must be given"),
    ],
)
def test_a_pipeline_that_cannot_be_made_is_one_problem(project: Path, old: str, new: str, part: str) -> None:
    (project / "retrain.toml").write_text(CONFIGURATION.replace(old, new))
    problems = [each for each in doctor() if each.verdict is Verdict.PROBLEM]
    assert [each.check for each in problems] == ["pipeline"]
    assert part in problems[0].detail


def test_a_program_that_is_not_there_is_a_problem(project: Path) -> None:
    text = '[pipeline]\nkind = "command"\ncommand = "./no.sh"\ndirection = "minimize"\n'
    (project / "retrain.toml").write_text(text + '[space.params]\nx = { type = "int", low = 0, high = 9 }\n')
    (found,) = look("pipeline")
    assert found.verdict is Verdict.PROBLEM
    assert "no program './no.sh'" in found.detail


@pytest.mark.parametrize("key", ["drop = ['no']", "[splits]\ngroup = 'no'", "[splits]\ntime = 'no'"])
@pytest.mark.parametrize("name", ["data.csv", "data.parquet"])
def test_columns_that_the_data_lack_are_problems(project: Path, key: str, name: str) -> None:
    frame = pd.DataFrame({"a": [1], "y": [0]})
    frame.to_parquet(name) if name.endswith("parquet") else frame.to_csv(name, index=False)
    text = f'[pipeline]\nmodel = "xgboost"\ndata = "{name}"\ntarget = "y"\nmetric = "roc_auc"\n'
    (project / "retrain.toml").write_text(text)
    assert look("data")[0].verdict is Verdict.OK
    (project / "retrain.toml").write_text(text + key)
    (found,) = look("data")
    assert found.verdict is Verdict.PROBLEM
    assert "no column 'no'" in found.detail
    assert not look("leakage"), "what was said of the data is not said again"


def test_a_column_that_names_the_rows_is_a_warning_said_once(
    project: Path, caplog: pytest.LogCaptureFixture
) -> None:
    n = 40
    frame = pd.DataFrame(
        {"customer_id": range(n, 2 * n), "x": [i / 7 for i in range(n)], "y": [0, 1] * (n // 2)}
    )
    frame.to_csv("data.csv", index=False)
    text = '[pipeline]\nmodel = "ridge"\ndata = "data.csv"\ntarget = "y"\nmetric = "roc_auc"\n'
    (project / "retrain.toml").write_text(text + "[splits]\nfolds = 2\n")
    (found,) = look("columns")
    assert (found.verdict, found.remedy) == (
        Verdict.WARNING,
        "leave it out with drop = ['customer_id'] under [pipeline].",
    )
    assert found.detail == "The column 'customer_id' seems to name the rows, which helps no model"
    assert not caplog.records
    load_pipeline(load_config(project)).load()
    assert [record.getMessage() for record in caplog.records] == [f"{found.detail}: {found.remedy}"]
    (project / "retrain.toml").write_text(text + "drop = ['customer_id']\n[splits]\nfolds = 2\n")
    assert not look("columns")


def test_a_target_that_lacks_parameters_is_a_warning(project: Path) -> None:
    assert look("deploy target")[0].detail == "model.py holds 2 of 2 parameters"
    (project / "model.py").write_text("X = 0.2\n")
    (found,) = look("deploy target")
    assert (found.verdict, found.detail) == (
        Verdict.WARNING,
        "model.py holds 1 of 2 parameters, and lacks depth",
    )


def test_an_active_version_without_a_model_says_so(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deploy(0.5)
    assert "only" not in look("versions")[0].detail, "a function has no model to fit"
    monkeypatch.setattr("retrain.pipelines.objective.ObjectivePipeline.can_fit", True)
    assert look("versions")[0].detail.endswith("v2 is active (hyperparameters only)")


def test_a_changed_model_file_is_found(project: Path) -> None:
    deploy(0.5)
    (project / "versions" / "000002" / "params.json").write_text("{}")
    (found,) = look("versions", Verdict.PROBLEM)
    assert "'params.json' was changed" in found.detail
    assert look("versions", Verdict.OK)[0].detail == "1 of 2 match their hashes; v2 is active"


def test_a_retired_version_that_is_gone_is_no_more_than_a_warning(project: Path) -> None:
    deploy(0.4)
    deploy(0.5)
    folder = project / "versions" / "000002"
    for path in sorted(folder.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    folder.rmdir()
    findings = doctor()
    assert is_healthy(findings)
    assert [each.detail for each in findings if each.verdict is Verdict.WARNING and each.check == "versions"]


@pytest.mark.parametrize(
    "content", [b"not a database at all, but long enough to hold a header" * 4, b"SQLite format 3\0"]
)
def test_a_file_that_is_no_registry_is_a_problem(project: Path, content: bytes) -> None:
    (project / "experiments.db").write_bytes(content)
    assert look("registry")[0].verdict is Verdict.PROBLEM
    assert (project / "experiments.db").read_bytes() == content


def test_a_damaged_registry_is_a_problem(project: Path) -> None:
    deploy(0.5)
    path = project / "experiments.db"
    data = bytearray(path.read_bytes())
    for page in range(3, len(data) // 4096):
        data[page * 4096 : page * 4096 + 64] = b"\xff" * 64
    path.write_bytes(data)
    findings = doctor()
    assert not is_healthy(findings)
    assert {each.check for each in findings if each.verdict is Verdict.PROBLEM} <= {
        "registry",
        "integrity",
        "versions",
    }


def test_dead_owners_are_counted(project: Path) -> None:
    script = """
import os
from tuner.registry import open_registry, StudySpec
from tuner.experiment import Direction, Suggestion
registry = open_registry("experiments.db", create=True)
study = registry.open_study(StudySpec("toy", {"params": {}}, "score", Direction.MAXIMIZE, {}))
registry.add(study, [Suggestion({"x": 0.1}, "random"), Suggestion({"x": 0.2}, "random")])
registry.claim(study, 2)
os._exit(1)
"""
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": str(root)}, timeout=60)
    (found,) = look("owners")
    assert (found.verdict, found.detail) == (Verdict.WARNING, "0 alive; 1 dead still holding 2 running")
    with open_registry("experiments.db", create=False) as registry:
        registry.recover()
    assert look("owners")[0].verdict is Verdict.OK


def test_a_missing_library_is_a_problem(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("retrain.doctor._LIBRARIES", ("numpy", "no-such-library"))
    (found,) = look("libraries", Verdict.PROBLEM)
    assert (found.detail, found.remedy) == ("not installed: no-such-library", "pip install no-such-library")


def test_text_is_wrapped_under_its_column() -> None:
    findings = [
        Finding("short", Verdict.OK, "fine"),
        Finding("a longer one", Verdict.PROBLEM, "word " * 30, "mend it"),
    ]
    lines = findings_text(findings).splitlines()
    assert lines[0] == "ok       short         fine"
    assert lines[1].startswith("problem  a longer one  word word")
    assert lines[2].startswith(" " * 23 + "word")
    assert lines[-1] == " " * 23 + "try: mend it"
    assert max(map(len, lines)) <= 80


def test_rows_for_machines() -> None:
    findings = [Finding("a", Verdict.WARNING, "b", "c")]
    assert findings_text(findings, "csv") == "verdict,check,detail,remedy\nwarning,a,b,c"
    assert json.loads(findings_text(findings, "json"))["healthy"] is True


# ---- every row of the registry


def test_deep_says_for_each_invariant_how_it_stands(project: Path) -> None:
    deploy(0.5)
    findings = doctor(deep=True)
    assert is_healthy(findings)
    found = {each.check: each.detail for each in findings}
    assert {id_: found[id_] for id_ in INVARIANTS} == INVARIANTS


def test_deep_names_what_is_broken(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    deploy(0.5)
    with closing(connect(project / "experiments.db", "rw")) as raw:
        raw.execute("DROP TRIGGER events_stay")
        raw.execute("DROP TRIGGER deployments_stay")
        raw.execute("UPDATE deployments SET from_version = to_version")
    assert run_command(cli, "retrain", ["doctor"]) == 0
    capsys.readouterr()
    assert run_command(cli, "retrain", ["doctor", "--deep"]) == 1
    out, err = capsys.readouterr()
    assert err == "error: 2 checks found a problem: I12, I14\n"
    said = " ".join(out.split())
    assert "broken 2 times: without its trigger deployments_stay, without its trigger events_stay" in said


def test_deep_looks_at_a_backup_without_a_project(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy(0.5)
    (elsewhere := tmp_path / "elsewhere").mkdir()
    shutil.copy(project / "experiments.db", elsewhere / "backup.db")
    before = (elsewhere / "backup.db").read_bytes()
    monkeypatch.chdir(elsewhere)
    capsys.readouterr()
    assert run_command(cli, "retrain", ["doctor", "--deep", "--db", "backup.db"]) == 0
    out, err = capsys.readouterr()
    assert INVARIANTS["I10"] in " ".join(out.split())
    assert "Traceback" not in err
    assert (elsewhere / "backup.db").read_bytes() == before
    assert run_command(cli, "retrain", ["doctor", "--db", "backup.db"]) == 1, "a project is looked for"


def test_a_target_that_was_edited_by_hand_is_told(project: Path) -> None:
    deploy(0.5)
    assert look("deploy target", Verdict.WARNING) == []
    model = project / "model.py"
    model.write_text(model.read_text().replace("0.5", "0.75"))
    (edited,) = look("deploy target", Verdict.WARNING)
    assert "model.py was edited by hand since version" in edited.detail


def test_a_lock_of_nobody_the_registry_knows_is_a_warning(project: Path) -> None:
    deploy(0.5)
    (project / "experiments.db.owners").mkdir()
    (project / "experiments.db.owners" / "0123456789abcdef.lock").touch()
    (found,) = look("owners", Verdict.WARNING)
    assert "1 killed orchestrator that the registry has never heard of" in found.detail
    assert is_healthy(doctor())
