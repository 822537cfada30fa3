"""Kills deployments at every point of them, one after the other, and looks what is left.

python -m tests.retrain.deploy.crash [OPERATION ...]

A point lies before each statement that reaches SQLite and before each call that opens, makes, replaces,
renames, removes or makes durable a file. After each death, what is active must be whole and either the old or
the new version; the next command brings everything to it, and the same command typed again comes to its end.
Prints a line of JSON for each operation, and on stderr how many points of how many were survived.
"""

import argparse
import json
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count, groupby
from pathlib import Path
from typing import Any

from retrain.deploy import finish_pending, target_python  # noqa: F401 - warm, before anybody forks
from retrain.deploy.versions import VersionStore
from tests.retrain.deploy.project import BETTER, GOOD, Project, assert_consistent, existing
from tests.tuner.registry.crash.child import in_child
from tests.tuner.registry.crash.points import KILLED, Points, install
from tuner.experiment import Params
from tuner.registry import open_registry

__all__ = ["OPERATIONS", "main"]


@dataclass(frozen=True)
class Operation:
    """What dies: `act`, on what `prepare` left. Version `old` is active before, `new` of `params` after."""

    prepare: Callable[[Path], object]
    act: Callable[[Project], object]
    old: int | None
    new: int
    params: Params


def _new(root: Path) -> None:
    with Project(root).registry():
        pass  # making it dies in `tests.tuner.registry.crash`


def _once(root: Path) -> Project:
    project = Project(root)
    project.apply(GOOD)
    return project


def _twice(root: Path) -> Project:
    project = _once(root)
    project.apply(BETTER)
    return project


def _edited(root: Path) -> None:
    project = _twice(root)
    project.target.write_text("# edited\n" + project.target.read_text())


def _rolled_back(root: Path) -> None:
    _twice(root).rollback()


def _cut_off(point: str) -> Callable[[Path], object]:
    """Version 3, whose deployment died at a point."""

    def prepare(root: Path) -> None:
        project = _once(root)
        os.environ["RETRAIN_CRASH"] = point
        in_child(lambda: project.apply(BETTER))
        del os.environ["RETRAIN_CRASH"]

    return prepare


def _finish(project: Project) -> None:
    with project.registry() as registry:
        finish_pending(project.config, registry)


OPERATIONS = {
    "first apply": Operation(_new, lambda p: p.apply(GOOD), None, 2, GOOD),
    "apply": Operation(_once, lambda p: p.apply(BETTER), 2, 3, BETTER),
    "retrain": Operation(_once, lambda p: p.retrain(force=True), 2, 3, GOOD),
    "rollback": Operation(_twice, lambda p: p.rollback(2), 3, 2, GOOD),
    "rollback, target edited": Operation(_edited, lambda p: p.rollback(2), 3, 2, GOOD),
    "rollback of a rollback": Operation(_rolled_back, lambda p: p.rollback(3), 2, 3, BETTER),
    "finish what died before its commit": Operation(_cut_off("switch.before_commit"), _finish, 2, 2, GOOD),
    "finish what died after its commit": Operation(_cut_off("switch.after_commit"), _finish, 3, 3, BETTER),
}


def enumerate_points(operation: Operation, folder: Path, every: int) -> dict[str, Any]:
    """Die at the 1st, 2nd, 3rd, ... point, or at each `every`-th, until the operation comes to its end."""
    scene, place, told = folder / "scene", folder / "place", folder / "told.json"
    scene.mkdir()
    in_child(lambda: operation.prepare(scene))
    seen: list[int | None] = []
    problems: list[str] = []
    for nth in count(1, every):
        shutil.copytree(scene, place)
        is_dead = in_child(lambda: _die(operation, place, nth, told)) == KILLED  # noqa: B023 - called at once
        before = json.loads(told.read_text())["passed"][-1] if is_dead else "the end"
        in_child(lambda: told.write_text(json.dumps(_look_after(operation, place))))
        after = json.loads(told.read_text())
        problems += [f"{nth}, before {before}: {after['problem']}"] if after["problem"] else []
        seen.append(after["active"])
        shutil.rmtree(place)
        if not is_dead:
            break
    shutil.rmtree(scene)
    # What was found in place becomes version 1, before the first deployment makes another.
    ways = [operation.old, *([1] if operation.old is None else []), operation.new]
    if [way for way, _ in groupby(seen)] != [way for way, _ in groupby(ways)]:
        problems.append(f"active were {seen}, and not {ways}, each once")
    return {"points": len(seen) - 1, "problems": problems}


def _die(operation: Operation, place: Path, nth: int, told: Path) -> None:
    points = Points(nth, told)
    install(points)
    for name in ("open", "rename"):
        setattr(os, name, _around(getattr(os, name), name, points))
    project = existing(place)
    points.is_armed = True
    operation.act(project)
    points.is_armed = False
    points.tell()


def _around(call: Callable[..., Any], name: str, points: Points) -> Callable[..., Any]:
    def dying(*given: Any, **named: Any) -> Any:
        points.reach(name)
        return call(*given, **named)

    return dying


def _look_after(operation: Operation, place: Path) -> dict[str, Any]:
    """What others see at once, and what the next commands make of it."""
    project = existing(place)
    active: int | None = None
    try:
        with open_registry(place / "experiments.db", create=False, read_only=True) as registry:
            version = registry.find_active("ridge")
        active = None if version is None else version.number
        if version is not None:
            VersionStore.of(project.config).check(version)
        _finish(project)
        if active is not None:
            assert assert_consistent(project) == active, "the next command changed the version"
        operation.act(project)
        assert_consistent(project)
        with project.registry() as registry:
            last = registry.find_active("ridge")
        assert last is not None, "nothing is active in the end"
        assert dict(last.params) == operation.params, "the same again did not come to its end"
    except Exception as error:  # noqa: BLE001 - whatever it is, the point was not survived
        return {"active": active, "problem": f"{type(error).__name__}: {error}"}
    return {"active": active, "problem": ""}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.retrain.deploy.crash", description=__doc__)
    parser.add_argument("operations", nargs="*", metavar="OPERATION", default=list(OPERATIONS))
    parser.add_argument("--every", type=int, default=1, metavar="N", help="each N-th point only")
    given = parser.parse_args()
    logging.disable()
    n_points = n_problems = 0
    with tempfile.TemporaryDirectory(prefix="crash-") as folder:
        for name in given.operations:
            found = enumerate_points(OPERATIONS[name], Path(folder), given.every)
            n_points, n_problems = n_points + found["points"], n_problems + len(found["problems"])
            print(json.dumps({"operation": name, **found}), flush=True)
    print(f"{n_points - n_problems} of {n_points} points survived", file=sys.stderr)
    sys.exit(int(n_problems > 0))


if __name__ == "__main__":
    main()
