"""Several processes that do the same at one moment, or one that waits where a test wants it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

__all__ = ["in_child", "run_together", "start"]

_HEAD = """
import json, sys
{first}
from tests.contracts.registry_cases import ON, SPEC, some
from tuner.experiment import *
from tuner.registry import *
path = sys.argv[1]
print("ready", flush=True)
sys.stdin.readline()
"""


def run_together(n: int, lines: str, where: str, first: str = "") -> list[Any]:
    """Run the same lines in `n` processes that start at one moment; they find `path`, and set `said`."""
    code = _HEAD.format(first=first) + lines + "\nprint(json.dumps(said))"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, where],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(n)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    ends = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0] * n, "\n".join(err for _, err in ends)
    return [json.loads(out) for out, _ in ends]


def start(code: str, where: str) -> "subprocess.Popen[str]":
    """Run a script until it says that it is ready; it then waits for its end."""
    process = subprocess.Popen(
        [sys.executable, "-c", code, where], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def in_child(act: Callable[[], object]) -> str:
    """What `act` raises in a forked child, or "nothing"."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:  # pragma: no cover
        said = "nothing"
        try:
            act()
        except BaseException as error:  # noqa: BLE001
            said = f"{type(error).__name__}: {error}"
        os.write(writer, said.encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, encoding="utf-8") as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    return said
