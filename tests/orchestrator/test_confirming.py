"""`orchestrator confirm` from its arguments to its end; killed in the middle; and two of them at once."""

import csv
import io
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from orchestrator import confirming as confirming_module
from orchestrator import launch as launch_module
from orchestrator import request as request_module
from orchestrator.cli import cli
from orchestrator.confirming import confirm_best
from orchestrator.request import Request
from orchestrator.revalidating import earlier_winners
from retrain.best import get_best
from retrain.cli import run_command
from retrain.confirmation import CONFIRMED
from tests.contracts.registry_cases import SPEC, some
from tests.orchestrator.fakes import FakeClock, FakePool, failed
from tests.orchestrator.projects import Project
from tests.orchestrator.test_repeats import folded
from tests.orchestrator.toy import write_toy
from tuner.experiment import Confirmation, Evaluation, Provenance
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
    assert "no repeat has fresh folds" in err, "the function takes no seed"
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
    assert f"winner      {found.experiment.public_id}, by the upper bound of 3 confirmed" in out
    assert "retrain --apply-hp best" in out
    assert len(pools[1].ran) == len(stored)


@pytest.mark.parametrize(("address", "n_cores"), [("", 2), ("local", 2), ("head:6379", None)])
def test_time_is_told_by_the_cores_that_workers_share(
    run: Run, pools: list[FakePool], monkeypatch: pytest.MonkeyPatch, address: str, n_cores: int | None
) -> None:
    """And not by workers, of which there may be more; a cluster has cores of its own."""
    run("--method", "random", "--configs", "8", "--workers", "1")
    told: list[tuple[int, int | None]] = []

    def at_once(n_workers: int, n_cores: int | None, busy: float) -> float:
        told.append((n_workers, n_cores))
        return 1.0

    monkeypatch.setattr(request_module, "_n_cores", lambda: 2)
    monkeypatch.setattr(confirming_module, "at_once", at_once)
    monkeypatch.setenv("RAY_ADDRESS", address)
    run("confirm", "--top", "3", "--workers", "8")
    assert told == [(8, n_cores)]


def test_the_same_again_runs_nothing_and_says_the_same(run: Run, pools: list[FakePool]) -> None:
    run("--method", "random", "--configs", "4")
    _, first, _ = run("confirm", "--top", "2", "--format", "json")
    n_pools = len(pools)
    code, second, err = run("confirm", "--top", "2", "--format", "json")
    assert code == 0
    assert (err, len(pools)) == ("", n_pools), "no worker is started for it"
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
    rows = list(csv.DictReader(io.StringIO(run("--summary", "--format", "csv")[1])))
    again = {row["experiment"]: row["confirmed"] for row in rows}
    assert float(again[confirmed["winner"]]) == confirmed["confirmed"]["mean"]
    assert sum(value != "" for value in again.values()) == 3
    for line in (
        f"  winner      {confirmed['winner']}, by the upper bound of 3",
        "  validation  ",
        "  confirmed   ",
    ):
        assert line in out
    assert "than the baseline" in " ".join(out.split())
    assert document["apply"] == f"retrain --apply-hp {confirmed['winner']}"
    assert document["holdout_looks"] == []
    assert {each["id"] for each in confirmed["candidates"]} <= {each["id"] for each in document["best"]}
    assert run("show", "best")[1].splitlines()[0].endswith(confirmed["winner"])
    assert "Scored again on fresh folds" in run("show", "best")[1]
    shown = json.loads(run("show", "best", "--format", "json")[1])
    assert len(shown["confirmations"]) == confirmed["confirmed"]["n_repeats"]
    assert len(shown["confirmations"][0]["folds"]) == 4


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
    assert f"winner      {second.public_id}\n" in out, "and not by the bound of several"
    assert f"{first.public_id} could not be confirmed: error: ValueError: no" in " ".join(out.split())

    monkeypatch.setattr(launch_module, "start_pool", lambda *_: FakePool(lambda _: failed(), FakeClock(), 2))
    code, out, _ = run("confirm", "--top", "3", "--repeats", "7")
    assert code == 6
    assert "nothing is confirmed" in out
    with opened() as registry:  # what was confirmed before stands
        best = get_best(registry, study, study.name)
    assert best.confirmed
    assert best.experiment.public_id == second.public_id


def test_with_several_objectives_there_is_no_one_to_confirm(run: Run, tmp_path: Path) -> None:
    with (tmp_path / "retrain.toml").open("a") as file:
        file.write('[[objective]]\nmetric = "size"\ndirection = "minimize"\n')
    code, _, err = run("--method", "random", "--configs", "2", "--confirm", "2")
    assert code == 2
    assert "several objectives" in err
    assert not (tmp_path / "experiments.db").exists()


