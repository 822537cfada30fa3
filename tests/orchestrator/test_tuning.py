"""`tune`: the whole loop in one call, on real workers."""

import importlib
import subprocess
import sys
import time
from collections.abc import Callable
from inspect import signature
from pathlib import Path
from typing import Any

import pytest

import orchestrator
from orchestrator import TuneResult, tune
from orchestrator.pool import Event
from tests.orchestrator.fakes import FakeClock, FakePool, scored
from tuner.errors import MismatchError, ParamsError, SpaceError, UsageError, did_you_mean
from tuner.experiment import Direction, Outcome, State
from tuner.generators import make_generator
from tuner.goals import Goals, Limit, Objective
from tuner.registry import open_registry
from tuner.space import CategoricalParam, FloatParam, SearchSpace

ROOT = Path(__file__).resolve().parents[2]
SPACE = SearchSpace([FloatParam("x", 0.0, 10.0, default=5.0), CategoricalParam("kind", ["a", "b"])])


def quiet(objective: Any, **given: Any) -> TuneResult:
    settings = {"method": "random", "configs": 6, "workers": 2, "progress": False, **given}
    return tune(objective, SPACE, **settings)


def test_a_closure_is_tuned(capfd: pytest.CaptureFixture[str]) -> None:
    wanted = 3.0
    result = quiet(lambda params: (params["x"] - wanted) ** 2)
    assert len(result.experiments) == 7
    assert result.experiments[0].params == {"x": 5.0, "kind": "a"}
    assert result.best_value == min(e.value for e in result.experiments)  # type: ignore[type-var]
    assert result.best_params is not None
    assert result.best_value == (result.best_params["x"] - wanted) ** 2  # type: ignore[operator]
    assert repr(result).startswith(f"best value {result.best_value} with ")
    assert str(result) == repr(result)
    assert capfd.readouterr() == ("", "")


def test_metrics_direction_and_reports() -> None:
    def objective(params: dict[str, Any], report: Any) -> dict[str, float]:
        report(0, {"auc": 0.1})
        return {"auc": params["x"] / 10, "cost": 1.0}

    result = quiet(objective, metric="auc", direction="maximize")
    assert result.study.direction is Direction.MAXIMIZE
    assert result.best is not None
    assert result.best_value == max(e.value for e in result.experiments)  # type: ignore[type-var]
    assert result.best.metrics == {"cost": 1.0}


def test_bayesian_learns_in_rounds() -> None:
    result = quiet(lambda params: (params["x"] - 3.0) ** 2, method="bayesian", configs=12)
    assert [e.method for e in result.experiments] == ["default", *["bayesian"] * 12]


def test_failures_are_told_and_not_raised() -> None:
    def objective(params: dict[str, Any]) -> float:
        if params["kind"] == "b":
            raise ValueError("b does not work")
        return float(params["x"])

    result = quiet(objective, configs=8, same_error=0)
    assert result.best is not None
    assert result.same_error is None
    assert result.best.params["kind"] == "a"
    assert {(e.outcome, e.error) for e in result.failed} == {(Outcome.ERROR, "ValueError: b does not work")}


def test_the_same_traceback_in_a_row_ends_the_call() -> None:
    def objective(params: dict[str, Any]) -> float:
        return float(params["x"] + no_such_name)  # type: ignore[name-defined]  # noqa: F821

    result = quiet(objective, configs=8, workers=1)
    assert len(result.failed) == 3
    assert result.same_error == result.failed[-1]
    assert "stopped by the same error in a row: NameError: name 'no_such_name' is not defined" in str(result)
    assert len(quiet(objective, configs=8, same_error=0).failed) == 9


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"method": "gp"}, "The method gp needs torch"),
        ({"radius": 1}, "Unknown option 'radius' of method 'random'"),
    ],
)
def test_a_method_that_cannot_propose_is_refused_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, given: dict[str, Any], message: str
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(UsageError, match=message):
        quiet(lambda params: 0.0, db=tmp_path / "mine.db", **given)
    assert list(tmp_path.iterdir()) == []


def test_when_nothing_succeeds_the_result_says_why() -> None:
    result = quiet(lambda params: float("nan"), configs=2)
    assert (result.best, result.best_params, result.best_value) == (None, None, None)
    assert {e.state for e in result.experiments} == {State.FAILED}
    assert str(result) == "no experiment succeeded (3 experiments, 3 failed): The metric 'value' is nan."


@pytest.fixture
def interrupted_after(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], list[FakePool]]:
    """Ctrl-C in a notebook, once so many experiments have ended."""

    def interrupt(n_ended: int) -> list[FakePool]:
        pools: list[FakePool] = []

        class Interrupted(FakePool):
            def wait(self, timeout_s: float) -> list[Event]:
                if len(self.ran) > n_ended:
                    raise KeyboardInterrupt
                return super().wait(timeout_s)

        def start_pool(*_: object) -> FakePool:
            pools.append(Interrupted(lambda task: scored(float(len(task.params))), FakeClock(), 1))
            return pools[0]

        monkeypatch.setattr("orchestrator.tuning.start_pool", start_pool)
        return pools

    return interrupt


