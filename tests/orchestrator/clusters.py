"""A Ray cluster of several nodes on this machine, whose nodes come, go and die as a test says."""

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from orchestrator.processes import kill_session

# Ray looks for lost nodes every few seconds and gives them half a minute; here it takes less.
_IMPATIENT = {
    "RAY_health_check_initial_delay_ms": "500",
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_timeout_ms": "2000",
    "RAY_health_check_failure_threshold": "3",
}

_KEEPER = """
import sys
from ray.cluster_utils import Cluster

size = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
cluster = Cluster(True, head_node_args={**size, "include_dashboard": False, "temp_dir": sys.argv[1]})
nodes = []
print(cluster.address, flush=True)
for line in sys.stdin:
    match line.strip():
        case "add":
            nodes.append(cluster.add_node(**size))
        case "remove":
            cluster.remove_node(nodes.pop(), allow_graceful=False)
        case "behead":
            cluster.head_node.kill_gcs_server(check_alive=False)
    print("done", flush=True)
"""


class Nodes:
    """A head with one CPU, kept by a process of its own, so that nothing of it outlives a test.

    Attributes:
        address: of the head.
        environment: what lets a process join.
    """

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="retrain-tests-"))
        token = self._folder / "token"
        token.write_text(secrets.token_hex(32))
        self.environment = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token)}
        with (self._folder / "log").open("wb") as log:
            self._keeper = subprocess.Popen(
                [sys.executable, "-c", _KEEPER, str(self._folder / "ray")],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                # Ray notes the newest cluster of a machine in a file; this one is nobody else's.
                env={**os.environ, **self.environment, **_IMPATIENT, "RAY_TMPDIR": str(self._folder)},
                start_new_session=True,
                text=True,
            )
        self.address = ""

    def __enter__(self) -> Self:
        try:
            self.address = self._answer()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def add(self) -> None:
        """Start another node with one CPU, and wait until the head knows it."""
        self._tell("add")

    def remove(self) -> None:
        """Kill the newest node with all that runs on it."""
        self._tell("remove")

    def behead(self) -> None:
        """Kill the process that holds the cluster together. Its nodes live on for a while."""
        self._tell("behead")

    def close(self) -> None:
        kill_session(self._keeper.pid)
        self._keeper.communicate()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _tell(self, what: str) -> None:
        assert self._keeper.stdin is not None
        self._keeper.stdin.write(f"{what}\n")
        self._keeper.stdin.flush()
        self._answer()

    def _answer(self) -> str:
        assert self._keeper.stdout is not None
        answer = self._keeper.stdout.readline().strip()
        assert answer, (self._folder / "log").read_text()
        return answer
