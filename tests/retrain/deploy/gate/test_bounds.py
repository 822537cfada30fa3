"""The gate: a table of figures and verdicts. Whatever cannot be judged is refused."""

import math
import pickle
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrain.deploy.gate import Figures, gate_error
from tests.retrain.deploy.gate.figures import MAX, MIN, figures, verdict, verdicts
from tuner.experiment import Direction


@pytest.mark.parametrize(
    ("gate", "new", "old", "passed"),
    [
        ({"metric": "auc", "min": 0.8}, figures(0.8), None, True),
        ({"metric": "auc", "min": 0.8}, figures(math.nextafter(0.8, 0)), None, False),
        ({"metric": "auc", "max": 0.8}, figures(0.8), None, True),
        ({"metric": "auc", "max": 0.8}, figures(math.nextafter(0.8, 1)), None, False),
        ({"metric": "test_accuracy", "min": 0.65}, figures(0.9, test_accuracy=0.61), None, False),
        ({"metric": "auc", "min_improvement": 0.25}, figures(0.75), figures(0.5), True),
        ({"metric": "auc", "min_improvement": 0.25}, figures(0.74), figures(0.5), False),
        ({"metric": "auc", "max_drop": 0.25}, figures(0.5), figures(0.75), True),
        ({"metric": "auc", "max_drop": 0.25}, figures(0.49), figures(0.75), False),
        ({"metric": "auc", "max_drop": 0.0}, figures(0.75), figures(0.75), True),
        (
            {"metric": "test_rmse", "min_improvement": 1},
            figures(1, test_rmse=2),
            figures(1, test_rmse=3),
            True,
        ),
        ({"metric": "test_rmse", "max_drop": 1}, figures(1, test_rmse=5), figures(1, test_rmse=3), False),
    ],
)
def test_bounds(gate: dict[str, Any], new: Figures, old: Figures | None, passed: bool) -> None:
    assert verdict(new, old, gate).passed is passed


@pytest.mark.parametrize("rule", ["min", "max", "min_improvement", "max_drop"])
@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_figure_that_is_not_finite_is_refused(rule: str, number: float) -> None:
    gate = {"metric": "test_auc", rule: 0.0}
    options = {"direction_of": lambda _: MAX}
    for new, old in [(number, 0.5), (0.5, number)]:
        if new == 0.5 and rule in ("min", "max"):
            continue
        given = verdict(figures(0.5, test_auc=new), figures(0.5, test_auc=old), gate, **options)
        assert not given.passed
        assert "cannot be judged: " in given.why
        assert given.improvement is None


def test_what_is_missing_is_refused_and_named() -> None:
    refused = verdict(figures(0.9, test_auc=0.9), figures(0.9), {"metric": "test_acu", "min": 0.1})
    assert not refused.passed
    assert "it was not measured, but auc, test_auc was. Did you mean 'test_auc'" in refused.why
    refused = verdict(figures(0.9), None, {"metric": "auc", "max_drop": 1.0}, no_champion="ValueError: x")
    assert not refused.passed
    assert "what is deployed could not be scored (ValueError: x)" in refused.why
    refused = verdict(figures(0.9, test_own=1), figures(0.9), {"metric": "test_own", "max_drop": 1.0})
    assert "of what is deployed, it was not measured" in refused.why
    refused = verdict(
        figures(0.9, test_own=1), figures(0.9, test_own=1), {"metric": "test_own", "max_drop": 1.0}
    )
    assert "not known whether more or less" in refused.why
    refused = verdict(figures(0.9), None, no_champion="it is gone")
    assert (refused.rule, refused.passed) == ("not_worse", False)


def test_an_absolute_bound_needs_no_champion() -> None:
    assert verdict(figures(0.9), None, {"metric": "auc", "min": 0.5}).passed


def test_the_same_hyperparameters_are_asked_for_no_improvement_but_for_the_bounds() -> None:
    gate = {"metric": "auc", "min": 0.95, "min_improvement": 0.1}
    bound, improvement = verdicts(figures(0.9), figures(0.9), gate, same_params=True)
    assert (bound.passed, improvement.passed) == (False, True)


def test_every_entry_and_every_bound_gets_a_verdict_in_order() -> None:
    given = verdicts(
        figures(0.9, test_auc=0.8),
        figures(0.8, test_auc=0.8),
        {"metric": "auc", "min": 0.5, "max": 0.95, "min_improvement": 0.01, "max_drop": 0.1},
        {"metric": "test_auc", "min": 0.9},
    )
    assert len(verdicts(figures(0.9), figures(0.8), {"metric": "auc", "max": 1.0})) == 2
    rules = [(v.metric, v.rule, v.passed) for v in given]
    assert rules == [
        ("auc", "min", True),
        ("auc", "max", True),
        ("auc", "min_improvement", True),
        ("auc", "max_drop", True),
        ("test_auc", "min", False),
    ]