def test_ctrl_c_returns_what_is_finished(interrupted_after: Callable[[int], list[FakePool]]) -> None:
    pools = interrupted_after(3)
    result = quiet(lambda params: 0.0)
    assert [e.state for e in result.experiments].count(State.COMPLETE) == 3
    assert State.RUNNING not in {e.state for e in result.experiments}
    assert result.best_value == 2.0
    assert result.interrupted
    assert "; interrupted)" in str(result)
    assert pools[0].closed


def test_ctrl_c_before_anything_is_finished_is_raised(
    interrupted_after: Callable[[int], list[FakePool]],
) -> None:
    pools = interrupted_after(0)
    with pytest.raises(KeyboardInterrupt):
        quiet(lambda params: 0.0)
    assert pools[0].closed


def test_a_study_that_is_kept_goes_on(tmp_path: Path) -> None:
    where = tmp_path / "mine.db"
    quiet(lambda params: params["x"], db=where, study="s", configs=3)
    result = quiet(lambda params: params["x"], db=str(where), study="s", configs=2)
    assert len(result.experiments) == 6
    with open_registry(where, create=False) as registry:
        assert [e.public_id for e in registry.experiments()] == [e.public_id for e in result.experiments]
    with pytest.raises(MismatchError):
        quiet(lambda params: params["x"], db=where, study="s", direction="maximize")


