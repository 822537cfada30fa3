"""The time a command is allowed: from the start of its process to its last word."""

import math
import os
import time

import pytest

from orchestrator.allowance import Allowance, allowance, began_at, note_start, process_age


def test_without_a_limit_there_is_no_end() -> None:
    assert allowance(None, 5.0, 9.0) == Allowance(None, math.inf, math.inf)


@pytest.mark.parametrize("timeout_s", [1.0, 60.0, 3600.0])
@pytest.mark.parametrize("start_s", [0.0, 0.5, 4.0, 30.0, 1000.0])
def test_experiments_end_before_what_is_kept_for_the_end(timeout_s: float, start_s: float) -> None:
    allowed = allowance(timeout_s, 100.0, 100.0 + start_s)
    assert allowed.deadline is not None
    last = allowed.deadline + allowed.overrun_s
    assert allowed.ends_at == pytest.approx(100.0 + 1.05 * timeout_s)
    assert allowed.deadline <= 100.0 + timeout_s
    assert 0 <= allowed.overrun_s <= 0.05 * timeout_s
    # The end takes no longer than the start did, or a tenth of the time where that took longer.
    assert allowed.ends_at - last >= min(start_s, 0.1 * timeout_s) - 1e-9


def test_a_quick_start_costs_no_experiment() -> None:
    """Of 1,000 s, 2 % are left for the end in any case."""
    allowed = allowance(1000.0, 0.0, 15.0)
    assert allowed.deadline == 1000.0
    assert allowed.overrun_s == pytest.approx(30.0)


def test_a_slow_start_is_taken_off_the_end() -> None:
    """Of 60 s, 10 were gone before the first experiment: 63 - 6 is when the last one must be over."""
    allowed = allowance(60.0, 0.0, 10.0)
    assert allowed.deadline == pytest.approx(57.0)
    assert allowed.overrun_s == 0.0


def test_what_is_no_part_of_the_start_is_kept_for_nothing() -> None:
    allowed = allowance(1000.0, 0.0, 800.0, start_s=15.0)
    assert (allowed.deadline, allowed.start_s) == (1000.0, 15.0)
    assert allowed.overrun_s == pytest.approx(30.0)


def test_the_age_of_a_process_is_read_from_its_line() -> None:
    ticks = 250 * os.sysconf("SC_CLK_TCK")
    fields = " ".join(["S", *map(str, range(18)), str(ticks), "0"])
    assert process_age(lambda: f"17 (a) name) {fields}", lambda: 262.5) == 12.5
    assert process_age(lambda: f"17 (a) name) {fields}", lambda: 249.0) == 0.0


@pytest.mark.parametrize("line", ["", "17 (python) S 1", "17 (python) " + "x " * 40])
def test_where_the_system_does_not_tell_it_begins_now(line: str) -> None:
    assert process_age(lambda: line, lambda: 100.0) == 0.0

    def missing() -> str:
        raise FileNotFoundError

    assert process_age(missing, lambda: 100.0) == 0.0


def test_only_the_entry_point_says_when_the_command_began(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a process that does more, such as a notebook, its own start says nothing."""
    monkeypatch.setattr("orchestrator.allowance._noted", [])
    assert began_at() is None
    note_start()
    began = began_at()
    assert began is not None
    assert began <= time.monotonic()
