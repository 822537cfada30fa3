import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.processes import (
    GUARD,
    OutOfMemoryCount,
    death_of,
    descendants,
    kill_session,
    name_of_exit,
    session_members,
)
from orchestrator.ray_actor import end_of_actor
from tests.contracts.pool_contract import until_gone
from tests.contracts.scripted_pipeline import until
from tuner.experiment import Outcome


@pytest.fixture
def family(tmp_path: Path) -> Iterator[tuple[int, list[int]]]:
    """A session leader with a child and a grandchild in a process group of its own."""
    script = (
        f"(set -m; sleep 1000 & echo $! > {tmp_path}/a; sleep 1000 & echo $! > {tmp_path}/b; wait) & wait"
    )
    process = subprocess.Popen(["bash", "-c", script], start_new_session=True)
    notes = [tmp_path / "a", tmp_path / "b"]
    until(lambda: all(note.exists() and note.read_text().strip() for note in notes), "the family is complete")
    yield process.pid, [int(note.read_text()) for note in notes]
    kill_session(process.pid)
    process.wait()


def test_a_family_is_found(family: tuple[int, list[int]]) -> None:
    leader, pids = family
    assert os.getpgid(pids[0]) != os.getpgid(leader)
    assert {leader, *pids} <= session_members(leader)
    assert set(pids) <= descendants(leader)
    assert leader in descendants(os.getpid())


def test_a_session_is_killed_whatever_groups_it_made(family: tuple[int, list[int]]) -> None:
    leader, pids = family
    kill_session(leader, spare={leader})
    until_gone(pids)
    kill_session(leader)
    until_gone([leader])
    kill_session(leader)


@pytest.mark.parametrize(
    ("code", "name"),
    [(-11, "SIGSEGV"), (-9, "SIGKILL"), (0, "exit code 0"), (3, "exit code 3"), (-250, "signal 250")],
)
def test_ends_have_names(code: int, name: str) -> None:
    assert name_of_exit(code) == name


def test_kills_for_lack_of_memory_are_noticed_once() -> None:
    texts = iter([f"nr_free_pages 1\noom_kill {n}\n" for n in (4, 4, 6, 6)])
    count = OutOfMemoryCount(lambda: next(texts))
    assert [count.rose() for _ in range(3)] == [False, True, False]


def test_a_system_that_does_not_count_them_never_says_so() -> None:
    def missing() -> str:
        raise FileNotFoundError

    for read in (missing, lambda: "nr_free_pages 1\n"):
        assert not OutOfMemoryCount(read).rose()


def test_a_death_for_lack_of_memory_names_memory() -> None:
    assert death_of("SIGKILL", "", True).outcome is Outcome.OUT_OF_MEMORY
    assert "memory" in death_of("SIGKILL", "", True).message
    assert death_of("SIGSEGV", "log", False).traceback == "log"


def test_the_last_word_of_the_memory_guard_is_the_message() -> None:
    told = death_of("SIGKILL", f"one\ntwo\n{GUARD}needed more than the 2 GB", False)
    assert (told.outcome, told.message, told.traceback) == (
        Outcome.OUT_OF_MEMORY,
        "needed more than the 2 GB",
        "one\ntwo",
    )


@pytest.mark.parametrize(
    ("words", "log", "outcome", "message"),
    [
        ("exits unexpectedly. Worker exits with an exit code 3.", "", Outcome.WORKER_LOST, "(exit code 3)"),
        ("INTENDED_USER_EXIT ... with an exit code 0.", "", Outcome.WORKER_LOST, "(exit code 0)"),
        ("exit code 1. The process receives a SIGTERM.", "", Outcome.WORKER_LOST, "(SIGTERM)"),
        ("End of file. ... due to SIGSEGV or another", "", Outcome.WORKER_LOST, "killed, or ended"),
        ("End of file.", "*** SIGBUS received at time=1 ***", Outcome.WORKER_LOST, "(SIGBUS)"),
        ("The actor died because its node has died.", "", Outcome.WORKER_LOST, "node was lost"),
        ("Worker exit type: NODE_OUT_OF_MEMORY", "", Outcome.OUT_OF_MEMORY, "memory"),
    ],
)
def test_what_ray_says_of_a_dead_actor(words: str, log: str, outcome: Outcome, message: str) -> None:
    result = end_of_actor(words, log, out_of_memory=False)
    assert result.outcome is outcome
    assert message in result.message
