"""What becomes of a run when Ray fails under it: nodes that go, a head that dies, no memory, no cluster."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from orchestrator.pool import Finished, Task
from orchestrator.processes import descendants
from orchestrator.ray_pool import LOST_AFTER_S, RayPool
from tests.contracts.pool_contract import gone, run, until_finished, until_free
from tests.contracts.scripted_pipeline import PATIENCE_S, Scripted, until
from tests.orchestrator.clusters import Nodes
from tests.orchestrator.projects import HANG, Project
from tuner.experiment import Evaluation, Failure, Outcome, State
from tuner.registry import open_registry

pytestmark = pytest.mark.ray

COMMAND = ("--method", "random", "--configs", "4", "--workers", "2")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Project]]:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    made: list[Project] = []

    def make(body: str) -> Project:
        made.append(Project(tmp_path, body))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    """Two nodes of one CPU each."""
    with Nodes() as nodes:
        nodes.add()
        yield nodes


@pytest.fixture
def joined(nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> Nodes:
    for name, value in nodes.environment.items():
        monkeypatch.setenv(name, value)
    return nodes


def end(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def cpu_s(pid: int) -> float:
    """Seconds that a process has computed so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# ---- a cluster of several nodes. The second test takes its head: keep them in this order.


def test_a_node_may_go_and_come_back(joined: Nodes, tmp_path: Path) -> None:
    with RayPool(Scripted(), None, 3, joined.address) as pool:
        until_free(pool, 2)  # there is no CPU for the third
        marks = [tmp_path / "a", tmp_path / "b"]
        for mark in marks:
            pool.submit(Task(mark.name, {"do": "block", "mark": str(mark)}, 0))
        with pytest.raises(ValueError, match="free"):
            pool.submit(Task("c", {"do": "echo", "x": 0.0}, 0))
        until(lambda: all(mark.exists() for mark in marks), "both run")

        joined.remove()
        (event,) = until_finished(pool, 1)
        assert isinstance(event, Finished)
        assert isinstance(event.result, Failure)
        assert event.result.outcome is Outcome.WORKER_LOST
        assert event.result.message.startswith("worker died (")
        assert pool.n_free == 0, "there is nowhere to run anything"
        before_s = cpu_s(pool._host.pid) + time.process_time()
        assert pool.wait(2.0) == []
        assert cpu_s(pool._host.pid) + time.process_time() - before_s < 1.0, "a busy loop"
        with pytest.raises(ValueError, match="free"):
            pool.submit(Task("c", {"do": "echo", "x": 0.0}, 0))

        joined.add()
        assert isinstance(run(pool, "echo", x=0.5), Evaluation)

        joined.remove()  # with an idle worker
        deadline = time.monotonic() + PATIENCE_S
        while pool.n_free:
            assert time.monotonic() < deadline
            assert pool.wait(0.2) == []
        joined.add()
        assert isinstance(run(pool, "echo", x=0.5), Evaluation)
        pool.cancel(next(mark.name for mark in marks if mark.name != event.key))
        until_finished(pool, 1)


def test_a_lost_head_costs_no_experiment(joined: Nodes, project: Callable[[str], Project]) -> None:
    assert LOST_AFTER_S * 1.25 <= 30  # it is looked at four times in that time
    here = project(HANG)
    process = here.start(
        *COMMAND,
        *("--address", joined.address),
        pool="ray",
        before="from orchestrator import ray_pool; ray_pool.LOST_AFTER_S = 4.0\n",
    )
    here.await_events(b"(", 2)
    os.write(here.gate, b"1")
    here.await_events(b"(", 1)  # the third: the end of another is stored by now
    joined.behead()
    code, out, err = end(process)
    assert (code, out) == (4, "")
    *_, error, remedy = err.splitlines()
    assert error == "error: The Ray cluster was lost. 2 experiments that ran will run again."
    again = f"orchestrator --pool ray {' '.join(COMMAND)} --address {joined.address}"
    assert remedy == f"try: continue with: {again}"
    assert "Traceback" not in err
    _, experiments = here.study()
    assert {(e.failures, e.deaths) for e in experiments} == {(0, 0)}, "not the fault of what ran"
    assert sorted(e.interruptions for e in experiments) == [0, 0, 0, 1, 1]
    assert (here.count(State.COMPLETE), here.count(State.WAITING)) == (1, 4)

    os.write(here.gate, b"1" * 10)  # what ran on the headless nodes may read some of it, to no effect
    code, _, err = here.run()
    assert code == 0, err
    _, experiments = here.study()
    assert [e.value for e in experiments] == [e.params["x"] for e in experiments]


# ---- a cluster of its own


