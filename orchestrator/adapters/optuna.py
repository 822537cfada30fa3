"""Our generators as a sampler of Optuna.

study = optuna.create_study(sampler=RetrainSampler(seed=1))
study.optimize(objective, n_trials=50)
"""

import json
import threading
import zlib
from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

import numpy as np

from tuner.errors import SpaceError, UsageError, did_you_mean
from tuner.experiment import Observation, Params, Value
from tuner.generators import make_generator
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

from orchestrator.adapters.optuna_space import (
    Codes,
    GivenSpace,
    Observed,
    ObservedSpace,
    StudySpace,
    at_position,
)

__all__ = ["RetrainSampler"]

_ATTRIBUTE = "retrain:proposal:"
_MOST_CHARACTERS = 2045
"""Longest value of an attribute that Optuna's database storage takes."""


class _SeveralObjectivesError(UsageError, ValueError):
    """Also a ValueError, as from Optuna's own samplers."""


class RetrainSampler(optuna.samplers.BaseSampler):
    """Proposes the parameters of each trial by one of our generators.

    The space need not be declared: it is read off earlier trials (see `ObservedSpace`), conditional
    parameters included; what cannot be seen in them yet is drawn at random. With `space`, its conditions and
    constraints hold in every trial from the first on; `suggest` then suggests all of it.

    Failed trials count as bad, and so do those that were pruned before they reported anything; others count
    by where they stood when they were pruned. Running and waiting ones are pending, also those of other
    processes. The proposals of a trial depend on the seed, its number and what the study's storage holds,
    and on nothing else: a sampler made anew goes on where another one stopped.

    Args:
        method: of `tuner.generators.METHODS`.
        space: a SearchSpace, or whatever `SearchSpace.of` takes; None to read it off the trials.
        seed: a whole number >= 0; drawn when not given.
        options: further options of the method.

    Raises:
        UsageError: unknown method or option, or a package that the method needs is missing.
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
        self._method, self._options = method, options
        self._seed = int(np.random.SeedSequence().generate_state(1)[0]) if seed is None else seed
        # Whatever is wrong is told now, and not in the first trial.
        probe = self._given.space if self._given else SearchSpace([FloatParam("x", 0.0, 1.0)])
        make_generator(method, probe, seed=self._seed, direction="minimize", n_asked=0, **options)
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
            return self._given.distributions
        fixed = Observed(study.get_trials(deepcopy=False)).fixed
        return {name: fixed[name] for name in sorted(fixed)}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """See Optuna: one proposal; empty where there is nothing (more) to propose.

        Raises:
            ValueError: the study has several objectives.
        """
        _check_objectives(study)
        with self._lock:  # jobs of one process know of each other
            trials = study.get_trials(deepcopy=False)
            searched = self._searched(trials, search_space)
            if searched is None:
                return {}
            codes = self._proposed(study, trials, trial, searched)
            _store(study, trial, searched, codes)
        values = searched.values(codes)
        return {name: values[name] for name in search_space if name in values}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """See Optuna: what no earlier trial had, or had in other ranges.

        Raises:
            UsageError: the sampler's `space` does not have it, or has it in another range.
            ValueError: the study has several objectives.
        """
        _check_objectives(study)
        if self._given is not None:
            return _inactive(self._given.space, trial, param_name, param_distribution)
        position = _stored(trial)["positions"].get(param_name)
        if position is not None and (value := at_position(param_distribution, position)) is not None:
            return value
        seed = self._stream(trial, zlib.crc32(param_name.encode())).generate_state(1)[0]
        random = optuna.samplers.RandomSampler(seed=int(seed))
        return random.sample_independent(study, trial, param_name, param_distribution)

    def _searched(
        self, trials: Sequence[FrozenTrial], wanted: Mapping[str, BaseDistribution]
    ) -> StudySpace | None:
        if self._given is not None:
            return self._given
        try:
            return ObservedSpace(Observed(trials), wanted)
        except SpaceError:  # nothing can be seen yet
            return None

    def _proposed(
        self, study: Study, trials: Sequence[FrozenTrial], trial: FrozenTrial, searched: StudySpace
    ) -> Codes:
        finished: list[Observation] = []
        held: list[Params] = []
        for other in trials:
            codes = {} if other.number == trial.number else _codes(other, searched)
            if codes and other.state.is_finished():
                pruned = other.state == TrialState.PRUNED
                finished.append(Observation(searched.config(codes), _value(other), partial=pruned))
            elif codes:
                held.append(searched.config(codes))
        generator = make_generator(
            self._method,
            searched.space,
            seed=self._seed,
            direction="maximize" if study.direction == StudyDirection.MAXIMIZE else "minimize",
            n_asked=trial.number,
            **self._options,
        )
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


def _check_objectives(study: Study) -> None:
    if len(study.directions) > 1:
        raise _SeveralObjectivesError(
            f"A RetrainSampler needs one objective, but the study has {len(study.directions)}.",
            "Take a sampler such as optuna.samplers.NSGAIISampler for several.",
        )


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


def _value(trial: FrozenTrial) -> float | None:
    """None for a trial that failed; an infinite value, which Optuna allows, counts as a failure."""
    value = trial.value if trial.state == TrialState.COMPLETE else None
    if trial.state == TrialState.PRUNED and trial.last_step is not None:
        value = trial.intermediate_values[trial.last_step]
    return value if value is not None and isfinite(value) else None


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
