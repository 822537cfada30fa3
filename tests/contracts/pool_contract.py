"""What every WorkerPool keeps. An implementation's test file subclasses `PoolContract` and starts the pools.

One that takes tasks ahead subclasses `AheadPoolContract`, which adds what that asks for.

The pool is shared by the tests of a class, so that each also shows that the one before left it whole.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orchestrator.pool import Event, Finished, Printed, Progress, Returned, Started, Task, WorkerPool
from retrain.pipeline import Pipeline
from tests.contracts.scripted_pipeline import PATIENCE_S, Fatal, Lost, Picky, Scripted, until
from tests.contracts.unguarded_programs import INTERRUPTED, KILLED, SEIZED, UNGUARDED, Program
from tuner.errors import DataError, PoolError, UsageError
from tuner.experiment import Evaluation, Failure, Measurement, Outcome, Partial

StartPool = Callable[..., WorkerPool]
StartProgram = Callable[[str], Program]


def gone(pid: int) -> bool:
    """Whether a process has ended. A zombie has: only its parent can remove it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


def until_gone(pids: list[int]) -> None:
    """Wait until these processes have ended."""
    until(lambda: all(map(gone, pids)), f"all of {pids} are gone")


def until_free(pool: WorkerPool, n: int | None = None) -> None:
    """Wait until `n` workers (default: all) are free; nothing else may happen meanwhile."""
    deadline = time.monotonic() + PATIENCE_S
    while pool.n_free < (pool.n_workers if n is None else n):
        assert pool.wait(1.0) == []
        assert time.monotonic() < deadline, f"only {pool.n_free} workers are free"


def until_finished(pool: WorkerPool, n: int) -> list[Event]:
    """Wait for `n` ends; return all that happened."""
    events: list[Event] = []
    deadline = time.monotonic() + PATIENCE_S
    while sum(isinstance(event, Finished) for event in events) < n:
        assert time.monotonic() < deadline, f"only saw {events}"
        events += pool.wait(1.0)
    return events


def run(pool: WorkerPool, do: str, **params: Any) -> Evaluation | Failure | Partial:
    """Run one task to its end."""
    until_free(pool, 1)
    pool.submit(Task("one", {"do": do, **params}, seed=11))
    events = until_finished(pool, 1)
    assert {event.key for event in events} == {"one"}
    (end,) = (event for event in events if not isinstance(event, Printed))
    assert isinstance(end, Finished)
    return end.result


def failure(pool: WorkerPool, do: str, **params: Any) -> Failure:
    """Run one task that must fail; its text must be fit for a row."""
    result = run(pool, do, **params)
    assert isinstance(result, Failure), result
    assert result.message
    assert "\n" not in result.message
    assert len(result.message) <= 2_000
    assert len(result.traceback) <= 16_000
    return result


