"""What all tests share: one Ray cluster for the whole session, started when the first test needs it."""

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from orchestrator.processes import kill_session
from tests.postgres_server import PostgresServer, why_not

_CLUSTER = """
import sys, ray
ray.init("local", num_cpus=8, include_dashboard=False, log_to_driver=False, logging_level="ERROR",
         object_store_memory=128 * 2**20, _temp_dir=sys.argv[1])
print(ray.get_runtime_context().gcs_address, flush=True)
sys.stdin.read()
"""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep all tests that need Ray in one process of a parallel run, so that there is one cluster."""
    if not config.pluginmanager.hasplugin("xdist"):
        return
    for item in items:
        if item.get_closest_marker("ray"):
            item.add_marker(pytest.mark.xdist_group("ray"))


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[Mapping[str, str]]:
    """A Ray cluster with room for 8 workers; the environment variables that let a process join it."""
    folder = Path(tempfile.mkdtemp(prefix="retrain-tests-"))
    token = folder / "token"
    token.write_text(secrets.token_hex(32))
    environment = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token)}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", _CLUSTER, str(folder / "ray")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env={**os.environ, **environment},
            start_new_session=True,
            text=True,
        )
    try:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        assert address, (folder / "log").read_text()
        yield environment | {"RAY_ADDRESS": address}
    finally:
        kill_session(process.pid)
        process.communicate()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def ray_address(ray_cluster: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of the cluster, which pools that are given none join too while the test runs."""
    for name, value in ray_cluster.items():
        monkeypatch.setenv(name, value)
    return ray_cluster["RAY_ADDRESS"]


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL server, where one is installed: one for each process of a parallel run."""
    if reason := why_not():
        pytest.skip(reason)
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()
