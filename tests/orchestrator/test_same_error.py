"""When a run stops since everything fails in the same way, and when that is only a region that crashes."""

from collections.abc import Sequence

import numpy as np
import pytest

from orchestrator.plan import REGION_FACTOR
from orchestrator.same_error import SameErrors, fingerprint
from tuner.experiment import Experiment, Outcome, State

TRACE = """Traceback (most recent call last):
  File "/home/me/train.py", line {line}, in train
    model.fit(X, y)
{error}"""


def ended(
    outcome: Outcome | None = None, error: str = "ValueError: no", traceback: str | None = None
) -> Experiment:
    state = State.COMPLETE if outcome is None else State.FAILED
    text = None if outcome is None else error
    return Experiment(
        1, "random_1", 1, {}, "random", state, 1, 0.0, outcome=outcome, error=text, traceback=traceback
    )


def crash(error: str = "ValueError: no", line: int = 7) -> Experiment:
    return ended(Outcome.ERROR, error, TRACE.format(line=line, error=error))


def after(*ends: Experiment) -> SameErrors:
    errors = SameErrors()
    for moment, end in enumerate(ends):
        errors.add(end, float(moment))
    return errors


OK = ended()


def test_a_row_is_counted_with_its_times() -> None:
    errors = after(OK, crash(), crash(), crash())
    assert errors.times == [1.0, 2.0, 3.0]
    assert errors.last is not None
    assert not errors.is_regional


@pytest.mark.parametrize(
    "between",
    [
        OK,
        crash("KeyError: 'x'"),
        crash(line=8),
        ended(Outcome.TIMEOUT),
        ended(Outcome.NON_FINITE, traceback=TRACE.format(line=7, error="ValueError: no")),
        ended(Outcome.BAD_RESULT, traceback=TRACE.format(line=7, error="ValueError: no")),
        ended(Outcome.OUT_OF_MEMORY),
    ],
)
def test_whatever_else_ends_breaks_the_row(between: Experiment) -> None:
    assert len(after(crash(), crash(), between, crash()).times) == 1


@pytest.mark.parametrize("between", [ended(Outcome.WORKER_LOST), ended(Outcome.CANCELLED)])
def test_what_says_nothing_of_the_pipeline_leaves_the_row_alone(between: Experiment) -> None:
    assert after(crash(), crash(), between, crash()).times == [0.0, 1.0, 3.0]


def test_after_a_success_the_same_error_is_that_of_a_region() -> None:
    assert not after(OK, crash()).is_regional
    assert not after(crash(), OK).is_regional, "there is no row"
    assert after(crash(), OK, crash()).is_regional
    assert not after(crash(), OK, crash("KeyError: 'x'")).is_regional, "another error is another matter"
    assert not after(crash(), ended(Outcome.TIMEOUT), crash()).is_regional, "nothing succeeded"


def test_numbers_may_differ_and_nothing_else() -> None:
    def same(one: str, other: str) -> bool:
        return fingerprint(crash(one)) == fingerprint(crash(other))

    assert same("ValueError: x=0.25 > 1", "ValueError: x=1e-09 > 12")
    assert same("E: <object at 0x7f2a> in row 3", "E: <object at 0x7f3b> in row 44")
    assert same("E: -1.5", "E: -2")
    assert not same("ValueError: kind a", "ValueError: kind b")
    assert not same("ValueError: no", "TypeError: no")
    assert fingerprint(crash(line=7)) != fingerprint(crash(line=17)), "another line is another place"


def test_without_a_traceback_the_message_counts() -> None:
    ends = [ended(Outcome.ERROR, f"./train.sh ended with code {code}: no such file") for code in (1, 2, 77)]
    assert len(after(*ends).times) == 3
    assert len(after(*ends, ended(Outcome.ERROR, "permission denied")).times) == 1


@pytest.mark.parametrize(
    ("outcome", "message"),
    [
        (Outcome.BAD_RESULT, "The pipeline must return a number or a dict, but returned a str of length {}."),
        (Outcome.NON_FINITE, "The metric 'auc' is nan in fold {}."),
    ],
)
def test_a_result_that_is_none_counts_by_its_message(outcome: Outcome, message: str) -> None:
    ends = [ended(outcome, message.format(n)) for n in (1, 2, 77)]
    errors = after(*ends)
    assert errors.times == [0.0, 1.0, 2.0]
    assert errors.last is ends[-1]
    assert len(after(*ends, ended(outcome, "something else")).times) == 1
    assert after(ends[0], OK, ends[0]).is_regional


def longest_rows(crashes: Sequence[bool]) -> tuple[int, int]:
    """The longest row while the error was new, and the longest after successes followed it."""
    errors, new, regional = SameErrors(), 0, 0
    for moment, crashed in enumerate(crashes):
        errors.add(crash() if crashed else OK, float(moment))
        if errors.is_regional:
            regional = max(regional, len(errors.times))
        else:
            new = max(new, len(errors.times))
    return new, regional


def test_a_region_of_a_fifth_hardly_ever_stops_a_run_of_a_hundred() -> None:
    """The error is new only in the first row, which is of 3 or more with a chance of 0.2**2 = 4 %.

    Of 500 runs that stops 20, and more than 45 with a chance below 1e-6. One of 12 never comes (3e-7 each).
    """
    rng = np.random.default_rng(0)
    rows = [longest_rows(list(rng.random(100) < 0.2)) for _ in range(500)]
    assert sum(new >= 3 for new, _ in rows) <= 45
    assert sum(regional >= 3 for _, regional in rows) > 100, (
        "without the longer row, every other run would end"
    )
    assert max(regional for _, regional in rows) < 3 * REGION_FACTOR