class PoolContract:
    """Subclass it with the fixtures `start_pool` (a StartPool) and `pool` (Scripted, two workers, shared)."""

    @pytest.fixture(autouse=True)
    def _left_whole(self, pool: WorkerPool) -> Iterator[None]:
        until_free(pool)
        yield
        until_free(pool)
        assert pool.n_free == pool.n_workers == 2
        assert pool.wait(0.0) == []

    def test_it_is_held_to_what_it_claims(self, pool: WorkerPool) -> None:
        assert pool.takes_ahead == isinstance(self, AheadPoolContract)

    # ---- results

    def test_a_result_is_made_of_plain_values(self, pool: WorkerPool) -> None:
        result = run(pool, "echo", x=0.25)
        assert isinstance(result, Evaluation)
        assert (result.value, dict(result.metrics)) == (0.25, {"seed": 11.0, "third": 0.5, "count": 3.0})
        assert {type(value) for value in [result.value, *result.metrics.values()]} == {float}
        assert result.duration_s is not None
        assert result.duration_s > 0

    def test_the_data_reach_the_workers(self, pool: WorkerPool) -> None:
        result = run(pool, "data")
        assert isinstance(result, Evaluation)
        assert (result.value, dict(result.metrics)) == (4950.0, {"rows": 2.0})

    def test_a_worker_is_where_its_starter_is(self, pool: WorkerPool) -> None:
        assert isinstance(run(pool, "cwd", cwd=str(Path.cwd())), Evaluation)

    def test_the_pipeline_is_built_once_per_worker(self, start_pool: StartPool) -> None:
        with start_pool(Scripted(), None, 1) as pool:
            results = [run(pool, "count") for _ in range(3)]
        counts = [result.metrics for result in results if isinstance(result, Evaluation)]
        assert [(each["n_uses"], each["n_calls"]) for each in counts] == [(1, 1), (1, 2), (1, 3)]
        assert len({each["pid"] for each in counts}) == 1

    def test_what_user_code_prints_disturbs_nothing(self, pool: WorkerPool, capfd: Any) -> None:
        assert isinstance(run(pool, "chatter"), Evaluation)
        assert capfd.readouterr() == ("", "")

    def test_what_user_code_prints_is_told_where_asked_for(
        self, start_pool: StartPool, tmp_path: Path
    ) -> None:
        go = tmp_path / "go"
        with start_pool(Scripted(), None, 1, echo=True) as pool:
            run(pool, "chatter")
            until_free(pool)
            pool.submit(Task("one", {"do": "say", "go": str(go)}, 0))
            events: list[Event] = []
            deadline = time.monotonic() + PATIENCE_S
            while not events:
                assert time.monotonic() < deadline
                events += pool.wait(1.0)
            assert events == [Printed("one", ("one     tab",))], events
            go.touch()
            *news, end = until_finished(pool, 1)
            assert isinstance(end, Finished)
            lines = [line for each in news if isinstance(each, Printed) for line in each.lines]
            assert lines == ["half a line", "100 %", "no \ufffdend"]

    # ---- failures that leave the worker alive

    @pytest.mark.parametrize(
        ("do", "params", "outcome", "words"),
        [
            ("raise", {}, Outcome.ERROR, "ValueError: max_depth must be positive, not -1"),
            ("exit", {"code": 0}, Outcome.ERROR, "the pipeline called sys.exit(0)"),
            ("exit", {"code": 3}, Outcome.ERROR, "the pipeline called sys.exit(3)"),
            ("interrupt", {}, Outcome.ERROR, "KeyboardInterrupt"),
            ("hostile", {}, Outcome.ERROR, "HostileError: 1 and 2"),
            ("recursion", {}, Outcome.ERROR, "RecursionError"),
            ("memory", {}, Outcome.OUT_OF_MEMORY, "MemoryError"),
            ("lambda", {}, Outcome.BAD_RESULT, "function"),
            ("text", {}, Outcome.BAD_RESULT, "'0.93'"),
            ("misspelt", {}, Outcome.BAD_RESULT, "'valeu'"),
            ("heavy", {}, Outcome.BAD_RESULT, "bytes"),
            ("flood", {}, Outcome.BAD_RESULT, "at most"),
            ("nan", {}, Outcome.NON_FINITE, "nan"),
        ],
    )
    def test_a_failure_has_a_class_and_keeps_its_worker(
        self, pool: WorkerPool, do: str, params: dict[str, Any], outcome: Outcome, words: str
    ) -> None:
        result = failure(pool, do, **params)
        assert result.outcome is outcome
        assert words in result.message
        assert pool.n_free == 2, "the worker must be free at once, not replaced"

    def test_a_failure_shows_where(self, pool: WorkerPool) -> None:
        lines = failure(pool, "raise").traceback.splitlines()
        assert any("in do_raise" in line for line in lines)
        assert not any("in run_task" in line for line in lines)
        assert len(failure(pool, "recursion").traceback.splitlines()) <= 50

    # ---- deaths

    @pytest.mark.parametrize(
        ("do", "params", "words"),
        [
            ("end_process", {"code": 0}, "worker died"),
            ("end_process", {"code": 3}, "worker died"),
            ("signal", {"signal": "SIGKILL"}, "worker died"),
            ("signal", {"signal": "SIGSEGV"}, "worker died (SIGSEGV)"),
            ("signal", {"signal": "SIGABRT"}, "worker died (SIGABRT)"),
        ],
    )
    def test_a_task_may_take_its_worker_along(
        self, pool: WorkerPool, do: str, params: dict[str, Any], words: str
    ) -> None:
        result = failure(pool, do, **params)
        assert result.outcome is Outcome.WORKER_LOST
        assert result.message.startswith(words)
        assert pool.n_free == 1
        until_free(pool)
        assert isinstance(run(pool, "echo", x=1.0), Evaluation)

    def test_a_crash_leaves_its_stack(self, pool: WorkerPool) -> None:
        assert "do_signal" in failure(pool, "signal", signal="SIGSEGV").traceback

    def test_memory_has_a_limit_that_children_count_in(self, start_pool: StartPool) -> None:
        with start_pool(
            Scripted(), {"X": np.arange(100.0), "names": [1]}, 1, memory_bytes=500_000_000
        ) as pool:
            for where in ("here", "children"):
                end = failure(pool, "hold", where=where, mb=800)
                assert end.outcome is Outcome.OUT_OF_MEMORY
                assert end.message == "needed more than the 500 MB of --experiment-memory"
            assert isinstance(run(pool, "data"), Evaluation)  # the worker was replaced

    def test_a_pipeline_beyond_the_limit_is_told(self, start_pool: StartPool) -> None:
        with start_pool(Scripted(), None, 1, memory_bytes=1_000_000) as pool:
            with pytest.raises(PoolError, match="cannot hold the pipeline and its data") as raised:
                until(lambda: len(pool.wait(1.0)) > 9, "the pool gives up")
            assert "Give more --experiment-memory" in raised.value.remedy

    def test_an_idle_worker_that_dies_is_replaced(self, start_pool: StartPool) -> None:
        with start_pool(Scripted(), None, 1) as pool:
            first = run(pool, "count")
            assert isinstance(first, Evaluation)
            os.kill(int(first.metrics["pid"]), signal.SIGKILL)
            deadline = time.monotonic() + PATIENCE_S
            n_looks = 0  # after its death: the next one may be there before anyone saw that a place was empty
            while pool.n_free and n_looks < 20:
                assert time.monotonic() < deadline
                n_looks += not Path(f"/proc/{int(first.metrics['pid'])}").exists()
                assert pool.wait(0.1) == []
            until_free(pool)
            second = run(pool, "count")
            assert isinstance(second, Evaluation)
            assert second.metrics["pid"] != first.metrics["pid"]

    # ---- cancelling

    @pytest.mark.parametrize("how", ["spin", "block", "seize"])
    def test_a_hanging_task_can_be_cancelled(self, pool: WorkerPool, tmp_path: Path, how: str) -> None:
        marks = [tmp_path / "hangs", tmp_path / "stays"]
        pool.submit(Task("hangs", {"do": how, "mark": str(marks[0])}, 0))
        pool.submit(Task("stays", {"do": "meet", "mine": str(marks[1]), "theirs": str(tmp_path / "go")}, 0))
        until(lambda: all(mark.exists() for mark in marks), "both run")
        pool.cancel("no such task")
        pool.cancel("hangs")
        events = until_finished(pool, 1)
        assert [event.key for event in events] == ["hangs"]
        assert isinstance(events[0], Finished)
        assert isinstance(events[0].result, Failure)
        assert events[0].result.outcome is Outcome.CANCELLED
        pool.cancel("hangs")
        (tmp_path / "go").touch()
        events = until_finished(pool, 1)
        assert [event.key for event in events] == ["stays"]
        assert isinstance(events[0], Finished)
        assert isinstance(events[0].result, Evaluation)

    def test_a_task_that_is_over_cannot_be_cancelled(self, pool: WorkerPool) -> None:
        run(pool, "echo", x=0.0)
        pool.cancel("one")
        assert isinstance(run(pool, "echo", x=0.0), Evaluation)

    # ---- children

    @pytest.mark.parametrize("then", ["return", "raise", "hang"])
    def test_children_go_with_their_task(self, pool: WorkerPool, tmp_path: Path, then: str) -> None:
        note = tmp_path / "pids"
        pool.submit(Task("one", {"do": "children", "pids": str(note), "then": then}, 0))
        until(note.exists, "the children run")
        pids = [int(pid) for pid in note.read_text().split()]
        assert len(pids) == 3
        if then == "hang":
            assert not any(map(gone, pids))
            pool.cancel("one")
        until_finished(pool, 1)
        until_gone(pids)

    def test_children_go_with_their_worker(self, pool: WorkerPool, tmp_path: Path) -> None:
        note = tmp_path / "pids"
        assert failure(pool, "child_and_die", pids=str(note)).outcome is Outcome.WORKER_LOST
        until_gone([int(note.read_text())])

    # ---- progress

    def test_reports_come_while_the_task_runs_and_in_order(self, pool: WorkerPool, tmp_path: Path) -> None:
        go = tmp_path / "go"
        pool.submit(Task("one", {"do": "report", "go": str(go)}, 0))
        events: list[Event] = []
        deadline = time.monotonic() + PATIENCE_S
        while not events:
            assert time.monotonic() < deadline
            events += pool.wait(1.0)
        assert events == [Progress("one", 0, {"loss": 3.0})]
        go.touch()
        *reports, end = until_finished(pool, 1)
        assert reports == [Progress("one", 1, {"loss": 2.0, "auc": 0.5}), Progress("one", 2, {"loss": 1.0})]
        assert isinstance(end, Finished)
        assert isinstance(end.result, Evaluation)
        assert end.result.measurements == (
            Measurement(0, "loss", 3.0),
            Measurement(1, "loss", 2.0),
            Measurement(1, "auc", 0.5),
            Measurement(2, "loss", 1.0),
        )

    # ---- accounting

    def test_workers_run_side_by_side_and_are_counted(self, pool: WorkerPool, tmp_path: Path) -> None:
        a, b = str(tmp_path / "a"), str(tmp_path / "b")
        pool.submit(Task("a", {"do": "meet", "mine": a, "theirs": b}, 0))
        assert pool.n_free == 1
        with pytest.raises(ValueError, match="'a'"):
            pool.submit(Task("a", {"do": "echo", "x": 0.0}, 0))
        pool.submit(Task("b", {"do": "meet", "mine": b, "theirs": a}, 0))
        assert pool.n_free == 0
        with pytest.raises(ValueError, match="free"):
            pool.submit(Task("c", {"do": "echo", "x": 0.0}, 0))
        events = until_finished(pool, 2)
        assert {event.key for event in events} == {"a", "b"}
        assert all(isinstance(event, Finished) and isinstance(event.result, Evaluation) for event in events)
        assert pool.n_free == 2

    def test_every_task_ends_exactly_once_whatever_happens_around_it(
        self, pool: WorkerPool, tmp_path: Path
    ) -> None:
        ends: list[tuple[dict[str, Any], Outcome | None]] = [
            ({"do": "echo", "x": 0.0}, None),
            ({"do": "end_process", "code": 1}, Outcome.WORKER_LOST),
            ({"do": "raise"}, Outcome.ERROR),
            ({"do": "block", "mark": str(tmp_path / "mark")}, Outcome.CANCELLED),
            ({"do": "interrupt"}, Outcome.ERROR),
        ] * 2
        waiting = [Task(str(i), params, 0) for i, (params, _) in enumerate(ends)]
        hanging = [task.key for task in waiting if task.params["do"] == "block"]
        seen: list[Finished] = []
        deadline = time.monotonic() + PATIENCE_S
        while len(seen) < len(ends):
            assert time.monotonic() < deadline, f"only saw {seen}"
            while waiting and pool.n_free:
                pool.submit(waiting.pop())
            seen += [event for event in pool.wait(0.2) if isinstance(event, Finished)]
            for key in hanging:
                pool.cancel(key)
        outcomes = {int(end.key): getattr(end.result, "outcome", None) for end in seen}
        assert outcomes == {i: outcome for i, (_, outcome) in enumerate(ends)}

    def test_nothing_to_wait_for_ends_with_the_timeout(self, pool: WorkerPool) -> None:
        assert pool.wait(0.01) == []

    # ---- start and end

    @pytest.mark.parametrize(
        ("pipeline", "kind", "words"),
        [
            (Picky(), DataError, "has one class only"),
            (Lost(), PoolError, "a_module_that_is_nowhere"),
            (Fatal(), PoolError, "die before they can work"),
        ],
    )
    def test_a_pipeline_that_cannot_be_built_is_told_once(
        self, start_pool: StartPool, pipeline: Pipeline, kind: type[Exception], words: str
    ) -> None:
        with start_pool(pipeline, None, 1) as pool, pytest.raises(kind, match=words):
            until_free(pool)

    def test_a_pipeline_that_cannot_travel_is_refused(self, start_pool: StartPool) -> None:
        pipeline = Scripted()
        pipeline.lock = threading.Lock()  # type: ignore[attr-defined]
        with pytest.raises(UsageError, match="picklable"):
            start_pool(pipeline, None, 1)

    def test_closing_ends_everything_and_may_be_repeated(self, start_pool: StartPool, tmp_path: Path) -> None:
        pool = start_pool(Scripted(), None, 1)
        until_free(pool)
        note = tmp_path / "pids"
        pool.submit(Task("one", {"do": "children", "pids": str(note), "then": "hang"}, 0))
        until(note.exists, "the children run")
        pool.close()
        pool.close()
        until_gone([int(pid) for pid in note.read_text().split()])
        assert pool.n_free == 0
        with pytest.raises(PoolError):
            pool.submit(Task("two", {"do": "echo"}, 0))
        with pytest.raises(PoolError):
            pool.wait(0.0)

    # ---- programs

    def test_a_script_needs_no_guard(self, start_program: StartProgram) -> None:
        """No `if __name__ == "__main__"`, and a closure over a class of the script's own."""
        with start_program(UNGUARDED) as program:
            assert program.lines(1) == ["[1.5, 2.5]"]
            assert program.exit_code() == 0

    def test_ctrl_c_at_the_terminal_leaves_running_tasks_alone(self, start_program: StartProgram) -> None:
        """SIGINT goes to the whole foreground group; the driver may want to finish what runs."""
        with start_program(INTERRUPTED) as program:
            program.lines(1)
            os.killpg(program.pid, signal.SIGINT)
            program.lines(2)
            program.touch("go")
            assert program.lines(3) == ["running", "heard", "Evaluation"]
            assert program.exit_code() == 0

    @pytest.mark.parametrize("body", [KILLED, SEIZED], ids=["sleeping", "holding the interpreter"])
    def test_a_killed_program_leaves_nothing(self, start_program: StartProgram, body: str) -> None:
        with start_program(body) as program:
            pids = [int(pid) for pid in program.lines(1)[0].split()]
            assert not any(map(gone, pids))
            os.kill(program.pid, signal.SIGKILL)
            until_gone(pids)


