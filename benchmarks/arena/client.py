"""A peer as the benchmark sees it: a process that is asked and told, and the seconds that it took."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.peers import ROOT, Method, method_named
from benchmarks.peers.base import Config, Param, Told

__all__ = ["PeerError", "Proposer", "python_of"]

ONE_CORE = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1"
)

_N_WARM_UP = 12
"""The longest design that any method begins with, and a little more."""


class PeerError(Exception):
    """What a peer raised, or that its process ended."""


def python_of(method: Method, environments: Path) -> Path:
    """The interpreter that runs a method; it may not exist."""
    return (
        environments / method.environment / "bin" / "python" if method.environment else Path(sys.executable)
    )


class Proposer:
    """One process with one method in it, used for one run after another.

    Attributes:
        cpu_s: processor seconds spent in ask and tell since `start`; imports are not among them.
        wall_s: the same by the clock.
    """

    def __init__(self, name: str, environments: Path) -> None:
        self._method = method_named(name)
        self._process = subprocess.Popen(
            [python_of(self._method, environments), "-m", "benchmarks.peers.serve"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=ROOT,
            env={**os.environ, **ONE_CORE, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0"},
        )
        self.cpu_s = self.wall_s = 0.0
        self._warm_up()

    def _warm_up(self) -> None:
        """Import what it imports late, so that the first run is not charged for it."""
        self.start([Param(name, "float", 0.0, 1.0, False, None, None) for name in "ab"], 0, _N_WARM_UP)
        for number in range(_N_WARM_UP):
            (config,) = self.ask()
            self.tell([Told(number, config, config["a"])])

    def start(self, space: Sequence[Param], seed: int, n_experiments: int, **settings: Any) -> None:
        """Begin a new run; `settings` are further arguments of the adapter, beside the method's own."""
        self._call(
            do="new",
            adapter=self._method.adapter,
            settings={**self._method.settings, **settings},
            space=[list(asdict(p).values()) for p in space],
            seed=seed,
            n_experiments=n_experiments,
        )
        self.cpu_s = self.wall_s = 0.0

    def ask(self, n: int = 1) -> list[Config]:
        """`n` configurations, or fewer where the method finds no more."""
        return self._call(do="ask", n=n)["configs"]  # type: ignore[no-any-return]

    def tell(self, results: Sequence[Told]) -> None:
        """What became of them."""
        self._call(do="tell", results=[asdict(each) for each in results])

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def _call(self, **request: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise PeerError(f"its process ended with exit status {self._process.wait()}") from None
        line = self._process.stdout.readline()
        if not line:
            raise PeerError(f"its process ended with exit status {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise PeerError(answer["error"] + "\n" + answer["traceback"])
        self.cpu_s += answer["cpu_s"]
        self.wall_s += answer["wall_s"]
        return answer
