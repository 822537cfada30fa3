import math
import pickle
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrain.results import ResultError, check_report, check_result, failure_of, to_evaluation
from tuner.experiment import Evaluation, Failure, Measurement, Outcome


@pytest.mark.parametrize(
    "number",
    [0.5, np.float32(0.5), np.float64(0.5), Decimal("0.5"), Fraction(1, 2), np.array(0.5), np.float16(0.5)],
)
def test_whatever_is_a_number_becomes_a_plain_float(number: Any) -> None:
    for raw in (number, {"auc": number}):
        evaluation = check_result(raw, "auc")
        assert type(evaluation.value) is float
        assert evaluation.value == 0.5


@pytest.mark.parametrize("number", [1, np.int64(1), np.uint8(1), Decimal(1)])
def test_whole_numbers_become_floats(number: Any) -> None:
    assert repr(check_result(number, "n").value) == "1.0"


@pytest.mark.parametrize(
    "thing",
    [
        "0.93",
        b"1",
        True,
        np.True_,
        1j,
        np.complex128(1),
        None,
        [0.5],
        np.array([0.5]),
        (0.5,),
        object(),
        {},
        np.str_("1"),
    ],
)
def test_nothing_is_guessed(thing: Any) -> None:
    for raw in (thing, {"auc": thing}, {"auc": 0.5, "other": thing}, Evaluation(thing)):
        result = to_evaluation(raw, "auc")
        assert isinstance(result, Failure)
        assert result.outcome is Outcome.BAD_RESULT


@pytest.mark.parametrize(
    "number",
    [
        math.nan,
        math.inf,
        -math.inf,
        np.float32("nan"),
        Decimal("NaN"),
        Decimal("sNaN"),
        Decimal("Infinity"),
        10**400,
    ],
)
def test_nan_and_infinity_are_a_class_of_their_own(number: Any) -> None:
    for raw in (
        number,
        {"auc": number},
        {"auc": 0.5, "loss": number},
        Evaluation(number),
        Evaluation(0.5, number),
    ):
        result = to_evaluation(raw, "auc")
        assert isinstance(result, Failure)
        assert result.outcome is Outcome.NON_FINITE


def test_a_missing_metric_names_what_was_received_and_the_nearest() -> None:
    with pytest.raises(ResultError) as caught:
        check_result({"acuracy": 0.5, "loss": 1}, "accuracy")
    assert str(caught.value) == (
        "The result must hold the metric 'accuracy', but it holds 'acuracy', 'loss'. Did you mean 'acuracy'?"
    )
    with pytest.raises(ResultError, match="holds nothing"):
        check_result({}, "accuracy")


def test_the_other_numbers_are_kept_as_metrics() -> None:
    assert check_result({"auc": 0.5, "n": 3}, "auc").metrics == {"n": 3.0}
    with pytest.raises(ResultError, match="must be text"):
        check_result({"auc": 0.5, 3: 1}, "auc")


def test_an_evaluation_is_checked_too() -> None:
    good = check_result(Evaluation(np.float64(0.5), np.float64(0.1), {"n": 3}, duration_s=2.0), "auc")
    assert (type(good.value), type(good.std_error), type(good.metrics["n"])) == (float, float, float)
    assert good.duration_s == 2.0
    assert isinstance(to_evaluation(Evaluation(0.5, -1.0), "auc"), Failure)


@settings(deadline=None, max_examples=200)
@given(
    st.recursive(
        st.one_of(
            st.none(), st.booleans(), st.integers(), st.floats(), st.complex_numbers(), st.text(), st.binary()
        ),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
        max_leaves=6,
    )
)
def test_only_finite_plain_floats_get_through(raw: Any) -> None:
    result = to_evaluation(raw, "m")
    if isinstance(result, Evaluation):
        for number in (result.value, *result.metrics.values()):
            assert type(number) is float
            assert math.isfinite(number)


# ---- reports


