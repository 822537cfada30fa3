"""Whatever a path may hold: ours opens, anything else gets one sentence and keeps every byte."""

import contextlib
import os
import random
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from tests.contracts.registry_cases import ON, SPEC, Clock, some
from tests.tuner.registry.engines import needs_wal
from tests.tuner.registry.reading import writing
from tests.tuner.registry.together import in_child
from tuner.errors import NotARegistryError, NotFoundError, RetrainError, StorageError, UsageError
from tuner.experiment import Evaluation
from tuner.registry import open_registry
from tuner.registry.backup import backup
from tuner.registry.base import writable
from tuner.registry.schema import APPLICATION_ID, SCHEMA_VERSION
from tuner.registry.sqlite_file import connect, is_sound
from tuner.registry.sqlite_reader import SqliteReader


def folder_state(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def ours(path: Path) -> Path:
    """A registry with ten finished experiments, closed."""
    with open_registry(path, create=True, clock=Clock()) as registry:
        study = registry.open_study(SPEC)
        registry.add(study, some(10))
        for claim in registry.claim(study, 10):
            registry.complete(claim, Evaluation(0.5), ON)
    return path


def text(path: Path) -> None:
    path.write_text("depth,rate\n1,0.5\n" * 100)


def almost_sqlite(path: Path) -> None:
    path.write_bytes(b"SQLite format 3\0")


def zeros(path: Path) -> None:
    path.write_bytes(bytes(8192))


def noise(path: Path) -> None:
    path.write_bytes(random.Random(1).randbytes(8192))


def pickle_like(path: Path) -> None:
    path.write_bytes(b"\x80\x05\x95" + bytes(200))


def gzip_like(path: Path) -> None:
    path.write_bytes(b"\x1f\x8b\x08" + bytes(200))


def one_byte(path: Path) -> None:
    path.write_bytes(b"S")


def foreign_sqlite(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE experiments (id, value)")
        connection.commit()


def foreign_sqlite_in_wal_mode(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE t (x)")


def other_application(path: Path) -> None:
    foreign_sqlite(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA application_id = 252006674")


def newer_schema(path: Path) -> None:
    foreign_sqlite(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")


def ours_without_tables(path: Path) -> None:
    foreign_sqlite(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


CORPUS = [
    text,
    almost_sqlite,
    zeros,
    noise,
    pickle_like,
    gzip_like,
    one_byte,
    foreign_sqlite,
    foreign_sqlite_in_wal_mode,
    other_application,
    newer_schema,
    ours_without_tables,
]


@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize("make", CORPUS)
def test_what_is_not_ours_is_refused_and_not_touched(
    path: Path, make: Callable[[Path], None], read_only: bool
) -> None:
    make(path)
    before = folder_state(path.parent)
    with pytest.raises(NotARegistryError) as caught:
        open_registry(path, create=True, read_only=read_only)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.remedy
    assert folder_state(path.parent) == before


def test_a_newer_schema_names_both_versions(path: Path) -> None:
    newer_schema(path)
    with pytest.raises(NotARegistryError, match=f"schema {SCHEMA_VERSION + 1}.*up to {SCHEMA_VERSION}"):
        open_registry(path, create=False)


@pytest.mark.parametrize("share", [n / 20 for n in range(1, 20)])
def test_a_truncated_registry_is_refused_and_not_touched(ours: Path, share: float) -> None:
    content = ours.read_bytes()
    ours.write_bytes(content[: int(len(content) * share)])
    before = folder_state(ours.parent)
    for read_only in (False, True):
        with pytest.raises(NotARegistryError):
            read_everything(ours, read_only=read_only)
        assert folder_state(ours.parent) == before


def read_everything(path: Path, *, read_only: bool) -> None:
    with open_registry(path, create=False, read_only=read_only) as registry:
        for study in registry.studies():
            for experiment in registry.experiments(study):
                registry.attempts(experiment)
                registry.measurements(experiment)
            registry.best(study)
            registry.counts(study)
            registry.provenances(study)
        registry.events()


@pytest.mark.parametrize("seed", range(40))
def test_flipped_bytes_give_a_clear_error_or_none(ours: Path, seed: int) -> None:
    rng = random.Random(seed)
    content = bytearray(ours.read_bytes())
    for _ in range(rng.choice([1, 5, 200])):
        content[rng.randrange(len(content))] ^= rng.randrange(1, 256)
    ours.write_bytes(content)
    before = folder_state(ours.parent)
    for read_only in (False, True):
        with contextlib.suppress(RetrainError):
            read_everything(ours, read_only=read_only)
        assert folder_state(ours.parent) == before


def test_a_row_that_cannot_be_read_says_that_the_registry_is_damaged(ours: Path) -> None:
    """The checks of SQLite see pages, not what the text of a cell means."""
    with closing(connect(ours, "rw")) as connection:
        connection.execute("PRAGMA ignore_check_constraints=ON")
        connection.execute("UPDATE studies SET direction='sideways'")
    with (
        open_registry(ours, create=False, read_only=True) as registry,
        pytest.raises(NotARegistryError, match="sideways"),
    ):
        registry.studies()
    with pytest.raises(NotARegistryError, match="CHECK"):
        open_registry(ours, create=False)


# ---- nothing there yet


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.touch()], ids=["missing", "empty"])
def test_no_registry_yet(path: Path, make: Callable[[Path], None]) -> None:
    make(path)
    before = folder_state(path.parent)
    for create, read_only in ((False, False), (False, True), (True, True)):
        with pytest.raises(NotFoundError) as caught:
            open_registry(path, create=create, read_only=read_only)
        assert "orchestrator" in caught.value.remedy
        assert folder_state(path.parent) == before
    open_registry(path, create=True).close()
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    open_registry(path, create=False).close()


def test_what_no_file_can_be_is_a_usage_error(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for given in ("a\0b.db", "x" * 300, str(pipe), "/dev/null"):
        with pytest.raises(UsageError, match="A registry is a file"):
            open_registry(given, create=True)
    assert list(tmp_path.iterdir()) == [pipe]


def test_what_a_killed_process_left_while_making_one_is_no_obstacle(path: Path) -> None:
    path.with_name(".experiments.db.new").write_bytes(b"half")
    path.with_name(".experiments.db.new-journal").write_bytes(b"half")
    with open_registry(path, create=True) as registry:
        registry.open_study(SPEC)
    assert list(path.parent.iterdir()) == [path]


def test_a_folder_or_a_file_in_no_folder_is_a_usage_error(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "nowhere" / "x.db"):
        with pytest.raises(UsageError, match=str(place.parent if place != tmp_path else place)):
            open_registry(place, create=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "url",
    [
        "sqlite://",
        "sqlite:///:memory:",
        "postgresql://me:secret@host",
        "postgresql://me:secret@host:port/db",
        "postgresql+asyncpg://me:secret@host/db",
        "http://host:port:1/x",
        "mysql+nonsense://x",
        "http://x/y.db",
        "://",
    ],
)
def test_urls_that_name_no_file_are_usage_errors_without_secrets(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_registry(url, create=True)
    assert "secret" not in str(caught.value)


def test_urls_and_paths_name_the_same_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with open_registry("sqlite:///x y%.db", create=True) as registry:
        study = registry.open_study(SPEC)
    link = tmp_path / "link.db"
    link.symlink_to("x y%.db")
    for place in (
        f"sqlite:///{tmp_path}/x y%.db",
        "x y%.db",
        tmp_path / "x y%.db",
        link,
        "sqlite:///link.db",
    ):
        with open_registry(place, create=False) as registry:
            assert registry.studies() == [study]


def test_the_default_is_experiments_db_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    open_registry(create=True).close()
    assert (tmp_path / "experiments.db").exists()


# ---- read-only


def test_reading_only_reads_and_leaves_nothing(ours: Path) -> None:
    before = folder_state(ours.parent)
    with open_registry(ours, create=False, read_only=True) as registry:
        [study] = registry.studies()
        assert len(registry.experiments(study)) == 10
        with pytest.raises(StorageError, match="reading only"):
            writable(registry)
        assert isinstance(registry, SqliteReader)
        with pytest.raises(StorageError, match="read-only"), registry.reading() as read:
            read("UPDATE studies SET name = 'x'", [])
    assert folder_state(ours.parent) == before


def test_reading_sees_what_a_writer_commits_meanwhile(ours: Path) -> None:
    with (
        open_registry(ours, create=False, read_only=True) as reader,
        open_registry(ours, create=False) as writer,
        open_registry(ours, create=False, read_only=True) as late_reader,
    ):
        [study] = writer.studies()
        writer.add(study, some(1, first=10))
        assert len(reader.experiments(study)) == len(late_reader.experiments(study)) == 11


def test_a_reader_belongs_to_one_process_and_is_closed_once(ours: Path) -> None:
    with open_registry(ours, create=False, read_only=True) as registry:
        assert "was opened by process" in in_child(registry.studies)
        assert in_child(registry.close) == "nothing"
        with ThreadPoolExecutor(4) as threads:
            found = list(threads.map(lambda _: len(registry.experiments()), range(20)))
        assert found == [10] * 20
    registry.close()
    with pytest.raises(StorageError, match="is closed"):
        registry.studies()


@pytest.fixture
def read_only_folder(ours: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder and file may be read, not written; for root, `os.access` is told so too."""
    ours.chmod(0o444)
    ours.parent.chmod(0o555)
    if os.geteuid() == 0:
        monkeypatch.setattr(os, "access", lambda path, mode, **_: not mode & os.W_OK)
    yield ours
    ours.parent.chmod(0o755)


def test_a_read_only_registry_can_be_reported_and_refuses_work_at_once(read_only_folder: Path) -> None:
    before = folder_state(read_only_folder.parent)
    with pytest.raises(StorageError, match="is read-only"):
        open_registry(read_only_folder, create=False)
    with open_registry(read_only_folder, create=False, read_only=True) as registry:
        assert len(registry.experiments()) == 10
    assert folder_state(read_only_folder.parent) == before


def test_no_registry_is_made_in_a_read_only_folder(read_only_folder: Path) -> None:
    with pytest.raises(StorageError, match="is read-only"):
        open_registry(read_only_folder.with_name("new.db"), create=True)


# ---- journals left by a crash


def test_work_cut_short_by_a_crash_is_rolled_back_at_the_next_opening(
    ours: Path, stdlib_sqlite: None
) -> None:
    """A hot journal: a writer died in the middle of a commit in DELETE mode."""
    open_registry(ours, create=False).close()  # Python's engine leaves WAL mode
    good = ours.read_bytes()
    crashed = ours.with_name("crashed.db")
    with closing(connect(ours, "rw")) as connection:
        connection.execute("PRAGMA cache_size=1")
        connection.execute("PRAGMA cache_spill=1")
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("UPDATE studies SET name = 'x' || name")
        connection.executemany(
            "INSERT INTO events VALUES (NULL, 1, 'k', ?, 0.5, '{}')", [("m" * 3000,) for _ in range(200)]
        )
        crashed.write_bytes(ours.read_bytes())
        crashed.with_name("crashed.db-journal").write_bytes(
            ours.with_name("experiments.db-journal").read_bytes()
        )
        connection.execute("ROLLBACK")
    assert crashed.read_bytes() != good, "some pages must have been written for this to test anything"
    with open_registry(crashed, create=False, read_only=True) as registry:
        assert [study.name for study in registry.studies()] == ["credit"]
    assert crashed.read_bytes() == good


@needs_wal
def test_commits_still_in_the_wal_after_a_crash_are_there(ours: Path) -> None:
    copy = ours.with_name("copy.db")
    with open_registry(ours, create=False) as registry:
        [study] = registry.studies()
        registry.add(study, some(1, first=10))
        for ending in ("", "-wal"):
            copy.with_name(copy.name + ending).write_bytes(ours.with_name(ours.name + ending).read_bytes())
    with open_registry(copy, create=False, read_only=True) as registry:
        assert len(registry.experiments()) == 11
    with open_registry(copy, create=False) as registry:
        assert len(registry.experiments()) == 11


@needs_wal
@pytest.mark.parametrize("gone", [Path.unlink, lambda path: path.write_bytes(b"")], ids=["moved", "emptied"])
def test_the_log_of_a_registry_that_is_gone_is_not_given_to_another(
    ours: Path, gone: Callable[[Path], object]
) -> None:
    """It would damage the new one, and what it holds would be lost to the old one."""
    copy, log = ours.with_name("copy.db"), ours.with_name("copy.db-wal")
    with open_registry(ours, create=False) as registry:
        registry.add(registry.studies()[0], some(1, first=10))
        copy.write_bytes(ours.read_bytes())
        log.write_bytes(ours.with_name("experiments.db-wal").read_bytes())
        content, logged = copy.read_bytes(), log.read_bytes()
        gone(copy)
        with pytest.raises(StorageError, match=r"is gone, but its log copy\.db-wal") as caught:
            open_registry(copy, create=True)
        assert str(log) in caught.value.remedy
        copy.unlink(missing_ok=True)
        with pytest.raises(StorageError, match=r"is gone, but its log copy\.db-wal"):
            backup(registry, copy)
    assert log.read_bytes() == logged
    copy.write_bytes(content)
    with open_registry(copy, create=True) as registry:
        assert len(registry.experiments()) == 11


# ---- the engine


@pytest.mark.parametrize(
    ("version", "sound"),
    [
        ((3, 40, 1), False),
        ((3, 44, 5), False),
        ((3, 44, 6), True),
        ((3, 45, 0), False),
        ((3, 50, 6), False),
        ((3, 50, 7), True),
        ((3, 51, 2), False),
        ((3, 51, 3), True),
        ((3, 53, 4), True),
        ((4, 0, 0), True),
    ],
)
def test_which_engines_are_sound(version: tuple[int, int, int], sound: bool) -> None:
    assert is_sound(version) is sound


def judge_engine(monkeypatch: pytest.MonkeyPatch, *, sound: bool) -> None:
    """From now on any SQLite counts as sound, or none."""
    for module in ("opening", "sqlite_file", "backup", "doctor"):
        monkeypatch.setattr(f"tuner.registry.{module}.is_sound", lambda version: sound)


def journal_mode(path: Path) -> str:
    with closing(connect(path, "rw")) as connection:
        return str(connection.execute("PRAGMA journal_mode").fetchone()[0])


@pytest.mark.parametrize("sound", [True, False])
def test_wal_only_on_a_sound_engine(path: Path, monkeypatch: pytest.MonkeyPatch, sound: bool) -> None:
    judge_engine(monkeypatch, sound=sound)
    with open_registry(path, create=True) as registry:
        assert journal_mode(path) == ("wal" if sound else "delete")
        registry.open_study(SPEC)


HOLD = """
import sys
from tuner.registry import open_registry
from tuner.registry.base import writable
with open_registry(sys.argv[1], create=False) as held:
    held.studies()
    print("held", flush=True)
    sys.stdin.read()
"""


@needs_wal
def test_an_unsound_engine_takes_a_registry_out_of_wal_mode_or_stays_away(
    ours: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = [sys.executable, "-c", HOLD, str(ours)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        monkeypatch.setitem(sys.modules, "pysqlite3", None)
        monkeypatch.setitem(sys.modules, "pysqlite3.dbapi2", None)
        judge_engine(monkeypatch, sound=False)  # this Python's own may be sound, too
        with pytest.raises(StorageError, match="is in use in WAL mode"):
            open_registry(ours, create=False, busy_timeout_s=0)
        with open_registry(ours, create=False, read_only=True) as reader:
            assert len(reader.experiments()) == 10
        holder.communicate()
    with open_registry(ours, create=False) as registry:
        assert len(registry.experiments()) == 10
    assert journal_mode(ours) == "delete"


RECOVER = """
import sys
from tuner.registry import open_registry
from tuner.registry.base import writable
open_registry(sys.argv[1], create=False, busy_timeout_s=0).recover()
"""


def test_opening_again_does_not_drop_the_locks_of_the_first(path: Path, stdlib_sqlite: None) -> None:
    """POSIX drops a process's locks on a file when it closes any descriptor of it."""
    with open_registry(path, create=True) as first, writing(first):
        with open_registry(path, create=False, read_only=True) as second:
            second.studies()
        with open_registry(path, create=False) as third:
            third.studies()
        other = subprocess.run(
            [sys.executable, "-c", RECOVER, path], capture_output=True, text=True, check=False
        )
    assert "BusyError" in other.stderr


ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"


@pytest.mark.parametrize("table", ["experiments", "mine"])
def test_a_trigger_of_somebody_else_is_not_run(path: Path, table: str) -> None:
    open_registry(path, create=True).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("CREATE TABLE mine (x); CREATE VIEW my_view AS SELECT * FROM experiments;")
    open_registry(path, create=False).close()  # tables and views of a user's own are welcome
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"CREATE TRIGGER trap BEFORE INSERT ON {table} BEGIN {ENDLESS}; END")
    before = path.read_bytes()
    with pytest.raises(NotARegistryError, match=f"has a trigger 'trap' on '{table}'") as caught:
        open_registry(path, create=False)
    assert "DROP TRIGGER" in caught.value.remedy
    assert path.read_bytes() == before
    open_registry(path, create=False, read_only=True).close()
