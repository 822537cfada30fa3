"""The sampler in Optuna: its own published tests, and what those do not ask for."""

import os
import pickle
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import cos, inf, pi
from pathlib import Path
from typing import Any

import optuna
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler
from optuna.storages.journal import JournalFileBackend
from optuna.testing.pytest_samplers import (
    BasicSamplerTestCase,
    MultiObjectiveSamplerTestCase,
    RelativeSamplerTestCase,
)
from optuna.trial import Trial, TrialState, create_trial

from orchestrator.adapters import optuna as adapter
from orchestrator.adapters.optuna import RetrainSampler
from orchestrator.adapters.optuna_space import Observed, ObservedSpace
from tuner.errors import RetrainError, SpaceError, UsageError
from tuner.experiment import Direction, Observation, Params
from tuner.generators import make_generator
from tuner.goals import Goals, Limit, Objective
from tuner.space import CategoricalParam, FloatParam, IntParam, SearchSpace, Sum

X = FloatDistribution(0.0, 1.0)
KIND = CategoricalDistribution(["svc", "forest", "none"])


@pytest.fixture(autouse=True)
def quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)


class TestPublished(BasicSamplerTestCase, RelativeSamplerTestCase, MultiObjectiveSamplerTestCase):
    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        return lambda: RetrainSampler(seed=0)


def trials_of(*params: Mapping[str, Any], **ranges: BaseDistribution) -> list[optuna.trial.FrozenTrial]:
    return [
        create_trial(params=dict(each), distributions={name: ranges[name] for name in each}, value=0.0)
        for each in params
    ]


def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[Observation], list[Params], dict[str, Any]]]:
    """What the generator of each later trial is told, and made with."""
    seen: list[tuple[list[Observation], list[Params], dict[str, Any]]] = []

    def make(method: str, space: SearchSpace, **options: Any) -> Any:
        generator = make_generator(method, space, **options)
        tell = generator.tell

        def listen(finished: Iterable[Observation], pending: Sequence[Params] = ()) -> None:
            seen.append((list(finished), list(pending), options))
            tell(finished, pending)

        monkeypatch.setattr(generator, "tell", listen)
        return generator

    monkeypatch.setattr(adapter, "make_generator", make)
    return seen


# ---- the space, read off the trials


def test_what_decides_on_a_conditional_parameter_is_found() -> None:
    layers, gamma, units = (
        IntDistribution(1, 5),
        FloatDistribution(1e-3, 1.0, log=True),
        IntDistribution(1, 9),
    )
    kernel = CategoricalDistribution(["linear", "rbf"])
    found = Observed(
        trials_of(
            {"kind": "svc", "kernel": "rbf", "gamma": 0.5},
            {"kind": "svc", "kernel": "linear"},
            {"kind": "none"},
            {"kind": "forest", "layers": 1},
            {"kind": "forest", "layers": 3, "units": 2},
            {"kind": "svc", "kernel": "linear"},
            kind=KIND,
            kernel=kernel,
            gamma=gamma,
            layers=layers,
            units=units,
        )
    )
    assert found.conditions == {
        "kernel": ("kind", [0]),
        "gamma": ("kernel", [1]),
        "layers": ("kind", [1]),
        "units": ("layers", [3, 4, 5]),
    }
    assert found.fixed == {"kind": KIND, "kernel": kernel, "gamma": gamma, "layers": layers, "units": units}
    space = ObservedSpace(found)
    proposed = space.proposed(space.space.repair(space.config({"kind": 1, "layers": 4})))
    assert space.values(proposed) == {"kind": "forest", "layers": 4, "units": 5}


def test_a_program_may_grow_and_shrink() -> None:
    old = [{"x": i / 10, "gone": 0.5} for i in range(4)]
    new = [{"x": i / 10, "new": 0.5} for i in range(4)]
    found = Observed(trials_of(*old, *new, x=X, gone=X, new=X))
    assert (set(found.fixed), found.conditions) == ({"x", "new"}, {})


def test_a_range_that_changed_for_good_is_taken_as_it_is_now() -> None:
    now = IntDistribution(0, 5)
    changed = [
        *trials_of({"x": 9}, {"x": 8}, x=IntDistribution(0, 10)),
        *trials_of({"x": 3}, {"x": 2}, x=now),
    ]
    assert Observed(changed).fixed == {"x": now}
    assert Observed(changed[:3]).fixed == {}, "one trial does not tell a new range from one that varies"
    assert Observed(changed[:3]).moving == {"x"}


