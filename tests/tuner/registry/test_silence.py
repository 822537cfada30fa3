"""A4, A22: who holds its lock and is not heard is stopped, or nobody could be heard: which of them."""

import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import event

from tests.contracts.registry_cases import ON, Clock, Connect
from tests.tuner.registry.reading import database_of
from tuner.errors import BusyError, ClaimLostError
from tuner.experiment import Evaluation, State, Study
from tuner.registry import Claim, Registry, open_registry, owners
from tuner.registry.engine import connect as raw_connect
from tuner.registry.owners import LEASE_S

BEAT_S = 10.0
TICK_S = 2**-10
DAY_S = 86_400.0


class Since:
    """Seconds since the boot: those of the kernel, and those that the test lets pass."""

    def __init__(self, real: Callable[[], float]) -> None:
        self._at_start = real()
        self.passed = 0.0

    def __call__(self) -> float:
        return self._at_start + self.passed


@pytest.fixture
def boot(monkeypatch: pytest.MonkeyPatch) -> Since:
    since = Since(owners.boot_seconds)
    monkeypatch.setattr(owners, "boot_seconds", since)
    return since


@pytest.fixture
def stopped(connect: Connect, study: Study, boot: Since) -> Claim:
    """One that claimed, and was never heard again."""
    [claim] = connect().claim(study)
    return claim


@pytest.fixture
def judge(connect: Connect, study: Study, stopped: Claim) -> Registry:
    judge = connect()
    judge.claim(study)
    return judge


def beat_for(boot: Since, seconds: float, *registries: Registry) -> None:
    """Let time pass while these say every few seconds that they live."""
    until = boot.passed + seconds
    while boot.passed < until:
        boot.passed = min(until, boot.passed + BEAT_S)
        for one in registries:
            one.heartbeat()


def test_who_is_silent_for_a_lease_while_another_is_heard_is_dead(
    judge: Registry, stopped: Claim, boot: Since, study: Study
) -> None:
    beat_for(boot, LEASE_S - TICK_S, judge)
    assert judge.recover() == []
    boot.passed += TICK_S
    assert [each.public_id for each in judge.recover()] == [stopped.experiment.public_id]
    [again] = judge.claim(study)
    assert (again.experiment.id, again.attempt) == (stopped.experiment.id, 2)


def test_who_is_heard_is_left_alone(connect: Connect, judge: Registry, boot: Since, study: Study) -> None:
    living = connect()
    living.claim(study)
    beat_for(boot, 3 * LEASE_S, judge, living)
    assert len(judge.recover()) == 1, "the silent one only"
    assert judge.recover() == []


def test_who_is_not_heard_itself_judges_nobody(connect: Connect, stopped: Claim, boot: Since) -> None:
    """One that only looks in cannot know whether anybody could write."""
    boot.passed = 10 * LEASE_S
    assert connect().recover() == []


def test_who_has_just_come_gives_the_silent_a_whole_lease(
    connect: Connect, stopped: Claim, study: Study, boot: Since
) -> None:
    boot.passed = 10 * LEASE_S
    newcomer = connect()
    newcomer.claim(study)
    beat_for(boot, LEASE_S - TICK_S, newcomer)
    assert newcomer.recover() == []
    boot.passed += TICK_S
    assert len(newcomer.recover()) == 1


