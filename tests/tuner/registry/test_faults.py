"""What a broken disk, a foreign lock or an interrupt may do to a write: all of it happens, or none."""

import contextlib
import itertools
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from tests.contracts.registry_cases import ON, SPEC, Clock, Connect, some
from tests.tuner.registry.engines import needs_wal
from tests.tuner.registry.reading import broken, content, database_of
from tuner.errors import BusyError, ClaimLostError, StorageError
from tuner.experiment import Evaluation, Failure, Measurement, Outcome, Study
from tuner.registry import Claim, ModelVersion, Registry, Run, StudySpec, open_registry
from tuner.registry.engine import connect as raw_connect


class Scene:
    """A registry in the middle of its life, with one of everything that a write can act on."""

    def __init__(self, registry: Registry, dead: Registry) -> None:
        self.registry = registry
        self.study: Study = registry.open_study(SPEC)
        registry.add(self.study, some(6))
        dead.claim(self.study, 1)
        dead.close()
        self.claim, self.second = registry.claim(self.study, 2)
        self.run: Run = registry.start_run(self.study, method="grid", n_wanted=1, seed=0, info={})
        self.active: ModelVersion = registry.stage_version("credit", {"depth": 1}, manifest={})
        registry.activate(self.active, action="apply", who="ann", reason="")
        self.staged: ModelVersion = registry.stage_version("credit", {"depth": 2}, manifest={})


EVALUATION = Evaluation(0.5, 0.1, {"f1": 0.5}, (Measurement(0, "auc", 0.5), Measurement(1, "auc", 0.6)))

FAILURE = Failure(Outcome.ERROR, "x", "y", EVALUATION.measurements)

WRITES: dict[str, Callable[[Scene], object]] = {
    "open_study": lambda s: s.registry.open_study(StudySpec("new", {}, "m", SPEC.direction, {})),
    "start_run": lambda s: s.registry.start_run(s.study, method="x", n_wanted=1, seed=0, info={}),
    "end_run": lambda s: s.registry.end_run(s.run),
    "add": lambda s: s.registry.add(s.study, some(30, first=100)),
    "repeat": lambda s: s.registry.add(s.study, some(3), repeat=True),
    "claim": lambda s: s.registry.claim(s.study, 3),
    "measure": lambda s: s.registry.measure(s.claim, EVALUATION.measurements),
    "complete": lambda s: s.registry.complete(s.claim, EVALUATION, ON),
    "fail": lambda s: s.registry.fail(s.claim, FAILURE),
    "finish": lambda s: s.registry.finish([(s.claim, EVALUATION), (s.second, FAILURE)], ON),
    "release": lambda s: s.registry.release([s.claim, s.second]),
    "heartbeat": lambda s: s.registry.heartbeat(),
    "recover": lambda s: s.registry.recover(),
    "stage_version": lambda s: s.registry.stage_version("credit", {}, manifest={}),
    "activate": lambda s: s.registry.activate(
        s.staged, action="apply", who="", reason="", expect_active=s.active.number
    ),
    "discard_version": lambda s: s.registry.discard_version(s.staged),
    "log": lambda s: s.registry.log("note", "x"),
}


@pytest.fixture
def scene(connect: Connect, clock: Clock) -> Scene:
    scene = Scene(connect(), connect())
    clock.now += 5
    return scene


@pytest.mark.parametrize("name", WRITES)
def test_every_write_is_seen_by_others_once_and_not_at_all_when_rolled_back(
    scene: Scene, path: Path, name: str
) -> None:
    before = content(path)

    def refuse(connection: object) -> None:
        raise KeyboardInterrupt

    engine = database_of(scene.registry).engine
    event.listen(engine, "commit", refuse)
    with pytest.raises(KeyboardInterrupt):
        WRITES[name](scene)
    event.remove(engine, "commit", refuse)
    assert content(path) == before
    WRITES[name](scene)
    assert content(path) != before


