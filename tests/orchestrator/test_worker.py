import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from orchestrator.pool import Patience, Progress, Task
from orchestrator.verdicts import Verdicts
from orchestrator.worker import run_task, start_error
from retrain.pipeline import FOLDS, Report
from tests.contracts.scripted_pipeline import Scripted
from tuner.errors import DataError, ParamsError, PoolError, RetrainError
from tuner.experiment import Evaluation, Failure, Measurement, Outcome, Params, Partial

ROOT = Path(__file__).resolve().parents[2]
TASK = Task("one", {"x": 0.5}, seed=3)


class Calls(Scripted):
    def __init__(self, body: Callable[[Params, Report, int], Any]) -> None:
        super().__init__()
        self.body = body

    def evaluate(self, params: Params, report: Report, seed: int) -> Any:
        return self.body(params, report, seed)


Body = Callable[[Params, Report, int], Any]


def outcome(body: Body, told: list[Any] | None = None) -> Evaluation | Failure:
    seen = told if told is not None else []
    result = run_task(Calls(body), TASK, lambda each: seen.append((each.step, dict(each.metrics))))
    assert not isinstance(result, Partial), result
    return result


def failure(body: Body) -> Failure:
    result = outcome(body)
    assert isinstance(result, Failure), result
    return result


def _raise(error: BaseException) -> Body:
    def body(params: Params, report: Report, seed: int) -> Any:
        raise error

    return body


def test_user_code_gets_a_dict_of_its_own_and_the_seed() -> None:
    def body(params: Params, report: Report, seed: int) -> Any:
        params.clear()  # type: ignore[attr-defined]
        return float(seed)

    result = outcome(body)
    assert isinstance(result, Evaluation)
    assert result.value == 3.0
    assert dict(TASK.params) == {"x": 0.5}


def test_what_a_pipeline_measured_and_timed_itself_stands() -> None:
    own = Evaluation(1.0, 0.1, {"b": 2.0}, (Measurement(0, "fold", 1.0),), duration_s=5.0)

    def body(params: Params, report: Report, seed: int) -> Any:
        report(7, {"other": 1.0})
        return own

    assert outcome(body) == own


@pytest.mark.parametrize(
    ("step", "metrics", "expected"),
    [
        (3, {"loss": float("nan")}, Outcome.NON_FINITE),
        (3, {"loss": float("inf")}, Outcome.NON_FINITE),
        (-1, {"loss": 1.0}, Outcome.BAD_RESULT),
        (1.5, {"loss": 1.0}, Outcome.BAD_RESULT),
        (0, {"loss": "low"}, Outcome.BAD_RESULT),
    ],
)
@pytest.mark.parametrize("caught", [False, True])
def test_a_wrong_report_is_a_failure_even_where_user_code_goes_on(
    step: Any, metrics: Any, expected: Outcome, caught: bool
) -> None:
    told: list[Any] = []

    def body(params: Params, report: Report, seed: int) -> Any:
        report(0, {"loss": 2.0})
        try:
            report(step, metrics)
        except Exception:
            if not caught:
                raise
        return 1.0

    result = outcome(body, told)
    assert isinstance(result, Failure)
    assert result.outcome is expected
    assert result.measurements == (Measurement(0, "loss", 2.0),)
    assert told == [(0, {"loss": 2.0})]


def test_an_empty_report_is_none() -> None:
    told: list[Any] = []

    def body(params: Params, report: Report, seed: int) -> Any:
        report(0, {})
        return 1.0

    assert isinstance(outcome(body, told), Evaluation)
    assert told == []


class _MuteError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


class _ExitingError(Exception):
    def __str__(self) -> str:
        raise SystemExit(3)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (_MuteError(), "_MuteError"),
        (_ExitingError(), "_ExitingError"),
        (ValueError("a\0b \ud800 c\nd"), "ValueError: a�b ? c d"),
        (GeneratorExit(), "GeneratorExit"),
        (ExceptionGroup("two", [ValueError("x"), KeyError("y")]), "ExceptionGroup: two"),
    ],
)
def test_whatever_is_raised_becomes_text_that_can_be_stored(error: BaseException, message: str) -> None:
    result = failure(_raise(error))
    assert result.outcome is Outcome.ERROR
    assert result.message.startswith(message)
    for text in (result.message, result.traceback):
        assert "\0" not in text
        text.encode("utf-8")


def test_long_texts_are_cut_from_the_side_that_says_less() -> None:
    result = failure(_raise(ValueError("begins " + "x" * 1_000_000 + "\n" * 200 + "ends")))
    assert result.message.startswith("ValueError: begins")
    assert len(result.message) <= 2_000
    assert result.traceback.endswith("ends")
    assert len(result.traceback) <= 16_000
    assert len(result.traceback.splitlines()) <= 50


def test_reports_of_a_forked_child_are_not_the_workers() -> None:
    told: list[Any] = []

    def body(params: Params, report: Report, seed: int) -> Any:
        parent = os.getpid()
        child = os.fork()
        if child == 0:
            report(0, {"loss": 1.0})
            os._exit(len(told))
        assert os.getpid() == parent
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    result = outcome(body, told)
    assert isinstance(result, Evaluation)
    assert result.value == 0.0
    assert told == []


class _OwnError(RetrainError):
    pass


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (DataError("one class only", "choose another target"), DataError, "one class only"),
        (ParamsError("two faults", "", ["a", "b"]), ParamsError, "two faults"),
        (_OwnError("made by user code"), PoolError, "_OwnError: made by user code"),
        (ModuleNotFoundError("No module named 'objective'"), PoolError, "No module named 'objective'"),
        (SystemExit(2), PoolError, "sys.exit(2)"),
        (_MuteError(), PoolError, "_MuteError"),
    ],
)
def test_why_a_worker_cannot_start(error: BaseException, kind: type[RetrainError], words: str) -> None:
    told = start_error(error)
    assert type(told) is kind
    assert words in str(told)
    if kind is not PoolError:
        assert told.args == error.args


