"""B18: a registry that is deleted or replaced while it is in use; B19: copies of it taken at any moment."""

import os
import shutil
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.contracts.registry_cases import ON, SPEC, Connect, some
from tests.tuner.registry.reading import broken
from tuner.errors import NotARegistryError
from tuner.experiment import Evaluation, State, Study
from tuner.registry import Registry, open_registry
from tuner.registry.doctor import registry_info
from tuner.registry.engine import connect as raw_connect


def delete(path: Path) -> None:
    path.unlink()


def replace(path: Path) -> None:
    other = path.with_name("other.db")
    open_registry(other, create=True).close()
    other.replace(path)


@pytest.mark.parametrize(
    ("act", "said"), [(delete, "was deleted"), (replace, "was replaced by another file")]
)
def test_nothing_is_written_to_a_registry_that_is_gone(
    registry: Registry, study: Study, path: Path, act: object, said: str
) -> None:
    [claim] = registry.claim(study)
    act(path)  # type: ignore[operator]
    for write in (
        lambda: registry.complete(claim, Evaluation(0.5), ON),
        lambda: registry.claim(study),
        lambda: registry.heartbeat(),
        lambda: registry.recover(),
    ):
        with pytest.raises(NotARegistryError, match=said) as caught:
            write()
        assert caught.value.remedy


def test_a_registry_that_is_replaced_during_a_write_did_not_take_it(
    registry: Registry, study: Study, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [claim] = registry.claim(study)
    kept = path.with_name("kept.db")

    def replace_and_say_the_time() -> float:
        path.rename(kept)
        return 0.0

    monkeypatch.setattr(registry, "_clock", replace_and_say_the_time)
    with pytest.raises(NotARegistryError, match="was deleted"):
        registry.complete(claim, Evaluation(0.5), ON)


@pytest.mark.parametrize("size_bytes", [0, 100, 8192])
def test_nothing_is_written_to_a_registry_that_was_cut_off(
    registry: Registry, study: Study, path: Path, size_bytes: int
) -> None:
    """The connections that are open would go on, and say that all is well."""
    [claim] = registry.claim(study)
    os.truncate(path, size_bytes)
    for write in (lambda: registry.complete(claim, Evaluation(0.5), ON), registry.heartbeat):
        with pytest.raises(NotARegistryError):
            write()


def test_a_registry_may_be_vacuumed_while_it_is_in_use(registry: Registry, study: Study, path: Path) -> None:
    with closing(raw_connect(path, "rw")) as raw:
        raw.execute("CREATE TABLE mine AS SELECT zeroblob(1000000)")
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        [claim] = registry.claim(study)
        size_bytes = path.stat().st_size
        raw.execute("DROP TABLE mine")
        raw.execute("VACUUM")
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert path.stat().st_size < size_bytes
    assert registry.complete(claim, Evaluation(0.5), ON).value == 0.5


def test_it_may_come_back(registry: Registry, study: Study, path: Path) -> None:
    [claim] = registry.claim(study)
    away = path.with_name("away.db")
    path.rename(away)
    with pytest.raises(NotARegistryError):
        registry.complete(claim, Evaluation(0.5), ON)
    away.rename(path)
    assert registry.complete(claim, Evaluation(0.5), ON).value == 0.5


def test_copies_taken_at_any_moment_are_whole_and_hold_what_was_acknowledged(
    connect: Connect, path: Path, tmp_path: Path
) -> None:
    """As after a power loss between two system calls: file and log, copied after each acknowledged step."""
    registry = connect()
    study = registry.open_study(SPEC)
    acknowledged: list[tuple[Path, int]] = []

    def copy(n_complete: int) -> None:
        folder = tmp_path / f"copy {len(acknowledged)}"
        folder.mkdir()
        for ending in ("", "-wal"):  # the order in which a crash could leave them: the log is the newer one
            if (file := path.with_name(path.name + ending)).exists():
                shutil.copy(file, folder / file.name)
        acknowledged.append((folder / path.name, n_complete))

    n = 0
    for first in range(0, 60, 6):
        registry.add(study, some(6, first=first))
        copy(n)
        for claim in registry.claim(study, 3):
            copy(n)
            registry.complete(claim, Evaluation(0.5), ON)
            n += 1
            copy(n)
        if first == 30:
            with closing(raw_connect(path, "rw")) as raw:
                raw.execute("PRAGMA wal_checkpoint(PASSIVE)")
    assert len(acknowledged) > 60
    for copied, n_complete in acknowledged:
        with open_registry(copied, create=False) as opened:
            opened.recover()
            assert opened.counts(study)[State.COMPLETE] == n_complete
            assert opened.counts(study)[State.RUNNING] == 0
        assert broken(copied) == {}


@pytest.mark.parametrize("cut", [0.1, 0.35, 0.6, 0.85, 0.99])
def test_a_log_that_was_cut_off_loses_its_last_commits_and_nothing_else(
    connect: Connect, path: Path, tmp_path: Path, cut: float
) -> None:
    """A disk that had not yet written the end of the log. What it had written is there, commit by commit."""
    registry = connect()
    study = registry.open_study(SPEC)
    registry.add(study, some(20))
    for claim in registry.claim(study, 20):
        registry.complete(claim, Evaluation(0.5), ON)
    (folder := tmp_path / "copy").mkdir()
    shutil.copy(path, folder / path.name)
    log = path.with_name(f"{path.name}-wal").read_bytes()
    (folder / f"{path.name}-wal").write_bytes(log[: int(len(log) * cut)])
    with open_registry(folder / path.name, create=False) as opened:
        opened.recover()
    assert broken(folder / path.name) == {}


def test_a_log_that_was_deleted_is_no_crash(connect: Connect, path: Path, tmp_path: Path) -> None:
    """B17: what was in it alone is gone; what is left is a registry of an earlier moment."""
    registry = connect()
    study = registry.open_study(SPEC)
    registry.add(study, some(4))
    with closing(raw_connect(path, "rw")) as raw:
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for claim in registry.claim(study, 4):
        registry.complete(claim, Evaluation(0.5), ON)
    (folder := tmp_path / "copy").mkdir()
    shutil.copy(path, folder / path.name)
    with open_registry(folder / path.name, create=False) as opened:
        assert opened.counts(study)[State.WAITING] == 4
    assert broken(folder / path.name) == {}


KILLED = """
import os, sys
from tuner.registry import open_registry
registry = open_registry(sys.argv[1], create=False)
registry.claim(registry.studies()[0], 3)
os.kill(os.getpid(), 9)
"""


def test_doctor_sees_that_a_log_was_deleted(
    connect: Connect, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """kill -9, rm experiments.db-wal, start: said by doctor and by the start, and the work goes on."""
    with connect() as registry:
        study = registry.open_study(SPEC)
        registry.add(study, some(4))
    done = subprocess.run([sys.executable, "-c", KILLED, path], check=False)
    assert done.returncode == -signal.SIGKILL
    for ending in ("-wal", "-shm"):
        path.with_name(path.name + ending).unlink()
    with open_registry(path, create=False, read_only=True) as reader:
        assert registry_info(reader).n_unknown_locks == 1
    with open_registry(path, create=False) as registry:
        assert registry.recover() == []
        assert "1 killed orchestrator that the registry has never heard of" in caplog.text
        assert len(registry.claim(study, 4)) == 4
        assert registry_info(registry).n_unknown_locks == 0
    assert broken(path) == {}
