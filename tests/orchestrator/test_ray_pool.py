import os
import signal
import socket
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest

from orchestrator import ray_pool
from orchestrator.pool import Returned, Task, WorkerPool
from orchestrator.processes import session_members
from orchestrator.ray_pool import RayPool
from tests.contracts.pool_contract import (
    AheadPoolContract,
    StartPool,
    StartProgram,
    run,
    until_free,
    until_gone,
)
from tests.contracts.pruning_contract import PruningContract
from tests.contracts.scripted_pipeline import Scripted, until
from tests.contracts.unguarded_programs import Program
from tuner.errors import PoolError, UsageError
from tuner.experiment import Evaluation

pytestmark = pytest.mark.ray

DATA = {"X": np.arange(100.0), "names": ["a", "b"]}


@pytest.fixture(scope="module")
def pool(ray_cluster: Mapping[str, str]) -> Iterator[WorkerPool]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ray_cluster.items():
            patch.setenv(name, value)
        with RayPool(Scripted(), DATA, 2) as pool:
            yield pool


@pytest.fixture
def start_pool(ray_address: str) -> StartPool:
    return RayPool


@pytest.fixture
def start_program(tmp_path: Path, ray_cluster: Mapping[str, str]) -> StartProgram:
    return lambda body: Program(tmp_path, RayPool, body, ray_cluster)


class TestRayPool(AheadPoolContract, PruningContract):
    pass


def test_a_task_that_meets_no_living_worker_comes_back_at_once(ray_address: str) -> None:
    """Its worker died, and nobody knew yet: here it has not started, which is the same to the host."""
    with RayPool(Scripted(), None, 1) as pool:
        pool._n_free = 1
        pool.submit(Task("one", {"do": "echo", "x": 0.0}, 0))
        events = pool.wait(30.0)
        while not events:  # the pool is told of its connection first
            events = pool.wait(30.0)
        assert events == [Returned("one")]
        assert pool.n_free == 1
        pool._n_free -= 1  # and now the death is known
        assert isinstance(run(pool, "echo", x=0.5), Evaluation)
        assert pool.n_free == 1


def _processes(pool: RayPool, name: str) -> list[int]:
    """Pids of a private cluster's processes whose command line holds `name`."""
    return [pid for pid in session_members(pool._host.pid) if name in _line(pid)]


def _line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:  # it ended meanwhile
        return ""


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]


class TestPrivateCluster:
    @pytest.fixture
    def private(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[RayPool]:
        monkeypatch.delenv("RAY_ADDRESS", raising=False)
        monkeypatch.setattr(ray_pool, "LOST_AFTER_S", 4.0)
        with RayPool(Scripted(), DATA, 3) as pool:
            yield pool

    def test_it_is_ours_alone_tells_of_its_end_and_leaves_nothing(
        self, private: RayPool, tmp_path: Path
    ) -> None:
        until_free(private)  # three workers, however many CPUs this machine has
        assert isinstance(run(private, "echo", x=0.5), Evaluation)
        folder = Path(private._folder or "")
        token = folder / "token"
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert stat.S_IMODE(token.stat().st_mode) == 0o600
        pids = _processes(private, "")
        assert len(pids) > 5
        servers = _processes(private, "/gcs_server ") + _processes(private, "/raylet/raylet --")
        assert len(servers) == 2
        for pid in servers:
            environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
            assert b"RAY_AUTH_MODE=token" in environment
            assert f"RAY_AUTH_TOKEN_PATH={token}".encode() in environment
        secret = token.read_text()
        assert len(secret) == 64
        assert not _processes(private, secret)
        assert [path for path in _files(folder) if secret.encode() in path.read_bytes()] == [token]
        assert not _processes(private, "ray::DashboardHead")
        assert all("--disable-frontend" in _line(pid) for pid in _processes(private, "dashboard.py"))

        private.submit(Task("one", {"do": "block", "mark": str(tmp_path / "runs")}, 0))
        until((tmp_path / "runs").exists, "the task runs")
        os.kill(_processes(private, "/gcs_server ")[0], signal.SIGKILL)
        with pytest.raises(PoolError, match="cluster was lost"):
            assert private.wait(30.0) == []
        with pytest.raises(PoolError, match="cluster was lost"):
            private.submit(Task("two", {"do": "echo"}, 0))
        private.close()
        until_gone(pids)
        assert not folder.exists()


class TestJoining:
    def test_a_dead_port_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))  # bound but not listening: nobody else gets it, nobody answers
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            monkeypatch.setenv("RAY_ADDRESS", address)
            with (
                RayPool(Scripted(), None, 1) as pool,
                pytest.raises(PoolError, match=f"{address}.*refused"),
            ):
                pool.wait(30.0)

    def test_silence_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ray_pool, "CONNECT_TIMEOUT_S", 2.0)
        with socket.create_server(("127.0.0.1", 0)) as silent:
            address = f"127.0.0.1:{silent.getsockname()[1]}"
            with (
                RayPool(Scripted(), None, 1, address) as pool,
                pytest.raises(PoolError, match="did not answer"),
            ):
                pool.wait(30.0)

    @pytest.mark.parametrize("mode", ["token", "disabled"])
    def test_whoever_has_not_the_token_is_refused_at_once(
        self, ray_address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str
    ) -> None:
        (tmp_path / "token").write_text("0" * 64)
        monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "token"))
        monkeypatch.setenv("RAY_AUTH_MODE", mode)
        with (
            RayPool(Scripted(), None, 1) as pool,
            pytest.raises(PoolError, match="token is missing or incorrect") as caught,
        ):
            until_free(pool)
        assert "RAY_AUTH_TOKEN" in caught.value.remedy
        assert "0" * 64 not in f"{caught.value} {caught.value.remedy}"

    def test_a_token_may_come_in_the_environment(
        self, ray_address: str, ray_cluster: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("RAY_AUTH_TOKEN_PATH")
        monkeypatch.setenv("RAY_AUTH_TOKEN", Path(ray_cluster["RAY_AUTH_TOKEN_PATH"]).read_text())
        with RayPool(Scripted(), None, 1) as pool:
            assert isinstance(run(pool, "echo", x=0.5), Evaluation)

    def test_a_missing_token_is_told(self, ray_address: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", "/nowhere/token")
        with RayPool(Scripted(), None, 1) as pool, pytest.raises(PoolError, match="/nowhere/token") as caught:
            until_free(pool)
        assert "RAY_AUTH_MODE" in caught.value.remedy

    @pytest.mark.parametrize("address", ["ray://head:10001", "head", "head:port"])
    def test_an_address_of_another_kind_is_refused(self, address: str) -> None:
        with pytest.raises(UsageError, match="HOST:PORT"):
            RayPool(Scripted(), None, 1, address)
