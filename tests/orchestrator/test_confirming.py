"""`orchestrator confirm` from its arguments to its end; killed in the middle; and two of them at once."""

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from orchestrator import launch as launch_module
from orchestrator.cli import cli
from orchestrator.request import Request
from retrain.best import get_best
from retrain.cli import run_command
from retrain.confirmation import CONFIRMED
from tests.orchestrator.fakes import FakeClock, FakePool, failed
from tests.orchestrator.projects import Project
from tests.orchestrator.test_repeats import folded
from tests.orchestrator.toy import write_toy
from tuner.experiment import Confirmation
from tuner.registry import Registry, open_registry

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def pools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[FakePool]:
    """A project in the working directory; every pool that is started there runs `folded`."""
    for name in [name for name in os.environ if name.startswith("RETRAIN_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    write_toy(tmp_path)
    clock = FakeClock()
    started: list[FakePool] = []

    def start_pool(request: Request, pipeline: object, data: object, n_workers: int) -> FakePool:
        started.append(FakePool(folded, clock, n_workers))
        return started[-1]

    monkeypatch.setattr(launch_module, "start_pool", start_pool)
    return started


@pytest.fixture
def run(pools: list[FakePool], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["orchestrator", *arguments])
        code = run_command(cli, "orchestrator")
        return code, *capsys.readouterr()

    return run


def opened() -> Registry:
    return open_registry("experiments.db", create=False)


def test_the_best_are_confirmed(run: Run, pools: list[FakePool]) -> None:
    run("--method", "random", "--configs", "8")
    code, out, err = run("confirm", "--top", "3", "--workers", "2")
    assert code == 0, err
    assert "confirming the best 3 on fresh folds, beside the baseline: up to 5 repeats each, 20 in all" in err
    with opened() as registry:
        [study] = registry.studies()
        best = registry.best(study, 3)
        stored = registry.confirmations(study)
        [event] = registry.events(kind=CONFIRMED)
        found = get_best(registry, study, study.name)
    assert event.data["candidates"] == [each.public_id for each in best]
    assert {each.experiment for each in stored} == {
        *event.data["candidates"],
        *event.data["references"].values(),
    }
    assert study.seed not in {each.seed for each in stored}
    assert found.confirmed
    assert f"winner      {found.experiment.public_id}, by the lower bound of 3 confirmed" in out
    assert "retrain --apply-hp best" in out
    assert len(pools[1].ran) == len(stored)


def test_the_same_again_runs_nothing_and_says_the_same(run: Run, pools: list[FakePool]) -> None:
    run("--method", "random", "--configs", "4")
    _, first, _ = run("confirm", "--top", "2", "--format", "json")
    code, second, _ = run("confirm", "--top", "2", "--format", "json")
    assert code == 0
    assert pools[-1].ran == []
    assert json.loads(second) == {**json.loads(first), "n_repeats": 0}
    with opened() as registry:
        assert len(registry.events(kind=CONFIRMED)) == 1


def test_the_summary_says_how_to_confirm_and_then_what_came_of_it(run: Run) -> None:
    run("--method", "random", "--configs", "8")
    _, out, _ = run("--summary")
    assert "its score is not confirmed" in " ".join(out.split())
    assert "orchestrator confirm\n" in out
    document = json.loads(run("--summary", "--format", "json")[1])
    assert (document["confirmed"], document["confirm"]) == (None, "orchestrator confirm")

    run("confirm", "--top", "3", "--timeout", "0.0001s")
    _, out, _ = run("--summary")
    assert "A confirmation has begun" not in out, "no repeat is there"

    run("confirm", "--top", "3")
    _, out, _ = run("--summary")
    assert "is not confirmed" not in out
    document = json.loads(run("--summary", "--format", "json")[1])
    confirmed = document["confirmed"]
    for line in (
        f"  winner      {confirmed['winner']}, by the lower bound of 3",
        "  validation  ",
        "  confirmed   ",
    ):
        assert line in out
    assert "than the baseline" in " ".join(out.split())
    assert document["apply"] == f"retrain --apply-hp {confirmed['winner']}"
    assert document["holdout_looks"] == []
    assert {each["id"] for each in confirmed["candidates"]} <= {each["id"] for each in document["best"]}
    assert run("show", "best")[1].splitlines()[0].endswith(confirmed["winner"])


def test_a_confirmation_that_has_begun_is_said_to_have(run: Run) -> None:
    run("--method", "random", "--configs", "4")
    with opened() as registry:
        [study] = registry.studies()
        [best] = registry.best(study)
        assert best.provenance is not None
        registry.add_confirmation(Confirmation(best.public_id, 1, 0.5, (), best.provenance))
    _, out, _ = run("--summary")
    assert "A confirmation has begun (1 repeat) and not ended." in " ".join(out.split())


def test_who_won_before_takes_part_again(run: Run) -> None:
    run("--method", "random", "--configs", "4")
    run("confirm", "--top", "1")
    with opened() as registry:
        [study] = registry.studies()
        winner = get_best(registry, study, study.name).experiment
    run("--method", "random", "--configs", "40")
    run("confirm", "--top", "1")
    with opened() as registry:
        latest, _ = registry.events(kind=CONFIRMED)
        assert latest.data["candidates"] == [registry.best(study)[0].public_id, winner.public_id]


def test_where_nothing_can_be_confirmed_it_says_why(run: Run, pools: list[FakePool], tmp_path: Path) -> None:
    code, _, err = run("confirm")
    assert code == 6
    assert "There is no registry" in err
    run("--method", "random", "--configs", "2")
    code, _, err = run("confirm", "--study", "other")
    assert code == 6
    assert "There is no study 'other'" in err
    n_pools = len(pools)
    (tmp_path / "train.py").write_text("def objective(params):\n    return params['x'] * 1.0\n")
    code, _, err = run("confirm")
    assert code == 2
    assert "the 3 latest results of study 'toy' came from other code" in err
    assert "orchestrator revalidate --top 5" in err
    assert len(pools) == n_pools, "no worker is started for it"


def test_one_that_cannot_be_scored_again_is_named_at_the_end(
    run: Run, pools: list[FakePool], monkeypatch: pytest.MonkeyPatch
) -> None:
    run("--method", "random", "--configs", "4")
    with opened() as registry:
        [study] = registry.studies()
        first, second = registry.best(study, 2)

    def start_pool(*_: Any) -> FakePool:
        return FakePool(
            lambda task: failed() if task.params == first.params else folded(task), FakeClock(), 2
        )

    monkeypatch.setattr(launch_module, "start_pool", start_pool)
    code, out, _ = run("confirm", "--top", "2")
    assert code == 0
    assert f"winner      {second.public_id}" in out
    assert f"{first.public_id} could not be confirmed: error: ValueError: no" in " ".join(out.split())

    monkeypatch.setattr(launch_module, "start_pool", lambda *_: FakePool(lambda _: failed(), FakeClock(), 2))
    code, out, _ = run("confirm", "--top", "3", "--repeats", "7")
    assert code == 6
    assert "nothing is confirmed" in out
    with opened() as registry:
        assert not get_best(registry, study, study.name).confirmed


@pytest.mark.parametrize("arguments", [["--top", "0"], ["--repeats", "1"], ["--pool", "moon"]])
def test_what_cannot_be_is_refused(run: Run, arguments: list[str]) -> None:
    run("--method", "random", "--configs", "2")
    assert run("confirm", *arguments)[0] == 2


# ---- real processes


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    made = Project(tmp_path)
    with closing(made):
        assert made.run("--method", "random", "--configs", "9", "--workers", "2")[0] == 0
        made.await_events(b")", 10)
        yield made


CONFIRM = ("confirm", "--top", "8", "--workers", "2", "--pool", "local")


def stored_in(project: Project) -> list[tuple[str, int]]:
    with open_registry(project.folder / "experiments.db", create=False, read_only=True) as registry:
        [study] = registry.studies()
        return [(each.experiment, each.seed) for each in registry.confirmations(study)]


def is_confirmed(project: Project) -> bool:
    with open_registry(project.folder / "experiments.db", create=False, read_only=True) as registry:
        [study] = registry.studies()
        return get_best(registry, study, study.name).confirmed


def test_kill_9_in_the_middle_and_the_same_command_again(project: Project) -> None:
    process = project.start_command(*CONFIRM)
    project.await_events(b")", 7)
    process.kill()
    assert process.wait(timeout=60) == -signal.SIGKILL
    before = stored_in(project)
    assert 4 <= len(before) <= 9
    assert not is_confirmed(project)
    process = project.start_command(*CONFIRM)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    after = stored_in(project)
    assert after[: len(before)] == before
    # Nothing depends on the seed here, so that two repeats each are enough: of 8, and of the baseline if it
    # is none of them. A free worker may have begun with a third.
    assert 16 <= len(after) <= 19
    assert len(set(after)) == len(after)
    assert f"{len(after) - len(before)} repeats run" in out
    assert is_confirmed(project)


def test_ctrl_c_says_how_to_go_on(project: Project) -> None:
    process = project.start_command(*CONFIRM)
    project.await_events(b"(", 3)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert f"orchestrator {' '.join(CONFIRM)}" in out
    n_before = len(stored_in(project))
    assert n_before < 16
    process = project.start_command(*CONFIRM)
    assert process.wait(timeout=120) == 0
    assert is_confirmed(project)


def test_two_confirmations_at_once_store_each_repeat_once(project: Project) -> None:
    both = [project.start_command(*CONFIRM) for _ in range(2)]
    ends = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], ends
    stored = stored_in(project)
    assert len(set(stored)) == len(stored)
    winners = {line.split()[1] for out, _ in ends for line in out.splitlines() if "winner" in line}
    assert len({each for each in winners if each.startswith(("random", "default"))}) == 1
    assert is_confirmed(project)
