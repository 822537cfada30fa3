"""Killed anywhere: what was done is whole or was never begun, and the next start goes on from there.

Every point of every operation, found by passing it (see `crash/points.py`), with a count by SQLite itself to
show that none was passed unseen. It forks, so it runs in a process of its own.
"""

import ast
import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tuner.registry.crash.points import CALLS
from tests.tuner.registry.crash.scenes import OPERATIONS
from tuner.registry import Registry

ROOT = Path(__file__).resolve().parents[3]
ON_FILES = {name for _, name in CALLS}
OF_THE_FILE = {"create", "migrate", "backup", "close"}

READING = {
    *(
        "attempts",
        "best",
        "confirmations",
        "counts",
        "deployments",
        "holdout_reads",
        "effort",
        "events",
        "experiments",
        "find_active",
    ),
    *("find_scored", "find_study", "get_experiment", "lessons", "measurements", "patterns", "provenances"),
    *("studies", "versions"),
}

RUNS = [
    ("bundled", ["create", "backup", "close"]),
    ("bundled", ["migrate"]),
    ("bundled", [name for name in OPERATIONS if name not in OF_THE_FILE]),
    ("python", ["claim", "finish", "recover", "activate"]),
]


@pytest.mark.parametrize(("engine", "operations"), RUNS, ids=["files", "migrate", "rows", "rows-python"])
def test_killed_at_any_point(engine: str, operations: list[str]) -> None:
    command = [sys.executable, "-m", "tests.tuner.registry.crash", "--engine", engine, *operations]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = {said["operation"]: said for said in map(json.loads, done.stdout.splitlines())}
    assert list(found) == operations
    assert {name: said["problems"] for name, said in found.items() if said["problems"]} == {}
    for name, said in found.items():
        kinds = [" ".join(point.split()[:2]) for point in said["passed"]]
        assert set(OPERATIONS[name].must) <= set(kinds), f"{name} passed only {kinds}"
        n_statements = sum(point not in ON_FILES for point in said["passed"])
        assert n_statements == said["n_statements"], f"{name} did something unseen"
        assert said["passed"].count("COMMIT") == OPERATIONS[name].n_commits, name


def test_every_operation_that_writes_is_killed() -> None:
    """The methods of the contract that write are the ones that some operation calls."""
    source = inspect.getsource(sys.modules[next(iter(OPERATIONS.values())).__module__])
    called = {node.attr for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Attribute)}
    writing = set(vars(Registry)) - READING - {name for name in vars(Registry) if name.startswith("_")}
    assert writing <= called, writing - called
