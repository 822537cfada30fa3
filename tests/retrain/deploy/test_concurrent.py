"""Several processes deploying at once: one after the other, each recorded, the last one active."""

from pathlib import Path

import pytest

from retrain.deploy.lock import deploy_lock
from retrain.history import history
from tests.retrain.deploy.project import GOOD, Project, assert_consistent, in_process
from tests.retrain.deploy.reading import read_while_applying
from tuner.errors import BusyError


@pytest.mark.parametrize(("n_processes", "n_each"), [(2, 3), (8, 3)])
def test_all_are_recorded_and_the_last_is_active(n_processes: int, n_each: int, tmp_path: Path) -> None:
    project = Project(tmp_path, extra="[[gate]]\nmetric = 'rmse'\nmax_drop = 10.0\n")
    processes = [in_process(tmp_path, "apply_many", seed, n_each) for seed in range(n_processes)]
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0] * n_processes
    last = assert_consistent(project)
    with project.registry() as registry:
        ledger = history(registry, "ridge")
    assert len(ledger) == 1 + n_processes * n_each
    assert [row["from"] for row in ledger] == [None, *(row["to"] for row in ledger[:-1])]
    assert ledger[-1]["to"] == last
    assert len({row["to"] for row in ledger}) == len(ledger)


def test_the_same_four_times_at_once_is_one_version(tmp_path: Path) -> None:
    project = Project(tmp_path)
    processes = [in_process(tmp_path, "apply", GOOD) for _ in range(4)]
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0] * 4
    assert assert_consistent(project) == 2


def test_a_lock_that_is_held_too_long_is_said(tmp_path: Path) -> None:
    with (
        deploy_lock(tmp_path / "versions"),
        pytest.raises(BusyError) as caught,
        deploy_lock(tmp_path / "versions", 0),
    ):
        pass
    assert caught.value.exit_code == 4
    with deploy_lock(tmp_path / "versions", 0):
        pass


def test_who_reads_meanwhile_sees_the_old_or_the_new_and_all_of_it(tmp_path: Path) -> None:
    seen = read_while_applying(tmp_path, n_applies=8, n_reads=500)
    assert seen.n_reads >= 500
    assert seen.n_versions > 2
    assert (seen.n_broken_targets, seen.n_broken_pointers) == (0, 0)
