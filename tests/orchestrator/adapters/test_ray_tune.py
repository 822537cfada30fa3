"""The searcher in Ray Tune: its calls one by one, and a real run with ASHA."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from math import cos, inf, nan, pi
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ray import tune
from ray.tune.search import ConcurrencyLimiter, Searcher
from ray.tune.search.variant_generator import generate_variants

from orchestrator.adapters import ray_tune as adapter
from orchestrator.adapters.ray_tune import RetrainSearcher
from tuner.errors import ParamsError, RetrainError, SpaceError, UsageError
from tuner.experiment import Observation, Params
from tuner.generators import make_generator
from tuner.space import CategoricalParam, FloatParam, IntParam, SearchSpace, Sum

ROOT = Path(__file__).resolve().parents[3]

LR = {"lr": tune.loguniform(1e-4, 1.0), "depth": tune.randint(2, 9)}
SMALL = {"kind": tune.choice(["a", "b"]), "depth": tune.grid_search([1, 2, 3])}


def searcher(config: Mapping[str, Any] = LR, mode: str = "min", **options: Any) -> RetrainSearcher:
    """One that Tune has given a space, as it does at the start of a run."""
    made = RetrainSearcher(**options)
    assert made.set_search_properties("loss", mode, dict(config))
    return made


def loss_of(config: Mapping[str, Any]) -> float:
    return float((config["lr"] - 0.05) ** 2 + abs(config["depth"] - 5) / 10)


def branin(x: float, y: float) -> float:
    return (y - 5.1 / (4 * pi**2) * x * x + 5 / pi * x - 6) ** 2 + 10 * (1 - 1 / (8 * pi)) * cos(x) + 10


def finish(one: Searcher, trial: str, loss: Any) -> None:
    """End a trial after two iterations, as Tune does where it ended by itself."""
    for iteration, value in enumerate((99.0, loss), 1):
        one.on_trial_result(trial, {"loss": value, "training_iteration": iteration})
    one.on_trial_complete(trial, {"loss": loss, "training_iteration": 2})


def run(one: Searcher, n: int, start: int = 0) -> Iterator[dict[str, Any]]:
    for i in range(start, start + n):
        config = one.suggest(f"t{i}")
        assert isinstance(config, dict)
        finish(one, f"t{i}", loss_of(config))
        yield config


# ---- configurations


def test_a_configuration_has_the_shape_of_the_param_space() -> None:
    sizes = [[64, 64], [128], None]
    config = {
        "optimizer": {"lr": tune.loguniform(1e-4, 1e-1), "name": "sgd"},
        "layers": [tune.randint(1, 4), 7],
        "sizes": tune.choice(sizes),
        "q": tune.quniform(0, 1, 0.1),
        "epochs": 3,
    }
    one = searcher(config)
    for trial in range(8):
        made = one.suggest(str(trial))
        assert set(made) == {"optimizer", "layers", "sizes", "q"}, "constants of their own are Tune's"
        assert made["optimizer"]["name"] == "sgd"
        assert 1e-4 <= made["optimizer"]["lr"] <= 1e-1
        assert made["layers"][0] in (1, 2, 3)
        assert made["layers"][1] == 7
        assert made["sizes"] in sizes
        assert {type(made["q"]), type(made["optimizer"]["lr"])} == {float}
        finish(one, str(trial), 1.0)
    assert isinstance(config["layers"], list)
    assert not isinstance(config["layers"][0], int), "the user's own is left as it was"


def test_a_space_of_ours_holds_in_every_trial() -> None:
    space = SearchSpace(
        [
            *(FloatParam(f"w{i}", 0.0, 1.0) for i in range(3)),
            CategoricalParam("booster", ["gbtree", "dart"]),
            FloatParam("drop", 0.1, 0.9, when={"booster": "dart"}),
        ],
        [Sum(["w0", "w1", "w2"], 1.0)],
    )
    one = RetrainSearcher(space, "loss", "min")
    assert one.set_search_properties(None, None, {"epochs": 3})
    for trial in range(6):
        config = one.suggest(str(trial))
        assert space.validate(config) == config
        finish(one, str(trial), config["w0"])


def test_a_space_may_be_given_in_the_words_of_other_tools() -> None:
    assert set(RetrainSearcher(LR, "loss", "min").suggest("a")) == {"lr", "depth"}
    declared = {"lr": {"type": "loguniform", "lower": 0.01, "upper": 0.3}, "depth": (2, 12)}
    assert 0.01 <= RetrainSearcher(declared, "loss", "min").suggest("a")["lr"] <= 0.3


def test_a_finite_space_is_finished_when_all_of_it_was_tried() -> None:
    one = searcher(SMALL)
    seen = set()
    for trial in range(6):
        config = one.suggest(str(trial))
        seen.add((config["kind"], config["depth"]))
        one.on_trial_complete(str(trial), {"loss": 1.0})
    assert len(seen) == 6
    assert one.suggest("more") == Searcher.FINISHED


def test_a_limit_of_concurrency_holds() -> None:
    one = ConcurrencyLimiter(searcher(), max_concurrent=2)
    first, second = one.suggest("a"), one.suggest("b")
    assert first != second
    assert one.suggest("c") is None
    finish(one, "a", 1.0)
    assert one.suggest("c") not in (None, first, second)


# ---- results


def values(one: RetrainSearcher) -> list[float | None]:
    return [each.value for each in one._ended]


def partial(one: RetrainSearcher, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Of each trial that ended, whether the next generator is told that it was stopped early."""
    told: list[bool] = []

    def make(*arguments: Any, **options: Any) -> Any:
        generator = make_generator(*arguments, **options)
        tell = generator.tell

        def listen(finished: list[Observation], pending: list[Params]) -> None:
            told.extend(each.partial for each in finished)
            tell(finished, pending)

        monkeypatch.setattr(generator, "tell", listen)
        return generator

    monkeypatch.setattr(adapter, "make_generator", make)
    one.suggest("next")
    return told


