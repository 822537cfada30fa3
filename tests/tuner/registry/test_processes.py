"""Several processes and threads on one database: nothing twice, nothing lost, nobody turned away."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.contracts.registry_cases import ON, SPEC, Connect, some
from tests.tuner.registry.reading import content
from tests.tuner.registry.together import run_together
from tuner.experiment import Evaluation, State
from tuner.registry import Registry

Together = Callable[[int, str], list[Any]]


BUNDLED = pytest.mark.parametrize("together", ["bundled"], indirect=True)
PYTHONS = pytest.mark.parametrize("together", ["python's"], indirect=True)


@pytest.fixture(params=["bundled", "python's"])
def together(request: pytest.FixtureRequest, path: Path) -> Together:
    """Run the same lines in `n` processes that start at one moment; they set `said`. With either SQLite."""
    hide = ""
    if request.param == "python's":
        request.getfixturevalue("stdlib_sqlite")
        hide = "sys.modules['pysqlite3'] = sys.modules['pysqlite3.dbapi2'] = None"
    return lambda n, lines: run_together(n, lines, str(path), hide)


@BUNDLED
def test_eight_processes_make_one_registry(together: Together, path: Path) -> None:
    said = together(
        8,
        """
with open_registry(path, create=True) as registry:
    study = registry.open_study(SPEC)
    registry.add(study, some(3))
    said = study.id
""",
    )
    assert said == [1] * 8
    rows = content(path)
    assert (len(rows["studies"]), len(rows["experiments"])) == (1, 3)
    assert [left.name for left in path.parent.iterdir()] == [path.name]


@BUNDLED
def test_the_same_configurations_from_four_processes_are_written_once(together: Together, path: Path) -> None:
    said = together(
        4,
        """
with open_registry(path, create=True) as registry:
    study = registry.open_study(SPEC)
    said = [e.public_id for n in range(20) for e in registry.add(study, some(10, first=10 * n))]
""",
    )
    written = [public_id for ids in said for public_id in ids]
    assert len(written) == len(set(written)) == len(content(path)["experiments"]) == 200


def test_claims_of_four_processes_never_overlap(together: Together, connect: Connect) -> None:
    registry = connect()
    study = registry.open_study(SPEC)
    registry.add(study, some(120))
    said = together(
        4,
        """
said = []
with open_registry(path, create=False) as registry:
    [study] = registry.studies()
    while claims := registry.claim(study, 3):
        for claim in claims:
            registry.complete(claim, Evaluation(0.5), ON)
            said.append(claim.experiment.id)
""",
    )
    assert sorted(id_ for ids in said for id_ in ids) == [e.id for e in registry.experiments(study)]
    assert registry.counts(study)[State.COMPLETE] == 120
    assert {e.attempt for e in registry.experiments(study)} == {1}


@PYTHONS
def test_one_of_several_deployments_of_the_same_moment_wins(together: Together, connect: Connect) -> None:
    registry = connect()
    said = together(
        4,
        """
from tuner.errors import MismatchError
said = 0
with open_registry(path, create=False) as registry:
    version = registry.stage_version("credit", {}, manifest={})
    try:
        said = registry.activate(version, action="apply", who="", reason="").to_version
    except MismatchError:
        registry.discard_version(version)
""",
    )
    [winner] = [number for number in said if number]
    assert [d.to_version for d in registry.deployments("credit")] == [winner]
    assert [v.number for v in registry.versions("credit")] == [winner]


def test_threads_share_one_registry(registry: Registry) -> None:
    study = registry.open_study(SPEC)
    registry.add(study, some(60))

    def work(_: int) -> list[int]:
        done = []
        while claims := registry.claim(study):
            registry.heartbeat()
            done.append(registry.complete(claims[0], Evaluation(0.5), ON).id)
        return done

    with ThreadPoolExecutor(4) as pool:
        done = [id_ for ids in pool.map(work, range(4)) for id_ in ids]
    assert sorted(done) == [e.id for e in registry.experiments(study)]
    assert registry.recover() == []
