"""Our generators as a sampler of Optuna.

study = optuna.create_study(sampler=RetrainSampler(seed=1))
study.optimize(objective, n_trials=50)
"""

import json
import threading
import warnings
import zlib
from collections.abc import Mapping, Sequence
from functools import partial
from math import isfinite
from typing import Any

import numpy as np

from tuner.errors import SpaceError, UsageError, did_you_mean
from tuner.experiment import Direction, Observation, Params, Value
from tuner.generators import Generator, make_generator
from tuner.goals import NO_GOALS, Goals, Limit, Objective
from tuner.space import FloatParam, SearchSpace

try:
    import optuna
except ModuleNotFoundError as error:
    if error.name != "optuna":
        raise
    raise UsageError(
        "A sampler for Optuna needs Optuna, which is not installed.", "pip install 'retrain[optuna]'"
    ) from None
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState

from orchestrator.adapters.options import check_options
from orchestrator.adapters.optuna_space import (
    Codes,
    GivenSpace,
    Observed,
    ObservedSpace,
    StudySpace,
    at_position,
)

__all__ = ["RetrainSampler"]

_PROBE = SearchSpace([FloatParam("x", 0.0, 1.0)])
"""Stands in where no space is known yet."""

_OF_STUDIES = {
    "direction": "optuna.create_study(direction=...)",
    "goals": "optuna.create_study(directions=...), trial.set_constraint(...)",
    "n_asked": "Leave it out: trials are counted by their study.",
}

_ATTRIBUTE = "retrain:proposal:"
_MOST_CHARACTERS = 2045
"""Longest value of an attribute that Optuna's database storage takes."""