def test_what_a_trial_told_is_learned() -> None:
    one = searcher(mode="max")
    for trial in "abcdefgh":
        one.suggest(trial)
    finish(one, "a", 0.5)
    one.on_trial_complete("b", error=True)
    one.on_trial_complete("c", {"loss": 0.1}, error=True)
    finish(one, "d", nan)
    finish(one, "e", -inf)
    one.on_trial_complete("f", {"accuracy": 0.9})
    one.on_trial_result("g", {"loss": 0.25})
    one.on_trial_complete("g")  # stopped while it was paused
    assert values(one) == [0.5, None, None, None, None, None, 0.25]
    one.on_trial_complete("h")  # stopped before it ran
    one.on_trial_complete("a", {"loss": 7.0})  # a second time
    one.on_trial_complete("unknown", {"loss": 7.0})
    assert len(values(one)) == 7
    assert one._made_generator().direction == "maximize"


@pytest.mark.parametrize("mode", ["min", "max"])
def test_what_a_scheduler_stopped_early_counts_as_such(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    one, sign = searcher(mode=mode), 1 if mode == "min" else -1
    for trial in "abcde":
        one.suggest(trial)

    def report(trial: str, loss: float, n: int, *, stopped: bool) -> None:
        results = [{"loss": sign * loss, "training_iteration": i} for i in range(1, n + 1)]
        for result in results[: n - stopped]:  # the one that a scheduler stops it for goes to complete alone
            one.on_trial_result(trial, result)
        one.on_trial_complete(trial, results[-1])

    report("a", 3.0, 1, stopped=True)  # nobody knows yet that there is more to come
    assert partial(one, monkeypatch) == [False]
    report("b", 1.0, 9, stopped=True)  # the last rung
    report("c", 2.0, 3, stopped=True)
    report("d", 2.0, 3, stopped=False)  # by itself
    report("e", 0.5, 3, stopped=True)  # at its goal, better than all
    assert partial(one, monkeypatch) == [True, False, True, False, False]


def test_several_objectives_spread_along_their_front() -> None:
    """Of x**2 and (x - 1)**2 every x between 0 and 1 is on the front, of y only 0."""
    space = {"x": tune.uniform(-5, 5), "y": tune.uniform(0, 5)}
    one = RetrainSearcher(space, ["one", "two"], ["min", "max"])
    near = []
    for trial in map(str, range(25)):
        x, y = one.suggest(trial).values()
        near += [x] if y < 0.5 and -0.2 < x < 1.2 else []
        one.on_trial_complete(trial, {"one": x**2 + y, "two": -((x - 1) ** 2) - y})
    assert len(near) >= 5
    assert max(near) - min(near) > 0.5
    one.suggest("half")
    one.on_trial_complete("half", {"one": 1.0})
    assert [(each.value, dict(each.metrics)) for each in one._ended[-1:]] == [(None, {})]


def test_what_was_evaluated_elsewhere_is_not_tried_again() -> None:
    one = searcher(SMALL)
    for kind in ("a", "b"):
        one.add_evaluated_point({"kind": kind, "depth": 1}, 0.5)
    one.add_evaluated_point({"kind": "a", "depth": 2}, 0.0, error=True)
    with pytest.raises(UsageError, match="one value for each of loss"):
        one.add_evaluated_point({"kind": "a", "depth": 2}, [1.0, 2.0])
    assert values(one) == [0.5, 0.5, None]
    left = [one.suggest(str(trial)) for trial in range(3)]
    assert {(each["kind"], each["depth"]) for each in left} == {("b", 2), ("a", 3), ("b", 3)}
    assert one.suggest("more") == Searcher.FINISHED


def test_guesses_come_first() -> None:
    one = searcher(points_to_evaluate=[{"lr": 0.125, "depth": 3}, {"lr": 0.5}])
    assert one.suggest("a") == {"lr": 0.125, "depth": 3}
    assert one.suggest("b")["lr"] == 0.5
    assert one.suggest("c")["lr"] not in (0.125, 0.5)
    with pytest.raises(ParamsError, match="depth"):
        searcher(points_to_evaluate=[{"depth": 99}])


@pytest.mark.parametrize(
    ("points", "said"),
    [
        ([{"lr": 0.1, "net": {"dept": 3}}], "Unknown parameter 'net/dept'. Did you mean 'net/depth'"),
        ([{"rl": 0.1}], "Unknown parameter 'rl'"),
        ({"lr": 0.1}, "must be a table of names and values, but got 'lr'"),
    ],
)
def test_a_guess_of_something_else_is_refused(points: Any, said: str) -> None:
    config = {"lr": tune.loguniform(1e-4, 1.0), "net": {"depth": tune.randint(2, 9)}, "n_epochs": 3}
    with pytest.raises(ParamsError, match=said):
        searcher(config, points_to_evaluate=points)
    known = searcher(config, points_to_evaluate=[{"net": {"depth": 3}, "n_epochs": 3}])
    assert known.suggest("a")["net"] == {"depth": 3}


def test_a_restored_searcher_goes_on_as_if_nothing_had_been(tmp_path: Path) -> None:
    class Mine:
        """Of no module that could be imported again."""

    config = {**LR, "any": tune.choice([Mine, len])}
    whole, parts = (searcher(config, seed=3) for _ in range(2))
    expected = list(run(whole, 10))
    assert list(run(parts, 6)) == expected[:6]
    running = parts.suggest("t6")
    parts.save_to_dir(str(tmp_path))

    again = searcher(config)  # as Tune does before it restores
    again.restore_from_dir(str(tmp_path))
    finish(again, "t6", loss_of(running))
    assert [(each["lr"], each["depth"]) for each in [running, *run(again, 3, 7)]] == [
        (each["lr"], each["depth"]) for each in expected[6:]
    ]


def test_it_finds_at_least_what_the_default_search_finds() -> None:
    """Deterministic: two seeds of each, Ray Tune's own being random. The minimum of Branin's is 0.3979."""
    space = {"x": tune.uniform(-5, 10), "y": tune.uniform(0, 15)}

    def ours(seed: int) -> float:
        one, losses = searcher(space, seed=seed), []
        for trial in map(str, range(18)):
            losses.append(branin(**one.suggest(trial)))
            finish(one, trial, losses[-1])
        return min(losses)

    def theirs(seed: int) -> float:
        draws = np.random.RandomState(seed)
        return min(branin(**next(generate_variants(space, random_state=draws))[1]) for _ in range(18))

    assert max(map(ours, range(2))) <= min(map(theirs, range(2)))


# ---- refusals


def refused(error: type[RetrainError], says: str, *arguments: Any, **options: Any) -> None:
    with pytest.raises(error, match=says) as caught:
        RetrainSearcher(*arguments, **options)
    assert caught.value.remedy


def test_what_cannot_be_is_refused_at_once() -> None:
    refused(UsageError, "Unknown method 'bayesain'. Did you mean", method="bayesain")
    refused(UsageError, "Unknown option 'radius'", radius=0.1)
    refused(UsageError, "`direction` is no option here, since Ray Tune says it", direction="minimize")
    refused(UsageError, "`mode` must be 'min' or 'max', but got 'minimize'", LR, "loss", "minimize")
    refused(UsageError, "Every metric must have its mode", LR, ["a", "b"], "min")
    refused(UsageError, "learns from one metric", LR, ["a", "b"], ["min", "max"], method="skopt-gp")
    refused(SpaceError, "'lr' must be known in advance", {"lr": tune.sample_from(lambda spec: 1)})
    nested = tune.choice([{"rate": tune.uniform(0, 1)}, {"rate": 0.5}])
    refused(SpaceError, "choices of 'lr' must be values, but one of them holds a domain", {"lr": nested})
    slashed = {"net/lr": tune.uniform(0, 1), "net": {"lr": tune.uniform(0, 1)}}
    refused(SpaceError, "names of a param_space must differ .* net/lr", slashed)
    with pytest.raises(SpaceError, match="all of it is constant"):
        RetrainSearcher().set_search_properties("loss", "min", {"lr": 0.1})


def test_what_tune_has_not_said_is_asked_for() -> None:
    with pytest.raises(UsageError, match="must know the space"):
        RetrainSearcher().suggest("a")
    with pytest.raises(UsageError, match="no mode"):
        RetrainSearcher(LR).suggest("a")
    with pytest.raises(UsageError, match="Every metric must have its mode"):
        RetrainSearcher(metric=["a", "b"]).set_search_properties(None, "min", LR)


def test_two_spaces_are_one_too_many() -> None:
    """Tune has its own words for it."""
    one = RetrainSearcher(SearchSpace([IntParam("depth", 1, 3)]), "loss", "min")
    assert not one.set_search_properties("loss", "min", LR)
    assert not searcher().set_search_properties("loss", "min", LR)


# ---- a real run

_RUN = """
import json, sys
import ray
from ray import tune
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search import Searcher
from orchestrator.adapters.ray_tune import RetrainSearcher

def train(config):
    if (config["kind"], config["net"]["depth"]) == (["b"], 1):
        raise RuntimeError("meant to fail")
    for i in range(1, 5):
        tune.report({"loss": config["net"]["depth"] + (config["kind"] == ["b"]) / 2 + config["constant"] / i})

ray.init(log_to_driver=False, logging_level="ERROR")
searcher = RetrainSearcher()
results = tune.Tuner(
    train,
    param_space={
        "kind": tune.choice([["a"], ["b"]]), "net": {"depth": tune.randint(1, 5)}, "constant": 8,
    },
    tune_config=tune.TuneConfig(
        search_alg=searcher, metric="loss", mode="min", num_samples=20, max_concurrent_trials=2,
        scheduler=ASHAScheduler(max_t=4, grace_period=1, reduction_factor=2), reuse_actors=True,
    ),
    run_config=tune.RunConfig(storage_path=sys.argv[1], name="run", verbose=0),
).fit()
again = RetrainSearcher()
again.restore_from_dir(sys.argv[1] + "/run")
print(json.dumps({
    "trials": [
        [each.config, (each.metrics or {}).get("training_iteration"), each.error is not None]
        for each in results
    ],
    "told": [[dict(each.params), each.value] for each in again._ended],
    "best": results.get_best_result().config,
    "finished": again.suggest("x") == Searcher.FINISHED,
}))
"""


@pytest.mark.ray
def test_a_real_run_with_asha(ray_cluster: Mapping[str, str], tmp_path: Path) -> None:
    """All of a finite space, one trial of which fails and some of which ASHA stops."""
    done = subprocess.run(
        [sys.executable, "-c", _RUN, str(tmp_path)],
        env={
            **os.environ,
            **ray_cluster,
            "PYTHONPATH": str(ROOT),
            "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
        },
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=600,
    )
    found = json.loads(done.stdout.splitlines()[-1])
    configs = [(*config["kind"], config["net"]["depth"]) for config, _, _ in found["trials"]]
    assert sorted(configs) == [(kind, depth) for kind in "ab" for depth in range(1, 5)]
    assert {config["constant"] for config, _, _ in found["trials"]} == {8}
    failed = [(*config["kind"], config["net"]["depth"]) for config, _, error in found["trials"] if error]
    assert failed == [("b", 1)]
    lengths = {length for _, length, error in found["trials"] if not error}
    assert min(lengths) < 4, "ASHA has stopped some"
    assert max(lengths) == 4
    assert found["best"] == {"kind": ["a"], "net": {"depth": 1}, "constant": 8}
    assert found["finished"], "what was saved knows all of it"
    assert len(found["told"]) == 8
    assert [params for params, value in found["told"] if value is None] == [{"kind": 1, "net/depth": 1}]
