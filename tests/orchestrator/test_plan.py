"""The plan, compared as lists of commands: time is a number here, so edges are tested exactly."""

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.plan import (
    AHEAD_S,
    MOST_AHEAD,
    RECOVER_EVERY_S,
    REGION_FACTOR,
    TICK_S,
    TIMEOUT_FLOOR_S,
    WARN_AFTER_S,
    Cancel,
    Claim,
    Command,
    Propose,
    Recover,
    RunLimits,
    Running,
    Snapshot,
    Stop,
    StopReason,
    Wait,
    Warn,
    experiment_limit,
    plan,
)

AT_ONCE = RunLimits(n_workers=2)
IN_ROUNDS = RunLimits(n_workers=2, learns=True)
TICK = Wait(TICK_S)


def at(now: float = 0.0, **fields: Any) -> Snapshot:
    return Snapshot(now=now, recovered_at=fields.pop("recovered_at", now), **fields)


def task(key: str = "a", started_at: float = 0.0, **fields: Any) -> Running:
    return Running(key, started_at, **fields)


# ---- claiming and proposing


def test_claims_no_more_than_free_slots() -> None:
    assert plan(at(n_waiting=1000, n_free=2), AT_ONCE) == [Claim(2), TICK]
    assert plan(at(n_waiting=1, n_free=2), AT_ONCE) == [Claim(1), TICK]
    assert plan(at(n_waiting=1000, n_free=0, running=(task(),)), AT_ONCE) == [TICK]


def test_never_more_tasks_than_workers_whatever_the_pool_calls_free() -> None:
    assert plan(at(n_waiting=9, n_free=2, running=(task(),)), AT_ONCE) == [Claim(1), TICK]


def test_waiting_work_and_no_free_worker_is_waited_for() -> None:
    """While replacements of dead workers start, nothing is claimed and nothing spins."""
    assert plan(at(n_waiting=3, n_free=0), AT_ONCE) == [TICK]


def test_a_method_that_does_not_learn_writes_everything_at_once() -> None:
    assert plan(at(n_to_propose=20, n_free=2), AT_ONCE) == [Propose(20), Claim(2), TICK]
    assert plan(at(n_to_propose=20, n_free=0), AT_ONCE) == [Propose(20), TICK]
    assert plan(at(n_to_propose=None, n_free=2), AT_ONCE) == [Propose(None), Claim(2), TICK]


def test_while_the_workers_start_the_first_round_is_written() -> None:
    assert plan(at(n_to_propose=3, n_free=0), IN_ROUNDS) == [Propose(2), TICK]
    assert plan(at(n_to_propose=3, n_free=0, n_waiting=2), IN_ROUNDS) == [TICK]


def test_a_method_that_learns_writes_only_what_free_workers_lack() -> None:
    assert plan(at(n_to_propose=20, n_free=2), IN_ROUNDS) == [Propose(2), Claim(2), TICK]
    assert plan(at(n_to_propose=20, n_free=2, n_waiting=1), IN_ROUNDS) == [Propose(1), Claim(2), TICK]
    assert plan(at(n_to_propose=20, n_free=2, n_waiting=2), IN_ROUNDS) == [Claim(2), TICK]
    assert plan(at(n_to_propose=20, running=(task("a"), task("b"))), IN_ROUNDS) == [TICK]
    assert plan(at(n_to_propose=1, n_free=2), IN_ROUNDS) == [Propose(1), Claim(1), TICK]


def test_an_experiment_that_ran_out_of_memory_costs_a_slot_until_it_is_over() -> None:
    assert plan(at(n_waiting=5, n_free=2, n_short_of_memory=1), AT_ONCE) == [Claim(1), TICK]
    assert plan(at(n_waiting=5, n_free=1, n_short_of_memory=1, running=(task(),)), AT_ONCE) == [TICK]
    # One slot always remains, or the study would never end.
    assert plan(at(n_waiting=5, n_free=2, n_short_of_memory=9), AT_ONCE) == [Claim(1), TICK]