@pytest.fixture
def ray_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where private clusters have their folders; with a short path."""
    folder = Path(tempfile.mkdtemp(prefix="rf-", dir="/tmp"))
    monkeypatch.setenv("RAY_TMPDIR", str(folder))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def test_whatever_ends_the_orchestrator_ray_ends_with_it(
    project: Callable[[str], Project], ray_folder: Path
) -> None:
    here = project(HANG)
    for number in (signal.SIGKILL, signal.SIGINT, signal.SIGTERM):
        process = here.start(*COMMAND, "--grace", "0.1", pool="ray")
        here.await_events(b"(", 2)
        pids = list(descendants(process.pid))
        names = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in pids]
        assert any(b"/gcs_server" in name for name in names)
        assert any(b"/raylet" in name for name in names)
        assert sum(b"ray::RetrainWorker" in name for name in names) == 2
        if number is signal.SIGINT:
            os.killpg(process.pid, number)  # as a terminal does
        else:
            process.send_signal(number)
        code, out, err = end(process)
        assert code == {signal.SIGKILL: -9, signal.SIGINT: 130, signal.SIGTERM: 143}[number], err
        if number is not signal.SIGKILL:
            assert f"continue with: orchestrator --pool ray {' '.join(COMMAND)}" in out
            assert here.count(State.RUNNING) == 0
        # Left alone, Ray's processes need a minute to notice.
        deadline = time.monotonic() + 30
        while not all(map(gone, pids)) or any(ray_folder.iterdir()):
            assert time.monotonic() < deadline, f"{number.name} left {pids} and {[*ray_folder.iterdir()]}"
            time.sleep(0.05)
    _, experiments = here.study()
    assert {(e.failures, e.deaths) for e in experiments} == {(0, 0)}


def test_out_of_memory_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray's own watchdog, which finds each use of memory too much, strikes every five seconds."""
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("RAY_memory_usage_threshold", "0.001")
    monkeypatch.setenv("RAY_memory_monitor_refresh_ms", "5000")
    with RayPool(Scripted(), None, 1) as pool:
        until_free(pool)
        pool.submit(Task("one", {"do": "block", "mark": os.devnull}, 0))
        (event,) = until_finished(pool, 1)
        assert isinstance(event, Finished)
        assert isinstance(event.result, Failure)
        assert event.result.outcome is Outcome.OUT_OF_MEMORY
        assert event.result.message == "worker died (SIGKILL): the system ran out of memory"
        until_free(pool)


# ---- no cluster at all


def _nothing_was_claimed(here: Project) -> bool:
    with open_registry(here.folder / "experiments.db", create=False, read_only=True) as registry:
        experiments = registry.experiments()
        return not any(registry.attempts(experiment) for experiment in experiments)


def _refused(here: Project, *arguments: str, environment: Mapping[str, str] | None = None) -> str:
    """Run a command that must end with one error; what it said."""
    code, out, err = end(here.start(*COMMAND, *arguments, pool="ray", environment=environment))
    assert (code, out) == (4, "")
    assert [line.partition(" ")[0] for line in err.splitlines()[-2:]] == ["error:", "try:"]
    assert sum(line.startswith("error:") for line in err.splitlines()) == 1
    assert "Traceback" not in err
    return err


def test_a_dead_port_is_told_and_nothing_is_claimed(project: Callable[[str], Project]) -> None:
    here = project(HANG)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound but not listening: nobody else gets it, nobody answers
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        error = _refused(here, environment={"RAY_ADDRESS": address})
    assert f"The Ray cluster at {address} cannot be joined: Connection refused" in error
    assert _nothing_was_claimed(here)


def test_another_version_of_ray_is_told_and_nothing_is_claimed(
    project: Callable[[str], Project], ray_cluster: Mapping[str, str], tmp_path: Path
) -> None:
    """Ray compares the versions itself: here the one that joins believes that it is of another."""
    here = project(HANG)
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "sitecustomize.py").write_text("import ray; ray.__version__ = '2.0.1'")
    path = os.pathsep.join([str(tmp_path / "old"), str(Path(__file__).parents[2])])
    error = _refused(here, environment={**ray_cluster, "PYTHONPATH": path})
    assert "Version mismatch" in error
    assert "2.0.1" in error
    assert _nothing_was_claimed(here)


def test_a_folder_that_cannot_be_written_to_is_told(project: Callable[[str], Project]) -> None:
    here = project(HANG)
    error = _refused(here, environment={"RAY_TMPDIR": os.devnull})
    assert f"Ray needs a folder for its files, but none can be made in {os.devnull}: Not a directory" in error
    assert "RAY_TMPDIR" in error.splitlines()[-1]


def test_no_token_is_ever_shown(project: Callable[[str], Project], ray_cluster: Mapping[str, str]) -> None:
    here = project(HANG)
    secret = secrets.token_hex(32)
    error = _refused(
        here, "-v", environment={**ray_cluster, "RAY_AUTH_TOKEN": secret, "RAY_AUTH_TOKEN_PATH": ""}
    )
    assert "token is missing or incorrect" in error
    assert secret not in error
    assert secret.encode() not in (here.folder / "experiments.db").read_bytes()
    assert _nothing_was_claimed(here)
