"""From a request to its result, on a real registry and a pool that runs in this process."""

import csv
import io
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator import launch as launch_module
from orchestrator.driver import Driver
from orchestrator.launch import launch
from orchestrator.plan import StopReason
from orchestrator.pool import Event, Task
from orchestrator.request import Request
from orchestrator.result import RunResult, result_text, trouble_text
from orchestrator.signals import StopRequest
from retrain.config import Config, load_config
from retrain.pipeline import Pipeline
from retrain.pipelines import load_pipeline
from tests.orchestrator.fakes import HANG, Act, FakeClock, FakePool, Recorder, StopAt, failed, scored
from tests.orchestrator.toy import write_toy
from tuner.errors import NotFoundError, PoolError, UsageError
from tuner.experiment import Evaluation, Experiment, Outcome, Provenance, State
from tuner.insight import INSIGHT, Insight
from tuner.registry import open_registry
from tuner.registry.base import Registry, Run

COMMAND = ("orchestrator", "--method", "random", "--configs", "4")
RANDOM = Request(method="random", n_configs=4, n_workers=2, pool="local", command=COMMAND)
WAITING = Request(n_workers=2, pool="local", command=("orchestrator",))


def by_x(task: Task) -> Act:
    return scored(float(task.params["x"]))  # type: ignore[arg-type]


@dataclass
class Toy:
    """A project, and a way to launch it."""

    folder: Path
    patch: pytest.MonkeyPatch
    behave: Callable[[Task], Act] = by_x
    clock: FakeClock = field(default_factory=FakeClock)
    pools: list[FakePool] = field(default_factory=list)
    display: Recorder = field(default_factory=Recorder)

    def launch(self, request: Request = RANDOM, **given: Any) -> RunResult:
        self.display = Recorder()

        def start_pool(request: Request, pipeline: object, data: object, n_workers: int) -> FakePool:
            self.pools.append(FakePool(self.behave, self.clock, n_workers))
            return self.pools[-1]

        self.patch.setattr(launch_module, "start_pool", start_pool)
        config = load_config(self.folder, given.pop("overrides", None), environ={})
        stop = given.pop("stop", None) or StopRequest()
        return launch(config, request, display=self.display, stop=stop)

    def registry(self) -> Registry:
        return open_registry(self.folder / "experiments.db", create=False)

    def experiments(self, *states: State) -> list[Experiment]:
        with self.registry() as registry:
            return registry.experiments(states=states or None)

    def states(self) -> dict[str, int]:
        states = [e.state.value for e in self.experiments()]
        return {state: states.count(state) for state in sorted(set(states))}


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Toy:
    write_toy(tmp_path)
    return Toy(tmp_path, monkeypatch)


class Stopping(StopRequest):
    """The user presses Ctrl-C once the clock of the pool has come to `at`."""

    def __init__(self, clock: FakeClock, at: float) -> None:
        super().__init__()
        clock.alarms.append((at, self._ask))

    def _ask(self) -> None:
        self.stop_now = True


# ---- the good course


def test_the_defaults_come_first_and_on_top(toy: Toy) -> None:
    result = toy.launch()
    stored = toy.experiments()
    assert [e.method for e in stored] == ["default", *["random"] * 4]
    assert stored[0].params == {"x": 0.5}
    assert (result.reason, result.exit_code, result.n_complete) == (StopReason.DONE, 0, 5)
    assert result.best is not None
    assert result.best.value == min(e.params["x"] for e in stored)  # type: ignore[type-var]
    assert result.baseline is not None
    assert result.baseline.public_id == stored[0].public_id
    assert toy.pools[0].closed
    assert toy.display.notes[0] == "starting 2 local workers ..."


def test_the_run_says_where_it_came_from_and_that_it_ended(toy: Toy) -> None:
    toy.launch(
        Request(method="random", n_configs=4, n_workers=2, command=("orchestrator", "--db", "x://me:pw@h/d"))
    )
    with toy.registry() as registry:
        study = registry.studies()[0]
        taken_over = registry.start_run(study, method="random", n_wanted=4, seed=study.seed, info={})
    assert taken_over.id == 2, "the first run has ended, so that the same command is a new one"


