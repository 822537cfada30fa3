"""Kills each operation of a registry at every point of it, one after the other, and looks what is left.

python -m tests.tuner.registry.crash [--engine python] [OPERATION ...]

A process of its own: it forks a child for each death, which takes milliseconds, and one for what comes after:
the next start recovers, runs everything to its end, and every invariant must hold. Prints a line of JSON for
each operation.
"""

import argparse
import json
import logging
import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterator
from itertools import count, pairwise
from pathlib import Path
from typing import Any
from unittest import mock

import alembic.command  # noqa: F401 - warm, before anybody forks

from tests.tuner.registry.crash.aftermath import look_after
from tests.tuner.registry.crash.child import in_child
from tests.tuner.registry.crash.points import KILLED, Points, install
from tests.tuner.registry.crash.scenes import OPERATIONS, Operation, prepare

__all__ = ["main"]


def enumerate_points(operation: Operation, folder: Path) -> dict[str, Any]:
    """Die at the 1st, 2nd, 3rd, ... point, until the operation comes to its end."""
    scene = folder / "scene"
    scene.mkdir()
    in_child(lambda: prepare(operation.on, scene))
    seen: list[Any] = []
    problems: list[str] = []
    for nth in count(1):
        place = folder / "place"
        shutil.copytree(scene, place)
        told = folder / "told.json"
        is_dead = in_child(lambda: _die(operation, place, nth, told)) == KILLED  # noqa: B023 - called at once
        points = json.loads(told.read_text())
        in_child(lambda: told.write_text(json.dumps(look_after(operation, place))))  # noqa: B023 - as above
        after = json.loads(told.read_text())
        where = points["passed"][-1] if is_dead else "the end"
        problems += [f"{nth}, before {where}: {problem}" for problem in after["problems"]]
        seen.append(after["content"])
        shutil.rmtree(place)
        if not is_dead:
            break
    shutil.rmtree(scene)
    return {**points, "problems": [*problems, *_jumps(seen, points["passed"])]}


def _die(operation: Operation, place: Path, nth: int, told: Path) -> None:
    points = Points(nth, told)
    install(points)
    tokens = map("{:016x}".format, count(1))  # the same in every child, so that contents can be compared
    with mock.patch.object(secrets, "token_hex", side_effect=tokens):
        step = operation.start(place)
        points.is_armed = True
        kept = step()
        points.is_armed = False
    points.tell()
    del kept


def _jumps(seen: list[Any], passed: list[str]) -> Iterator[str]:
    """What others see changes at a COMMIT or when a file is put in its place, and at nothing else.

    `seen[n]` is what was there after a death just before `passed[n]`, and at last after none.
    """
    for (before, after), done in zip(pairwise(seen), passed, strict=True):
        if before != after and done not in ("COMMIT", "replace"):
            yield f"others saw a change at {done!r}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.tuner.registry.crash", description=__doc__)
    parser.add_argument("operations", nargs="*", metavar="OPERATION", default=list(OPERATIONS))
    parser.add_argument("--engine", choices=("bundled", "python"), default="bundled")
    given = parser.parse_args()
    if given.engine == "python":
        sys.modules["pysqlite3"] = sys.modules["pysqlite3.dbapi2"] = None  # type: ignore[assignment]
    logging.disable()
    with tempfile.TemporaryDirectory(prefix="crash-") as folder:
        for name in given.operations:
            found = enumerate_points(OPERATIONS[name], Path(folder))
            print(json.dumps({"operation": name, **found}), flush=True)


if __name__ == "__main__":
    main()
