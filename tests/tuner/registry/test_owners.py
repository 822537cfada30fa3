"""Who is alive: by the kernel's lock here, by reboot or lease elsewhere; and what a fork may not do."""

import fcntl
import os
from contextlib import closing
from pathlib import Path

import pytest

from tests.contracts.registry_cases import ON, START, Clock, Connect, some
from tests.tuner.registry.reading import content
from tests.tuner.registry.together import in_child, start
from tuner.errors import StorageError
from tuner.experiment import Evaluation, State, Study
from tuner.registry import Registry
from tuner.registry.engine import connect as raw_connect
from tuner.registry.owners import LEASE_S, lock_folder


def locks(path: Path) -> list[str]:
    folder = lock_folder(path)
    return sorted(lock.name for lock in folder.iterdir()) if folder.exists() else []


def forge(path: Path, **columns: str) -> None:
    """Rewrite where the owners say they live."""
    with closing(raw_connect(path, "rw")) as raw:
        for column, value in columns.items():
            raw.execute(f"UPDATE owners SET {column} = ?", (value,))


CLAIM = """
import sys
from tuner.registry import open_registry
registry = open_registry(sys.argv[1], create=False)
registry.start_run(registry.studies()[0], method="random", n_wanted=4, seed=0, info={})
assert len(registry.claim(registry.studies()[0], 3)) == 3
print("ready", flush=True)
sys.stdin.read()
"""


def test_what_a_killed_process_held_is_claimable_at_once(
    registry: Registry, study: Study, path: Path
) -> None:
    with start(CLAIM, str(path)) as process:
        assert registry.recover() == []
        assert len(locks(path)) == 1
        process.kill()
        process.wait()
        taken = registry.recover()
    assert len(taken) == 3
    assert registry.counts(study)[State.WAITING] == 4
    assert locks(path) == []
    assert [claim.attempt for claim in registry.claim(study, 4)] == [2, 2, 2, 1]


FORK_AND_CLAIM = """
import os, sys
from tuner.registry import open_registry
registry = open_registry(sys.argv[1], create=False)
registry.claim(registry.studies()[0], 3)
reader, writer = os.pipe()
if os.fork() == 0:
    os.write(writer, b"x")
    sys.stdin.read()
    os._exit(0)
os.read(reader, 1)
print("ready", flush=True)
os.kill(os.getpid(), 9)
"""


def test_a_child_that_outlives_its_parent_does_not_keep_it_alive(
    registry: Registry, study: Study, path: Path
) -> None:
    with start(FORK_AND_CLAIM, str(path)) as process:
        process.wait()
        assert len(registry.recover()) == 3
        process.communicate()


def test_a_forked_child_cannot_use_the_registry_and_does_not_harm_it(
    connect: Connect, registry: Registry, study: Study, path: Path
) -> None:
    [claim] = registry.claim(study)
    for act in (
        lambda: registry.studies(),
        lambda: registry.claim(study),
        lambda: registry.complete(claim, Evaluation(0.1), ON),
    ):
        assert in_child(act).startswith(
            f"StorageError: The registry {path} was opened by process {os.getpid()}"
        )
    assert in_child(registry.close) == "nothing"
    assert locks(path) == [f"{registry.owner}.lock"]
    assert connect().recover() == []
    assert registry.complete(claim, Evaluation(0.5), ON).value == 0.5
    assert in_child(lambda: connect().add(study, some(1, first=9))) == "nothing", "its own opening works"
    assert len(registry.experiments(study)) == 5


def test_what_dead_owners_leave_is_swept_up_and_the_living_keep_theirs(
    connect: Connect, registry: Registry, study: Study, path: Path
) -> None:
    registry.claim(study)
    for name in ("idle", "elsewhere"):
        (lock_folder(path) / f"{name}.lock").touch()
    with closing(raw_connect(path, "rw")) as raw:
        raw.execute("INSERT INTO owners VALUES (9, 'elsewhere', 'far', 'away', 1, 1, 1, NULL)")
    connect().recover()
    assert locks(path) == sorted(["elsewhere.lock", f"{registry.owner}.lock"])


