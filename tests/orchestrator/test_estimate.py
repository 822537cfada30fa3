"""How long a run takes and what it costs, in numbers and in words."""

import pytest

from orchestrator.estimate import Estimate, at_once


def test_rounds_of_workers_times_the_typical_one() -> None:
    found = Estimate(21, 2, 30.0, cost_per_hour=3.6)
    assert found.wall_s == 330.0
    assert found.cost == pytest.approx(0.66)
    assert found.time_text == "about 5 min 30 s, 30 s each so far"
    assert found.cost_text == "about 0.66, at 3.6 an hour and worker"


def test_the_limit_is_the_most() -> None:
    found = Estimate(21, 2, 30.0, timeout_s=60.0, cost_per_hour=3.6)
    assert found.wall_s == 60.0
    assert found.cost == pytest.approx(0.12)
    assert found.time_text == "1 min, the limit; all would take about 5 min 30 s, 30 s each so far"


def test_what_is_unknown_is_said() -> None:
    found = Estimate(20, 2, None, cost_per_hour=2.0)
    assert (found.wall_s, found.cost) == (None, None)
    assert found.time_text == "unknown before the first have ended"
    assert found.cost_text == "unknown; 2 an hour and worker"
    assert Estimate(20, 2, None).cost_text == ""


def test_a_limit_bounds_what_is_unknown() -> None:
    found = Estimate(20, 2, None, timeout_s=1800.0, cost_per_hour=2.0)
    assert found.time_text == "unknown before the first have ended; at most 30 min"
    assert found.cost_text == "at most 2, at 2 an hour and worker"
    design = Estimate(None, 2, 30.0, timeout_s=1800.0)
    assert design.time_text == "30 s each so far; at most 30 min"


def test_workers_that_have_nothing_to_do_cost_nothing() -> None:
    assert Estimate(1, 8, 3600.0, cost_per_hour=2.0).cost == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("n_workers", "n_cores", "busy", "n"),
    [
        (2, 4, 1.0, 2),
        (8, 2, 1.9, 2),  # six of the eight wait for a core
        (8, 2, 8.0, 8),  # the time before was taken like this
        (2, 2, 8.0, 8),  # as fast with two, which take a quarter of the time
        (8, None, 1.0, 8),
    ],
)
def test_workers_beyond_the_cores_finish_no_more(
    n_workers: int, n_cores: int | None, busy: float, n: float
) -> None:
    assert at_once(n_workers, n_cores, busy) == n