@pytest.mark.parametrize("step", [-1, True, 1.0, "1", None, math.nan, 2**63, 2**70])
def test_a_step_is_a_whole_number_from_zero(step: Any) -> None:
    with pytest.raises(ResultError, match="step"):
        check_report(step, {"loss": 1.0})


def test_a_report_names_the_step_of_a_nan() -> None:
    with pytest.raises(ResultError, match="'loss' is nan at step 3") as caught:
        check_report(np.int64(3), {"loss": math.nan})
    assert caught.value.outcome is Outcome.NON_FINITE


def test_a_report_becomes_measurements() -> None:
    (measurement,) = check_report(np.int32(2), {"loss": np.float32(0.5)})
    assert (measurement.step, measurement.metric, measurement.value) == (2, "loss", 0.5)
    assert type(measurement.step) is int
    assert check_report(0, {}) == ()
    with pytest.raises(ResultError, match="must be a mapping"):
        check_report(0, 0.5)


@pytest.mark.parametrize("name", ["", "a" * 201, "\ud800", "a\0b", "a\nb", "\x1b[31m"])
def test_a_name_that_no_registry_stores_fails_its_experiment_alone(name: str) -> None:
    for told in (
        lambda: check_report(0, {name: 1.0}),
        lambda: check_result({"auc": 1.0, name: 1.0}, "auc"),
        lambda: check_result(Evaluation(1.0, metrics={name: 1.0}), "auc"),
        lambda: check_result(Evaluation(1.0, measurements=(Measurement(0, name, 1.0),)), "auc"),
    ):
        with pytest.raises(ResultError, match="1 to 200 printable characters"):
            told()
    assert check_report(0, {"Größe der 'Bäume' 😀": 1.0})


@pytest.mark.parametrize(
    "measurement",
    [Measurement(-1, "auc", 1.0), Measurement(2**63, "auc", 1.0), Measurement(0, "auc", math.nan)],
)
def test_what_an_evaluation_measured_is_checked_too(measurement: Measurement) -> None:
    with pytest.raises(ResultError):
        check_result(Evaluation(1.0, measurements=(measurement,)), "auc")


# ---- exceptions


class HostileError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no")


def caught(error: BaseException) -> Failure:
    try:
        raise error
    except BaseException as raised:  # noqa: BLE001
        return failure_of(raised)


def test_an_exception_is_told_in_one_line_with_its_traceback() -> None:
    failure = caught(ValueError("max_depth must be\npositive"))
    assert (failure.outcome, failure.message) == (Outcome.ERROR, "ValueError: max_depth must be positive")
    assert "in caught" in failure.traceback
    assert caught(KeyError()).message == "KeyError"


def test_leaving_the_process_is_a_failure_whatever_the_code() -> None:
    assert caught(SystemExit(0)).message == "the pipeline called sys.exit(0)"
    assert caught(KeyboardInterrupt()).outcome is Outcome.ERROR
    assert caught(MemoryError()).outcome is Outcome.OUT_OF_MEMORY


def test_an_exception_that_cannot_be_shown_is_still_told() -> None:
    assert caught(HostileError()).message == "HostileError: (its text cannot be shown)"


def test_a_long_traceback_keeps_its_end() -> None:
    def deep(n: int) -> None:
        if n > 1:
            deeper(n)
        raise ValueError("at the end")

    def deeper(n: int) -> None:  # two functions, or Python says "previous line repeated"
        deep(n - 1)

    try:
        deep(200)
    except ValueError as error:
        failure = failure_of(error)
    assert len(failure.traceback.splitlines()) <= 50
    assert failure.traceback.endswith("ValueError: at the end")


def test_a_result_error_keeps_its_class_and_details_and_survives_pickling() -> None:
    error = pickle.loads(pickle.dumps(ResultError("what", "remedy", Outcome.NON_FINITE, "stderr")))
    assert (str(error), error.remedy, error.outcome, error.details) == (
        "what",
        "remedy",
        Outcome.NON_FINITE,
        "stderr",
    )
    assert failure_of(error) == Failure(Outcome.NON_FINITE, "what", "stderr")
