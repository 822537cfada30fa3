"""Tuning by Ray Tune: what it is given, and what becomes of its trials in the registry."""

from collections.abc import Callable
from typing import Any, Self

import pytest

from orchestrator import ray_tuning as module
from orchestrator.comparison.tuned import TUNED
from orchestrator.ray_tuning import Search, Tried, check_ray_tune
from orchestrator.ray_tuning_host import domain_of
from tests.orchestrator.comparison.places import InlinePool
from tuner.errors import UsageError
from tuner.experiment import Evaluation, Failure, Measurement, Outcome, State
from tuner.registry import open_registry
from tuner.space import CategoricalParam, FloatParam, Increasing, IntParam, SearchSpace

Run = Callable[..., tuple[int, str, str]]
COMMAND = (
    *("compare", "--models", "random_forest", "--train-on", "all"),
    *("--tune-hyperparameters", "--tuning-method", "ray_tune", "--tuning-trials", "5", "--workers", "2"),
)


def test_domains_are_those_of_the_parameters() -> None:
    from ray.tune.search import sample

    drawn = {
        param.name: [domain_of(param).sample() for _ in range(200)]
        for param in (
            FloatParam("f", 0.1, 0.2),
            FloatParam("log", 1e-4, 1.0, log=True),
            FloatParam("step", 0.5, 1.0, step=0.25),
            IntParam("i", 2, 4),
            IntParam("ilog", 1, 100, log=True),
            IntParam("istep", 3, 9, step=3),
            CategoricalParam("c", [None, "a", True]),
        )
    }
    assert all(0.1 <= each <= 0.2 for each in drawn["f"])
    assert sum(each < 0.01 for each in drawn["log"]) > 60  # half of them; 1 in 10^8 fails
    assert set(drawn["step"]) == {0.5, 0.75, 1.0}
    assert set(drawn["i"]) == {2, 3, 4}
    assert all(1 <= each <= 100 for each in drawn["ilog"])
    assert set(drawn["istep"]) == {3, 6, 9}
    assert set(drawn["c"]) == {None, "a", True}
    assert isinstance(domain_of(IntParam("i", 2, 4)), sample.Integer)


def test_what_ray_tune_cannot_keep_is_refused() -> None:
    space = SearchSpace([FloatParam("a", 0, 1), FloatParam("b", 0, 1)], [Increasing(["a", "b"])])
    with pytest.raises(UsageError, match="cannot keep the constraints"):
        check_ray_tune(space)


class Fake:
    """Tells of the trials that a test wants."""

    started: list["Fake"]
    trials: list[Any]

    def __init__(self, pipeline: object, data: object, n_workers: int, address: str | None = None) -> None:
        self.searches: list[Search] = []
        self.started.append(self)

    def __enter__(self) -> Self:
        return self

    def run(self, search: Search, take: Callable[[Tried], None], stop: Callable[[], bool]) -> bool:
        self.searches.append(search)
        for params, result in self.trials:
            steps = 3 if isinstance(result, Evaluation) else 1
            reports = tuple(Measurement(i, search.metric, 0.5) for i in range(steps))
            take(Tried(params, result, reports, 0.1))
        return True

    def close(self) -> None:
        """Nothing was started."""


@pytest.fixture
def trials(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    Fake.started, Fake.trials = [], []
    monkeypatch.setattr(module, "RayTuning", Fake)
    return Fake.trials


def test_trials_become_experiments(run: Run, trials: list[Any]) -> None:
    default = {"n_estimators": 10, "max_depth": 4}
    trials += [
        (default, Evaluation(0.6)),
        ({"n_estimators": 7, "max_depth": 3}, Evaluation(0.8)),
        ({"n_estimators": 7, "max_depth": 3}, Evaluation(0.8)),
        ({"n_estimators": 9, "max_depth": 2}, None),
        ({"n_estimators": 8, "max_depth": 2}, Failure(Outcome.ERROR, "ValueError: no")),
    ]
    code, _, err = run(*COMMAND)
    assert code == 0, err
    [fake] = Fake.started
    [search] = fake.searches
    assert (search.metric, search.mode, search.n_trials, search.n_steps) == ("accuracy", "max", 6, 3)
    with open_registry("experiments.db", create=False) as registry:
        [study] = registry.studies()
        rows = {each.params["n_estimators"]: each for each in registry.experiments(study)}
        [tuned] = registry.events(kind=TUNED)
        stopped = registry.measurements(rows[9])
    assert rows[10].method == "default"
    assert {rows[n].method for n in (7, 8, 9)} == {"ray_tune"}
    assert [rows[n].value for n in (10, 7)] == [0.6, 0.8]
    assert rows[8].error == "ValueError: no"
    assert rows[9].state is State.PRUNED
    assert rows[9].value is None
    assert rows[9].stop is not None
    assert (rows[9].stop.value, rows[9].stop.step) == (0.5, 0)
    assert [each.value for each in stopped] == [0.5]
    assert tuned.data["params"] == {"n_estimators": 7, "max_depth": 3}
    assert run(*COMMAND)[0] == 0
    assert len(Fake.started) == 1


def test_a_search_of_which_nothing_came_is_not_kept(run: Run, trials: list[Any]) -> None:
    trials += [({"n_estimators": 8, "max_depth": 2}, Failure(Outcome.ERROR, "ValueError: no"))]
    code, out, _ = run(*COMMAND)
    assert code == 5
    assert "error: ValueError: no" in out
    with open_registry("experiments.db", create=False) as registry:
        assert registry.events(kind=TUNED) == []
        [study] = registry.studies()
        assert registry.counts(study)[State.RUNNING] == 0


@pytest.mark.ray
def test_ray_tune_itself_with_its_scheduler(run: Run, pools: list[InlinePool], ray_address: str) -> None:
    """The real one: trials in its own actors, the data from the object store, some stopped early by ASHA."""
    code, out, err = run(
        *COMMAND[:-4], "--tuning-trials", "7", "--workers", "2", "--tuning-metric", "csmf_accuracy"
    )
    assert code == 0, err
    assert "random_forest" in out
    with open_registry("experiments.db", create=False) as registry:
        [study] = registry.studies()
        rows = registry.experiments(study)
        lengths = {each.public_id: len(registry.measurements(each)) for each in rows}
        assert registry.holdout_reads("logistic_regression-places")
    assert all(each.state.finished for each in rows)
    assert 6 <= len(rows) <= 8
    assert max(lengths.values()) == 3
    whole = [each for each in rows if each.state is State.COMPLETE]
    assert whole
    assert all(lengths[each.public_id] == 3 for each in whole)
    [pool] = pools
    best = max(whole, key=lambda each: each.value or 0.0)
    again = run_again(
        pool, study.seed, dict(best.params), next(iter(task.params["compare.job"] for task in pool.ran))
    )
    assert again == pytest.approx(best.value)  # scored as any other worker would


def run_again(pool: InlinePool, seed: int, params: dict[str, Any], job: Any) -> float:
    evaluation = pool.pipeline.evaluate({**params, "compare.job": job}, lambda *_: None, seed)
    return evaluation.value