def test_a_range_that_depends_on_another_parameter_is_learned() -> None:
    """Both optima are found, as values that the range of the moment allows."""

    def objective(trial: Trial) -> float:
        x = trial.suggest_int("x", 1, 20)
        return (x - 13) ** 2 / 50 + (trial.suggest_int("y", 0, x) - 9) ** 2 / 20

    study = optuna.create_study(sampler=RetrainSampler(seed=0))
    study.optimize(objective, n_trials=30)
    assert study.best_value < 0.2


@st.composite
def ranges(draw: st.DrawFn) -> BaseDistribution:
    kind = draw(st.sampled_from(["float", "log", "step", "int", "int log", "int step", "category"]))
    width = draw(st.floats(1e-3, 1e6))
    low = draw(st.floats(-1e6, 1e6))
    if kind == "float":
        return FloatDistribution(low, low + width)
    if kind == "log":
        return FloatDistribution(abs(low) + 1e-9, abs(low) + width, log=True)
    if kind == "step":
        return FloatDistribution(low, low + width, step=draw(st.sampled_from([0.1, 0.25, 0.3, 1.0, 7.0])))
    if kind == "category":
        return CategoricalDistribution(
            draw(st.lists(st.text(max_size=3), min_size=2, max_size=5, unique=True))
        )
    start, n = int(low), int(width) + 2
    if kind == "int log":
        return IntDistribution(abs(start) + 1, abs(start) + 1 + n, log=True)
    return IntDistribution(start, start + n, step=draw(st.integers(1, 9)) if kind == "int step" else 1)


@pytest.mark.filterwarnings("ignore:The distribution is specified:UserWarning")
@settings(max_examples=60, deadline=None)
@given(
    found=st.dictionaries(st.text(min_size=1, max_size=3), ranges(), min_size=1, max_size=4),
    seed=st.integers(0, 99),
)
def test_what_is_proposed_is_exactly_a_value_of_its_range(
    found: dict[str, BaseDistribution], seed: int
) -> None:
    study = optuna.create_study(sampler=RetrainSampler("random", seed=seed))
    for _ in range(3):
        study.tell(study.ask(found), 1.0)
    searched = {name for name, each in found.items() if not each.single()}
    assume(searched)
    for trial in study.trials[1:]:
        assert set(adapter._stored(trial)["codes"]) == searched
        space = ObservedSpace(Observed([]), {name: found[name] for name in searched})
        codes = space.codes(trial.params, trial.distributions)
        assert codes == adapter._stored(trial)["codes"], "what was proposed is what ran"
        assert {type(value) for value in trial.params.values()} <= {int, float, str}


