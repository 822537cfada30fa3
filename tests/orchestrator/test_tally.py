"""What counts as the best, and as the baseline."""

from dataclasses import replace

from orchestrator.tally import Tally
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
    assert list(tally.durations_s) == [3.0, 3.0], "how long they took is known all the same"


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
