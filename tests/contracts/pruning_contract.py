"""What every WorkerPool keeps when tasks are pruned. Subclass it with a fixture `pool`, as `PoolContract`."""

import time
from pathlib import Path

import pytest

from orchestrator.pool import Finished, Patience, Progress, Task, WorkerPool
from tests.contracts.pool_contract import run, until_finished, until_free
from tests.contracts.scripted_pipeline import PATIENCE_S, reported, until
from tuner.experiment import Evaluation, Failure, Measurement, Outcome, Partial

PATIENT = Patience(most_s=3600.0, share=1e12)
"""Waits for the word however long that takes."""


def prune_after_first_report(
    pool: WorkerPool, do: str, go: Path | None = None
) -> Evaluation | Failure | Partial:
    """Run one task, and ask for its end once it has reported; `go` is touched then."""
    until_free(pool)
    pool.submit(Task("one", {"do": do, "go": str(go)}, seed=0))
    deadline = time.monotonic() + PATIENCE_S
    while not any(isinstance(event, Progress) for event in pool.wait(1.0)):
        assert time.monotonic() < deadline
    if go is not None:
        until(reported(go).exists, "its first report is over")
    pool.prune("one")
    if go is not None:
        go.touch()
    end = until_finished(pool, 1)[-1]
    assert isinstance(end, Finished)
    assert pool.n_free == pool.n_workers, "the worker must be free at once, not replaced"
    return end.result


def until_reported(pool: WorkerPool, step: int) -> None:
    """Answer all reports but that of this step, at which the task waits from then on."""
    seen: list[Progress] = []
    deadline = time.monotonic() + PATIENCE_S
    while not any(each.step == step for each in seen):
        assert time.monotonic() < deadline, f"only saw {seen}"
        for event in pool.wait(1.0):
            assert isinstance(event, Progress), event
            assert event.waits
            assert event.step <= step, "it waits for each answer"
            seen.append(event)
            if event.step < step:
                pool.go_on(event.key, event.step)


class PruningContract:
    @pytest.mark.parametrize(
        "do", ["count_up", "count_up_carelessly", "count_up_for_ever", "count_up_and_fail"]
    )
    def test_a_task_stops_at_its_next_report_and_keeps_what_it_reported(
        self, pool: WorkerPool, do: str
    ) -> None:
        result = prune_after_first_report(pool, do)
        assert isinstance(result, Partial), result
        assert type(result.step) is int
        assert type(result.value) is float
        assert (result.value, dict(result.metrics)) == (10.0 + result.step, {"auc": 0.5})
        assert result.measurements == tuple(
            Measurement(step, name, value)
            for step in range(result.step + 1)
            for name, value in (("value", 10.0 + step), ("auc", 0.5))
        )
        assert result.duration_s is not None
        assert result.duration_s > 0

    @pytest.mark.parametrize("step", [0, 3])
    @pytest.mark.parametrize("do", ["count_up", "count_up_for_ever", "count_up_and_fail"])
    def test_a_stop_that_is_decided_on_a_report_ends_the_task_at_that_report(
        self, pool: WorkerPool, do: str, step: int
    ) -> None:
        until_free(pool)
        pool.submit(Task("one", {"do": do}, seed=0, patience=PATIENT))
        until_reported(pool, step)
        pool.prune("one")
        [end] = until_finished(pool, 1)
        assert isinstance(end, Finished)
        assert isinstance(end.result, Partial), end.result
        assert (end.result.step, end.result.value) == (step, 10.0 + step)

    def test_one_that_nobody_answers_goes_on(self, pool: WorkerPool) -> None:
        until_free(pool)
        patience = Patience(most_s=0.002, share=1e12)
        pool.submit(Task("one", {"do": "count_to_three"}, seed=0, patience=patience))
        *reports, end = until_finished(pool, 1)
        assert [each.waits for each in reports if isinstance(each, Progress)] == [True] * 3
        assert isinstance(end, Finished)
        assert isinstance(end.result, Evaluation)
        assert isinstance(run(pool, "echo", x=0.5), Evaluation), "the next one is not judged"

    def test_one_that_waits_can_be_cancelled(self, pool: WorkerPool) -> None:
        until_free(pool)
        pool.submit(Task("one", {"do": "count_up"}, seed=0, patience=PATIENT))
        until_reported(pool, 1)
        pool.go_on("nobody", 1)
        pool.go_on("one", 0)
        pool.cancel("one")
        [end] = until_finished(pool, 1)
        assert isinstance(end, Finished)
        assert isinstance(end.result, Failure)
        assert end.result.outcome is Outcome.CANCELLED

    @pytest.mark.parametrize("do", ["report_once", "report_something_else"])
    def test_a_task_without_a_report_to_stop_at_simply_finishes(
        self, pool: WorkerPool, tmp_path: Path, do: str
    ) -> None:
        result = prune_after_first_report(pool, do, tmp_path / "go")
        assert isinstance(result, Evaluation), result
        assert result.value == 1.0

    def test_a_task_that_is_over_or_unknown_cannot_be_pruned(self, pool: WorkerPool) -> None:
        assert isinstance(run(pool, "echo", x=0.5), Evaluation)
        pool.prune("one")
        pool.prune("nobody")
        until_free(pool)
        pool.submit(Task("two", {"do": "count_to_three"}, seed=0))
        (*_, end) = until_finished(pool, 1)
        assert isinstance(end, Finished)
        assert isinstance(end.result, Evaluation)

    def test_a_stop_that_follows_its_task_at_once_is_never_lost(self, pool: WorkerPool) -> None:
        """However often: on the way to a worker it may overtake the task."""
        until_free(pool)
        for _ in range(30):
            pool.submit(Task("one", {"do": "count_up"}, seed=0))
            pool.prune("one")
            (*_, end) = until_finished(pool, 1)
            assert isinstance(end, Finished)
            assert isinstance(end.result, Partial), end.result

    def test_only_the_task_that_is_meant_is_pruned(self, pool: WorkerPool, tmp_path: Path) -> None:
        until_free(pool)
        pool.submit(Task("other", {"do": "report_and_wait", "go": str(tmp_path / "go")}, seed=0))
        pool.submit(Task("one", {"do": "count_up"}, seed=0))
        pool.prune("one")
        ends = [event for event in until_finished(pool, 1) if isinstance(event, Finished)]
        assert [(end.key, type(end.result)) for end in ends] == [("one", Partial)]
        (tmp_path / "go").touch()
        (*_, end) = until_finished(pool, 1)
        assert isinstance(end, Finished)
        assert (end.key, type(end.result)) == ("other", Evaluation)