def test_choices_may_be_of_any_type() -> None:
    choices = [None, [1, 2], float("nan"), True, "x"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Optuna warns that a database could not hold them
        study = optuna.create_study(sampler=RetrainSampler(seed=0))
        study.optimize(lambda t: choices.index(t.suggest_categorical("a", choices)), n_trials=8)  # type: ignore[arg-type]
        assert len({repr(trial.params["a"]) for trial in study.trials}) == len(choices)


def test_what_ours_cannot_hold_is_still_sampled() -> None:
    study = optuna.create_study(sampler=RetrainSampler(seed=0))
    study.optimize(lambda t: t.suggest_float("huge", -1e200, 1e200) / 1e200 + t.suggest_float("x", 0, 1), 4)
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 4


# ---- what the generator learns


def test_failed_and_pruned_trials_teach_and_running_ones_are_pending(monkeypatch: pytest.MonkeyPatch) -> None:
    study = optuna.create_study(sampler=RetrainSampler("random", seed=0), direction="maximize")
    ask: dict[str, BaseDistribution] = {"x": X}
    for state, value in ((TrialState.COMPLETE, 3.0), (TrialState.FAIL, None), (TrialState.COMPLETE, inf)):
        study.tell(study.ask(ask), value, state=state)
    running = study.ask(ask)
    for reported in ((), (5.0, 2.0)):
        pruned = study.ask(ask)
        for step, value in enumerate(reported):
            pruned.report(value, step)
        study.tell(pruned, state=TrialState.PRUNED)
    study.enqueue_trial({"x": 0.123})
    study.enqueue_trial({"x": 0.321})
    study.ask(ask)  # the first of those waiting
    seen = told(monkeypatch)
    trial = study.ask()
    trial.suggest_float("x", 0.0, 1.0)
    assert seen == [], "what was enqueued needs no proposal"
    study.ask(ask)
    ((finished, pending, options),) = seen
    assert [each.value for each in finished] == [3.0, None, None, None, 2.0]
    assert [each.partial for each in finished] == [False, False, False, True, True]
    assert [list(each.values()) for each in pending] == [[running.params["x"]], [0.123], [0.321]]
    assert options == {"seed": 0, "direction": "maximize", "n_asked": 8, "goals": Goals()}


def test_a_trial_is_pending_before_its_objective_has_suggested_all(monkeypatch: pytest.MonkeyPatch) -> None:
    study = optuna.create_study(sampler=RetrainSampler("random", seed=0))
    study.tell(study.ask({"x": X, "y": X}), 0.0)
    halfway = study.ask()
    halfway.suggest_float("x", 0.0, 1.0)
    seen = told(monkeypatch)
    study.ask({"x": X, "y": X})
    ((_, (pending,), _),) = seen
    y = halfway.suggest_float("y", 0.0, 1.0)
    assert sorted(pending.values(), key=str) == sorted([halfway.params["x"], y], key=str)


def test_a_finite_space_is_tried_without_repeats_and_then_goes_on() -> None:
    study = optuna.create_study(sampler=RetrainSampler(seed=0))
    study.optimize(lambda t: t.suggest_int("a", 0, 3) + t.suggest_categorical("b", [0, 1, 2]), n_trials=14)
    firsts = {tuple(trial.params.values()) for trial in study.trials[:12]}
    assert len(firsts) == 12
    assert len(study.trials) == 14


def test_jobs_of_one_process_do_not_repeat_each_other() -> None:
    study = optuna.create_study(sampler=RetrainSampler(seed=0))
    study.optimize(lambda t: t.suggest_int("a", 0, 999), n_trials=24, n_jobs=4)
    assert len({trial.params["a"] for trial in study.trials}) >= 20  # four at most were blind


_WORKER = """
import sys
import optuna
from optuna.storages.journal import JournalFileBackend
from orchestrator.adapters.optuna import RetrainSampler

storage = optuna.storages.JournalStorage(JournalFileBackend(sys.argv[1]))
study = optuna.load_study(study_name="s", storage=storage, sampler=RetrainSampler("random", seed=0))
study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=5)
"""


def test_processes_with_one_seed_on_one_storage_do_not_repeat_each_other(tmp_path: Path) -> None:
    path = str(tmp_path / "journal")
    storage = optuna.storages.JournalStorage(JournalFileBackend(path))
    study = optuna.create_study(study_name="s", storage=storage)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[3])}
    workers = [
        subprocess.Popen([sys.executable, "-c", _WORKER, path], env=environment, stderr=subprocess.DEVNULL)
        for _ in range(2)
    ]
    assert [worker.wait() for worker in workers] == [0, 0]
    assert len({trial.params["x"] for trial in study.trials}) == 10


# ---- the same again


def branin(trial: Trial) -> float:
    x, y = trial.suggest_float("x", -5, 10), trial.suggest_float("y", 0, 15)
    return (y - 5.1 / (4 * pi**2) * x * x + 5 / pi * x - 6) ** 2 + 10 * (1 - 1 / (8 * pi)) * cos(x) + 10


@pytest.fixture
def database() -> optuna.storages.BaseStorage:
    return optuna.storages.RDBStorage("sqlite:///:memory:")


def test_a_sampler_made_anew_goes_on_where_another_stopped(database: optuna.storages.BaseStorage) -> None:
    whole = optuna.create_study(sampler=RetrainSampler(seed=5))
    whole.optimize(branin, n_trials=9)
    for _ in range(3):
        sampler: RetrainSampler = pickle.loads(pickle.dumps(RetrainSampler(seed=5)))
        sampler.reseed_rng()
        parts = optuna.create_study(storage=database, study_name="s", load_if_exists=True, sampler=sampler)
        parts.optimize(branin, n_trials=3)
    assert [t.params for t in parts.trials] == [t.params for t in whole.trials]
    other = optuna.create_study(sampler=RetrainSampler(seed=6))
    other.optimize(branin, n_trials=1)
    assert other.best_params != whole.trials[0].params


