"""Optuna's samplers, by ask and tell.

Its TPE is asked define-by-run, so that conditions are its own. Its Gaussian process and CMA-ES search only
parameters that every trial has, so they are asked for all of them, and the inactive ones are left out of
what is measured. Where the nearest measured configuration is not the asked one, that one is added as a trial
of its own. The asked trial goes on running for the Gaussian process, which knows what that means and would
else ask for the same again; for TPE, whose liar would take it for a bad one for ever, it is closed as failed,
which Optuna ignores. Only CMA-ES, which learns from nothing but its own population, is told the loss for what
it asked.
"""

from collections.abc import Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import Trial, TrialState, create_trial

from benchmarks.peers.base import Config, Param, Peer, Told, active, middle

__all__ = ["OptunaPeer"]


def _distribution(p: Param) -> BaseDistribution:
    if p.choices is not None:
        return CategoricalDistribution(p.choices)
    assert p.low is not None
    assert p.high is not None
    if p.type == "int":
        return IntDistribution(int(p.low), int(p.high), log=p.log)
    return FloatDistribution(p.low, p.high, log=p.log)


class OptunaPeer(Peer):
    """One sampler of `optuna.samplers`.

    Args:
        space, seed, n_experiments: as every peer's.
        sampler: name of its class.
        conditional: whether parameters that are not active are left out of what it is asked and told.
        tell_asked: whether a loss is told for what was asked, although something near it was measured.
        leave_asked: whether what was asked and not measured stays a running trial.
        settings: further arguments of the sampler.
    """

    def __init__(
        self,
        space: Sequence[Param],
        seed: int,
        n_experiments: int,
        sampler: str,
        conditional: bool = True,
        tell_asked: bool = False,
        leave_asked: bool = False,
        **settings: Any,
    ) -> None:
        super().__init__(space, seed, n_experiments)
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._conditional, self._tell_asked, self._leave_asked = conditional, tell_asked, leave_asked
        self._axes = {p.name: _distribution(p) for p in space}
        self._study = optuna.create_study(sampler=getattr(optuna.samplers, sampler)(seed=seed, **settings))
        self._trials: list[Trial] = []

    def ask(self, n: int) -> list[Config]:
        return [self._ask_one() for _ in range(n)]

    def _ask_one(self) -> Config:
        if not self._conditional:
            trial = self._study.ask(self._axes)
        else:
            trial = self._study.ask()
            for p in self.space:
                if p.holds(trial.params):
                    self._suggest(trial, p)
        self._trials.append(trial)
        return active(self.space, trial.params)

    def _suggest(self, trial: Trial, p: Param) -> None:
        if p.choices is not None:
            trial.suggest_categorical(p.name, p.choices)
            return
        assert p.low is not None
        assert p.high is not None
        if p.type == "int":
            trial.suggest_int(p.name, int(p.low), int(p.high), log=p.log)
        else:
            trial.suggest_float(p.name, p.low, p.high, log=p.log)

    def tell(self, results: Sequence[Told]) -> None:
        added = []
        for each in results:
            trial = None if each.number is None else self._trials[each.number]
            if trial and (self._tell_asked or active(self.space, trial.params) == each.config):
                self._study.tell(trial, each.loss, state=None if each.loss is not None else TrialState.FAIL)
                continue
            if trial and not self._leave_asked:
                self._study.tell(trial, state=TrialState.FAIL)
            added.append(self._measured(each, trial.params if trial else {}))
        self._study.add_trials(added)

    def _measured(self, told: Told, asked: Config) -> optuna.trial.FrozenTrial:
        params = dict(told.config)
        if not self._conditional:
            params = {p.name: params.get(p.name, asked.get(p.name, middle(p))) for p in self.space}
        return create_trial(
            state=TrialState.COMPLETE if told.loss is not None else TrialState.FAIL,
            value=told.loss,
            params=params,
            distributions={name: self._axes[name] for name in params},
        )
