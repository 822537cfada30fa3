"""The way back: verified, byte for byte, and without losing what the user edited in between."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from retrain.deploy import ApplyOutcome, ApplyReport
from retrain.history import history
from tests.retrain.deploy.project import BETTER, GOOD, MODULE, Project, Ridge, assert_consistent
from tuner.errors import ConfigError, MismatchError, NotFoundError, StorageError

FORMATS = {
    "model.py": MODULE.replace("\n", "\r\n"),
    "hp.json": '{"centred": true,\n\n "alpha": 5.0e-1, "other": [1,  2],\n "degree": 1}',
    "hp.toml": "alpha = 0.50 # a\n\ndegree   = 1\ncentred = true\n",
    "hp.yaml": "alpha:   0.50 # a\ndegree: 1\n\ncentred: true\n",
}


@pytest.mark.parametrize("target", FORMATS)
def test_rollback_of_an_apply_restores_the_bytes(target: str, tmp_path: Path) -> None:
    """Invariant I13, also over several applies and whatever the spelling of the values was."""
    project = Project(tmp_path, target, FORMATS[target], "[[gate]]\nmetric = 'rmse'\nmax_drop = 10.0\n")
    contents = [project.target.read_bytes()]
    for params in (GOOD, BETTER, {**GOOD, "degree": 3}):
        project.apply(params)
        contents.append(project.target.read_bytes())
    assert len(set(contents)) == 4
    for version in (3, 2, 1):
        report = project.rollback()
        assert (report.outcome, report.version, report.from_version) == (
            ApplyOutcome.DEPLOYED,
            version,
            version + 1,
        )
        assert project.target.read_bytes() == contents[version - 1]
    project.rollback(4)
    assert project.target.read_bytes() == contents[3]
    project.rollback(1)
    assert project.target.read_bytes() == contents[0]
    with project.registry() as registry:
        rows = history(registry, "ridge")
    assert [(row["from"], row["to"]) for row in rows[4:]] == [(4, 3), (3, 2), (2, 1), (1, 4), (4, 1)]


def test_a_second_rollback_goes_further_back_never_forward_again(deployed_twice: Project) -> None:
    assert [deployed_twice.rollback().version, deployed_twice.rollback().version] == [2, 1]
    with pytest.raises(NotFoundError, match="nothing to roll back to: version 1 is the first") as caught:
        deployed_twice.rollback()
    assert caught.value.exit_code == 6
    assert caught.value.remedy.endswith("one of: 2, 3")
    assert assert_consistent(deployed_twice) == 1
    deployed_twice.apply(BETTER)
    assert deployed_twice.rollback().version == 1  # which was active when version 4 was deployed


def test_nothing_to_roll_back_to(project: Project) -> None:
    tree = project.tree()
    with pytest.raises(NotFoundError, match="nothing was deployed yet"):
        project.rollback()
    assert project.tree() == tree


@pytest.mark.parametrize("version", [0, -1, 7, 10**12])
def test_an_unknown_version_names_the_valid_ones(version: int, deployed: Project) -> None:
    with pytest.raises(NotFoundError, match=f"no version {version}") as caught:
        deployed.rollback(version)
    assert caught.value.remedy.endswith("one of: 1")


def test_the_active_version_again_changes_nothing(deployed: Project) -> None:
    tree = deployed.tree()
    assert deployed.rollback(2).message == "already active as v2"
    assert deployed.tree() == tree


FILES = ["manifest.json", "params.json", "metrics.json", "model/model.json"]
FILES += ["target/model.py", "before/model.py"]
TAMPERED = [(name, how) for name in FILES for how in ("flip", "remove", "shorten", "link")]
# A link to the same manifest, or one without its last line end, says the same as before.
TAMPERED = [
    case for case in TAMPERED if case not in (("manifest.json", "shorten"), ("manifest.json", "link"))
]


@pytest.mark.parametrize(("name", "how"), TAMPERED)
def test_a_version_that_was_tampered_with_is_not_switched_to(
    name: str, how: str, deployed_twice: Project
) -> None:
    project = deployed_twice
    path = project.root / "versions" / "000002" / name
    data = path.read_bytes()
    path.unlink()
    if how == "flip":
        path.write_bytes(data[:5] + bytes([data[5] ^ 1]) + data[6:])
    elif how == "shorten":
        path.write_bytes(data[:-1])
    elif how == "link":
        (project.root / "copy").write_bytes(data)
        path.symlink_to(project.root / "copy")
    tree = project.tree()
    with pytest.raises(StorageError, match=r"Version 2 failed its checksum: .*Version 3 stays") as caught:
        project.rollback()
    assert caught.value.exit_code == 4
    assert caught.value.remedy.endswith("one of: 1")
    assert project.tree() == tree
    assert project.rollback(1).version == 1


def test_a_version_whose_directory_is_gone(deployed_twice: Project) -> None:
    shutil.rmtree(deployed_twice.root / "versions" / "000002")
    with pytest.raises(NotFoundError, match=r"no directory .* any more") as caught:
        deployed_twice.rollback()
    assert caught.value.exit_code == 6
    with deployed_twice.registry() as registry:
        active = registry.find_active("ridge")
    assert active is not None
    assert active.number == 3


def test_a_missing_target_comes_back(deployed_twice: Project) -> None:
    earlier = deployed_twice.target.read_bytes().replace(b"0.001", b"0.01").replace(b"False", b"True")
    deployed_twice.target.unlink()
    deployed_twice.rollback()
    assert deployed_twice.target.read_bytes() == earlier


def test_a_target_that_was_created_goes_again(tmp_path: Path) -> None:
    project = Project(tmp_path, content=None)
    project.apply(GOOD)
    assert assert_consistent(project) == 2
    project.rollback()
    assert not project.target.exists()
    project.rollback(2)
    assert assert_consistent(project) == 2


@pytest.mark.parametrize("when", ["before the second apply", "after it"])
def test_edits_elsewhere_in_the_target_are_never_lost(when: str, project: Project) -> None:
    def edit() -> None:
        project.target.write_text(project.target.read_text().replace("return ALPHA", "return 2 * ALPHA"))

    project.apply(GOOD)
    if when.startswith("before"):
        edit()
    project.apply(BETTER)
    if when.startswith("after"):
        edit()
    project.rollback(1)
    text = project.target.read_text()
    assert text == MODULE.replace("return ALPHA", "return 2 * ALPHA").replace("0.50", "0.5")
    assert assert_consistent(project) == 1


def test_a_target_that_cannot_hold_the_version_stops_before_anything_changes(deployed: Project) -> None:
    deployed.target.write_text("ALPHA = (\n")
    with pytest.raises(ConfigError, match="parses"):
        deployed.rollback()
    with deployed.registry() as registry:
        active = registry.find_active("ridge")
    assert active is not None
    assert active.number == 2


def test_a_dry_run_shows_the_diff_and_changes_nothing(deployed: Project) -> None:
    tree = deployed.tree()
    report = deployed.rollback(dry_run=True)
    assert report.outcome is ApplyOutcome.DRY_RUN
    assert "-ALPHA = 0.01" in report.diff
    assert "+ALPHA = 0.50" in report.diff
    assert deployed.tree() == tree
    assert deployed.rollback(confirm=lambda _: False).outcome is ApplyOutcome.DECLINED
    assert deployed.tree() == tree


def test_rollback_never_overwrites_an_edit_by_hand_unasked(deployed: Project) -> None:
    edited = deployed.target.read_text().replace("0.01", "0.02")
    deployed.target.write_text(edited)
    tree = deployed.tree()
    with pytest.raises(
        MismatchError, match="must hold the hyperparameters of version 2, but was edited"
    ) as caught:
        deployed.rollback()
    assert "--force" in caught.value.remedy
    assert deployed.tree() == tree
    shown: list[ApplyReport] = []

    def decline(report: ApplyReport) -> bool:
        shown.append(report)
        return False

    assert deployed.rollback(confirm=decline).outcome is ApplyOutcome.DECLINED
    assert deployed.tree() == tree
    for report in (*shown, deployed.rollback(dry_run=True)):  # whoever looks sees it
        assert any("edited by hand" in note for note in report.notes)
        assert "-ALPHA = 0.02" in report.diff
    assert deployed.rollback(2).outcome is ApplyOutcome.UNCHANGED  # which overwrites nothing
    assert deployed.target.read_text() == edited


def test_what_was_set_back_by_hand_already_is_no_hindrance(deployed: Project) -> None:
    deployed.target.write_text(MODULE)
    assert deployed.rollback().version == 1
    assert deployed.target.read_text() == MODULE
    assert assert_consistent(deployed) == 1


@pytest.mark.parametrize("how", ["forced", "confirmed"])
def test_rollback_overwrites_an_edit_by_hand_where_told_to(how: str, deployed: Project) -> None:
    deployed.target.write_text(deployed.target.read_text().replace("0.01", "0.02"))
    options: dict[str, Any] = {"force": True} if how == "forced" else {"confirm": lambda _: True}
    assert deployed.rollback(**options).version == 1
    assert assert_consistent(deployed) == 1


def test_a_forced_rollback_asks_nobody(deployed: Project) -> None:
    def asked(_: ApplyReport) -> bool:
        raise AssertionError("nobody is to be asked")

    assert deployed.rollback(force=True, confirm=asked).outcome is ApplyOutcome.DEPLOYED


@pytest.mark.parametrize("what", ["deploy", "edit"])
def test_what_happens_while_asking_stops_the_rollback(what: str, deployed: Project) -> None:

    def meanwhile(_: Any) -> bool:
        if what == "deploy":
            deployed.apply(BETTER)
        else:
            deployed.target.write_text("# edited\n" + deployed.target.read_text())
        return True

    with pytest.raises(MismatchError):
        deployed.rollback(confirm=meanwhile)
    assert assert_consistent(deployed) == (3 if what == "deploy" else 2)


def test_the_target_named_anew_gets_the_constants(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.apply(GOOD)
    project = Project(tmp_path, "hp.json", None)
    project.pipeline = Ridge(code="2")
    project.retrain()
    assert project.rollback(1).version == 1
    assert '"alpha": 0.5' in project.target.read_text()
    assert (tmp_path / "model.py").read_text() != MODULE  # it is not the target any more


def test_what_the_wanted_version_does_not_have_is_said(tmp_path: Path) -> None:
    project = Project(tmp_path, content=None)
    project.apply(GOOD)
    report = project.rollback(1)
    assert "model.py goes: there was none when version 1 was found" in report.notes
    assert any(note.startswith("version 1 has no model") for note in report.notes)
    assert not project.target.exists()
    forth = project.rollback(2)
    assert project.target.exists()
    assert not any("has no model" in note or " goes: " in note for note in forth.notes)
