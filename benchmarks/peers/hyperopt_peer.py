"""Hyperopt's TPE at its defaults, its trials filled in by hand, since it has no ask and tell.

Conditions are its own: a category is an `hp.choice` whose options hold the parameters active with it.
"""

import logging
from collections.abc import Sequence
from math import log
from typing import Any

import numpy as np
from hyperopt import STATUS_FAIL, STATUS_OK, Trials, hp, tpe
from hyperopt.base import JOB_STATE_DONE, Domain

from benchmarks.peers.base import Config, Param, Peer, Told

__all__ = ["HyperoptPeer"]


def _unused(_: Config) -> float:
    """The objective that Hyperopt wants to have."""
    return 0.0


class HyperoptPeer(Peer):
    """`tpe.suggest`, one trial at a time; what is not told yet stays a new trial."""

    def __init__(self, space: Sequence[Param], seed: int, n_experiments: int) -> None:
        super().__init__(space, seed, n_experiments)
        logging.getLogger("hyperopt").setLevel(logging.ERROR)
        self._labels: dict[str, tuple[Param, str]] = {}
        tree = {p.name: self._node(p, "") for p in self.space if p.when is None}
        self._domain = Domain(_unused, tree)
        self._trials = Trials()
        self._rng = np.random.default_rng(seed)
        self._asked: list[int] = []

    def _node(self, p: Param, path: str) -> Any:
        """A parameter below the choices of `path`, which makes its label unique."""
        label = f"{path}{p.name}"
        self._labels[label] = (p, path)
        if p.choices is not None:
            return hp.choice(label, [self._option(p, i, path) for i in range(len(p.choices))])
        assert p.low is not None
        assert p.high is not None
        if p.type == "int" and p.log:
            return hp.qloguniform(label, log(p.low), log(p.high), 1)
        if p.type == "int":
            return hp.uniformint(label, int(p.low), int(p.high))
        return hp.loguniform(label, log(p.low), log(p.high)) if p.log else hp.uniform(label, p.low, p.high)

    def _option(self, parent: Param, i: int, path: str) -> dict[str, Any]:
        assert parent.choices is not None
        here = f"{path}{parent.name}={i}/"
        children = [
            p for p in self.space if p.when and p.when[0] == parent.name and parent.choices[i] in p.when[1]
        ]
        return {"": i, **{p.name: self._node(p, here) for p in children}}

    def ask(self, n: int) -> list[Config]:
        return [self._ask_one() for _ in range(n)]

    def _ask_one(self) -> Config:
        ids = self._trials.new_trial_ids(1)
        docs = tpe.suggest(ids, self._domain, self._trials, int(self._rng.integers(2**31)), verbose=False)
        self._trials.insert_trial_docs(docs)
        self._trials.refresh()
        self._asked += ids
        values = {label: v[0] for label, v in docs[0]["misc"]["vals"].items() if v}
        found = {self._labels[label][0].name: self._value(label, v) for label, v in values.items()}
        return {p.name: found[p.name] for p in self.space if p.name in found}

    def _value(self, label: str, value: Any) -> Any:
        p, _ = self._labels[label]
        if p.choices is not None:
            return p.choices[int(value)]
        assert p.low is not None
        assert p.high is not None
        value = min(max(float(value), p.low), p.high)
        return round(value) if p.type == "int" else value

    def tell(self, results: Sequence[Told]) -> None:
        by_id = {doc["tid"]: doc for doc in self._trials._dynamic_trials}
        for each in results:
            assert each.number is not None, "a trial is asked before it is told"
            doc = by_id[self._asked[each.number]]
            values = self._values(each.config)
            doc["misc"]["vals"] = {
                label: [values[label]] if label in values else [] for label in self._labels
            }
            doc["misc"]["idxs"] = {label: [doc["tid"]] if label in values else [] for label in self._labels}
            doc["state"] = JOB_STATE_DONE
            failed = each.loss is None
            doc["result"] = {"status": STATUS_FAIL} if failed else {"status": STATUS_OK, "loss": each.loss}
        self._trials.refresh()

    def _values(self, config: Config) -> dict[str, Any]:
        """Hyperopt's values of a configuration, by label."""
        places = {
            p.name: p.choices.index(config[p.name]) for p in self.space if p.choices and p.name in config
        }
        values = {}
        for label, (p, path) in self._labels.items():
            steps = [step.rsplit("=", 1) for step in path.split("/") if step]
            if p.name in config and all(places.get(name) == int(i) for name, i in steps):
                values[label] = places.get(p.name, config[p.name])
        return values
