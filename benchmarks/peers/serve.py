"""A peer behind two pipes: one JSON object per line in, one per line out.

    python -m benchmarks.peers.serve

    {"do": "new", "adapter", "settings", "space", "seed", "n_experiments"}   -> {}
    {"do": "ask", "n"}                                                       -> {"configs": [...]}
    {"do": "tell", "results": [{"number", "config", "loss"}, ...]}           -> {}

Each answer carries `cpu_s` and `wall_s` of the call; an error is {"error": one line, "traceback"}.
"""

import importlib
import json
import os
import sys
import time
import traceback
import warnings
from typing import IO, Any

from benchmarks.peers.base import Param, Peer, Told


def answer(peer: Peer | None, request: dict[str, Any]) -> tuple[Peer | None, dict[str, Any]]:
    """Carry out one request; the peer goes on to the next."""
    do = request["do"]
    if do == "new":
        module, name = request["adapter"].split(":")
        kind = getattr(importlib.import_module(module), name)
        space = [Param(*p[:6], tuple(p[6]) if p[6] else None) for p in request["space"]]
        return kind(space, request["seed"], request["n_experiments"], **request["settings"]), {}
    assert peer is not None
    if do == "ask":
        return peer, {"configs": peer.ask(request["n"])}
    peer.tell([Told(**each) for each in request["results"]])
    return peer, {}


def plain(value: Any) -> Any:
    """Numpy's numbers as Python's."""
    return value.item()


def serve(requests: IO[str], answers: IO[str]) -> None:
    """Answer until the requests end."""
    peer: Peer | None = None
    for line in requests:
        wall, cpu = time.perf_counter(), time.process_time()
        try:
            peer, result = answer(peer, json.loads(line))
        except Exception as error:  # noqa: BLE001 - a peer may raise anything; the benchmark reports it
            result = {"error": f"{type(error).__name__}: {error}", "traceback": traceback.format_exc()}
        result |= {"cpu_s": time.process_time() - cpu, "wall_s": time.perf_counter() - wall}
        print(json.dumps(result, default=plain), file=answers, flush=True)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    channel = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints must not end up between the answers
    serve(sys.stdin, channel)