def test_what_is_in_production_is_the_baseline(toy: Toy) -> None:
    with open_registry(toy.folder / "experiments.db", create=True) as registry:
        version = registry.stage_version("toy", {"x": 0.25}, manifest={})
        registry.activate(version, action="apply", who="me", reason="")
    result = toy.launch()
    assert [(e.method, e.params["x"]) for e in toy.experiments()[:2]] == [
        ("default", 0.5),
        ("deployed", 0.25),
    ]
    assert result.baseline is not None
    assert result.baseline.method == "deployed"


def test_grid_without_a_number_writes_its_whole_design_once(toy: Toy) -> None:
    grid = Request(method="grid", n_workers=2, pool="local", command=("orchestrator", "--method", "grid"))
    toy.launch(grid, stop=Stopping(toy.clock, 1003.0))
    n_written = len(toy.experiments())
    assert n_written > 20
    assert toy.states()["waiting"] > 0
    assert toy.launch(grid).exit_code == 0
    assert toy.states() == {"complete": n_written}


def test_a_method_that_learns_is_told_what_finished(toy: Toy) -> None:
    toy.launch(Request(method="bayesian", n_configs=6, n_workers=2, pool="local"))
    assert toy.states() == {"complete": 7}
    assert toy.pools[0].most_at_once == 2


def test_the_end_of_a_run_says_what_it_taught_once_there_is_enough(toy: Toy) -> None:
    toy.launch(Request(method="random", n_configs=4, n_workers=2, pool="local"))
    with toy.registry() as registry:
        assert registry.events(kind=INSIGHT) == []
    toy.launch(Request(method="random", n_configs=8, n_workers=2, pool="local"))
    with toy.registry() as registry:
        (event,) = registry.events(kind=INSIGHT)
    assert Insight.from_dict(event.data).importances[0].name == "x"