def test_an_owner_whose_row_was_not_committed_is_written_again(connect: Connect) -> None:
    registry = connect()
    study = registry.open_study(SPEC)
    registry.add(study, some(1))

    def refuse(connection: object) -> None:
        raise KeyboardInterrupt

    engine = database_of(registry).engine
    event.listen(engine, "commit", refuse)
    with pytest.raises(KeyboardInterrupt):
        registry.claim(study)
    event.remove(engine, "commit", refuse)
    [claim] = registry.claim(study)
    assert registry.complete(claim, Evaluation(0.5), ON).value == 0.5


@pytest.mark.parametrize("name", WRITES)
def test_every_transaction_is_immediate_or_one_statement(scene: Scene, name: str) -> None:
    """A deferred transaction that turns to writing can fail at it; ours never do."""
    statements: list[str] = []
    engine = database_of(scene.registry).engine
    event.listen(engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    WRITES[name](scene)
    begun = False
    for statement in statements:
        first = statement.split()[0]
        assert begun or first in ("BEGIN", "SELECT")
        if first == "BEGIN":
            assert statement == "BEGIN IMMEDIATE"
            begun = True
    assert begun


@pytest.mark.parametrize("name", ["add", "claim", "complete", "fail", "finish", "recover", "activate"])
def test_an_interrupt_at_any_step_leaves_all_or_nothing(scene: Scene, path: Path, name: str) -> None:
    """SQLite is stopped at its 10th, 12th, 14th, ... instruction until the write gets through."""
    before = content(path)
    engine = database_of(scene.registry).engine
    n_interrupts, step, through = 0, 10.0, False
    while not through:
        take_away = _stop_after(engine, int(step))
        with contextlib.ExitStack() as stack:
            stack.callback(take_away)
            try:
                WRITES[name](scene)
            except StorageError:
                n_interrupts += 1
            else:
                through = True
        assert (content(path) == before) is not through
        step *= 1.2
    assert n_interrupts > 5


def _stop_after(engine: Any, step: int) -> Callable[[], None]:
    """Interrupt the next write at its `step`-th instruction. Returns what takes the trap away."""
    armed: list[Any] = []

    def arm(connection: Any) -> None:
        raw = connection.connection.driver_connection
        instructions = itertools.count()
        raw.set_progress_handler(lambda: next(instructions) == step, 1)
        armed.append(raw)

    event.listen(engine, "begin", arm)

    def disarm() -> None:
        event.remove(engine, "begin", arm)
        for raw in armed:
            raw.set_progress_handler(None, 0)

    return disarm


def test_a_full_disk_loses_nothing_that_was_acknowledged(connect: Connect, path: Path) -> None:
    registry = connect()
    study = registry.open_study(SPEC)
    registry.add(study, some(1))
    [claim] = registry.claim(study)
    database = database_of(registry)
    with database.read() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    kept = 1
    with pytest.raises(StorageError, match="disk is full") as caught:  # noqa: PT012
        for n in range(1, 100):
            registry.add(study, some(50, first=50 * n))
            kept += 50
    assert caught.value.remedy
    assert len(content(path)["experiments"]) == kept
    assert len(registry.experiments(study)) == kept
    with database.read() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1000000")
    registry.complete(claim, Evaluation(0.5), ON)
    with closing(raw_connect(path, "rw")) as raw:
        assert raw.execute("PRAGMA integrity_check").fetchone()[0] == "ok"


def test_a_full_disk_keeps_a_result_claimable_again(connect: Connect, path: Path) -> None:
    """The result cannot be written, the claim stands, and it is written once there is room."""
    registry = connect()
    study = registry.open_study(SPEC)
    registry.add(study, some(1))
    [claim] = registry.claim(study)
    many = tuple(Measurement(step, "auc", 0.5) for step in range(5000))
    with database_of(registry).read() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1")  # SQLite takes the present size instead
    before = content(path)
    with pytest.raises(StorageError, match="disk is full"):
        registry.complete(claim, Evaluation(0.5, measurements=many), ON)
    assert content(path) == before
    with database_of(registry).read() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1000000")
    assert (
        len(registry.measurements(registry.complete(claim, Evaluation(0.5, measurements=many), ON))) == 5000
    )


@pytest.mark.parametrize("name", ["add", "claim", "finish", "recover"])
def test_a_disk_that_is_full_at_any_page_leaves_all_or_nothing(
    connect: Connect, clock: Clock, path: Path, name: str
) -> None:
    """There is room for 0, 1, 2, ... pages more, until the write gets through."""
    registry, dead = connect(), connect()
    study = registry.open_study(SPEC)
    registry.add(study, some(400))
    dead.claim(study, 100)
    dead.close()
    clock.now += 5
    claims = registry.claim(study, 100)
    many = replace(EVALUATION, measurements=tuple(Measurement(step, "auc", 0.5) for step in range(20)))
    write: Callable[[], object] = {
        "add": lambda: registry.add(study, some(400, first=1000)),
        "claim": lambda: registry.claim(study, 200),
        "finish": lambda: registry.finish([(claim, many) for claim in claims], ON),
        "recover": registry.recover,
    }[name]
    before = content(path)
    for room in itertools.count():
        with database_of(registry).read() as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + room}")
        try:
            write()
        except StorageError as error:
            assert "disk is full" in str(error)  # noqa: PT017 - it may also get through
            assert content(path) == before
        else:
            break
    assert content(path) != before
    assert broken(path) == {}
    assert room > (0 if name != "recover" else -1), "recover takes no room"


