from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from orchestrator.local_pool import LocalPool
from orchestrator.pool import Finished, Progress, Task, WorkerPool
from tests.contracts.pool_contract import (
    PoolContract,
    StartPool,
    StartProgram,
    failure,
    until_finished,
    until_free,
)
from tests.contracts.pruning_contract import PruningContract
from tests.contracts.scripted_pipeline import Scripted
from tests.contracts.unguarded_programs import Program
from tuner.experiment import Outcome

DATA = {"X": np.arange(100.0), "names": ["a", "b"]}


@pytest.fixture(scope="module")
def pool() -> Iterator[WorkerPool]:
    with LocalPool(Scripted(), DATA, 2) as pool:
        yield pool


@pytest.fixture
def start_pool() -> StartPool:
    return LocalPool


@pytest.fixture
def start_program(tmp_path: Path) -> StartProgram:
    return lambda body: Program(tmp_path, LocalPool, body, {})


class TestLocalPool(PoolContract, PruningContract):
    @pytest.mark.parametrize(
        ("do", "params", "message"),
        [
            ("end_process", {"code": 0}, "worker died (exit code 0)"),
            ("end_process", {"code": 3}, "worker died (exit code 3)"),
            ("signal", {"signal": "SIGKILL"}, "worker died (SIGKILL), perhaps for lack of memory"),
            ("signal", {"signal": "SIGTERM"}, "worker died (SIGTERM)"),
        ],
    )
    def test_a_death_is_named(
        self, pool: WorkerPool, do: str, params: dict[str, object], message: str
    ) -> None:
        assert failure(pool, do, **params).message == message

    def test_the_last_words_of_a_dead_worker_are_kept(self, pool: WorkerPool) -> None:
        assert failure(pool, "last_words").traceback == "for example: CUDA error\nout of cheese"

    def test_a_kill_by_the_system_for_lack_of_memory_is_named(
        self, pool: LocalPool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(pool._out_of_memory, "rose", lambda: True)
        result = failure(pool, "signal", signal="SIGKILL")
        assert result.outcome is Outcome.OUT_OF_MEMORY
        assert "memory" in result.message
        assert failure(pool, "signal", signal="SIGSEGV").outcome is Outcome.WORKER_LOST

    def test_a_worker_that_lost_its_connection_is_replaced(self, pool: WorkerPool) -> None:
        assert failure(pool, "close_files").outcome is Outcome.WORKER_LOST

    def test_a_child_that_user_code_forked_does_not_become_a_second_worker(self, pool: WorkerPool) -> None:
        until_free(pool)
        for key in ("a", "b"):
            pool.submit(Task(key, {"do": "fork"}, 0))
        events = until_finished(pool, 2)
        assert sorted(event.key for event in events if isinstance(event, Progress)) == ["a", "b"]
        assert sorted(event.key for event in events if isinstance(event, Finished)) == ["a", "b"]

    def test_it_takes_no_tasks_ahead(self, pool: WorkerPool) -> None:
        with pytest.raises(ValueError, match="no worker is free"):
            pool.submit_ahead([Task("one", {"do": "echo", "x": 0.0}, 0)])

    def test_a_pool_has_at_least_one_worker(self) -> None:
        with pytest.raises(ValueError, match="n_workers"):
            LocalPool(Scripted(), None, 0)