def test_nothing_is_left_without_a_registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    quiet(lambda params: params["x"], configs=1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "given",
    [{"method": "baysian"}, {"pool": "dask"}, {"configs": 0}, {"direction": "up"}, {"no_such_option": 1}],
)
def test_bad_arguments_are_usage_errors(given: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        quiet(lambda params: 0.0, **given)


@pytest.mark.parametrize(
    ("wrong", "right"), [("sede", "seed"), ("worker", "workers"), ("n_configs", "configs")]
)
def test_an_argument_that_is_none_names_the_closest(wrong: str, right: str) -> None:
    with pytest.raises(UsageError, match=f"`tune` takes no '{wrong}'. Did you mean '{right}'"):
        quiet(lambda params: 0.0, **{wrong: 1})


@pytest.mark.parametrize("method", ["bayesian", "grid", "random", "sobol", "skopt-rf", "tpe"])
def test_no_option_of_a_generator_is_taken_for_a_slip(method: str) -> None:
    arguments = signature(tune).parameters
    options = signature(type(make_generator(method, SPACE))).parameters
    assert not [each for each in options if each not in arguments and did_you_mean(each, arguments)]


def test_options_of_a_generator_have_no_name_together() -> None:
    with pytest.raises(UsageError, match="Unknown option 'options' of method 'random'"):
        quiet(lambda params: 0.0, options={"radius": 1})


def test_guesses_are_tried_first() -> None:
    result = quiet(
        lambda params: params["x"], guesses=[{"x": 9.0}, {"x": 8.0, "kind": "b"}], workers=1, configs=2
    )
    by_start = sorted(result.experiments, key=lambda each: each.started_at or 0.0)
    assert [each.method for each in by_start] == ["guess", "guess", "default", "random", "random"]
    assert [dict(each.params) for each in by_start[:2]] == [{"x": 9.0, "kind": "a"}, {"x": 8.0, "kind": "b"}]
    with pytest.raises(ParamsError, match="'x' must be a number"):
        quiet(lambda params: 0.0, guesses=[{"x": 11.0}])


def test_a_space_may_be_given_as_other_tools_do() -> None:
    space = {"x": {"type": "uniform", "lower": 0, "upper": 10}, "kind": ["a", "b"], "group": {"one": 1}}
    result = tune(
        lambda params: params["x"] + params["group.one"], space, configs=2, workers=1, progress=False
    )
    assert len(result.experiments) == 3
    assert not result.failed
    with pytest.raises(SpaceError, match="'x' must be declared in a way that is known"):
        tune(lambda params: 0.0, {"x": object()}, progress=False)


def test_progress_is_shown_where_it_is_asked_for(capfd: pytest.CaptureFixture[str]) -> None:
    quiet(lambda params: params["x"], progress=True)
    assert "7/7 done, best value" in capfd.readouterr().err
    quiet(lambda params: params["x"], progress=None)
    assert capfd.readouterr().err == "", "stderr is no terminal here"


def test_a_script_without_a_main_guard(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from orchestrator import tune\n"
        "from tuner import FloatParam, SearchSpace\n"
        "offset = 2.0\n"
        "def objective(params):\n"
        "    return abs(params['x'] - offset)\n"
        "space = SearchSpace([FloatParam('x', 0, 4)])\n"
        "result = tune(objective, space, method='random', configs=3, workers=2)\n"
        "print(len(result.experiments), result.best_value)\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)],
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("4 0.0"), "the middle of the space is where the offset is"


def test_the_name_stays_a_function_whatever_is_imported() -> None:
    module = importlib.import_module("orchestrator.tuning")
    assert orchestrator.tune is module.tune
    assert orchestrator.tune.__name__ == "tune"
    with pytest.raises(AttributeError, match="tuna"):
        _ = orchestrator.tuna


@pytest.mark.ray
def test_on_ray(ray_address: str) -> None:
    result = quiet(lambda params: (params["x"] - 3.0) ** 2, pool="ray", configs=3)
    assert [e.state for e in result.experiments] == [State.COMPLETE] * 4


def test_goals_decide_what_is_the_best() -> None:
    result = quiet(
        lambda params: {"gain": params["x"], "cost": params["x"]},
        configs=9,
        metric="gain",
        direction="maximize",
        goals=Goals(limits=(Limit("cost", max=5.0),)),
    )
    kept = [each for each in result.experiments if each.metrics["cost"] <= 5.0]
    assert result.best_value == max(each.value for each in kept)  # type: ignore[type-var]
    assert [each.id for each in result.experiments if each.feasible] == [each.id for each in kept]
    assert len(kept) < 10


def test_several_objectives_have_a_front() -> None:
    goals = Goals(objectives=(Objective("cost", Direction.MINIMIZE),))
    result = quiet(lambda params: {"value": params["x"], "cost": -params["x"]}, configs=2, goals=goals)
    assert [each.value for each in result.front] == sorted(each.value or 0.0 for each in result.experiments)
    assert str(result) == "front of value, cost: 3 experiments (3 experiments, 0 failed)"
    assert quiet(lambda params: params["x"], configs=1).front == ()


def test_where_nothing_keeps_the_limits_that_is_said() -> None:
    limits = Goals(limits=(Limit("cost", max=-1.0),))
    result = quiet(lambda params: {"value": params["x"], "cost": 0.0}, configs=2, goals=limits)
    assert result.best is None
    assert str(result) == "no experiment keeps the limits (3 experiments, 0 failed): cost at most -1"


def test_a_goal_of_the_metric_itself_is_refused_before_anything_runs() -> None:
    with pytest.raises(UsageError, match="must be of other metrics than the study's own"):
        quiet(lambda params: params["x"], goals=Goals(limits=(Limit("value", max=1.0),)))


@pytest.mark.parametrize("pruner", ["asha", {"name": "median", "grace": 2, "startup": 1}])
def test_what_is_worse_than_the_defaults_is_pruned(pruner: Any) -> None:
    def objective(params: dict[str, Any], report: Any) -> float:
        deadline = time.monotonic() + 60.0
        for step in range(1, 1_000_000):
            report(step, {"value": params["x"]})
            if params["x"] == 0.0 and step == 9:  # the defaults come to their end
                return 0.0
            assert time.monotonic() < deadline
            time.sleep(0.001)
        raise AssertionError

    space = SearchSpace([FloatParam("x", 0.0, 1.0, default=0.0)])
    result = tune(objective, space, method="random", configs=3, workers=1, pruner=pruner, progress=False)
    assert [each.state for each in result.experiments] == [State.COMPLETE, *[State.PRUNED] * 3]
    assert result.best_value == 0.0


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"memory": "no"}, "similar studies must be .* but got 'no'"),
        ({"progress": "no"}, "`progress` must be True, False or None, but got 'no'"),
        (
            {"pruner": {"name": "asha", "every_step": "no"}},
            "`every_step` must be True or False, but got 'no'",
        ),
        ({"configs": "ten"}, "configs must be a whole number of at least 1, but got 'ten'"),
        ({"warm_start": "spring"}, r"`warm_start` must be a list of names .* but got 'spring'"),
        ({"warm_start": None}, "`warm_start` must be a list of names .* but got None"),
        ({"guesses": {"x": 0.5}}, r"`guesses` must be a list of configurations, but got \{'x': 0.5\}"),
        ({"seed": True}, "seed must be a whole number of at least 0, but got True"),
        ({"experiment_timeout": "10m"}, "experiment-timeout must be seconds, but got '10m'"),
    ],
)
def test_an_argument_of_another_kind_is_refused_by_name(given: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        quiet(lambda params: params["x"], **given)


@pytest.mark.parametrize("pruner", ["ahsa", {"grace": 3}, 5, {"name": 5}, {"name": "asha", "grase": 3}])
def test_a_pruner_that_cannot_be_is_refused(pruner: Any) -> None:
    space = SearchSpace([FloatParam("x", 0.0, 1.0)])
    with pytest.raises(UsageError, match=r"pruner"):
        tune(lambda params: 0.0, space, pruner=pruner)