def test_a_registry_that_only_reads_or_adds_leaves_no_owner(
    registry: Registry, study: Study, path: Path
) -> None:
    registry.counts(study)
    assert locks(path) == []
    assert content(path)["owners"] == []
    registry.claim(study)
    assert locks(path) == [f"{registry.owner}.lock"]
    registry.close()
    assert locks(path) == []
    assert not lock_folder(path).exists()


def test_a_lock_file_that_is_gone_means_a_dead_owner(
    connect: Connect, registry: Registry, study: Study, path: Path
) -> None:
    registry.claim(study, 2)
    for lock in locks(path):
        (lock_folder(path) / lock).unlink()
    assert len(connect().recover()) == 2


def test_another_one_who_looks_is_not_taken_for_the_owner(
    connect: Connect, registry: Registry, study: Study, path: Path
) -> None:
    registry.claim(study)
    folder = lock_folder(path)
    [name] = locks(path)
    registry.close()
    folder.mkdir()
    with (folder / name).open("w") as left:  # as a crash would leave it, while somebody probes it
        fcntl.flock(left, fcntl.LOCK_SH)
        assert len(connect().recover()) == 1


def test_a_process_id_that_is_used_again_is_another_owner(
    connect: Connect, registry: Registry, study: Study, path: Path
) -> None:
    """A restarted pod: the same host, boot and process id as one that died with work in its hands."""
    registry.claim(study, 2)
    registry.close()
    again = connect()
    assert [one.owner for one in again.recover()] == [registry.owner] * 2
    again.claim(study, 2)
    first, second = content(path)["owners"]
    assert first[2:5] == second[2:5], "host, boot and process are the same"
    assert first[1] != second[1]
    assert connect().recover() == [], "and the present one is alive"


def test_an_owner_from_before_a_reboot_is_dead_at_once(
    connect: Connect, registry: Registry, study: Study, path: Path
) -> None:
    registry.claim(study)
    forge(path, boot_id="another boot")
    assert len(connect().recover()) == 1


@pytest.mark.parametrize(("after", "dead"), [(0.0, 0), (LEASE_S - 2**-10, 0), (LEASE_S, 1), (LEASE_S + 1, 1)])
def test_an_owner_on_another_host_is_dead_when_its_lease_is_over(
    connect: Connect, registry: Registry, study: Study, path: Path, clock: Clock, after: float, dead: int
) -> None:
    registry.claim(study)
    forge(path, boot_id="another boot", host="another host")
    clock.now = START + after
    taken = connect().recover()
    assert len(taken) == dead
    assert [one.dead_s for one in taken] == [after] * dead


def test_a_heartbeat_renews_the_lease(
    connect: Connect, registry: Registry, study: Study, path: Path, clock: Clock
) -> None:
    registry.claim(study)
    forge(path, boot_id="another boot", host="another host")
    clock.now = START + LEASE_S - 1
    registry.heartbeat()
    clock.now = START + LEASE_S + 30
    other = connect()
    assert other.recover() == []
    clock.now = START + 2 * LEASE_S - 1
    assert [one.dead_s for one in other.recover()] == [LEASE_S]


def test_a_clock_that_jumps_kills_nobody_here(
    connect: Connect, registry: Registry, study: Study, clock: Clock
) -> None:
    registry.claim(study)
    other = connect()
    for jump in (86_400, -2 * 86_400):
        clock.now += jump
        assert other.recover() == []
    registry.close()
    assert [one.dead_s for one in other.recover()] == [0]


def test_a_folder_of_owners_that_cannot_be_made_is_said_so(
    registry: Registry, study: Study, path: Path
) -> None:
    lock_folder(path).write_text("in the way")
    with pytest.raises(StorageError, match="owners"):
        registry.claim(study)
    assert registry.counts(study)[State.WAITING] == 4
    lock_folder(path).unlink()
    assert len(registry.claim(study)) == 1
