"""What counts as the best, and as the baseline."""

import pickle
from dataclasses import replace
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.tally import N_DURATIONS, Tally
from tuner.experiment import Direction, Experiment, Outcome, Provenance, State, Study

HERE = Provenance(data="d1")
STUDY = Study(1, "s", {}, "auc", Direction.MAXIMIZE, {"x": 1}, 0, 0.0)


def complete(id_: int, value: float, x: int = 2, provenance: Provenance = HERE) -> Experiment:
    row = Experiment(id_, f"e{id_}", 1, {"x": x}, "random", State.COMPLETE, 1, 0.0)
    return replace(row, value=value, provenance=provenance, duration_s=3.0)


def test_the_best_in_the_studys_direction_ties_to_the_older() -> None:
    tally = Tally(STUDY, HERE, [complete(1, 0.5), complete(2, 0.9)])
    tally.add(complete(3, 0.9))
    assert tally.best is not None
    assert tally.best.id == 2
    tally.add(complete(4, 0.91))
    assert tally.best.id == 4
    assert tally.n_complete == 2, "earlier ones are not this run's"


def test_values_of_other_data_are_neither_best_nor_baseline() -> None:
    other = Provenance(data="d0")
    tally = Tally(
        STUDY, HERE, [complete(1, 0.99, provenance=other), complete(2, 0.98, x=1, provenance=other)]
    )
    assert (tally.best, tally.baseline) == (None, None)
    for id_ in (3, 4, 5):
        tally.add(complete(id_, 0.5, provenance=other))
    assert tally.typical_s == 3.0, "how long they took is known all the same"


def test_the_baseline_is_its_latest_score() -> None:
    tally = Tally(STUDY, HERE, [complete(1, 0.5, x=1), complete(2, 0.6, x=1), complete(3, 0.7)])
    assert tally.baseline is not None
    assert tally.baseline.id == 2


def test_causes_are_counted() -> None:
    tally = Tally(STUDY, HERE)
    for id_, (outcome, error) in enumerate(
        [(Outcome.ERROR, "a"), (Outcome.TIMEOUT, "b"), (Outcome.ERROR, "a")]
    ):
        tally.add(Experiment(id_, "e", 1, {}, "random", State.FAILED, 2, 0.0, outcome=outcome, error=error))
    assert tally.causes() == [("error: a", 2), ("timeout: b", 1)]
    assert tally.n_complete == 0
    assert tally.n_failed == 3


@pytest.mark.parametrize("n", [0, 4, 5, 6, 7])
def test_what_is_usual_is_known_once_five_have_finished(n: int) -> None:
    tally = Tally(STUDY, HERE)
    durations = [60.0, 9999.0, 60.0, 1.0, 61.0, 62.0, 0.0][:n]
    for id_, duration_s in enumerate(durations):
        tally.add(replace(complete(id_, 0.5), duration_s=duration_s))
    assert tally.typical_s == (median(durations) if n >= 5 else None)


@given(st.lists(st.floats(0, 1e6), min_size=5, max_size=40), st.integers(1, 3))
def test_what_is_usual_is_the_median_of_the_latest(durations: list[float], n_workers: int) -> None:
    tally = Tally(STUDY, HERE)
    told = [float(n) for n in range(N_DURATIONS - 10 * n_workers)] + durations
    for duration_s in told:
        tally.add(replace(complete(1, 0.5), duration_s=duration_s))
    assert tally.typical_s == median(told[-N_DURATIONS:])


def test_twenty_thousand_experiments_take_no_more_room_than_two_thousand() -> None:
    def size_after(n: int) -> int:
        tally = Tally(STUDY, HERE)
        for id_ in range(n):
            tally.add(complete(id_, 0.5))
            failed = Experiment(id_, "e", 1, {}, "random", State.FAILED, 2, 0.0, outcome=Outcome.ERROR)
            tally.add(replace(failed, error=f"ValueError: {id_}"))
        assert sum(count for _, count in tally.causes()) == tally.n_failed == n
        return len(pickle.dumps(tally))

    assert size_after(20_000) == pytest.approx(size_after(2_000), rel=0.1)