# ---- the gate that stands where none is configured


def test_one_standard_error_of_the_paired_differences_is_the_edge() -> None:
    old = figures(0.8, 0.7, 0.8, 0.9)
    # differences -0.1, -0.2, -0.3: mean -0.2, deviation 0.1, corrected standard error 0.1 sqrt(1/3 + 1/2)
    worse = verdict(figures(0.6, 0.6, 0.6, 0.6), old)
    assert not worse.passed
    assert worse.std_error == pytest.approx(0.1 * math.sqrt(1 / 3 + 1 / 2))
    # the same three differences as one of 10 folds each: the training sets overlap more
    of_ten = verdict(figures(0.6, 0.6, 0.6, 0.6), old, n_folds=10)
    assert of_ten.std_error == pytest.approx(0.1 * math.sqrt(1 / 3 + 1 / 9))
    # differences -0.3, 0, 0.25: mean -0.0167, corrected standard error 0.25
    within = verdict(figures(0.8 - 0.05 / 3, 0.4, 0.8, 1.15), old)
    assert within.passed
    assert within.improvement == pytest.approx(-0.05 / 3)


def test_a_constant_drop_over_all_folds_is_worse_however_the_folds_scatter() -> None:
    """Unpaired, 0.01 would drown in folds that scatter by 0.1; paired, the standard error is 0."""
    new = figures(0.79, 0.69, 0.79, 0.89, std_error=0.06)
    old = figures(0.80, 0.70, 0.80, 0.90, std_error=0.06)
    assert not verdict(new, old).passed
    unpaired = verdict(figures(0.79, std_error=0.06), figures(0.80, std_error=0.06))
    assert unpaired.passed
    assert unpaired.std_error == pytest.approx(math.hypot(0.06, 0.06))


def test_without_any_standard_error_not_the_least_is_allowed() -> None:
    assert verdict(figures(0.8), figures(0.8)).passed
    assert not verdict(figures(math.nextafter(0.8, 0)), figures(0.8)).passed
    assert not verdict(figures(math.nextafter(0.8, 1)), figures(0.8), direction=MIN).passed
    other_folds = verdict(figures(0.7, 0.6, 0.8), figures(0.8, 0.7, 0.8, 0.9))
    assert (other_folds.passed, other_folds.std_error) == (False, None)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(*[st.floats(-1e3, 1e3)] * 2), min_size=2, max_size=8), st.sampled_from([MIN, MAX]))
def test_one_of_two_always_may_replace_the_other(
    folds: list[tuple[float, float]], direction: Direction
) -> None:
    """The default gate blocks a worse challenger only: it can never lock out both orders."""
    one = figures(sum(a for a, _ in folds) / len(folds), *(a for a, _ in folds))
    two = figures(sum(b for _, b in folds) / len(folds), *(b for _, b in folds))
    there, back = verdict(one, two, direction=direction), verdict(two, one, direction=direction)
    assert there.passed or back.passed
    assert there.improvement == pytest.approx(-(back.improvement or 0.0))


def test_it_stands_beside_absolute_bounds_and_yields_to_relative_ones() -> None:
    worse, better = figures(0.96, test_auc=0.96), figures(0.98, test_auc=0.97)
    default, bound = verdicts(worse, better, {"metric": "test_auc", "min": 0.95})
    assert [(default.rule, default.passed), (bound.rule, bound.passed)] == [
        ("not_worse", False),
        ("min", True),
    ]
    for rule in ("min_improvement", "max_drop"):
        given = verdicts(worse, better, {"metric": "test_auc", rule: 0.0}, {"metric": "auc", "min": 0.5})
        assert [v.rule for v in given] == [rule, "min"]


def test_without_a_champion_only_a_bound_on_the_metric_itself_is_enough() -> None:
    good = figures(0.9, test_auc=0.9)
    assert all(v.passed for v in verdicts(good, None, {"metric": "auc", "min": 0.5}))
    for gate in ({"metric": "test_auc", "min": 0.5}, {"metric": "auc", "max": 1.0}):
        given = verdicts(good, None, gate)
        assert (given[0].rule, given[0].passed) == ("not_worse", False)
        assert '[[gate]] with metric = "auc" and min = ' in gate_error(given).remedy


# ---- the same hyperparameters, fitted anew: only what was recorded can tell that the data went bad