def test_when_nobody_could_write_nobody_is_judged(
    connect: Connect, path: Path, study: Study, boot: Since, clock: Clock
) -> None:
    """Locked for ten minutes: all are late, and the first to be heard again takes nothing from the others."""
    with (
        open_registry(path, create=False, clock=clock, busy_timeout_s=0) as first,
        open_registry(path, create=False, clock=clock, busy_timeout_s=0) as second,
    ):
        for one in (first, second):
            one.claim(study)
        beat_for(boot, LEASE_S, first, second)
        with closing(raw_connect(path, "rw")) as other:
            other.execute("BEGIN IMMEDIATE")
            for _ in range(60):
                boot.passed += BEAT_S
                for one in (first, second):
                    with pytest.raises(BusyError):
                        one.heartbeat()
        assert first.recover() == []
        first.heartbeat()
        assert first.recover() == []
        beat_for(boot, LEASE_S - BEAT_S, first)
        assert first.recover() == []
        second.heartbeat()
        beat_for(boot, LEASE_S - TICK_S, first)
        assert first.recover() == []
        beat_for(boot, TICK_S, first)
        assert len(first.recover()) == 1, "heard once after the lock, and then for a lease no more"


def test_a_heartbeat_that_was_not_committed_was_not_heard(judge: Registry, boot: Since) -> None:
    """As on a full disk: the statement succeeds, the commit does not."""

    def refuse(connection: object) -> None:
        raise KeyboardInterrupt

    engine = database_of(judge).engine
    event.listen(engine, "commit", refuse)
    for _ in range(10):
        boot.passed += BEAT_S
        with pytest.raises(KeyboardInterrupt):
            judge.heartbeat()
    event.remove(engine, "commit", refuse)
    judge.heartbeat()
    assert judge.recover() == []


def test_a_host_that_slept_finds_everybody_alive(
    connect: Connect, judge: Registry, boot: Since, study: Study
) -> None:
    other = connect()
    other.claim(study)
    beat_for(boot, LEASE_S / 2, judge, other)
    boot.passed += 8 * 3600
    assert judge.recover() == [], "before its first heartbeat"
    judge.heartbeat()
    assert judge.recover() == [], "after it"


@pytest.mark.parametrize("jump", [DAY_S, -DAY_S])
def test_a_clock_that_jumps_neither_kills_the_living_nor_keeps_the_dead(
    connect: Connect, judge: Registry, boot: Since, clock: Clock, study: Study, jump: float
) -> None:
    living = connect()
    living.claim(study)
    clock.now += jump
    assert judge.recover() == []
    beat_for(boot, LEASE_S - TICK_S, judge, living)
    clock.now -= 2 * jump
    assert judge.recover() == []
    boot.passed += TICK_S
    assert len(judge.recover()) == 1
    assert judge.recover() == []


CLAIM_AND_COMPLETE = """
import sys
from tests.contracts.registry_cases import ON
from tuner.errors import ClaimLostError
from tuner.experiment import Evaluation
from tuner.registry import open_registry
registry = open_registry(sys.argv[1], create=False)
[claim] = registry.claim(registry.studies()[0])
print("claimed", flush=True)
sys.stdin.readline()
try:
    registry.complete(claim, Evaluation(0.1), ON)
except ClaimLostError as error:
    print(f"fenced: {error}", flush=True)
"""


def test_a_process_that_is_stopped_is_taken_over_and_fenced_when_it_wakes(
    registry: Registry, study: Study, path: Path, boot: Since
) -> None:
    """A real SIGSTOP, under a lease that has passed by the clock of the one who judges."""
    with subprocess.Popen(
        [sys.executable, "-c", CLAIM_AND_COMPLETE, path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "claimed\n"
        process.send_signal(signal.SIGSTOP)
        assert len(registry.claim(study)) == 1
        assert registry.recover() == []
        beat_for(boot, LEASE_S + 60, registry)  # and some: that process began after our clock stood still
        [taken] = registry.recover()
        again = next(each for each in registry.claim(study, 4) if each.attempt == 2)
        process.send_signal(signal.SIGCONT)
        said, _ = process.communicate("\n")
    assert said == f"fenced: {taken.public_id}: attempt 1 is superseded by 2.\n"
    assert registry.complete(again, Evaluation(0.5), ON).value == 0.5
    with pytest.raises(ClaimLostError):
        registry.complete(again, Evaluation(0.6), ON)
    assert registry.counts(study)[State.COMPLETE] == 1
