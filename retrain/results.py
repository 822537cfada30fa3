"""Checks what user code returns and reports, so that only plain finite numbers go on from here.

numpy scalars, integers, Decimal and Fraction count as numbers. Text, booleans, complex numbers and arrays do
not: nothing is guessed. NaN and infinity are failures of their own class. The rule holds for every number
that is returned, not only for the metric that is optimised.
"""

import math
import traceback
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from numbers import Real

from tuner.errors import RetrainError, did_you_mean
from tuner.experiment import Evaluation, Failure, Measurement, Outcome
from tuner.goals import Goals

__all__ = ["ResultError", "check_goals", "check_report", "check_result", "failure_of", "to_evaluation"]

N_TRACEBACK_LINES = 50

_LAST_STEP = 2**63 - 1
_LONGEST_NAME = 200


class ResultError(RetrainError):
    """What user code returned, reported or ended with cannot be a result."""

    def __init__(
        self, what: str, remedy: str = "", outcome: Outcome = Outcome.BAD_RESULT, details: str = ""
    ) -> None:
        super().__init__(what, remedy)
        self.args = (what, remedy, outcome, details)

    @property
    def outcome(self) -> Outcome:
        """The class of the failure: BAD_RESULT, NON_FINITE, or ERROR for a program that ended with one."""
        return Outcome(self.args[2])

    @property
    def details(self) -> str:
        """What stands in for a traceback, such as the last lines of a program's stderr."""
        return str(self.args[3])


def check_result(raw: object, metric: str) -> Evaluation:
    """Return what an experiment returned as a checked Evaluation.

    Args:
        raw: a number; a mapping of numbers that holds `metric`; or an Evaluation.
        metric: the key of the value that is optimised.

    Raises:
        ResultError: it is none of these, lacks the metric, or holds something other than finite numbers.
    """
    if isinstance(raw, Evaluation):
        return _checked_evaluation(raw, metric)
    if isinstance(raw, Mapping):
        numbers = {_checked_name(name): _number(name, value) for name, value in raw.items()}
        if metric not in numbers:
            received = ", ".join(map(repr, numbers)) or "nothing"
            raise ResultError(
                f"The result must hold the metric {metric!r}, but it holds {received}."
                + did_you_mean(metric, numbers)
            )
        value = numbers.pop(metric)
        return Evaluation(value, metrics=numbers)
    return Evaluation(_number(metric, raw))


def check_goals(evaluation: Evaluation, goals: Goals) -> None:
    """Look for every metric that the study's goals are judged by.

    Raises:
        ResultError: one is not there.
    """
    for name in goals.metrics:
        if name not in evaluation.metrics:
            received = ", ".join(map(repr, evaluation.metrics)) or "none"
            raise ResultError(
                f"The result must hold the metric {name!r}, which an objective or limit is about, but its"
                f" further metrics are {received}." + did_you_mean(name, evaluation.metrics)
            )


def to_evaluation(raw: object, metric: str) -> Evaluation | Failure:
    """Like `check_result`, but a fault is returned as a Failure."""
    try:
        return check_result(raw, metric)
    except ResultError as error:
        return Failure(error.outcome, str(error))


def check_report(step: object, metrics: object) -> tuple[Measurement, ...]:
    """Check one intermediate report.

    Raises:
        ResultError: the step is no integer from 0 that a registry can store, or a metric no finite number.
    """
    if isinstance(step, bool) or not hasattr(step, "__index__"):
        raise ResultError(f"The step of a report must be an integer, but got {_shown(step)}.")
    number = int(step.__index__())
    if not 0 <= number <= _LAST_STEP:
        must = ">= 0" if number < 0 else "below 2**63"
        raise ResultError(f"The step of a report must be {must}, but got {_shown(step)}.")
    if not isinstance(metrics, Mapping):
        raise ResultError(f"A report must be a mapping of metrics, but got {_shown(metrics)}.")
    return tuple(
        Measurement(number, _checked_name(name), _number(name, value, f" at step {number}"))
        for name, value in metrics.items()
    )


def failure_of(error: BaseException) -> Failure:
    """Describe an exception that ended an experiment: class, one line, the last lines of the traceback."""
    if isinstance(error, ResultError):
        return Failure(error.outcome, str(error), error.details)
    outcome = Outcome.OUT_OF_MEMORY if isinstance(error, MemoryError) else Outcome.ERROR
    text = _text_of(error)
    lines = "".join(traceback.format_exception(error)).splitlines()
    return Failure(outcome, text, "\n".join(lines[-N_TRACEBACK_LINES:]))


def _text_of(error: BaseException) -> str:
    """One line, even of an exception whose own text cannot be made."""
    if isinstance(error, SystemExit):
        return f"the pipeline called sys.exit({error.code!r})"
    try:
        text = " ".join(str(error).split())
    except Exception:  # noqa: BLE001 - user code's __str__ may do anything
        text = "(its text cannot be shown)"
    return f"{type(error).__name__}: {text}".removesuffix(": ")


def _checked_evaluation(given: Evaluation, metric: str) -> Evaluation:
    """An Evaluation that a pipeline built itself is checked like everything else."""
    std_error = None if given.std_error is None else _number("std_error", given.std_error)
    if std_error is not None and std_error < 0:
        raise ResultError(f"The standard error must be >= 0, but got {std_error}.")
    return replace(
        given,
        value=_number(metric, given.value),
        std_error=std_error,
        metrics={_checked_name(name): _number(name, value) for name, value in given.metrics.items()},
        measurements=tuple(
            checked
            for each in given.measurements
            for checked in check_report(each.step, {each.metric: each.value})
        ),
    )


def _number(name: object, value: object, where: str = "") -> float:
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        value = value.item()  # a scalar of numpy or a kin of it
    if isinstance(value, bool | str | bytes) or not isinstance(value, Real | Decimal):
        raise ResultError(f"The metric {name!r} must be a number, but got {_shown(value)}{where}.")
    try:
        signals = isinstance(value, Decimal) and value.is_snan()  # which float() does not take
        number = math.nan if signals else float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ResultError(f"The metric {name!r} is {number}{where}.", outcome=Outcome.NON_FINITE)
    return number


def _checked_name(name: object) -> str:
    if not isinstance(name, str):
        raise ResultError(f"The names of metrics must be text, but got {_shown(name)}.")
    if not 0 < len(name) <= _LONGEST_NAME or not name.isprintable():
        raise ResultError(
            f"The name of a metric must be 1 to {_LONGEST_NAME} printable characters, but got {_shown(name)}."
        )
    return name


def _shown(value: object) -> str:
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 - user code's __repr__ may do anything
        text = "(cannot be shown)"
    return f"{type(value).__name__} {text if len(text) <= 60 else text[:57] + '...'}"