def test_what_use_started_stays_and_what_a_task_started_goes(tmp_path: Path) -> None:
    """In a process of its own, since a Worker adopts the orphans of the process it is in."""
    script = f"""
import os, pickle, subprocess, sys
from orchestrator.pool import Task
from orchestrator.verdicts import Verdicts
from orchestrator.worker import Worker
from tests.contracts.pool_contract import gone, until_gone
from tests.contracts.scripted_pipeline import Scripted

class Serves(Scripted):
    def use(self, data):
        quiet = dict.fromkeys(("stdout", "stderr"), subprocess.DEVNULL)  # else we would wait for its pipes
        self.server = subprocess.Popen(["sleep", "1000"], **quiet)

import cloudpickle
worker = Worker([cloudpickle.dumps(Serves()), pickle.dumps(None)])
server = worker._pipeline.server
note = {str(tmp_path / "pids")!r}
worker.run(Task("one", {{"do": "children", "pids": note, "then": "return"}}, 0), print, Verdicts())
until_gone([int(pid) for pid in open(note).read().split()])
assert not gone(server.pid)
server.kill()
"""
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(("steps", "value", "auc"), [("", 4.0, 0.75), (FOLDS, 2.5, 0.5)])
def test_where_it_stood_is_its_last_step_or_the_mean_of_its_folds(
    steps: str, value: float, auc: float
) -> None:
    class Steps(Calls):
        @property
        def steps(self) -> str:
            return steps

    def body(params: Params, report: Report, seed: int) -> Any:
        for step in range(9):
            report(step, {"value": (1.0, 4.0)[step], "auc": (0.25, 0.75)[step]})

    verdicts = Verdicts()
    verdicts.begin(1)

    def send(report: Progress) -> None:
        if report.step == 1:
            verdicts.prune(1)

    result = run_task(Steps(body), TASK, send, verdicts)
    assert isinstance(result, Partial)
    assert (result.value, result.step, dict(result.metrics)) == (value, 1, {"auc": auc})


class Waits(Verdicts):
    """Keeps how long it was waited for each step, and answers at once, or else never."""

    def __init__(self, now: list[float], stop_at: int, *, answers: bool) -> None:
        super().__init__()
        self.waits: dict[int, float] = {}
        self._now, self._stop_at, self._answers = now, stop_at, answers

    def shall_stop(self, step: int, wait_s: float = 0.0) -> bool:
        self.waits[step] = wait_s
        if not self._answers:
            self._now[0] += wait_s
        return step == self._stop_at


def paced(
    patience: Patience | None, metric: str = "value", stop_at: int = -1, *, answers: bool = True
) -> tuple[Waits, list[Progress]]:
    """A task that reports after 1 ms, 40 ms, 2 s and 100 s, by a clock of its own."""
    now = [0.0]

    def body(params: Params, report: Report, seed: int) -> Any:
        for step, took_s in enumerate((0.001, 0.04, 2.0, 100.0)):
            now[0] += took_s
            report(step, {metric: 1.0})
        return 1.0

    verdicts, sent = Waits(now, stop_at, answers=answers), list[Progress]()
    task = Task("one", {}, seed=0, patience=patience)
    result = run_task(Calls(body), task, sent.append, verdicts, lambda: now[0])
    assert isinstance(result, Partial if stop_at >= 0 else Evaluation)
    return verdicts, sent


def test_it_waits_for_the_word_on_a_report_a_twentieth_of_the_time_since_the_last_one() -> None:
    verdicts, sent = paced(Patience(spare_s=0.0))
    assert verdicts.waits == pytest.approx({0: 0.0, 1: 0.002, 2: 0.1, 3: 0.25})
    assert [each.waits for each in sent] == [False, True, True, True], "and says so, to be answered"


def test_a_short_task_waits_longer_but_not_for_long_in_all() -> None:
    """A tenth of a second beyond its share is lost at most, where nobody answers."""
    answered, _ = paced(Patience())
    assert answered.waits == pytest.approx({0: 0.10005, 1: 0.102, 2: 0.2, 3: 0.25})
    unanswered, _ = paced(Patience(), answers=False)
    assert unanswered.waits == pytest.approx({0: 0.10005, 1: 0.002, 2: 0.1, 3: 0.25})


def test_nothing_waits_that_nobody_judges() -> None:
    for patience, metric in ((None, "value"), (Patience(), "other")):
        verdicts, sent = paced(patience, metric)
        assert not any(verdicts.waits.values())
        assert not any(each.waits for each in sent)


def test_it_ends_at_the_report_on_which_it_was_decided() -> None:
    _, sent = paced(Patience(), stop_at=2)
    assert [each.step for each in sent] == [0, 1, 2]


def test_who_goes_on_although_it_was_stopped_is_not_waited_for_again() -> None:
    now = [0.0]

    def body(params: Params, report: Report, seed: int) -> Any:
        for step in range(4):
            now[0] += 1.0
            with suppress(BaseException):
                report(step, {"value": 1.0})
        return 1.0

    sent: list[Progress] = []
    verdicts, task = Waits(now, 1, answers=True), Task("one", {}, seed=0, patience=Patience())
    result = run_task(Calls(body), task, sent.append, verdicts, lambda: now[0])
    assert isinstance(result, Partial)
    assert [each.waits for each in sent] == [True, True, False, False]