@pytest.mark.parametrize(
    ("drop", "fresh", "stored", "passed"),
    [
        (0.0, None, None, True),
        (1e-9, None, None, False),
        (0.099, 0.03, 0.04, True),  # 2 * hypot(0.03, 0.04) = 0.1
        (0.101, 0.03, 0.04, False),
        (0.14, 0.05, None, True),  # not stored: the fresh one for both, 2 * 0.0707
        (0.15, 0.05, None, False),
        (-0.3, None, 0.0, True),
    ],
)
@pytest.mark.parametrize("direction", [MAX, MIN])
def test_the_recorded_value_is_the_measure(
    drop: float, fresh: float | None, stored: float | None, passed: bool, direction: Direction
) -> None:
    new = figures(0.5 - drop if direction is MAX else 0.5 + drop, std_error=fresh)
    recorded = figures(0.5, std_error=stored)
    (given,) = verdicts(new, new, same_params=True, recorded=recorded, direction=direction)
    assert (given.rule, given.passed, given.champion) == ("recorded", passed, 0.5)
    if not passed:
        bound = "min" if direction is MAX else "max"
        assert f'[[gate]] with metric = "auc" and {bound} = ' in gate_error([given]).remedy


@pytest.mark.parametrize(
    ("gate", "stands"),
    [
        ({"metric": "auc", "min": 0.4}, False),
        ({"metric": "auc", "max": 1.0}, True),
        ({"metric": "test_auc", "min": 0.4}, True),
        ({"metric": "auc", "max_drop": 0.0}, True),
        ({"metric": "auc", "min_improvement": 0.0}, True),
    ],
)
def test_only_a_bound_on_the_metric_itself_accepts_harder_data(gate: dict[str, Any], stands: bool) -> None:
    new = figures(0.5, test_auc=0.5)
    given = verdicts(new, new, gate, same_params=True, recorded=figures(0.99))
    assert all(v.passed for v in given) is not stands


def test_what_was_not_recorded_is_refused_but_for_what_was_never_fitted() -> None:
    new = figures(0.9)
    (refused,) = verdicts(new, new, same_params=True, recorded=Figures(math.nan))
    assert not refused.passed
    assert "no recorded value" in refused.why
    assert "[[gate]]" in refused.remedy
    (passed,) = verdicts(new, new, same_params=True, recorded=None)
    assert passed.passed
    assert "nothing was fitted before" in passed.why
    assert not verdict(figures(math.nan), None, same_params=True, recorded=figures(0.9)).passed
    assert not verdict(figures(math.nan), None, same_params=True, recorded=None).passed


def test_the_error_lists_what_failed_with_numbers_and_survives_pickling() -> None:
    gates: list[dict[str, Any]] = [{"metric": "test_auc", "min": 0.65}, {"metric": "auc", "min": 0.5}]
    gates.append({"metric": "auc", "max_drop": 0.01})
    given = verdicts(figures(0.9, test_auc=0.61), figures(0.95), *gates)
    error = pickle.loads(pickle.dumps(gate_error(given)))
    assert error.exit_code == 3
    assert "test_auc is 0.61, below the min of 0.65" in str(error)
    assert "auc is 0.9, 0.05 worse than what is deployed (0.95); max_drop is 0.01" in str(error)
    assert "at least" not in str(error)


@pytest.mark.parametrize(
    ("new", "words"),
    [
        # differences 0.2, 0.1, 0.3 of three folds: t = 0.2 / 0.0913 = 2.19 with 2 degrees of freedom
        (figures(1.0, 0.9, 0.9, 1.2), "really better with 92 % confidence"),
        (figures(0.6, 0.5, 0.7, 0.6), "really worse with 92 % confidence"),
        (figures(0.8, 0.7, 0.8, 0.9), "one standard error of the difference is 0"),
    ],
)
def test_the_default_gate_says_how_sure_the_folds_are(new: Figures, words: str) -> None:
    assert verdict(new, figures(0.8, 0.7, 0.8, 0.9)).why.endswith(words)


def test_the_same_gain_in_every_fold_is_no_certainty() -> None:
    """What differs from fold to fold is rounding."""
    old = (0.84, 0.76, 0.42, 0.26, 0.51)
    new = [each + 0.1523 for each in old]
    given = verdict(figures(0.7103, *new), figures(0.558, *old))
    assert given.std_error is not None
    assert 0 < given.std_error < 1e-15
    assert given.why.endswith("the same in every fold, so that nothing says how sure that is")


def test_a_verdict_is_ready_for_json() -> None:
    import json

    given = verdict(figures(math.nan), figures(0.5), {"metric": "auc", "min": 0.5})
    assert json.loads(json.dumps(given.to_dict(), allow_nan=False))["passed"] is False