@pytest.mark.parametrize("arguments", [["--top", "0"], ["--repeats", "1"], ["--pool", "moon"]])
def test_what_cannot_be_is_refused(run: Run, arguments: list[str]) -> None:
    run("--method", "random", "--configs", "2")
    assert run("confirm", *arguments)[0] == 2


# ---- after a run, and of before


def test_a_run_confirms_at_its_end_where_it_was_asked_to(run: Run) -> None:
    code, out, err = run("--method", "random", "--configs", "6", "--confirm", "2")
    assert code == 0, err
    assert "7 complete, 0 failed" in out.splitlines()[0]
    assert "by the upper bound of 2 confirmed" in out
    with opened() as registry:
        [study] = registry.studies()
        assert get_best(registry, study, study.name).confirmed
        assert len(registry.confirmations(study)) > 4
    document = json.loads(
        run("--method", "random", "--configs", "1", "--confirm", "2", "--format", "json")[1]
    )
    assert document["confirmed"]["winner"]


def test_a_run_whose_confirmation_was_interrupted_goes_on_with_it(
    run: Run, pools: list[FakePool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its candidates are all there: the same command must not begin another run."""
    command = ("--method", "random", "--configs", "6", "--confirm", "2")

    def interrupted(*given: Any, **named: Any) -> Any:
        named["stop"].stop_at = 0.0
        return confirm_best(*given, **named)

    monkeypatch.setattr(launch_module, "confirm_best", interrupted)
    code, out, _ = run(*command)
    assert code == 130
    assert f"continue with: orchestrator {' '.join(command)}" in out
    monkeypatch.setattr(launch_module, "confirm_best", confirm_best)
    code, _, err = run(*command)
    assert code == 0, err
    with opened() as registry:
        [study] = registry.studies()
        assert len(registry.experiments(study)) == 7
        assert get_best(registry, study, study.name).confirmed


def test_the_best_of_before_are_scored_on_what_is_there_now(run: Run, tmp_path: Path) -> None:
    run("--method", "random", "--configs", "8")
    code, _, err = run("revalidate")
    assert code == 6
    assert "All results of study 'toy' were scored on what is there now" in err
    with opened() as registry:
        [study] = registry.studies()
        before = registry.best(study, 3)
    (tmp_path / "train.py").write_text("def objective(params):\n    return params['x'] * 1.0\n")
    assert "orchestrator revalidate --top 5" not in run("--summary")[1], (
        "nobody has scored anything there yet"
    )

    code, out, err = run("revalidate", "--top", "3", "--repeats", "2")
    assert code == 0, err
    with opened() as registry:
        now = registry.best(study, 9)
        again = [each for each in now if each.method == "revalidate"]
        best = get_best(registry, study, study.name)
        assert len(registry.provenances(study)) == 2
    assert [each.params for each in again] == [each.params for each in before]
    assert [each.parent for each in again] == [each.public_id for each in before]
    assert {each.provenance for each in now} != {each.provenance for each in before}
    assert best.confirmed
    assert f"winner      {best.experiment.public_id}" in out
    assert "experiments scored on other code" in " ".join(run("--summary")[1].split())

    code, _, err = run("revalidate", "--top", "3", "--repeats", "2")
    assert code == 0
    assert "0 to be scored on what is there now, 3 scored there or waiting already" in err
    with opened() as registry:
        assert len(registry.best(study, 99)) == len(now)


def test_a_revalidation_that_was_interrupted_goes_on(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("--method", "random", "--configs", "8")
    (tmp_path / "train.py").write_text("def objective(params):\n    return params['x'] * 1.0\n")
    conduct = launch_module.conduct

    def interrupted(*given: Any, **named: Any) -> Any:
        named["stop"].stop_at = 0.0
        return conduct(*given, **named)

    monkeypatch.setattr(launch_module, "conduct", interrupted)
    code, out, _ = run("revalidate", "--top", "3")
    assert code == 130
    assert "orchestrator revalidate --top 3" in out
    monkeypatch.setattr(launch_module, "conduct", conduct)
    code, _, err = run("revalidate", "--top", "3")
    assert code == 0, err
    with opened() as registry:
        [study] = registry.studies()
        methods = [each.method for each in registry.experiments(study)]
    assert methods.count("revalidate") == 3


def test_of_several_origins_the_winners_come_first(tmp_path: Path) -> None:
    with open_registry(tmp_path / "experiments.db", create=True) as registry:
        study = registry.open_study(SPEC)
        registry.add(study, some(6))
        for i, claim in enumerate(registry.claim(study, 6)):
            on = Provenance(f"d{i % 2}")
            registry.complete(claim, Evaluation(0.5 - i / 100), on)
        by_data = {name: registry.best(study, 9, Provenance(name)) for name in ("d0", "d1")}
        found = earlier_winners(registry, study, Provenance("now"), 3)
        assert found == [by_data["d1"][0], by_data["d0"][0], by_data["d1"][1]]
        assert earlier_winners(registry, study, Provenance("d0"), 9) == by_data["d1"]


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
