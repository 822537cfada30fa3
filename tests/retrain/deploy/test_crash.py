"""Killed at any step, the next command finds one whole version, and brings everything to it."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import retrain.deploy
from retrain.deploy import finish_pending
from tests.retrain.deploy.crash import OPERATIONS
from tests.retrain.deploy.project import BETTER, GOOD, MODULE, Project, assert_consistent, run

APPLY_POINTS = [
    "apply.before_lock",
    "apply.after_stage",
    "version.after_mkdir",
    "version.after_params",
    "version.after_model",
    "version.after_manifest",
    "version.after_fsync",
    "version.after_rename",
    "version.after_parent_fsync",
    "apply.after_check",
    "note.before_replace",
    "note.after_replace",
    "switch.before_commit",
    "switch.after_commit",
    "pointer.before_replace",
    "pointer.after_replace",
    "switch.after_pointer",
    "target.before_replace",
    "target.after_replace",
    "switch.after_target",
    "switch.end",
]
ROLLBACK_POINTS = [
    "rollback.before_lock",
    *(point for point in APPLY_POINTS if point.startswith(("note", "switch", "pointer", "target"))),
]
COMMIT = APPLY_POINTS.index("switch.after_commit")
KILLED = 137


def settle(project: Project) -> int:
    """What the next command does first; and what must hold after it."""
    with project.registry() as registry:
        finish_pending(project.config, registry)
        assert finish_pending(project.config, registry) == []
    return assert_consistent(project)


def test_every_crash_point_of_the_source_is_listed() -> None:
    source = "".join(path.read_text() for path in Path(retrain.deploy.__file__).parent.glob("*.py"))
    points = set(re.findall(r'crashpoint\("([a-z_.]+)"\)', source))
    for prefix in set(re.findall(r'(?:write_atomic|\.write)\(.*"(\w+)"\)', source)):
        points |= {f"{prefix}.before_replace", f"{prefix}.after_replace"}
    points -= {"apply.after_rename"}  # an example in a docstring
    assert points == {*APPLY_POINTS, *ROLLBACK_POINTS}


@pytest.mark.parametrize("point", APPLY_POINTS)
def test_apply_killed(point: str, deployed: Project) -> None:
    before = deployed.target.read_bytes()
    assert run(deployed.root, "apply", BETTER, crash=point) == KILLED
    committed = APPLY_POINTS.index(point) >= COMMIT
    assert settle(deployed) == (3 if committed else 2)
    if not committed:
        assert deployed.target.read_bytes() == before
    # The same command again ends where it would have ended.
    assert run(deployed.root, "apply", BETTER) == 0
    assert_consistent(deployed)
    deployed.rollback()
    assert deployed.target.read_bytes() == before


@pytest.mark.parametrize("point", ROLLBACK_POINTS)
@pytest.mark.parametrize("edited", [False, True])
def test_rollback_killed(point: str, edited: bool, deployed: Project) -> None:
    if edited:
        deployed.target.write_text("# edited\n" + deployed.target.read_text())
    assert run(deployed.root, "rollback", crash=point) == KILLED
    committed = point in APPLY_POINTS[COMMIT:]
    assert settle(deployed) == (1 if committed else 2)
    assert deployed.target.read_text().startswith("# edited\n") == edited
    if committed and not edited:
        assert deployed.target.read_text() == MODULE


@pytest.mark.parametrize("nth", [1, 2])
@pytest.mark.parametrize("point", ["apply.after_stage", "version.after_rename", "switch.after_commit"])
def test_the_first_apply_killed(point: str, nth: int, tmp_path: Path) -> None:
    """It makes two versions: what was found, and the new one."""
    project = Project(tmp_path)
    assert run(tmp_path, "apply", GOOD, crash=f"{point}:{nth}") == KILLED
    with project.registry() as registry:
        finish_pending(project.config, registry)
        active = registry.find_active("ridge")
    if active is None:
        assert nth == 1
        assert project.target.read_text() == MODULE
    else:
        assert_consistent(project)
    assert run(tmp_path, "apply", GOOD) == 0
    assert_consistent(project)
    while project.target.read_text() != MODULE:
        project.rollback()


def test_killed_while_cleaning_up_after_a_kill(deployed: Project) -> None:
    assert run(deployed.root, "apply", BETTER, crash="switch.after_commit") == KILLED
    assert run(deployed.root, "apply", BETTER, crash="pointer.before_replace") == KILLED
    assert run(deployed.root, "apply", BETTER, crash="target.before_replace") == KILLED
    assert settle(deployed) == 3


def test_an_edit_by_hand_between_the_kill_and_the_next_command_is_kept(deployed: Project) -> None:
    assert run(deployed.root, "apply", BETTER, crash="switch.after_commit") == KILLED
    edited = deployed.target.read_text().replace("0.01", "0.07")
    deployed.target.write_text(edited)
    with deployed.registry() as registry:
        notes = finish_pending(deployed.config, registry)
    assert any("edited by hand" in note for note in notes)
    assert deployed.target.read_text() == edited


def test_an_edit_by_hand_without_any_kill_is_kept_and_said(deployed: Project) -> None:
    """Also back to what an earlier version held: somebody may have mended production in a hurry."""
    for content in (MODULE, MODULE.replace("0.50", "0.07"), "ALPHA = (\n"):
        deployed.target.write_text(content)
        with deployed.registry() as registry:
            (note,) = finish_pending(deployed.config, registry)
        assert "model.py" in note
        assert deployed.target.read_text() == content


def test_nothing_to_finish_makes_no_folder(tmp_path: Path) -> None:
    project = Project(tmp_path)
    with project.registry() as registry:
        assert finish_pending(project.config, registry) == []
    assert not (tmp_path / "versions").exists()


def test_a_pointer_that_was_damaged_is_rebuilt_and_others_in_it_stay(deployed: Project) -> None:
    pointer = deployed.root / "versions" / "current.json"
    for content in ("", "[]", "{", '{"other": {"version": 9}}'):
        pointer.write_text(content)
        assert settle(deployed) == 2
        assert ('"other"' in pointer.read_text()) == ("other" in content)


def test_killed_before_any_call_that_changes_a_file_or_the_registry() -> None:
    """Some points of each operation, found by passing them; without `--every`, the command does all."""
    command = [sys.executable, "-m", "tests.retrain.deploy.crash", "--every", "17"]
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    found = {said["operation"]: said for said in map(json.loads, done.stdout.splitlines())}
    assert list(found) == list(OPERATIONS), done.stderr
    assert {name: said["problems"] for name, said in found.items() if said["problems"]} == {}
    assert done.returncode == 0
    assert all(said["points"] >= 2 for said in found.values())
    n = sum(said["points"] for said in found.values())
    assert done.stderr.splitlines()[-1] == f"{n} of {n} points survived"