# ---- claiming ahead

AHEAD = RunLimits(n_workers=2, ahead=True)


def test_experiments_of_milliseconds_are_claimed_ahead_of_free_workers() -> None:
    busy = at(n_waiting=1000, running=(task("a"), task("b")), typical_s=0.01)
    assert plan(busy, AHEAD) == [Claim(2 * 10), TICK]  # what both get done in a tenth of a second
    assert plan(replace(busy, typical_s=0.0), AHEAD) == [Claim(2 * MOST_AHEAD), TICK]
    assert plan(replace(busy, n_waiting=3), AHEAD) == [Claim(3), TICK]
    assert plan(replace(busy, n_free=2, running=()), AHEAD) == [Claim(2 * 11), TICK]


def test_nothing_is_claimed_ahead_where_that_would_be_hoarding() -> None:
    busy = at(n_waiting=1000, running=(task("a"), task("b")), typical_s=0.01)
    for slow in (AHEAD_S * 1.01, 60.0, None):
        assert plan(replace(busy, typical_s=slow), AHEAD) == [TICK]
    assert plan(replace(busy, running=()), AHEAD) == [TICK], "the workers are still starting"
    assert plan(replace(busy, n_short_of_memory=1), AHEAD) == [TICK]
    assert plan(busy, AT_ONCE) == [TICK], "the pool takes none"
    assert plan(busy, replace(AHEAD, learns=True)) == [TICK]


def test_what_is_claimed_ahead_is_filled_up_when_half_of_it_is_gone() -> None:
    """Each claim is a commit: one for many, instead of one each time that an experiment ends."""
    running = tuple(task(str(n)) for n in range(2 * 11))
    busy = at(n_waiting=1000, typical_s=0.01)
    assert plan(replace(busy, running=running[:13]), AHEAD) == [TICK]
    assert plan(replace(busy, running=running[:12]), AHEAD) == [Claim(10), TICK]


def test_what_has_not_begun_is_not_overdue() -> None:
    limits = replace(AHEAD, experiment_timeout_s=10.0)
    ahead = (task("a", math.inf), task("b", 0.0), task("c", math.inf), task("d", 5.0))
    assert plan(at(9.75, running=ahead), limits) == [Wait(0.25)]
    assert plan(at(10.0, running=ahead), limits)[0] == Cancel("b", 10.0)
    assert plan(at(10.0, running=(task("a", math.inf),)), limits) == [TICK]


# ---- the end


def test_done_when_nothing_waits_runs_or_is_wanted() -> None:
    assert plan(at(n_free=2), AT_ONCE) == [Stop(StopReason.DONE)]


def test_waits_for_experiments_of_this_run_that_another_orchestrator_took() -> None:
    assert plan(at(n_free=2, n_elsewhere=1), AT_ONCE) == [TICK]


def test_recovers_every_few_seconds() -> None:
    before = at(10.0, recovered_at=10.0 - RECOVER_EVERY_S + 0.1, running=(task(started_at=9.0),))
    assert plan(before, AT_ONCE) == [TICK]
    assert plan(replace(before, recovered_at=10.0 - RECOVER_EVERY_S), AT_ONCE) == [Recover(), TICK]


# ---- the budget and the stop


def test_deadline_stops_claiming_and_grants_the_grace() -> None:
    limits = replace(AT_ONCE, deadline=100.0, grace_s=30.0)
    busy: dict[str, Any] = {"running": (task(started_at=99.0),), "n_waiting": 4, "n_free": 1}
    assert plan(at(99.9, **busy), limits)[0] == Claim(1)
    assert plan(at(100.0, **busy), limits) == [TICK]
    assert plan(at(129.75, **busy), limits) == [Wait(0.25)]
    assert plan(at(130.0, **busy), limits) == [Stop(StopReason.TIMEOUT)]
    assert plan(at(100.0, n_waiting=4, n_free=2), limits) == [Stop(StopReason.TIMEOUT)]


