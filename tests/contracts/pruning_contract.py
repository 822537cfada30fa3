"""What every WorkerPool keeps when tasks are pruned. Subclass it with a fixture `pool`, as `PoolContract`."""

import time
from pathlib import Path

import pytest

from orchestrator.pool import Finished, Progress, Task, WorkerPool
from tests.contracts.pool_contract import run, until_finished, until_free
from tests.contracts.scripted_pipeline import PATIENCE_S, reported, until
from tuner.experiment import Evaluation, Failure, Measurement, Partial


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
