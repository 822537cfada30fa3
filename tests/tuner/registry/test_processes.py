"""Several processes and threads on one database: nothing twice, nothing lost, nobody turned away."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.contracts.processes_contract import MAKE, ProcessesContract, Together
from tests.contracts.registry_cases import ON, SPEC, some
from tests.tuner.registry.reading import content
from tests.tuner.registry.together import run_together
from tuner.experiment import Evaluation
from tuner.registry import Registry


@pytest.fixture
def together(path: Path) -> Together:
    return lambda n, lines: run_together(n, lines, str(path))


class TestProcesses(ProcessesContract):
    pass


class TestProcessesOnPythonsSqlite(ProcessesContract):
    @pytest.fixture
    def together(self, path: Path, stdlib_sqlite: None) -> Together:
        hide = "sys.modules['pysqlite3'] = sys.modules['pysqlite3.dbapi2'] = None"
        return lambda n, lines: run_together(n, lines, str(path), hide)


def test_eight_processes_make_one_registry(together: Together, path: Path) -> None:
    assert together(8, MAKE) == [1] * 8
    rows = content(path)
    assert (len(rows["studies"]), len(rows["experiments"])) == (1, 3)
    assert [left.name for left in path.parent.iterdir()] == [path.name]


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