def test_the_whole_is_over_shortly_after_the_deadline_however_long_the_grace() -> None:
    limits = replace(AT_ONCE, deadline=100.0, grace_s=30.0, overrun_s=3.0)
    busy: dict[str, Any] = {"running": (task(started_at=99.0),), "n_waiting": 4, "n_free": 1}
    assert plan(at(102.75, **busy), limits) == [Wait(0.25)]
    assert plan(at(103.0, **busy), limits) == [Stop(StopReason.TIMEOUT)]


def test_nothing_is_begun_that_would_not_end_in_time() -> None:
    limits = replace(AT_ONCE, deadline=100.0, overrun_s=3.0)
    busy: dict[str, Any] = {"running": (task(started_at=60.0),), "n_waiting": 4, "n_free": 1}
    assert plan(at(82.5, **busy, typical_s=20.0), limits)[0] == Claim(1)
    assert plan(at(83.0, **busy, typical_s=20.0), limits) == [TICK]  # what runs may still end
    assert plan(at(83.0, n_waiting=4, n_free=2, typical_s=20.0), limits) == [Stop(StopReason.TIMEOUT)]
    assert plan(at(83.0, **busy), limits)[0] == Claim(1)  # nobody knows how long it takes


def test_a_signal_shortly_before_the_deadline_does_not_outlast_it() -> None:
    limits = replace(AT_ONCE, deadline=100.0, grace_s=30.0, overrun_s=3.0)
    busy: dict[str, Any] = {"running": (task(started_at=80.0),), "stop_at": 95.0}
    assert plan(at(102.75, **busy), limits) == [Wait(0.25)]
    assert plan(at(103.0, **busy), limits) == [Stop(StopReason.INTERRUPTED)]


def test_the_wait_ends_with_the_deadline() -> None:
    limits = replace(AT_ONCE, deadline=100.0)
    assert plan(at(99.75, running=(task(started_at=99.0),)), limits) == [Wait(0.25)]


def test_first_signal_finishes_what_runs_within_the_grace() -> None:
    limits = replace(AT_ONCE, grace_s=30.0)
    busy: dict[str, Any] = {"running": (task(started_at=4.0),), "n_waiting": 4, "n_free": 1, "stop_at": 5.0}
    assert plan(at(5.0, **busy), limits) == [TICK]
    assert plan(at(34.75, **busy), limits) == [Wait(0.25)]
    assert plan(at(35.0, **busy), limits) == [Stop(StopReason.INTERRUPTED)]
    assert plan(at(6.0, n_waiting=4, n_free=2, n_to_propose=9, stop_at=5.0), limits) == [
        Stop(StopReason.INTERRUPTED)
    ]


def test_where_nothing_is_left_a_stop_is_the_end() -> None:
    """Or the same command would be said to go on, and would find nothing to do."""
    for asked in ({"stop_at": 5.0}, {"stop_at": 5.0, "stop_now": True}):
        assert plan(at(6.0, n_free=2, **asked), AT_ONCE) == [Stop(StopReason.DONE)]
    assert plan(at(6.0, n_free=2), replace(AT_ONCE, deadline=5.0)) == [Stop(StopReason.DONE)]
    assert plan(at(6.0, n_free=2, n_elsewhere=1, stop_at=5.0), AT_ONCE) == [Stop(StopReason.INTERRUPTED)]


def test_second_signal_stops_now() -> None:
    busy = at(5.0, running=(task(started_at=4.0),), stop_at=5.0, stop_now=True)
    assert plan(busy, AT_ONCE) == [Stop(StopReason.INTERRUPTED)]


def test_a_signal_during_the_grace_of_the_deadline_does_not_prolong_it() -> None:
    limits = replace(AT_ONCE, deadline=100.0, grace_s=30.0)
    assert plan(at(130.0, running=(task(started_at=99.0),), stop_at=120.0), limits) == [
        Stop(StopReason.TIMEOUT)
    ]


# ---- the same error in a row


