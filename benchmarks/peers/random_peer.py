"""Random search: every parameter uniform over its range, on a log scale where it has one."""

import random
from collections.abc import Sequence

from benchmarks.peers.base import Config, Param, Peer, Told, active, from_unit

__all__ = ["RandomPeer", "draw"]


def draw(space: Sequence[Param], rng: random.Random) -> Config:
    """One configuration, active parameters only."""
    return active(space, {p.name: _value(p, rng) for p in space})


def _value(p: Param, rng: random.Random) -> object:
    if p.choices is not None:
        return rng.choice(p.choices)
    if p.type == "int" and not p.log:
        assert p.low is not None
        assert p.high is not None
        return rng.randint(int(p.low), int(p.high))
    return from_unit(p, rng.random())


class RandomPeer(Peer):
    """The floor."""

    def ask(self, n: int) -> list[Config]:
        self._rng = getattr(self, "_rng", None) or random.Random(self.seed)
        return [draw(self.space, self._rng) for _ in range(n)]

    def tell(self, results: Sequence[Told]) -> None:
        """Nothing is learned."""