class AheadPoolContract(PoolContract):
    """The same for a pool that takes more tasks than workers are free (`takes_ahead`)."""

    def test_tasks_ahead_begin_in_order_each_told_before_its_end(self, pool: WorkerPool) -> None:
        tasks = [Task(f"t{n}", {"do": "echo", "x": float(n)}, 0) for n in range(8)]
        pool.submit_ahead(tasks)
        events = until_finished(pool, 8)
        assert [event.key for event in events if isinstance(event, Started)] == [task.key for task in tasks]
        for task in tasks:
            began, ended = (event for event in events if event.key == task.key)
            assert isinstance(began, Started)
            assert isinstance(ended, Finished)
            assert isinstance(ended.result, Evaluation)
            assert ended.result.value == task.params["x"]

    def test_a_dead_worker_gives_back_what_was_ahead(self, start_pool: StartPool) -> None:
        with start_pool(Scripted(), None, 1) as alone:
            until_free(alone)
            kill = Task("kill", {"do": "signal", "signal": "SIGKILL"}, 0)
            alone.submit_ahead([kill, *(Task(f"t{n}", {"do": "echo", "x": 1.0}, 0) for n in range(3))])
            events = until_finished(alone, 1)
            while sum(isinstance(event, Returned) for event in events) < 3:
                events += alone.wait(PATIENCE_S)
            assert [event.key for event in events if isinstance(event, Returned)] == ["t0", "t1", "t2"]
            assert isinstance(run(alone, "echo", x=1.0), Evaluation)

    def test_a_task_ahead_can_be_cancelled(self, pool: WorkerPool, tmp_path: Path) -> None:
        marks = [tmp_path / "first", tmp_path / "second"]
        meet = [{"do": "meet", "mine": str(mark), "theirs": str(tmp_path / "go")} for mark in marks]
        tasks = [Task(f"meet{n}", params, 0) for n, params in enumerate(meet)]
        pool.submit_ahead([*tasks, Task("ahead", {"do": "echo", "x": 1.0}, 0)])
        until(lambda: all(mark.exists() for mark in marks), "both run")
        pool.cancel("ahead")
        [end] = [event for event in until_finished(pool, 1) if isinstance(event, Finished)]
        assert isinstance(end.result, Failure)
        assert (end.key, end.result.outcome) == ("ahead", Outcome.CANCELLED)
        (tmp_path / "go").touch()
        assert {event.key for event in until_finished(pool, 2)} == {"meet0", "meet1"}