def test_the_same_error_three_times_in_a_row_stops_the_run() -> None:
    busy: dict[str, Any] = {"n_waiting": 9, "n_free": 2, "n_to_propose": 5}
    assert plan(at(8.0, failed_alike_at=[6.0, 7.0], **busy), AT_ONCE)[0] == Propose(5)
    assert plan(at(8.0, failed_alike_at=[6.0, 7.0, 8.0], **busy), AT_ONCE) == [Stop(StopReason.SAME_ERROR)]


def test_what_runs_beside_the_same_error_has_the_grace_and_may_end_the_row() -> None:
    limits = replace(AT_ONCE, grace_s=30.0)
    busy: dict[str, Any] = {"running": (task(started_at=4.0),), "n_waiting": 4, "n_free": 1}
    row = [1.0, 3.0, 5.0, 20.0]  # the row was long enough at 5: what ends later does not prolong the grace
    assert plan(at(20.0, failed_alike_at=row, **busy), limits) == [TICK]
    assert plan(at(34.75, failed_alike_at=row, **busy), limits) == [Wait(0.25)]
    assert plan(at(35.0, failed_alike_at=row, **busy), limits) == [Stop(StopReason.SAME_ERROR)]
    assert plan(at(35.0, failed_alike_at=[], **busy), limits) == [Claim(1), TICK]


def test_a_region_that_crashes_needs_a_longer_row() -> None:
    busy: dict[str, Any] = {"n_waiting": 9, "n_free": 2, "is_regional": True}
    n = 3 * REGION_FACTOR
    assert plan(at(50.0, failed_alike_at=[1.0] * (n - 1), **busy), AT_ONCE)[0] == Claim(2)
    assert plan(at(50.0, failed_alike_at=[1.0] * n, **busy), AT_ONCE) == [Stop(StopReason.SAME_ERROR)]


def test_how_many_in_a_row_can_be_said() -> None:
    busy: dict[str, Any] = {"n_waiting": 9, "n_free": 2}
    assert plan(at(9.0, failed_alike_at=[1.0], **busy), replace(AT_ONCE, same_error=1)) == [
        Stop(StopReason.SAME_ERROR)
    ]
    assert plan(at(9.0, failed_alike_at=[1.0] * 99, **busy), replace(AT_ONCE, same_error=0))[0] == Claim(2)


def test_where_nothing_is_left_the_same_error_is_no_reason_to_go_on() -> None:
    assert plan(at(9.0, n_free=2, failed_alike_at=[1.0] * 3), AT_ONCE) == [Stop(StopReason.DONE)]


# ---- timeouts


def test_experiment_timeout_at_the_edge() -> None:
    limits = replace(AT_ONCE, experiment_timeout_s=10.0)
    running = (task("a", 0.0), task("b", 5.0))
    assert plan(at(9.75, running=running), limits) == [Wait(0.25)]
    assert plan(at(10.0, running=running), limits)[0] == Cancel("a", 10.0)
    assert plan(at(10.0, running=(task("a", cancelled=True), task("b", 5.0))), limits) == [TICK]


def test_a_hang_is_cancelled_during_the_grace_too() -> None:
    limits = replace(AT_ONCE, experiment_timeout_s=10.0)
    assert plan(at(10.0, running=(task(),), stop_at=9.0), limits)[0] == Cancel("a", 10.0)


def test_no_timeout_is_made_up_before_it_is_known_what_is_usual() -> None:
    assert experiment_limit(None, None) is None
    assert experiment_limit(None, 1.0) == TIMEOUT_FLOOR_S
    assert experiment_limit(None, 60.0) == 1200.0
    assert experiment_limit(2.0, 60.0) == 2.0


def test_the_derived_timeout_is_kept() -> None:
    slow = at(1200.0, running=(task(),), typical_s=60.0)
    assert plan(slow, AT_ONCE)[0] == Cancel("a", 1200.0)
    assert plan(replace(slow, now=1199.75, recovered_at=1199.75), AT_ONCE) == [Wait(0.25)]


