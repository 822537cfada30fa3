"""Several processes on one server: nothing twice, nothing lost; who dies, stops or is cut off is replaced."""

import os
import signal
import time

import pytest

from orchestrator.insist import Insist
from tests.contracts.processes_contract import MAKE, ProcessesContract, Together
from tests.contracts.registry_cases import ON, START, Clock, Connect, some
from tests.postgres_server import PostgresServer
from tests.tuner.registry.together import in_child, run_together, start
from tuner.errors import ClaimLostError, StorageError
from tuner.experiment import Evaluation, Study
from tuner.registry import Registry, open_registry
from tuner.registry.owners import LEASE_S


@pytest.fixture
def together(url: str) -> Together:
    return lambda n, lines: run_together(n, lines, url)


class TestProcesses(ProcessesContract):
    pass


def test_eight_processes_make_one_registry(postgres_server: PostgresServer) -> None:
    url = postgres_server.make_database("fresh")
    assert run_together(8, MAKE, url) == [1] * 8
    assert postgres_server.execute("SELECT count(*) FROM experiments", "fresh") == [(3,)]
    assert postgres_server.execute("SELECT count(*) FROM studies", "fresh") == [(1,)]


# ---- who lives

CLAIM = """
import sys
from tuner.registry import open_registry
registry = open_registry(sys.argv[1], create=False)
assert len(registry.claim(registry.studies()[0], 3)) == 3
print("ready", flush=True)
sys.stdin.read()
"""


def test_what_a_killed_process_held_is_claimable_when_the_server_has_noticed(
    url: str, study: Study, postgres_server: PostgresServer
) -> None:
    with open_registry(url, create=False) as other, start(CLAIM, url) as process:
        assert other.recover() == []
        process.kill()
        process.wait()
        await_death(postgres_server)
        assert len(other.recover()) == 3
        assert [claim.attempt for claim in other.claim(study, 4)] == [2, 2, 2, 1]


def test_a_child_that_outlives_its_parent_does_not_keep_it_alive(
    url: str, study: Study, postgres_server: PostgresServer
) -> None:
    lines = CLAIM.replace(
        'print("ready", flush=True)',
        """
import os
reader, writer = os.pipe()
if os.fork() == 0:
    os.write(writer, b"x")
    sys.stdin.read()
    os._exit(0)
os.read(reader, 1)
print("ready", flush=True)
os.kill(os.getpid(), 9)
""",
    )
    with open_registry(url, create=False) as other, start(lines, url) as process:
        process.wait()
        await_death(postgres_server)
        assert len(other.recover()) == 3
        process.communicate()


def await_death(server: PostgresServer) -> None:
    """Wait until the server has freed the lock of the one that claimed, by asking for that lock."""
    [(token,)] = server.execute(
        "SELECT DISTINCT token FROM owners JOIN experiments ON owner_id = owners.id", "contract"
    )
    key = int.from_bytes(bytes.fromhex(str(token)), "big", signed=True)
    server.execute(f"SELECT pg_advisory_lock({key}), pg_advisory_unlock({key})", "contract")


def test_a_stopped_process_is_alive_until_its_lease_is_over(url: str, study: Study) -> None:
    with (
        open_registry(url, create=False) as now,
        open_registry(url, create=False, clock=lambda: time.time() + LEASE_S) as later,
        start(CLAIM, url) as process,
    ):
        process.send_signal(signal.SIGSTOP)
        taken = len(now.recover()), len(later.recover())
        process.kill()
    assert taken == (0, 3)


@pytest.mark.parametrize(("after", "dead"), [(0.0, 0), (LEASE_S - 2**-10, 0), (LEASE_S, 1)])
def test_the_lease_ends_at_its_edge(
    connect: Connect, registry: Registry, study: Study, clock: Clock, after: float, dead: int
) -> None:
    registry.claim(study)
    clock.now = START + after
    assert [one.dead_s for one in connect().recover()] == [after] * dead


def test_a_heartbeat_renews_the_lease(
    connect: Connect, registry: Registry, study: Study, clock: Clock
) -> None:
    registry.claim(study)
    clock.now = START + LEASE_S - 1
    registry.heartbeat()
    clock.now = START + LEASE_S
    assert connect().recover() == []


def test_heartbeats_go_by_the_clock_of_the_server(
    url: str, study: Study, postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = "SELECT extract(epoch FROM clock_timestamp())::float8"
    [(before,)] = postgres_server.execute(now)
    with open_registry(url, create=False) as ours:
        ours.claim(study)
    [(beat, after)] = postgres_server.execute(f"SELECT heartbeat_at, ({now}) FROM owners", "contract")
    assert isinstance(before, float)
    assert isinstance(beat, float)
    assert isinstance(after, float)
    assert before <= beat <= after


def cut_off(server: PostgresServer) -> None:
    """End every connection that holds the lock of an owner."""
    server.execute(
        "SELECT pg_terminate_backend(pid, 30000) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1"
    )


def test_one_who_was_cut_off_is_fenced_and_alive_again_after_its_next_heartbeat(
    connect: Connect, registry: Registry, study: Study, postgres_server: PostgresServer
) -> None:
    [claim] = registry.claim(study)
    other = connect()
    cut_off(postgres_server)
    assert len(other.recover()) == 1
    with pytest.raises(ClaimLostError):
        registry.complete(claim, Evaluation(0.5), ON)
    [again] = registry.claim(study)
    registry.heartbeat()
    assert other.recover() == []
    registry.complete(again, Evaluation(0.5), ON)


def test_a_forked_child_cannot_use_the_registry_and_does_not_harm_it(
    connect: Connect, registry: Registry, study: Study
) -> None:
    [claim] = registry.claim(study)
    for act in (
        lambda: registry.studies(),
        lambda: registry.claim(study),
        lambda: registry.complete(claim, Evaluation(0.1), ON),
    ):
        assert f"was opened by process {os.getpid()}" in in_child(act)
    assert in_child(registry.close) == "nothing"
    assert connect().recover() == []
    assert registry.complete(claim, Evaluation(0.5), ON).value == 0.5
    assert in_child(lambda: connect().add(study, some(1, first=9))) == "nothing", "its own opening works"
    assert len(registry.experiments(study)) == 5


# ---- the server goes, and comes back


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["shut down", "crashed"])
def test_a_server_that_goes_and_comes_back_loses_nothing(
    url: str, study: Study, postgres_server: PostgresServer, how: signal.Signals
) -> None:
    with open_registry(url, create=False) as ours, open_registry(url, create=False) as other:
        first, second = ours.claim(study, 2)
        ours.complete(first, Evaluation(0.25), ON)
        assert other.recover() == []
        postgres_server.stop(how)
        with pytest.raises(StorageError, match=r"answer|listens|connection"):
            ours.complete(second, Evaluation(0.5), ON)
        told: list[str] = []
        insist = Insist(told.append, pause=lambda _: postgres_server.start())
        insist(lambda: ours.complete(second, Evaluation(0.5), ON))
        assert len(told) == 2, told
        assert [e.value for e in ours.best(study, 9)] == [0.5, 0.25]
        assert len(ours.claim(study)) == 1
        postgres_server.execute(f"UPDATE owners SET heartbeat_at = heartbeat_at - {LEASE_S}", "contract")
        assert other.recover() == [], "all locks are lost and no heartbeat came: that says nothing"
        ours.heartbeat()
        assert other.recover() == []
        cut_off(postgres_server)
        assert len(other.recover()) == 1, "now it does again"
