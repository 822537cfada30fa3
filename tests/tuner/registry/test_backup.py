"""Backups, and what doctor says about the store."""

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.contracts.registry_cases import ON, SPEC, Clock, Connect, some
from tests.tuner.registry.reading import content
from tuner.errors import StorageError, UsageError
from tuner.experiment import Evaluation, Study
from tuner.registry import Registry, open_registry
from tuner.registry.backup import backup
from tuner.registry.doctor import registry_info, sqlite_engine
from tuner.registry.engine import connect as raw_connect
from tuner.registry.schema import APPLICATION_ID, SCHEMA_VERSION
from tuner.registry.sqlite_file import dbapi


@pytest.fixture
def study(registry: Registry) -> Study:
    study = registry.open_study(SPEC)
    registry.add(study, some(3))
    return study


def test_a_backup_made_while_running_is_a_registry_of_its_own(
    registry: Registry, study: Study, path: Path, tmp_path: Path
) -> None:
    [claim] = registry.claim(study)
    before = content(path)
    copy = backup(registry, tmp_path / "copy.db")
    registry.complete(claim, Evaluation(0.5), ON)
    assert content(copy) == before
    assert content(path) != before
    with open_registry(copy, create=False) as opened:
        assert len(opened.recover()) == 1, "a copy has no living owners"
        opened.add(study, some(1, first=9))
        mode = registry_info(opened).journal_mode
    assert mode == registry_info(registry).journal_mode
    assert sorted(left.name for left in tmp_path.iterdir() if "copy" in left.name) == ["copy.db"]


def test_a_backup_can_be_made_of_a_registry_opened_for_reading(
    registry: Registry, study: Study, path: Path, tmp_path: Path
) -> None:
    with open_registry(path, create=False, read_only=True) as reader:
        assert content(backup(reader, tmp_path / "copy.db")) == content(path)


def test_a_backup_replaces_nothing(registry: Registry, study: Study, path: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept.txt"
    kept.write_text("mine")
    for target in (kept, path, tmp_path, tmp_path / "nowhere" / "copy.db"):
        with pytest.raises(UsageError):
            backup(registry, target)
    assert kept.read_text() == "mine"


def test_a_backup_that_fails_leaves_nothing(
    registry: Registry, study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = sorted(tmp_path.iterdir())

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(StorageError, match="No space left"):
        backup(registry, tmp_path / "copy.db")
    assert sorted(tmp_path.iterdir()) == before


FULL = """
import resource, sys
from tuner.errors import StorageError
from tuner.registry import open_registry
from tuner.registry.backup import backup
registry = open_registry(sys.argv[1], create=False, read_only=sys.argv[3] == "reader")
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, resource.RLIM_INFINITY))
try:
    backup(registry, sys.argv[2])
except StorageError as error:
    print(error)
"""


@pytest.mark.parametrize("who", ["reader", "writer"])
def test_a_copy_for_which_there_is_no_room_is_named(
    registry: Registry, study: Study, path: Path, tmp_path: Path, who: str
) -> None:
    """And not the registry, which may be on another disk."""
    target = tmp_path / "copy.db"
    command = [sys.executable, "-c", FULL, str(path), str(target), who]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"{target} could not be read or written")
    assert [left for left in tmp_path.iterdir() if "copy" in left.name] == []


def test_doctor_tells_the_facts(
    connect: Connect, registry: Registry, study: Study, path: Path, clock: Clock
) -> None:
    dying = connect()
    dying.claim(study, 2)
    registry.claim(study, 1)
    dying.close()
    info = registry_info(registry, clock)
    assert (info.path, info.size_bytes) == (path, path.stat().st_size)
    assert (info.application_id, info.schema_version) == (APPLICATION_ID, SCHEMA_VERSION)
    assert (info.owners_alive, info.owners_dead, info.n_held_by_dead) == (1, 1, 2)
    assert info.problems == ()
    assert info.engine == sqlite_engine()
    assert info.engine.version == dbapi().sqlite_version
    assert info.journal_mode == ("wal" if info.engine.is_sound else "delete")


def test_doctor_knows_pythons_own_engine(stdlib_sqlite: None, path: Path) -> None:
    with open_registry(path, create=True) as registry:
        engine = registry_info(registry).engine
    assert (engine.driver, engine.version) == ("sqlite3", sqlite3.sqlite_version)


def test_doctor_finds_what_is_broken(registry: Registry, study: Study, path: Path, clock: Clock) -> None:
    registry.claim(study)
    with closing(raw_connect(path, "rw")) as raw:
        raw.execute("PRAGMA foreign_keys=OFF")
        raw.execute("DELETE FROM owners")
    info = registry_info(registry, clock)
    assert any("refers to a missing owners" in problem for problem in info.problems)
    assert (info.owners_alive, info.owners_dead, info.n_held_by_dead) == (0, 1, 1)


def test_doctor_and_backup_are_light(path: Path) -> None:
    code = (
        "import json, sys, tuner.registry.doctor, tuner.registry.backup;"
        "print(json.dumps(sorted(set(sys.modules) & {'alembic', 'pandas', 'scipy', 'sklearn', 'ray'})))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []
