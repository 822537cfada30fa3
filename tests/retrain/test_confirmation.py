"""What a confirmation keeps of itself, which seeds it takes, and what `best` is after it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrain.best import get_best
from retrain.confirmation import Plan, find_plan, fresh_seeds, record
from retrain.confirmed import find_confirmed, looks_at
from tests.contracts.registry_cases import ON, SPEC, some
from tuner.errors import NotFoundError
from tuner.experiment import Confirmation, Evaluation, Experiment, Provenance, Study
from tuner.registry import open_registry
from tuner.registry.base import HoldoutRead, Registry

LATER = Provenance("d2", "c1", "m1")


@given(st.integers(0, 2**53), st.integers(1, 40), st.integers(0, 40))
def test_fresh_seeds_are_new_and_begin_alike(seed: int, n: int, more: int) -> None:
    seeds = fresh_seeds(seed, n)
    assert len(set(seeds)) == n
    assert seed not in seeds
    assert all(0 <= each < 2**31 for each in seeds)
    assert fresh_seeds(seed, n + more)[:n] == seeds


def test_studies_of_other_seeds_take_other_folds() -> None:
    assert not set(fresh_seeds(0, 20)) & set(fresh_seeds(1, 20))


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with open_registry(tmp_path / "experiments.db", create=True) as made:
        yield made


@pytest.fixture
def study(registry: Registry) -> Study:
    return registry.open_study(SPEC)


@pytest.fixture
def rows(registry: Registry, study: Study) -> list[Experiment]:
    """Three of 0.9, 0.8 and 0.7; more is better."""
    registry.add(study, some(3))
    values = (0.9, 0.8, 0.7)
    return [
        registry.complete(claim, Evaluation(value), ON)
        for claim, value in zip(registry.claim(study, 3), values, strict=True)
    ]


def confirm(registry: Registry, study: Study, rows: list[Experiment], values: list[float]) -> Plan:
    """As if `rows` had been confirmed with these values, the last being the baseline."""
    plan = Plan(
        tuple(each.public_id for each in rows), {"baseline": rows[-1].public_id}, fresh_seeds(7, 2), ON
    )
    for row, value in zip(rows, values, strict=True):
        for i, seed in enumerate(plan.seeds):
            folds = tuple(value + 0.001 * (i + j) for j in (-2, 0, 1))
            registry.add_confirmation(Confirmation(row.public_id, seed, sum(folds) / 3, folds, ON))
    record(registry, study, plan, None)
    return plan


def test_a_plan_survives_the_registry(registry: Registry, study: Study) -> None:
    plan = Plan(("a", "b"), {"baseline": "b"}, (1, 2), ON, 5, {"a": "error: no"})
    record(registry, study, plan, "b")
    record(registry, study, replace(plan, provenance=LATER), None)
    other = registry.open_study(replace(SPEC, name="other"))
    record(registry, other, replace(plan, seeds=(3,)), None)
    assert find_plan(registry, study, ON) == plan
    assert find_plan(registry, study, LATER) == replace(plan, provenance=LATER)
    assert find_plan(registry, study, Provenance("d3")) is None


def test_best_is_the_best_by_validation_until_something_is_confirmed(
    registry: Registry, study: Study, rows: list[Experiment]
) -> None:
    best = get_best(registry, study, study.name)
    assert (best.experiment, best.confirmed, best.luckier) == (rows[0], False, None)
    assert "by validation alone" in best.note
    confirm(registry, study, rows, [0.70, 0.79, 0.69])
    best = get_best(registry, study, study.name)
    assert (best.experiment, best.confirmed, best.luckier) == (rows[1], True, rows[0])
    assert rows[0].public_id in best.note


def test_repeats_alone_confirm_nothing(registry: Registry, study: Study, rows: list[Experiment]) -> None:
    """Those of a confirmation that was killed: it is not known yet who wins."""
    registry.add_confirmation(Confirmation(rows[1].public_id, fresh_seeds(7, 1)[0], 0.99, (), ON))
    assert get_best(registry, study, study.name).experiment == rows[0]
    assert find_confirmed(registry, study, ON, pipeline="credit") is None


def test_what_was_confirmed_on_other_data_is_not_best_here(
    registry: Registry, study: Study, rows: list[Experiment]
) -> None:
    confirm(registry, study, rows, [0.70, 0.79, 0.69])
    registry.add(study, some(1, first=9))
    newer = registry.complete(registry.claim(study)[0], Evaluation(0.1), LATER)
    best = get_best(registry, study, study.name)
    assert (best.experiment, best.confirmed) == (newer, False)


def test_without_a_result_there_is_no_best(registry: Registry, study: Study) -> None:
    with pytest.raises(NotFoundError):
        get_best(registry, study, study.name)


def test_all_numbers_of_the_winner_are_found(
    registry: Registry, study: Study, rows: list[Experiment]
) -> None:
    confirm(registry, study, rows, [0.70, 0.79, 0.69])
    look = HoldoutRead(
        "credit",
        rows[1].params,
        {"test_roc_auc": 0.75},
        ON,
        "orchestrator confirm",
        "ann",
        intervals={"test_roc_auc": (0.7, 0.8)},
    )
    for each in (look, replace(look, params=rows[0].params), replace(look, provenance=LATER)):
        registry.add_holdout_read(each)
    found = find_confirmed(registry, study, ON, pipeline="credit")
    assert found is not None
    assert found.winner == rows[1]
    assert found.estimate.mean == pytest.approx(0.79 + 0.001 / 6)
    assert found.optimism is not None
    assert found.optimism.amount == pytest.approx(0.8 - found.estimate.mean)
    assert found.luckiest == rows[0]
    assert found.luckiest_optimism is not None
    assert found.luckiest_optimism.amount == pytest.approx(0.2, abs=0.001)
    assert found.holdout is not None
    assert found.holdout.metrics == look.metrics
    assert found.holdout.params == rows[1].params
    assert found.holdout_optimism is not None
    optimism = found.holdout_optimism
    assert optimism.amount == pytest.approx(found.estimate.mean - 0.75)
    assert optimism.low is not None
    assert optimism.high is not None
    assert optimism.high - optimism.amount == pytest.approx(optimism.amount - optimism.low)
    assert 0.05 <= optimism.high - optimism.amount < 0.06, "a little more than the holdout's own"
    [finding] = found.findings
    assert finding.against == "the baseline"
    assert finding.amount == pytest.approx(0.1)
    assert len(looks_at(registry, "credit", ON)) == 2
    assert looks_at(registry, "films", ON) == looks_at(registry, "credit", None) == []


def test_no_interval_of_a_share_goes_beyond_one(
    registry: Registry, study: Study, rows: list[Experiment]
) -> None:
    assert study.metric == "roc_auc"
    confirm(registry, study, rows, [0.5, 0.9995, 0.4])
    found = find_confirmed(registry, study, ON, pipeline="credit")
    assert found is not None
    assert found.estimate.high == 1.0
    assert found.estimate.low is not None
    assert found.estimate.low == found.estimate.bound < found.estimate.mean
    [(_, own), *_] = found.estimates
    assert found.n_tried == 3
    assert found.estimate.low < own.bound < own.mean == found.estimate.mean


def test_what_is_called_as_a_share_and_counted_in_percent_keeps_its_interval(
    registry: Registry, study: Study, rows: list[Experiment]
) -> None:
    confirm(registry, study, rows, [50.0, 91.0, 40.0])
    found = find_confirmed(registry, study, ON, pipeline="credit")
    assert found is not None
    assert found.estimate.high is not None
    assert found.estimate.high > found.estimate.mean > 90.0


def test_another_version_of_the_code_looks_at_the_same_holdout(registry: Registry) -> None:
    look = HoldoutRead("credit", {}, {"test_roc_auc": 0.75}, replace(ON, code="c2"), "retrain", "ann")
    registry.add_holdout_read(look)
    assert len(looks_at(registry, "credit", ON)) == 1


def test_a_baseline_that_wins_is_compared_with_nothing(
    registry: Registry, study: Study, rows: list[Experiment]
) -> None:
    confirm(registry, study, rows, [0.5, 0.5, 0.8])
    found = find_confirmed(registry, study, ON, pipeline="credit")
    assert found is not None
    assert (found.winner, found.findings) == (rows[2], ())