class RetrainSampler(optuna.samplers.BaseSampler):
    """Proposes the parameters of each trial by one of our generators.

    The space need not be declared: it is read off earlier trials (see `ObservedSpace`), conditional
    parameters included; what cannot be seen in them yet is drawn at random. With `space`, its conditions and
    constraints hold in every trial from the first on; `suggest` then suggests all of it.

    Failed trials count as bad, and so do those that were pruned before they reported anything; others count
    by where they stood when they were pruned. Running and waiting ones are pending, also those of other
    processes. The proposals of a trial depend on the seed, its number and what the study's storage holds,
    and on nothing else: a sampler made anew goes on where another one stopped. Several objectives and
    constraints on results (`Trial.set_constraint`) are for the methods bayesian and tpe, and for those that
    do not learn.

    Args:
        method: of `tuner.generators.METHODS`.
        space: a SearchSpace, or whatever `SearchSpace.of` takes; None to read it off the trials.
        seed: a whole number >= 0; drawn when not given.
        options: further options of the method.

    Raises:
        UsageError: unknown method or option, one that the study decides, or a package that the method needs
            is missing.
        SpaceError: `space` declares none, or has choices that Optuna cannot tell apart.
    """

    def __init__(
        self,
        method: str = "bayesian",
        *,
        space: Any = None,
        seed: int | None = None,
        **options: Any,
    ) -> None:
        self._given = None if space is None else _known_to_optuna(SearchSpace.of(space))
        check_options("Optuna", options, _OF_STUDIES)
        self._method, self._options = method, options
        self._warned = False
        self._seed = int(np.random.SeedSequence().generate_state(1)[0]) if seed is None else seed
        # Whatever is wrong is told now, and not in the first trial.
        probe = self._given.space if self._given else _PROBE
        make_generator(
            method, probe, seed=self._seed, direction="minimize", n_asked=0, goals=NO_GOALS, **options
        )
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()

    def reseed_rng(self) -> None:
        """Do nothing: the trials of parallel jobs differ by their number, which is part of every seed."""

    def suggest(self, trial: Trial) -> Params:
        """Suggest every active parameter of `space` in a trial.

        Raises:
            UsageError: the sampler has no `space`.
        """
        if self._given is None:
            raise UsageError(
                "The sampler must have a space to suggest all of it.", "RetrainSampler(space=...)"
            )
        space = self._given.space
        params: dict[str, Value] = {}
        for name in space.order:
            if (condition := space.conditions.get(name)) is None or condition.holds(params):
                value = _suggested(trial, name, self._given.distributions[name])
                checked, problem = space.params[name].check(value)
                params[name] = value if problem else checked  # what a user enqueued stands
        return space.ordered(params)

    def infer_relative_search_space(
        self,
        study: Study,
        trial: FrozenTrial,  # noqa: ARG002 - Optuna's signature
    ) -> dict[str, BaseDistribution]:
        """See Optuna: the parameters proposed together."""
        if self._given is not None:
            return dict(self._given.distributions)  # samplers around this one take some out
        fixed = Observed(study.get_trials(deepcopy=False)).fixed
        return {name: fixed[name] for name in sorted(fixed)}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """See Optuna: one proposal; empty where no earlier trial tells the space.

        Raises:
            UsageError: the study has several objectives or constraints, which the method cannot learn.
        """
        with self._lock:  # jobs of one process know of each other
            trials = study.get_trials(deepcopy=False)
            generator_of = partial(self._generator, study.directions, _goals(study.directions, trials), trial)
            searched = self._searched(trials, search_space)
            if searched is None:
                generator_of(_PROBE)  # what it cannot learn is told at once
                return {}
            codes = self._proposed(generator_of(searched.space), trials, trial, searched)
            _store(study, trial, searched, codes)
        values = searched.values(codes)
        return {name: values[name] for name in search_space if name in values}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """See Optuna: what no earlier trial had, or had in other ranges.

        Raises:
            UsageError: the sampler's `space` does not have it, or has it in another range.
        """
        if self._given is not None:
            return _inactive(self._given.space, trial, param_name, param_distribution)
        position = _stored(trial)["positions"].get(param_name)
        if position is not None and (value := at_position(param_distribution, position)) is not None:
            return value
        seed = self._stream(trial, zlib.crc32(param_name.encode())).generate_state(1)[0]
        random = optuna.samplers.RandomSampler(seed=int(seed))
        return random.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(
        self,
        study: Study,  # noqa: ARG002 - Optuna's signature
        trial: FrozenTrial,
        state: TrialState,  # noqa: ARG002
        values: Sequence[float] | None,  # noqa: ARG002
    ) -> None:
        """See Optuna: warn, once, of a range that is not that of the sampler's space, but holds it."""
        searched = {} if self._given is None or self._warned else self._given.distributions
        for name, here in trial.distributions.items():
            if name in searched and here != searched[name]:
                self._warned = True
                warnings.warn(
                    f"The objective suggests {name!r} in {here}, but the sampler's space has"
                    f" {searched[name]}, and nothing beyond that is proposed. Give both the same range, or"
                    " let sampler.suggest(trial) suggest all parameters.",
                    stacklevel=2,
                )
                return

    def _searched(
        self, trials: Sequence[FrozenTrial], wanted: Mapping[str, BaseDistribution]
    ) -> StudySpace | None:
        if self._given is not None:
            return self._given
        try:
            return ObservedSpace(Observed(trials), wanted)
        except SpaceError:  # nothing can be seen yet
            return None

    def _generator(
        self, directions: Sequence[StudyDirection], goals: Goals, trial: FrozenTrial, space: SearchSpace
    ) -> Generator:
        return make_generator(
            self._method,
            space,
            seed=self._seed,
            direction=_direction(directions[0]),
            n_asked=trial.number,
            goals=goals,
            **self._options,
        )

    def _proposed(
        self,
        generator: Generator,
        trials: Sequence[FrozenTrial],
        trial: FrozenTrial,
        searched: StudySpace,
    ) -> Codes:
        finished: list[Observation] = []
        held: list[Params] = []
        for other in trials:
            codes = {} if other.number == trial.number else _codes(other, searched)
            if codes and other.state.is_finished():
                finished.append(_observation(other, searched.config(codes)))
            elif codes:
                held.append(searched.config(codes))
        generator.tell(finished, held)
        if suggestions := generator.ask(1):
            params = suggestions[0].params
        else:  # a finite space is exhausted: it is Optuna's user who says when to stop
            params = searched.space.sample(np.random.default_rng(self._stream(trial, 0)))
        codes = searched.proposed(params)
        if fixed := _fixed(trial, searched):
            codes = searched.proposed(searched.fitted(codes, fixed))
        return codes

    def _stream(self, trial: FrozenTrial, purpose: int) -> np.random.SeedSequence:
        return np.random.SeedSequence([self._seed, trial.number, purpose])


def _direction(direction: StudyDirection) -> Direction:
    return Direction.MAXIMIZE if direction == StudyDirection.MAXIMIZE else Direction.MINIMIZE


def _goals(directions: Sequence[StudyDirection], trials: Sequence[FrozenTrial]) -> Goals:
    """What the study wants besides its first objective."""
    constraints = sorted({name for trial in trials for name in trial.constraints})
    return Goals(
        tuple(Objective(_value_name(i), _direction(each)) for i, each in enumerate(directions) if i),
        tuple(Limit(_constraint_name(name), max=0.0) for name in constraints),
    )


def _value_name(index: int) -> str:
    return f"value {index}"


