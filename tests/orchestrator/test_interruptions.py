"""Real orchestrators with real workers, interrupted at random moments: nothing is lost, or runs for ever.

The moments are counted in experiments, from a fixed seed; where in its own course an orchestrator then is, is
up to the scheduler of the machine, so that every run of these tests looks at other instants.
"""

import os
import random
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.orchestrator.projects import HANG, QUICK, Project
from tuner.experiment import State
from tuner.registry import open_registry

N = 30
COMMAND = ("--method", "random", "--configs", str(N))
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 143}


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Callable[..., Project]]:
    made: list[Project] = []

    def make(body: str = QUICK, head: str = "") -> Project:
        made.append(Project(tmp_path, body, head))
        return made[-1]

    yield make
    for each in made:
        each.close()


def end(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def assert_whole(project: Project) -> None:
    """Everything finished exactly once, with its own value."""
    _, experiments = project.study()
    assert len(experiments) == N + 1
    assert {e.state for e in experiments} == {State.COMPLETE}
    assert all(e.value == e.params["x"] for e in experiments)
    assert len({e.params["x"] for e in experiments}) == N + 1
    with open_registry(project.folder / "experiments.db", create=False, read_only=True) as registry:
        for experiment in experiments:
            attempts = registry.attempts(experiment)
            assert [a.number for a in attempts] == list(range(1, experiment.attempt + 1))
            assert [a.ending for a in attempts].count("complete") == 1
            assert {a.ending for a in attempts[:-1]} <= {"released", "lost"}


def test_kill_9_at_any_moment_and_the_same_command_again(project: Callable[..., Project]) -> None:
    random.seed(9)
    here = project()
    for _ in range(3):
        process = here.start(*COMMAND)
        here.await_events(random.choice([b"(", b")"]), random.randint(1, 6))
        process.kill()
        assert end(process)[0] == -signal.SIGKILL
    code, _, err = here.run(*COMMAND)
    assert code == 0, err
    assert "continuing run 1" in err
    assert_whole(here)


def test_signals_at_any_moment_leave_nothing_running(project: Callable[..., Project]) -> None:
    random.seed(19)
    here = project()
    for number, code in CODES.items():
        process = here.start(*COMMAND)
        here.await_events(random.choice([b"(", b")"]), random.randint(1, 6))
        process.send_signal(number)
        ended, out, err = end(process)
        assert ended == code, err
        assert "Traceback" not in err
        assert f"continue with: orchestrator --pool local {' '.join(COMMAND)}" in out
        assert here.count(State.RUNNING) == 0
    assert here.run(*COMMAND)[0] == 0
    assert_whole(here)


def test_ctrl_c_reaches_the_whole_process_group_and_costs_no_experiment(
    project: Callable[..., Project],
) -> None:
    """A terminal sends SIGINT to the workers, too: it must not count as a failure of what they run."""
    here = project()
    process = here.start(*COMMAND)
    here.await_events(b"(", 5)
    os.killpg(process.pid, signal.SIGINT)
    assert end(process)[0] == 130
    _, experiments = here.study()
    assert {e.failures + e.deaths for e in experiments} == {0}
    assert here.count(State.RUNNING) == 0


def test_what_hangs_is_given_back_after_the_grace(project: Callable[..., Project]) -> None:
    here = project(body=HANG)
    process = here.start(*COMMAND, "--workers", "2", "--grace", "0.2")
    here.await_events(b"(", 2)
    process.terminate()
    code, out, _ = end(process)
    assert code == 143
    assert (here.count(State.WAITING), here.count(State.RUNNING)) == (N + 1, 0)
    assert out.startswith("interrupted after")


def test_a_second_signal_does_not_wait_for_the_grace(project: Callable[..., Project]) -> None:
    here = project(body=HANG)
    process = here.start(*COMMAND, "--workers", "2", "--grace", "1h")
    here.await_events(b"(", 2)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)
    assert end(process)[0] == 143
    assert here.count(State.RUNNING) == 0


def test_a_signal_before_anything_is_claimed(project: Callable[..., Project]) -> None:
    here = project(head=f'os.write(EVENTS, b"("); {HANG}')
    process = here.start(*COMMAND, "--workers", "2")
    here.await_events(b"(", 1)
    process.terminate()
    code, out, err = end(process)
    assert (code, out) == (143, "")
    assert err.splitlines() == ["interrupted before anything ran"]
    assert not (here.folder / "experiments.db").exists()


def test_a_reader_that_leaves_does_not_end_the_study(project: Callable[..., Project]) -> None:
    """`orchestrator ... 2>&1 | head -1`."""
    here = project()
    process = here.start(*COMMAND)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stderr.readline()
    process.stderr.close()
    process.stdout.close()
    process.wait(timeout=120)
    assert_whole(here)


@pytest.mark.parametrize("flags", [("-v",), ()])
def test_what_experiments_print_is_shown_where_more_is_asked_for(
    project: Callable[..., Project], flags: tuple[str, ...]
) -> None:
    here = project(body='print("x is", params["x"])')
    code, out, err = here.run("--method", "random", "--configs", "2", "--workers", "1", *flags)
    assert code == 0
    assert " | x is" not in out
    _, experiments = here.study()
    expected = [f"{e.public_id} | x is {e.params['x']}" for e in experiments]
    assert [line for line in err.splitlines() if "x is" in line] == (expected if flags else [])


def test_two_orchestrators_share_the_work(project: Callable[..., Project]) -> None:
    """Both at once on a fresh file, the queue of each drained by both: every experiment runs exactly once."""
    here = project()
    both = [here.start(*COMMAND, "--workers", "1") for _ in range(2)]
    for process in both:
        code, _, err = end(process)
        assert code == 0, err
    _, experiments = here.study()
    assert len(experiments) == 2 * N + 1
    assert {(e.state, e.attempt) for e in experiments} == {(State.COMPLETE, 1)}
