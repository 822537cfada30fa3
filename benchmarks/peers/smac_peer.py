"""SMAC3's `HyperparameterOptimizationFacade` by ask and tell, all at its defaults, conditions as its own.

A result of a configuration that was never asked is told as SMAC's own "tell without ask"; the asked one then
stays running.
"""

import logging
import tempfile
from collections.abc import Sequence
from typing import Any

from ConfigSpace import (
    Categorical,
    Configuration,
    ConfigurationSpace,
    EqualsCondition,
    Float,
    InCondition,
    Integer,
)
from smac import HyperparameterOptimizationFacade, Scenario
from smac.runhistory import StatusType, TrialInfo, TrialValue

from benchmarks.peers.base import Config, Param, Peer, Told

__all__ = ["SmacPeer"]

_SEED = 0
"""Of an objective that has none."""


def _hyperparameter(p: Param) -> Any:
    if p.choices is not None:
        return Categorical(p.name, [str(i) for i in range(len(p.choices))])
    assert p.low is not None
    assert p.high is not None
    if p.type == "int":
        return Integer(p.name, (int(p.low), int(p.high)), log=p.log)
    return Float(p.name, (p.low, p.high), log=p.log)


def _unused(config: Configuration, seed: int = _SEED) -> float:
    """The objective that SMAC wants to have."""
    return 0.0


class SmacPeer(Peer):
    """Random forests over all that ConfigSpace can say; categories by their number."""

    def __init__(self, space: Sequence[Param], seed: int, n_experiments: int) -> None:
        super().__init__(space, seed, n_experiments)
        logging.getLogger("smac").setLevel(logging.ERROR)
        self._folder = tempfile.TemporaryDirectory()
        scenario = Scenario(
            self._configspace(),
            deterministic=True,
            n_trials=n_experiments,
            seed=seed,
            output_directory=self._folder.name,
        )
        self._smac = HyperparameterOptimizationFacade(scenario, _unused, overwrite=True, logging_level=False)
        self._asked: list[TrialInfo] = []

    def _configspace(self) -> ConfigurationSpace:
        space = ConfigurationSpace(seed=self.seed)
        made = {p.name: _hyperparameter(p) for p in self.space}
        space.add(list(made.values()))
        choices = {p.name: p.choices or [] for p in self.space}
        for p in self.space:
            if p.when is not None:
                parent, values = p.when
                codes = [str(choices[parent].index(value)) for value in values]
                child = made[p.name]
                space.add(
                    EqualsCondition(child, made[parent], codes[0])
                    if len(codes) == 1
                    else InCondition(child, made[parent], codes)
                )
        return space

    def ask(self, n: int) -> list[Config]:
        asked = [self._smac.ask() for _ in range(n)]
        self._asked += asked
        return [self._decoded(dict(info.config)) for info in asked]

    def tell(self, results: Sequence[Told]) -> None:
        for each in results:
            asked = None if each.number is None else self._asked[each.number]
            if asked is None or self._decoded(dict(asked.config)) != each.config:
                config = Configuration(self._smac.scenario.configspace, values=self._encoded(each.config))
                info = TrialInfo(config, seed=_SEED if asked is None else asked.seed)
            else:
                info = asked
            value = (
                TrialValue(each.loss) if each.loss is not None else TrialValue(0.0, status=StatusType.CRASHED)
            )
            self._smac.tell(info, value, save=False)

    def _encoded(self, config: Config) -> dict[str, Any]:
        coded = {p.name: p.choices for p in self.space if p.choices is not None}
        return {
            name: str(coded[name].index(value)) if name in coded else value for name, value in config.items()
        }

    def _decoded(self, config: dict[str, Any]) -> Config:
        decoded: Config = {}
        for p in self.space:
            if p.name in config:
                value = config[p.name]
                if p.choices is not None:
                    decoded[p.name] = p.choices[int(value)]
                else:
                    decoded[p.name] = int(value) if p.type == "int" else float(value)
        return decoded