def test_of_a_thousand_running_tasks_only_those_that_are_due_are_looked_at() -> None:
    """They come in the order of their start, so that a plan costs the same for one task and for thousands."""

    class Watched(tuple[Running, ...]):
        def __iter__(self) -> Iterator[Running]:
            for each in tuple.__iter__(self):
                looked_at.add(each.key)
                yield each

    looked_at: set[str] = set()
    running = Watched(task(str(n), float(n)) for n in range(1000))
    limits = RunLimits(n_workers=1000, experiment_timeout_s=100.0)
    assert plan(at(102.0, running=running), limits)[:3] == [Cancel(str(n), 100.0) for n in range(3)]
    assert looked_at == {"0", "1", "2", "3"}


def test_one_warning_after_an_hour_where_there_is_no_timeout() -> None:
    assert plan(at(WARN_AFTER_S - 1, running=(task(),)), AT_ONCE) == [TICK]
    assert plan(at(WARN_AFTER_S, running=(task(),)), AT_ONCE) == [Warn("a", WARN_AFTER_S), TICK]
    assert plan(at(WARN_AFTER_S, running=(task(warned=True),)), AT_ONCE) == [TICK]


@settings(deadline=None, max_examples=200)
@given(st.floats(0, 1e6), st.floats(0.001, 1e5))
def test_after_waiting_until_the_end_the_end_has_come(started_at: float, limit_s: float) -> None:
    """Rounding must not leave a task that is due and never cancelled."""
    limits = replace(AT_ONCE, experiment_timeout_s=limit_s)
    assert plan(at(started_at + limit_s, running=(task("a", started_at),)), limits)[0] == Cancel("a", limit_s)


# ---- what holds always

snapshots = st.builds(
    Snapshot,
    now=st.floats(0, 1e5),
    n_waiting=st.integers(0, 50),
    n_free=st.integers(0, 4),
    running=st.lists(
        st.builds(Running, st.uuids().map(str), st.floats(0, 1e5), st.booleans(), st.booleans()), max_size=4
    ).map(lambda tasks: tuple(sorted(tasks, key=lambda each: each.started_at))),
    n_elsewhere=st.integers(0, 2),
    n_to_propose=st.none() | st.integers(0, 50),
    typical_s=st.none() | st.floats(0, 1e4),
    n_short_of_memory=st.integers(0, 5),
    recovered_at=st.floats(0, 1e5),
    stop_at=st.none() | st.floats(0, 1e5),
    stop_now=st.booleans(),
    failed_alike_at=st.lists(st.floats(0, 1e5), max_size=15).map(sorted),
    is_regional=st.booleans(),
)
limits_ = st.builds(
    RunLimits,
    n_workers=st.integers(1, 4),
    learns=st.booleans(),
    ahead=st.booleans(),
    deadline=st.none() | st.floats(0, 1e5),
    experiment_timeout_s=st.none() | st.floats(0.1, 1e4),
    grace_s=st.floats(0, 60),
    same_error=st.integers(0, 4),
)


@settings(deadline=None, max_examples=300)
@given(snapshots, limits_)
def test_whatever_happens(snapshot: Snapshot, limits: RunLimits) -> None:
    commands: list[Command] = plan(snapshot, limits)
    *acts, last = commands
    assert isinstance(last, Stop | Wait)
    assert not any(isinstance(c, Stop | Wait) for c in acts)
    if isinstance(last, Wait):
        assert 0 <= last.seconds <= TICK_S
    claimed = sum(c.n for c in acts if isinstance(c, Claim))
    most_ahead = limits.n_workers * MOST_AHEAD if limits.ahead else 0
    assert claimed <= snapshot.n_free + most_ahead
    assert claimed + len(snapshot.running) <= max(limits.n_workers + most_ahead, len(snapshot.running))
    if snapshot.stop_at is not None:
        assert not any(isinstance(c, Claim | Propose) for c in acts)
    if last == Stop(StopReason.DONE):
        assert not snapshot.running
        assert not snapshot.n_waiting
        assert snapshot.n_to_propose == 0