WRITE_ERRORS = """
import itertools, json, resource, sys
from pathlib import Path
from tests.contracts.registry_cases import Clock
from tests.tuner.registry.reading import broken, content
from tests.tuner.registry.test_faults import WRITES, Scene
from tuner.errors import StorageError
from tuner.registry import open_registry
from tuner.registry.sqlite_file import connect
for name in ("claim", "finish", "recover"):
    path = Path(sys.argv[1]) / f"{name}.db"
    scene = Scene(*(open_registry(path, create=True, clock=Clock()) for _ in range(2)))
    before = content(path)
    reader = connect(path, "ro")  # holds the log as it is: else a refused write would make room for the next
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM experiments").fetchone()
    for n in itertools.count():
        log = Path(f"{path}-wal")
        size = (log if log.exists() else path).stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 4096 * n, resource.RLIM_INFINITY))
        try:
            WRITES[name](scene)
        except StorageError as error:
            assert "nothing of this step was written" in str(error), error
            assert content(path) == before
        else:
            break
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    reader.close()
    assert content(path) != before
    assert broken(path) == {}
    print(name, n)
"""


def test_a_write_error_at_any_page_leaves_all_or_nothing(tmp_path: Path) -> None:
    """The kernel refuses to let a file grow by 0, 1, 2, ... pages, until the write gets through."""
    command = [sys.executable, "-c", WRITE_ERRORS, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    n_failures = {name: int(n) for name, n in map(str.split, done.stdout.splitlines())}
    assert n_failures.keys() == {"claim", "finish", "recover"}
    assert min(n_failures.values()) > 0


QUOTA = """
import resource, sys
from tests.contracts.registry_cases import SPEC, some
from tuner.errors import StorageError
from tuner.registry import open_registry
registry = open_registry(sys.argv[1], create=False)
study = registry.open_study(SPEC)
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, resource.RLIM_INFINITY))
kept = 0
try:
    for n in range(1000):
        kept += len(registry.add(study, some(20, first=20 * n)))
except StorageError as error:
    print(kept, "|", error)
"""


def test_a_write_error_keeps_every_acknowledged_commit(connect: Connect, path: Path) -> None:
    """RLIMIT_FSIZE stands for a quota or a failing disk: the kernel refuses the write."""
    connect().close()
    done = subprocess.run([sys.executable, "-c", QUOTA, path], capture_output=True, text=True, check=True)
    kept, _, message = done.stdout.partition(" | ")
    assert "nothing of this step was written" in message
    assert len(content(path)["experiments"]) == int(kept) > 0


LOG = """
import resource, sys
from tuner.errors import StorageError
from tuner.registry import open_registry
registry = open_registry(sys.argv[1], create=False)
registry.heartbeat()
resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, resource.RLIM_INFINITY))
refused = 0
for n in range(400):
    try:
        registry.heartbeat()
    except StorageError:
        refused += 1
        registry.heartbeat()
print(refused)
"""


@needs_wal
def test_a_log_that_cannot_grow_is_begun_anew(connect: Connect, path: Path) -> None:
    """Else a full disk would refuse every write for as long as it is full, though nothing needs more room."""
    registry = connect()
    registry.add(registry.open_study(SPEC), some(1))
    registry.close()
    done = subprocess.run([sys.executable, "-c", LOG, path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert 1 <= int(done.stdout) <= 40


@pytest.fixture
def locked(path: Path, connect: Connect) -> Iterator[Claim]:
    """Another connection writes and does not come to its end."""
    registry = connect()
    study = registry.open_study(SPEC)
    registry.add(study, some(2))
    [claim] = registry.claim(study)
    with closing(raw_connect(path, "rw")) as other:
        other.execute("BEGIN IMMEDIATE")
        yield claim


def test_a_locked_registry_is_busy_for_writers_and_open_for_readers(locked: Claim, path: Path) -> None:
    with open_registry(path, create=False, busy_timeout_s=0) as impatient:
        assert len(impatient.experiments()) == 2
        before = content(path)
        for write in (
            lambda: impatient.complete(locked, Evaluation(0.5), ON),
            lambda: impatient.finish([(locked, Evaluation(0.5))], ON),
            lambda: impatient.claim(impatient.studies()[0]),
            lambda: impatient.release([locked]),
            lambda: impatient.log("note", "x"),
            impatient.heartbeat,
            impatient.recover,
        ):
            with pytest.raises(BusyError, match=rf"locked by pid {os.getpid()} \(") as caught:
                write()
            assert caught.value.remedy
            assert content(path) == before


def test_running_out_of_file_descriptors_is_said_so(path: Path, connect: Connect) -> None:
    connect().close()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        with pytest.raises(StorageError):
            open_registry(path, create=False)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    open_registry(path, create=False).close()


NO_DESCRIPTORS = """
import resource, sys
from tests.contracts.registry_cases import ON
from tuner.errors import StorageError
from tuner.experiment import Evaluation
from tuner.registry import open_registry
registry = open_registry(sys.argv[1], create=False)
study = registry.studies()[0]
[claim] = registry.claim(study)
registry.database.engine.dispose()
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (5, hard))
try:
    registry.complete(claim, Evaluation(0.5), ON)
except StorageError as error:
    print(error)
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
print(registry.complete(claim, Evaluation(0.5), ON).value)
"""


def test_the_work_goes_on_when_there_are_file_descriptors_again(connect: Connect, path: Path) -> None:
    with connect() as registry:
        registry.add(registry.open_study(SPEC), some(1))
    done = subprocess.run(
        [sys.executable, "-c", NO_DESCRIPTORS, path], capture_output=True, text=True, check=True
    )
    refused, stored = done.stdout.splitlines()
    assert "too many open files" in refused
    assert stored == "0.5"


def test_a_closed_registry_says_so(connect: Connect) -> None:
    registry = connect()
    registry.close()
    with pytest.raises(StorageError, match="is closed"):
        registry.studies()


def test_a_claim_of_nothing_that_exists_is_lost(connect: Connect, tmp_path: Path) -> None:
    registry = connect()
    study = registry.open_study(SPEC)
    registry.add(study, some(1))
    [claim] = registry.claim(study)
    with (
        open_registry(tmp_path / "other.db", create=True) as other,
        pytest.raises(ClaimLostError, match="not in this registry"),
    ):
        other.complete(claim, Evaluation(0.5), ON)