def test_no_more_workers_than_experiments(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.request._n_cores", lambda: 64)
    toy.launch(Request(method="random", n_configs=4, pool="local"))
    assert toy.pools[0].n_workers == 6
    toy.launch(Request(method="random", n_configs=4, n_workers=1_000_000, pool="local"))
    assert toy.pools[1].n_workers == 6


@pytest.mark.parametrize(
    ("request_", "n_open", "n_workers"),
    [
        (Request(n_workers=1_000_000), 3, 3),
        (Request(n_workers=2), 3, 2),
        (Request(n_workers=2), 0, 1),
        (Request(n_workers=64, confirm=5, repeats=5), 7, 35),  # all repeats of five, defaults and deployed
        (Request(n_workers=99, method="grid"), 0, 82),
    ],
)
def test_workers_that_could_have_no_experiment_are_not_started(
    request_: Request, n_open: int, n_workers: int
) -> None:
    assert request_.n_workers_for(n_open) == n_workers


def test_the_seed_of_a_stored_study_stands_and_that_is_said(toy: Toy) -> None:
    toy.launch()
    toy.launch(Request(method="random", n_configs=1, n_workers=1, pool="local", seed=7))
    assert "study 'toy' keeps the seed it was made with, 0" in toy.display.notes


# ---- nothing to do, and bad requests


def test_without_a_registry_there_is_nothing_to_run_and_none_is_made(toy: Toy) -> None:
    with pytest.raises(NotFoundError, match="Nothing waits in study 'toy'") as caught:
        toy.launch(WAITING)
    assert caught.value.remedy == "orchestrator --method bayesian --configs 20"
    assert not (toy.folder / "experiments.db").exists()
    assert not toy.pools


def test_a_study_with_nothing_waiting(toy: Toy) -> None:
    toy.launch()
    with pytest.raises(NotFoundError, match="Nothing waits"):
        toy.launch(WAITING)


def test_what_waits_is_run_without_a_method(toy: Toy) -> None:
    toy.launch(RANDOM, stop=Stopping(toy.clock, 1000.0))
    assert toy.states() == {"waiting": 5}
    result = toy.launch(WAITING)
    assert (result.exit_code, toy.states()) == (0, {"complete": 5})
    assert "5 experiments waiting in study 'toy'" in toy.display.notes
    toy.launch(replace(RANDOM, n_configs=3))
    assert "3 experiments to run in study 'toy': 0 waiting, 3 new" in toy.display.notes


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (Request(method="baysian"), "Unknown method 'baysian'. Did you mean 'bayesian'?"),
        (Request(pool="rai"), "Unknown pool 'rai'. Did you mean 'ray'?"),
        (Request(method="random", n_configs=0), "configs must be at least 1"),
        (Request(n_workers=0), "workers must be at least 1"),
        (Request(pool="local", address="auto"), "An address is that of a Ray cluster"),
    ],
)
def test_a_bad_request_changes_nothing(toy: Toy, request_: Request, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        toy.launch(request_)
    assert message in str(caught.value)
    assert not (toy.folder / "experiments.db").exists()


def test_a_pipeline_that_cannot_be_loaded_changes_nothing(toy: Toy) -> None:
    (toy.folder / "train.py").unlink()
    with pytest.raises(UsageError, match=r"train\.py"):
        toy.launch()
    assert not (toy.folder / "experiments.db").exists()


@pytest.mark.parametrize(
    ("given", "settled"),
    [
        ({"n_configs": 5}, ("bayesian", 5)),
        ({"method": "random"}, ("random", 20)),
        ({"method": "grid"}, ("grid", None)),
        ({"method": "grid", "n_configs": 9}, ("grid", 9)),
        ({}, (None, None)),
    ],
)
def test_what_is_not_said_has_a_default(
    given: dict[str, Any], settled: tuple[str | None, int | None]
) -> None:
    request = Request(**given).settled()
    assert (request.method, request.n_configs) == settled


# ---- going on


def test_the_same_command_continues_its_run(toy: Toy) -> None:
    interrupted = toy.launch(stop=Stopping(toy.clock, 1001.0))
    assert (interrupted.reason, interrupted.exit_code) == (StopReason.INTERRUPTED, 130)
    assert 0 < interrupted.n_complete < 5
    result = toy.launch()
    assert "continuing run 1: 4 of 4 candidates are written" in toy.display.notes
    assert (result.exit_code, toy.states()) == (0, {"complete": 5})


def test_a_run_whose_leftovers_another_command_ran_lacks_nothing_and_says_so(toy: Toy) -> None:
    toy.launch(stop=Stopping(toy.clock, 1001.0))
    toy.launch(Request(n_workers=2, pool="local"))
    assert toy.states() == {"complete": 5}
    result = toy.launch()
    assert toy.display.notes[-1] == (
        "run 1, which was interrupted, lacks nothing: all its 4 candidates were finished since;"
        " the same command again starts another run"
    )
    assert (result.exit_code, result.n_complete, toy.states()) == (0, 0, {"complete": 5})
    assert toy.launch().n_complete == 4, "as was said"


def test_what_another_orchestrator_ran_all_of_is_a_result_too(
    toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Idle(Driver):
        """Another is faster: it runs everything before this one claims anything."""

        def run(self) -> StopReason:
            for claim in self._registry.claim(self._study, 100):
                self._registry.complete(claim, Evaluation(0.25), self._provenance)
            return StopReason.DONE

    monkeypatch.setattr(launch_module, "Driver", Idle)
    result = toy.launch()
    assert (result.exit_code, result.n_complete) == (0, 0)
    assert result.best is not None
    assert result.best.value == 0.25


def test_what_a_dead_orchestrator_left_is_taken_back_at_the_start(toy: Toy) -> None:
    toy.launch(stop=Stopping(toy.clock, 1000.0))
    with toy.registry() as dead:
        dead.claim(dead.studies()[0], 3)
        owner = dead.owner
    assert toy.launch().n_complete == 5
    assert any(
        note.startswith(f"recovered 3 experiments left by orchestrator {owner[:4]} (dead ")
        for note in toy.display.notes
    )


def test_a_run_in_rounds_writes_only_what_it_lacks(toy: Toy) -> None:
    rounds = Request(method="bayesian", n_configs=6, n_workers=2, pool="local")
    toy.launch(rounds, stop=Stopping(toy.clock, 1002.0))
    assert len(toy.experiments()) < 7
    toy.launch(rounds)
    assert toy.states() == {"complete": 7}


def test_the_same_command_after_its_end_is_a_new_run(toy: Toy) -> None:
    toy.launch()
    toy.launch()
    assert toy.states() == {"complete": 9}


def test_another_command_leaves_the_interrupted_run_to_itself_but_runs_what_waits(toy: Toy) -> None:
    toy.launch(stop=Stopping(toy.clock, 1000.0))
    toy.launch(Request(method="random", n_configs=3, n_workers=2, pool="local"))
    assert toy.states() == {"complete": 8}


# ---- other data, code or metric


@dataclass
class Versioned:
    """Gives the toy's pipeline another provenance."""

    patch: pytest.MonkeyPatch

    def __call__(self, data: str) -> Provenance:
        provenance = Provenance(data=data, code="c", metric="m")

        def load(config: Config) -> Pipeline:
            pipeline = load_pipeline(config)
            pipeline.provenance = lambda: provenance  # type: ignore[method-assign]
            return pipeline

        self.patch.setattr("retrain.pipelines.load_pipeline", load)
        return provenance


@pytest.fixture
def data(monkeypatch: pytest.MonkeyPatch) -> Versioned:
    return Versioned(monkeypatch)


def test_after_other_data_the_baseline_is_scored_again(toy: Toy, data: Versioned) -> None:
    data("old")
    toy.behave = lambda task: scored(-1.0)
    toy.launch()
    now = data("new")
    toy.behave = by_x
    result = toy.launch()
    (told,) = [note for note in toy.display.notes if "earlier" in note]
    assert told.startswith("5 earlier results of study 'toy' came from other data: kept, but not compared;")
    again = [e for e in toy.experiments() if e.repeat]
    assert [(e.method, e.params["x"], e.provenance) for e in again] == [("default", 0.5, now)]
    assert result.best is not None
    assert result.best.value != -1.0, "the better value of other data is not the best"
    assert result.baseline is not None
    assert result.baseline.public_id == again[0].public_id


def test_the_baseline_is_scored_again_once(toy: Toy, data: Versioned) -> None:
    data("old")
    toy.launch()
    data("new")
    toy.launch(stop=Stopping(toy.clock, toy.clock.now))  # interrupted before anything was scored
    toy.launch()
    toy.launch()
    assert sum(bool(e.repeat) for e in toy.experiments()) == 1


def test_a_baseline_that_failed_with_all_others_is_tried_again_once_what_broke_them_is_mended(
    toy: Toy,
) -> None:
    toy.behave = lambda task: failed()
    toy.launch()
    assert not [e for e in toy.experiments() if e.repeat], "a new study has nothing to try again"
    toy.behave = by_x
    result = toy.launch()
    assert "nothing succeeded yet in study 'toy': the baseline is tried again" in toy.display.notes
    (again,) = [e for e in toy.experiments() if e.repeat]
    assert (again.method, again.params["x"], again.state) == ("default", 0.5, State.COMPLETE)
    assert result.baseline is not None
    assert result.baseline.public_id == again.public_id
    toy.launch()
    assert sum(bool(e.repeat) for e in toy.experiments()) == 1


def deploy(toy: Toy, **params: float) -> None:
    with open_registry(toy.folder / "experiments.db", create=True) as registry:
        version = registry.stage_version("toy", params, manifest={})
        registry.activate(version, action="apply", who="me", reason="")


def test_what_is_deployed_is_scored_again_once_however_it_was_found(toy: Toy, data: Versioned) -> None:
    data("old")
    toy.launch()
    found = toy.experiments()[2]
    deploy(toy, **found.params)  # type: ignore[arg-type]
    now = data("new")
    for _ in range(2):
        toy.launch()
    again = [e for e in toy.experiments() if e.repeat and e.method != "random"]
    assert [(e.method, e.params, e.provenance) for e in again] == [
        ("default", {"x": 0.5}, now),
        ("deployed", found.params, now),
    ]


def test_what_was_deployed_from_an_old_result_is_scored_again_once(toy: Toy, data: Versioned) -> None:
    data("old")
    toy.launch()
    found = toy.experiments()[2]
    now = data("new")
    toy.launch()
    deploy(toy, **found.params)  # type: ignore[arg-type]
    for _ in range(2):
        toy.launch()
    again = [e for e in toy.experiments() if e.method == "deployed"]
    assert [(e.params, e.provenance) for e in again] == [(found.params, now)]


GRID = Request(method="grid", n_configs=4, n_workers=2, pool="local", command=("orchestrator",))


def test_after_other_data_the_same_candidates_are_scored_again(toy: Toy, data: Versioned) -> None:
    data("old")
    toy.launch(GRID)
    now = data("new")
    result = toy.launch(GRID)
    first, again = toy.experiments()[:5], toy.experiments()[5:]
    assert [e.params for e in again] == [e.params for e in first]
    assert {(e.repeat, e.provenance, e.state) for e in again} == {(1, now, State.COMPLETE)}
    assert (result.n_complete, result.exhausted) == (5, False)


@pytest.mark.parametrize("n_configs", [4, None])
def test_a_continued_run_scores_again_what_it_scored_on_other_data(
    toy: Toy, data: Versioned, n_configs: int | None
) -> None:
    grid = replace(GRID, n_configs=n_configs)
    data("old")
    toy.launch(grid, stop=Stopping(toy.clock, toy.clock.now + 1.0))
    wanted = {e.params["x"] for e in toy.experiments()}
    assert len(toy.experiments(State.COMPLETE)) == 2
    now = data("new")
    toy.launch(grid)
    assert any(each.startswith("continuing run 1: ") for each in toy.display.notes)
    scored_now = [e.params["x"] for e in toy.experiments() if e.provenance == now]
    assert (set(scored_now), len(scored_now)) == (wanted, len(wanted))


def test_a_baseline_that_still_waits_is_not_written_twice(toy: Toy, data: Versioned) -> None:
    data("old")
    toy.behave = lambda task: failed() if task.params["x"] == 0.5 else by_x(task)
    toy.launch(stop=Stopping(toy.clock, 1001.5))
    default = toy.experiments()[0]
    assert default.state is State.WAITING
    assert toy.experiments(State.COMPLETE)
    data("new")
    toy.behave = by_x
    toy.launch()
    assert not [e for e in toy.experiments() if e.repeat]


# ---- bad ends


def test_failed_experiments_end_in_code_5(toy: Toy) -> None:
    toy.behave = lambda task: failed() if task.params["x"] == 0.5 else by_x(task)
    result = toy.launch()
    assert (result.exit_code, result.n_complete, result.n_failed) == (5, 4, 1)
    assert result.causes == [("error: ValueError: no", 1)]
    tolerant = Request(method="random", n_configs=4, n_workers=2, pool="local", max_failed=1)
    toy.behave = lambda task: failed() if len(toy.pools[-1].ran) in (1, 5) else by_x(task)
    assert toy.launch(tolerant).exit_code == 0


def test_the_same_error_in_a_row_stops_the_run_and_keeps_what_waits(toy: Toy) -> None:
    many = replace(RANDOM, n_configs=10, n_workers=1)
    toy.behave = lambda task: failed(message=f"ValueError: x = {task.params['x']}")
    result = toy.launch(many)
    assert (result.reason, result.exit_code) == (StopReason.SAME_ERROR, 1)
    assert toy.states() == {"failed": 3, "waiting": 8}
    assert len(toy.pools[-1].ran) == 6, "each was tried twice"
    third = toy.experiments(State.FAILED)[-1]
    assert result.same_error == third
    what, remedy = trouble_text(result) or ("", "")
    assert what.endswith(f"with the same error, last {third.public_id}: {third.error}")
    assert f"nevertheless: {' '.join(COMMAND)} --same-error 0" in remedy
    document = json.loads(result_text(result, "json"))
    assert (document["ended"], document["same_error"]["experiment"]) == ("same_error", third.public_id)
    toy.behave = by_x  # mended: the same command goes on with the same run
    again = toy.launch(many)
    assert (again.reason, toy.states()) == (StopReason.DONE, {"complete": 9, "failed": 3})


@pytest.mark.parametrize("outcome", [Outcome.BAD_RESULT, Outcome.NON_FINITE])
def test_a_result_that_is_none_stops_the_run_as_an_error_does(toy: Toy, outcome: Outcome) -> None:
    toy.behave = lambda task: failed(outcome, "The metric 'loss' is not what it should be.")
    result = toy.launch(replace(RANDOM, n_configs=10, n_workers=1))
    assert (result.reason, result.exit_code) == (StopReason.SAME_ERROR, 1)
    assert toy.states() == {"failed": 3, "waiting": 8}


def test_a_run_can_go_on_whatever_fails(toy: Toy) -> None:
    toy.behave = lambda task: failed()
    result = toy.launch(replace(RANDOM, n_configs=10, n_workers=1, same_error=0))
    assert (result.reason, result.exit_code) == (StopReason.DONE, 5)
    assert toy.states() == {"failed": 11}


def test_a_success_that_was_running_beside_takes_the_stop_back(toy: Toy) -> None:
    """In batches the order is that of finishing."""

    def behave(task: Task) -> Act:
        slow = len(toy.pools[-1].ran) == 1
        return scored(1.0, 8.0) if slow else failed() if toy.clock.now < 1007.0 else by_x(task)

    toy.behave = behave
    result = toy.launch(replace(RANDOM, n_configs=6, n_workers=2))
    assert (result.reason, result.n_failed, result.n_complete) == (StopReason.DONE, 3, 4)


def test_when_all_fail_it_says_so(toy: Toy) -> None:
    toy.behave = lambda task: failed(Outcome.NON_FINITE, "the metric is nan")
    result = toy.launch(replace(RANDOM, same_error=0))
    assert (result.exit_code, result.best) == (5, None)
    assert result_text(result).splitlines()[1:] == [
        "no experiment succeeded",
        "failed 5 x: non_finite: the metric is nan",
        "next: orchestrator --summary",
    ]


def test_several_objectives_end_in_a_front_to_choose_from(toy: Toy) -> None:
    with (toy.folder / "retrain.toml").open("a") as file:
        file.write('[[objective]]\nmetric = "cost"\ndirection = "maximize"\n')

    def behave(task: Task) -> Act:
        x = float(task.params["x"])  # type: ignore[arg-type]
        return Act(Evaluation(x, metrics={"cost": min(x, 0.4)}))

    toy.behave = behave
    result = toy.launch()
    rows = sorted(toy.experiments(), key=lambda each: each.value or 0.0)
    on_front = [each.public_id for each in rows if each.params["x"] <= 0.4]  # type: ignore[operator]
    on_front += [each.public_id for each in rows if each.public_id not in on_front][:1]
    assert len(on_front) > 1, "else it would be no test"
    assert [each.public_id for each in result.front] == on_front
    assert result_text(result).splitlines()[1:] == [
        f"front of loss, cost: {len(on_front)} experiments",
        "choose by: orchestrator --summary",
    ]
    document = json.loads(result_text(result, "json"))
    assert (document["best"], document["front"]) == (None, on_front)
    (row,) = csv.DictReader(io.StringIO(result_text(result, "csv")))
    assert (row["best"], row["front"].split()) == ("", on_front)


def test_where_nothing_keeps_the_limits_it_says_so(toy: Toy) -> None:
    with (toy.folder / "retrain.toml").open("a") as file:
        file.write('[[limit]]\nmetric = "cost"\nmax = 1.0\n')
    toy.behave = lambda task: Act(Evaluation(0.0, metrics={"cost": 2.0}))
    result = toy.launch()
    assert (result.exit_code, result.best, result.n_complete) == (6, None, 5)
    assert "no experiment keeps the limits of the study" in result_text(result).splitlines()
    assert trouble_text(result) == (
        "No experiment keeps the limits of the study: cost at most 1.",
        "orchestrator --summary",
    )


def test_failures_before_an_interruption_count_for_the_continued_run(toy: Toy) -> None:
    toy.behave = lambda task: failed() if task.params["x"] != 0.5 else by_x(task)
    toy.launch(stop=Stopping(toy.clock, 1002.0))
    assert "failed" in toy.states()
    toy.behave = by_x
    assert toy.launch().exit_code == 5


@pytest.mark.parametrize("name", ["timeout_s", "experiment_timeout_s"])
def test_no_time_at_all_is_refused(toy: Toy, name: str) -> None:
    none: dict[str, Any] = {name: 0}
    with pytest.raises(UsageError, match="timeout must be more than 0, since nothing is done in no time"):
        toy.launch(Request(method="random", n_configs=4, pool="local", **none))


def test_a_budget_that_ends_before_a_first_result(toy: Toy) -> None:
    toy.behave = lambda task: Act(Evaluation(0.0), HANG)
    short = Request(method="random", n_configs=4, n_workers=2, pool="local", timeout_s=1e-9, grace_s=0.0)
    result = toy.launch(short)
    assert (result.reason, result.exit_code) == (StopReason.TIMEOUT, 6)
    assert "running" not in toy.states()


def test_workers_that_are_lost_cost_nothing(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(self: FakePool, timeout_s: float) -> list[Event]:
        if self.ran:
            raise PoolError("The cluster is gone.")
        return []

    with monkeypatch.context() as patch:
        patch.setattr(FakePool, "wait", gone)
        with pytest.raises(PoolError) as caught:
            toy.launch()
    assert str(caught.value) == "The cluster is gone. 2 experiments that ran will run again."
    assert caught.value.remedy == "continue with: orchestrator --method random --configs 4"
    assert caught.value.exit_code == 4
    assert toy.states() == {"waiting": 5}
    assert toy.launch().exit_code == 0


# ---- what is printed at the end


def test_the_end_in_few_lines(toy: Toy) -> None:
    result = toy.launch()
    first, best, baseline, following = result_text(result).splitlines()
    assert first.startswith("done after ")
    assert first.endswith(": 5 complete, 0 failed")
    assert result.best is not None
    assert best == f"best loss {result.best.value:.5g} by {result.best.public_id}"
    assert baseline == "baseline 0.5"
    assert following == "next: orchestrator --summary"


def test_the_end_fits_a_terminal_and_leaves_no_cause_unmentioned(toy: Toy) -> None:
    fine = {0.5}

    def behave(task: Task) -> Act:
        x = float(task.params["x"])  # type: ignore[arg-type]
        if len(fine) < 2 or x in fine:
            fine.add(x)
            return Act(Evaluation(x, std_error=x / 10))
        return failed(message=f"ValueError: {x}")

    toy.behave = behave
    lines = result_text(toy.launch(replace(RANDOM, n_configs=6, same_error=0))).splitlines()
    assert max(map(len, lines)) <= 80
    assert len([line for line in lines if line.startswith("failed 1 x")]) == 3
    assert lines[-2] == "and 2 more causes of failure"


def test_a_stop_after_the_last_experiment_is_no_interruption(toy: Toy) -> None:
    result = toy.launch(stop=StopAt(toy.clock, at=1003.0))
    assert (result.reason, toy.states()) == (StopReason.DONE, {"complete": 5})
    assert "continue with" not in result_text(result)


def test_an_interrupted_run_says_how_to_go_on(toy: Toy) -> None:
    text = result_text(toy.launch(stop=Stopping(toy.clock, 1000.0)))
    assert text.splitlines()[-1] == "continue with: orchestrator --method random --configs 4"
    assert "5 waiting" in text


def test_the_end_for_programs(toy: Toy) -> None:
    result = toy.launch()
    document = json.loads(result_text(result, "json"))
    assert result.best is not None
    assert document["best"] == {
        "experiment": result.best.public_id,
        "value": result.best.value,
        "std_error": None,
        "params": dict(result.best.params),
    }
    assert (document["ended"], document["n_complete"]) == ("done", 5)
    (row,) = csv.DictReader(io.StringIO(result_text(result, "csv")))
    assert (row["best_experiment"], float(row["best"])) == (result.best.public_id, result.best.value)


def test_owners_are_told_apart(toy: Toy) -> None:
    """A second launch while the first still runs is a run of its own."""
    with open_registry(toy.folder / "experiments.db", create=True) as registry:
        first: list[Run] = []

        def behave(task: Task) -> Act:
            if not first:
                study = registry.studies()[0]
                first.append(registry.start_run(study, method="random", n_wanted=4, seed=0, info={}))
            return by_x(task)

        toy.behave = behave
        toy.launch()
    assert first[0].id == 2


def test_the_time_of_a_command_counts_from_its_process(toy: Toy) -> None:
    began = time.monotonic() - 200.0
    result = toy.launch(replace(RANDOM, timeout_s=100.0, started_at=began, grace_s=0.0))
    assert (result.reason, result.n_complete) == (StopReason.TIMEOUT, 0)
    assert result.elapsed_s >= 200.0
    assert toy.launch(replace(RANDOM, timeout_s=1000.0, started_at=began)).reason is StopReason.DONE