def _constraint_name(name: str) -> str:
    return f"constraint {name}"


def _known_to_optuna(space: SearchSpace) -> GivenSpace:
    given = GivenSpace(space)
    for name, distribution in given.distributions.items():
        if isinstance(distribution, CategoricalDistribution):
            indices = [distribution.to_internal_repr(choice) for choice in distribution.choices]
            if indices != list(range(len(indices))):
                raise SpaceError(
                    f"Optuna must tell the choices of {name!r} apart, but takes some of "
                    f"{list(distribution.choices)!r} for the same.",
                    "Name the choices with strings.",
                )
    return given


def _inactive(space: SearchSpace, trial: FrozenTrial, name: str, distribution: BaseDistribution) -> Any:
    """The default of a parameter that the objective asks for although the trial's others leave it out."""
    if name not in space.params:
        raise UsageError(
            f"The objective suggests {name!r}, which is not in the sampler's space."
            f"{did_you_mean(name, space.params)}",
            f"The space has: {', '.join(space.names)}.",
        )
    value = space.params[name].default
    if name in _stored(trial)["codes"] or not distribution._contains(distribution.to_internal_repr(value)):
        raise UsageError(
            f"The objective must suggest {name!r} in the range of the sampler's space, "
            f"{space.params[name]!r}, but suggests it in {distribution!r}.",
            "Let sampler.suggest(trial) suggest all parameters.",
        )
    return value


def _suggested(trial: Trial, name: str, distribution: BaseDistribution) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        return trial.suggest_categorical(name, distribution.choices)
    if isinstance(distribution, IntDistribution):
        return trial.suggest_int(name, **vars(distribution))
    assert isinstance(distribution, FloatDistribution)
    return trial.suggest_float(name, **vars(distribution))


def _observation(trial: FrozenTrial, params: Params) -> Observation:
    """What a finished trial tells; an infinite value, which Optuna allows, counts as a failure."""
    values = trial.values if trial.state == TrialState.COMPLETE else None
    if trial.state == TrialState.PRUNED and trial.last_step is not None:
        values = [trial.intermediate_values[trial.last_step]]
    if values is None or not all(map(isfinite, values)):
        return Observation(params, None, partial=trial.state == TrialState.PRUNED)
    metrics = {_value_name(index): value for index, value in enumerate(values) if index}
    excesses = {_constraint_name(n): v for n, v in trial.constraints.items() if isfinite(v)}
    return Observation(
        params, values[0], partial=trial.state == TrialState.PRUNED, metrics={**metrics, **excesses}
    )


def _codes(trial: FrozenTrial, searched: StudySpace) -> Codes:
    """What is known of a trial: what it was proposed, and what it has suggested so far; {} for nothing."""
    own = searched.codes(trial.params, trial.distributions)
    if own is None:
        return {}
    stored = _stored(trial)
    return {
        **{name: code for name, code in stored["codes"].items() if name in searched.distributions},
        **{name: u for name, u in stored["positions"].items() if name not in searched.distributions},
        **_fixed(trial, searched),
        **own,
    }


def _fixed(trial: FrozenTrial, searched: StudySpace) -> Codes:
    """What the user enqueued for a trial."""
    fixed = trial.system_attrs.get("fixed_params", {})
    ranges = {name: each for name, each in searched.distributions.items() if name in fixed}
    try:
        return searched.codes({name: fixed[name] for name in ranges}, ranges) or {}
    except ValueError:  # no choice of a category, for which Optuna ends the trial
        return {}


def _store(study: Study, trial: FrozenTrial, searched: StudySpace, codes: Codes) -> None:
    """Let others see what a trial will be, before its objective has suggested it."""
    parts: dict[str, dict[str, Any]] = {"codes": {}, "positions": {}}
    for name, code in codes.items():
        parts["codes" if name in searched.distributions else "positions"][name] = code
    text = json.dumps(parts)
    for start in range(0, len(text), _MOST_CHARACTERS):
        key = f"{_ATTRIBUTE}{start // _MOST_CHARACTERS}"
        study._storage.set_trial_system_attr(trial._trial_id, key, text[start : start + _MOST_CHARACTERS])


def _stored(trial: FrozenTrial) -> dict[str, dict[str, Any]]:
    chunks: list[str] = []
    while (chunk := trial.system_attrs.get(f"{_ATTRIBUTE}{len(chunks)}")) is not None:
        chunks.append(chunk)
    try:
        parts: dict[str, dict[str, Any]] = json.loads("".join(chunks))
    except json.JSONDecodeError:  # none, or another process is writing it
        return {"codes": {}, "positions": {}}
    return parts
