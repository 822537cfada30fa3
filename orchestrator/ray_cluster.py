"""Joins a Ray cluster, or starts a private one, and leaves it again; in the process of `ray_host` only."""

import os
import shutil
import socket
import sys
import textwrap
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.child import end_own_session
from orchestrator.payload import read_payload
from orchestrator.processes import descendants, kill_all, kill_session
from orchestrator.ray_pool import HostOrder
from tuner.errors import PoolError

__all__ = ["Cluster", "join", "leave"]

_KNOCK_TIMEOUT_S = 10.0
_LEAVE_TIMEOUT_S = 5.0
_ROOM = 128 * 2**20  # bytes in the object store besides the data; Ray wants at least 75 MiB


@dataclass(frozen=True)
class Cluster:
    """A cluster that this process has joined.

    Attributes:
        ray: the module; imported here and nowhere else.
        payload: reference to the blocks of the payload in the object store.
        node: id of the node that this process is on.
        logs: the folder of Ray's logs on this machine.
        gcs: host and port of its head.
    """

    ray: Any
    payload: Any
    node: str
    logs: Path
    gcs: tuple[str, int]

    def alive(self) -> bool:
        """Whether its head answers and knows our node. May hang where the head does."""
        with socket.create_connection(self.gcs, timeout=_KNOCK_TIMEOUT_S):
            pass
        return any(node["NodeID"] == self.node and node["Alive"] for node in self.ray.nodes())


def join(order: HostOrder, payload: int) -> Cluster:
    """Join the cluster of the order, or start it, and put the payload into its object store.

    Raises:
        PoolError: that failed; says why.
    """
    blocks = read_payload(payload)
    try:
        if order.folder is None and order.address != "auto":
            socket.create_connection(_split(order.address), timeout=_KNOCK_TIMEOUT_S).close()
            _show_token(order.address)
        return _joined(order, blocks)
    except Exception as error:
        raise _explained(order, error) from error


def _show_token(address: str) -> None:
    """Ray would ask again for 20 s where its token is refused, and then not say why."""
    from ray.exceptions import AuthenticationError

    try:
        from ray._private.authentication.authentication_token_setup import ensure_token_if_auth_enabled
        from ray._raylet import GcsClient  # type: ignore[attr-defined]

        ensure_token_if_auth_enabled(None, create_token_if_missing=False)  # else the next line ends us
        GcsClient(address=address)
    except AuthenticationError:
        raise
    except Exception:  # noqa: BLE001 - whatever else is wrong, `ray.init` meets it too
        return


def _joined(order: HostOrder, blocks: Sequence[memoryview]) -> Cluster:
    import numpy as np
    import ray

    settings: dict[str, Any] = {"log_to_driver": False, "logging_level": "WARNING"}
    if order.folder is None:
        context: Any = ray.init(order.address, **settings)
    else:
        size = sum(block.nbytes for block in blocks)
        context = ray.init(
            "local",
            num_cpus=order.n_workers,
            include_dashboard=False,
            object_store_memory=size + size // 4 + _ROOM,
            _temp_dir=os.path.join(order.folder, "ray"),  # noqa: PTH118 - Ray opens it to all; ours above it is not
            **settings,
        )
    here = ray.get_runtime_context()
    return Cluster(
        ray=ray,
        # As arrays, since those are what actors map instead of copying.
        payload=ray.put([np.frombuffer(block, np.uint8) for block in blocks]),
        node=here.get_node_id(),
        logs=Path(context.address_info["session_dir"], "logs"),
        gcs=_split(here.gcs_address),
    )


def _split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def _explained(order: HostOrder, error: Exception) -> PoolError:
    text = (error.strerror if isinstance(error, OSError) else None) or str(error).strip()
    reason = textwrap.shorten(text, 300) if text else type(error).__name__
    if order.folder is not None:
        return PoolError(
            f"Ray cannot start on this machine: {reason}",
            "Use --pool local, or set RAY_TMPDIR to a folder with room.",
        )
    return PoolError(
        f"The Ray cluster at {order.address} cannot be joined: {reason}",
        "Give HOST:PORT of its head, on one of its nodes; where it asks for a token, set RAY_AUTH_MODE=token "
        "and RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH.",
    )


def leave(order: HostOrder) -> None:
    """Leave the cluster, or take the private one down, and end this process with all that it started."""
    own = os.getpid()
    if order.folder is None:
        hurry = threading.Timer(_LEAVE_TIMEOUT_S, end_own_session)
        hurry.daemon = True
        hurry.start()
        if "ray" in sys.modules:
            with suppress(Exception):
                import ray

                ray.shutdown()  # frees the CPUs now, not when the cluster has noticed that we are gone
    else:
        kill_all(descendants(own))
        kill_session(own, spare={own})
        shutil.rmtree(order.folder, ignore_errors=True)
    end_own_session()