def test_a_proposal_of_any_size_is_stored_in_a_database(database: optuna.storages.BaseStorage) -> None:
    many: dict[str, BaseDistribution] = {f"parameter number {i}": X for i in range(60)}
    study = optuna.create_study(storage=database, sampler=RetrainSampler("random", seed=0))
    study.tell(study.ask(many), 0.0)
    asked = study.ask(many).params
    assert len(study.trials[1].system_attrs) > 1, "one attribute holds 2,045 characters"
    assert adapter._stored(study.trials[1])["codes"] == asked


def test_it_finds_at_least_what_the_default_sampler_finds() -> None:
    """Deterministic: three seeds of each."""

    def best(sampler: BaseSampler) -> float:
        study = optuna.create_study(sampler=sampler)
        study.optimize(branin, n_trials=25)
        return study.best_value

    ours = sorted(best(RetrainSampler(seed=seed)) for seed in range(3))
    theirs = sorted(best(optuna.samplers.TPESampler(seed=seed)) for seed in range(3))
    assert ours[1] <= theirs[1]
    assert ours[1] < 0.45  # the minimum is 0.3979


# ---- a space of ours

WEIGHTS = SearchSpace(
    [
        *(FloatParam(f"w{i}", 0.0, 1.0) for i in range(3)),
        CategoricalParam("booster", ["gbtree", "dart"]),
        FloatParam("drop", 0.1, 0.9, when={"booster": "dart"}),
        IntParam("depth", 2, 16, log=True, step=2),
    ],
    [Sum(["w0", "w1", "w2"], 1.0)],
)


@pytest.mark.parametrize("space", [WEIGHTS, WEIGHTS.to_dict()], ids=["space", "document"])
def test_a_given_space_holds_from_the_first_trial_on(space: Any) -> None:
    sampler = RetrainSampler(space=space, seed=0)
    study = optuna.create_study(sampler=sampler)

    def objective(trial: Trial) -> float:
        params = sampler.suggest(trial)
        assert WEIGHTS.validate(params) == params
        return float(params["w0"])  # type: ignore[arg-type]

    study.optimize(objective, n_trials=12)
    assert {trial.params["booster"] for trial in study.trials} == {"gbtree", "dart"}
    assert study.best_value < 0.05


def test_what_is_enqueued_is_fitted_in() -> None:
    sampler = RetrainSampler(space=WEIGHTS, seed=0)
    study = optuna.create_study(sampler=sampler)
    for booster in ("dart", "gbtree"):
        study.enqueue_trial({"booster": booster, "w0": 0.75})
        trial = study.ask()
        params = sampler.suggest(trial)
        assert (params["booster"], params["w0"]) == (booster, 0.75)
        assert WEIGHTS.validate(params) == params
        study.tell(trial, 1.0)


@pytest.mark.filterwarnings("ignore:PartialFixedSampler is experimental")
def test_a_sampler_around_it_may_fix_a_part() -> None:
    ours = RetrainSampler(space=WEIGHTS, seed=0)
    study = optuna.create_study(sampler=optuna.samplers.PartialFixedSampler({"booster": "gbtree"}, ours))
    study.optimize(lambda trial: float(len(ours.suggest(trial))), n_trials=4)
    assert {trial.params["booster"] for trial in study.trials} == {"gbtree"}
    again = optuna.create_study(sampler=ours)
    again.optimize(lambda trial: float(len(ours.suggest(trial))), n_trials=8)
    assert {trial.params["booster"] for trial in again.trials} == {"gbtree", "dart"}


def refused(error: type[RetrainError], says: str, **sampler: Any) -> None:
    with pytest.raises(error, match=says) as caught:
        RetrainSampler(**sampler)
    assert caught.value.remedy


