"""`orchestrator cancel`: what waits is ended unrun, what runs is left alone."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest

from orchestrator.cli import cli, keeping
from retrain.cli import run_command
from tests.orchestrator.fakes import FakeClock, FakePool, scored
from tests.orchestrator.toy import write_toy
from tuner.experiment import Outcome, State, Suggestion
from tuner.registry import open_registry
from tuner.registry.base import Registry

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    write_toy(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["orchestrator", *arguments])
        code = run_command(cli, "orchestrator")
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def registry(run: Run) -> Iterator[Registry]:
    """Four experiments wait: the defaults, and three candidates."""
    from retrain.config import load_config
    from retrain.tuning import write_candidates

    write_candidates(load_config(), method="random", n=3)
    with open_registry("experiments.db", create=False) as registry:
        yield registry


def states(registry: Registry) -> list[str]:
    return [each.outcome or each.state for each in registry.experiments()]


def ids(registry: Registry) -> list[str]:
    return [each.public_id for each in registry.experiments()]


def test_all_that_wait_are_cancelled_and_what_runs_is_left(run: Run, registry: Registry) -> None:
    [study] = registry.studies()
    [claim] = registry.claim(study)
    code, out, err = run("cancel", "--waiting", "--reason", "wrong data")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "3 waiting experiments cancelled",
        "left as it is: 1 running experiment; Ctrl-C ends an orchestrator and what it runs",
    ]
    assert states(registry) == ["running"] + ["cancelled"] * 3
    assert registry.experiments()[1].error.endswith(": wrong data")  # type: ignore[union-attr]
    [event] = [each for each in registry.events() if each.kind == "cancelled"]
    assert event.message.startswith("3 waiting experiments cancelled by ")
    assert event.message.endswith(": wrong data")
    assert registry.release([claim]) == 1, "the claim of what runs still stands"


def test_one_is_cancelled_by_the_start_of_its_id(run: Run, registry: Registry) -> None:
    name = ids(registry)[2]
    code, out, _ = run("cancel", name, "--format", "json")
    assert (code, json.loads(out)) == (0, {"cancelled": [name], "left": {}})
    assert states(registry) == ["waiting", "waiting", "cancelled", "waiting"]
    code, out, err = run("cancel", name)
    assert (code, out) == (6, "")
    assert f"Only what waits can be cancelled, but {name} is failed." in err


def test_an_unknown_id_cancels_nothing(run: Run, registry: Registry) -> None:
    assert run("cancel", ids(registry)[0], "nonsense")[0] == 6
    assert states(registry) == ["waiting"] * 4


@pytest.mark.parametrize("line", [["cancel"], ["cancel", "x", "--waiting"]])
def test_what_to_cancel_is_said_in_one_way(run: Run, registry: Registry, line: list[str]) -> None:
    code, _, err = run(*line)
    assert (code, states(registry)) == (2, ["waiting"] * 4)
    assert "error: cancel takes the ids of experiments, or --waiting" in err


def test_a_terminal_is_asked_unless_told_otherwise(
    run: Run, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def refuse(question: str, **_: object) -> bool:
        asked.append(question)
        return False

    monkeypatch.setattr(keeping, "may_ask", lambda: True)
    monkeypatch.setattr(click, "confirm", refuse)
    assert run("cancel", "--waiting")[:2] == (1, "nothing was cancelled\n")
    assert asked == ["Cancel 4 waiting experiments that will then never run?"]
    assert states(registry) == ["waiting"] * 4
    assert run("cancel", "--waiting", "--yes")[0] == 0
    assert (len(asked), states(registry)) == (1, ["cancelled"] * 4)


def test_what_another_study_has_waiting_stays(run: Run, registry: Registry) -> None:
    code, _, err = run("cancel", "--waiting", "--study", "other")
    assert (code, states(registry)) == (6, ["waiting"] * 4)
    assert "other" in err


def test_what_is_claimed_while_the_user_thinks_runs(run: Run, registry: Registry) -> None:
    from orchestrator.cancelling import cancel_waiting, cancelled_text
    from retrain.config import load_config

    def claim_one(_: str) -> bool:
        return bool(registry.claim(registry.studies()[0]))

    done = cancel_waiting(load_config(), [], confirm=claim_one)
    assert [each.state for each in done.left] == [State.RUNNING]
    assert len(done.cancelled) == 3
    assert all(each.outcome is Outcome.CANCELLED for each in done.cancelled)
    assert cancelled_text(done).splitlines()[1].startswith("left as it is: 1 running experiment")


def test_a_run_that_lost_candidates_to_a_user_has_not_failed(
    run: Run, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The continued run counts what failed in it before; what was cancelled is none of that."""
    from orchestrator import launch as launch_module

    def start_pool(*_: object) -> FakePool:
        return FakePool(lambda task: scored(float(str(task.params["x"]))), FakeClock(), 2)

    monkeypatch.setattr(launch_module, "start_pool", start_pool)
    with open_registry("experiments.db", create=False) as dead:
        [study] = dead.studies()
        started = dead.start_run(study, method="random", n_wanted=5, seed=study.seed, info={})
        candidates = [Suggestion({"x": x}, "random") for x in (0.25, 0.75)]
        [first, _] = dead.add(study, candidates, run=started)
    assert run("cancel", first.public_id)[0] == 0
    code, out, err = run("--method", "random", "--configs", "5")
    assert code == 0, out + err
    assert f"continuing run {started.id}: 2 of 5" in err