def test_what_cannot_be_is_refused_at_once() -> None:
    refused(UsageError, "Unknown method 'bayesain'. Did you mean 'bayesian'", method="bayesain")
    refused(UsageError, "Unknown option 'radius'", radius=0.2)
    refused(UsageError, "`direction` is no option here, since Optuna says it", direction="maximize")
    refused(UsageError, "`goals` is no option here", goals=None)
    space = SearchSpace([CategoricalParam("flag", [1, True])])
    refused(SpaceError, "must tell the choices of 'flag' apart", space=space)
    with pytest.raises(SpaceError):
        RetrainSampler(space={"params": []})
    with pytest.raises(UsageError, match="`seed` must be a whole number"):
        RetrainSampler(seed=-1)


def test_an_objective_that_does_not_fit_the_given_space_is_told() -> None:
    study = optuna.create_study(sampler=RetrainSampler(space=WEIGHTS, seed=0))
    with pytest.raises(UsageError, match=r"suggests 'dept', .* Did you mean 'depth'"):
        study.ask().suggest_int("dept", 2, 16)
    with pytest.raises(UsageError, match="must suggest 'depth' in the range"):
        study.ask().suggest_int("depth", 100, 200)
    with pytest.raises(UsageError, match="must have a space"):
        RetrainSampler().suggest(study.ask())


def test_a_range_wider_than_that_of_the_given_space_is_warned_of_once() -> None:
    study = optuna.create_study(sampler=RetrainSampler(space={"x": (0.0, 1.0), "k": (1, 9)}, seed=0))
    with pytest.warns(UserWarning, match=r"suggests 'k' in .*99.* nothing beyond that is proposed") as caught:
        study.optimize(
            lambda trial: trial.suggest_float("x", 0, 1) + trial.suggest_int("k", 1, 99), n_trials=3
        )
    assert len(caught) == 1
    assert {trial.params["k"] for trial in study.trials} <= set(range(1, 10))


# ---- several objectives, and constraints on results


def test_several_objectives_spread_along_their_front() -> None:
    """Of x**2 and (x - 1)**2 every x between 0 and 1 is on the front, of y only 0."""
    study = optuna.create_study(directions=["minimize", "maximize"], sampler=RetrainSampler(seed=0))

    def objective(trial: Trial) -> tuple[float, float]:
        x, y = trial.suggest_float("x", -5, 5), trial.suggest_float("y", 0, 5)
        return x**2 + y, -((x - 1) ** 2) - y

    study.optimize(objective, n_trials=25)
    near = [trial for trial in study.best_trials if trial.params["y"] < 0.5]
    assert len(near) >= 5
    assert max(each.params["x"] for each in near) - min(each.params["x"] for each in near) > 0.5


def test_values_and_constraints_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    study = optuna.create_study(
        directions=["maximize", "minimize", "maximize"], sampler=RetrainSampler("random", seed=0)
    )
    ask: dict[str, BaseDistribution] = {"x": X}
    trial = study.ask(ask)
    trial.set_constraint("size", 2.0)
    study.tell(trial, [1.0, 2.0, 3.0])
    study.tell(study.ask(ask), [1.0, inf, 3.0])
    seen = told(monkeypatch)
    study.ask(ask)
    ((finished, _, options),) = seen
    assert [(each.value, dict(each.metrics)) for each in finished] == [
        (1.0, {"value 1": 2.0, "value 2": 3.0, "constraint size": 2.0}),
        (None, {}),
    ]
    assert options["direction"] == "maximize"
    assert options["goals"] == Goals(
        (Objective("value 1", Direction.MINIMIZE), Objective("value 2", Direction.MAXIMIZE)),
        (Limit("constraint size", max=0.0),),
    )


def test_a_constraint_is_kept() -> None:
    """The unconstrained best, at 0, is out of bounds; the best within is at 0.6."""
    study = optuna.create_study(sampler=RetrainSampler(seed=0))

    def objective(trial: Trial) -> float:
        x = trial.suggest_float("x", 0, 1)
        trial.set_constraint("enough", 0.6 - x)
        return x

    study.optimize(objective, n_trials=20)
    assert 0.6 <= study.best_value < 0.65


def test_a_method_that_learns_one_objective_refuses_several() -> None:
    study = optuna.create_study(directions=["minimize", "maximize"], sampler=RetrainSampler("skopt-gp"))
    with pytest.raises(UsageError, match="learns from one metric alone") as caught:
        study.ask().suggest_float("x", 0, 1)
    assert "bayesian" in caught.value.remedy
