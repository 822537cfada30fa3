"""The changes that the benchmark measures beside ours do change what is proposed."""

import math

import pytest

from benchmarks.peers import changed, method_named
from benchmarks.peers.base import Config, Param, Told
from benchmarks.peers.changed import INGREDIENTS, KNOWN, TRIED, Changed, Known
from benchmarks.peers.ours import Ours

SPACE = [
    Param("kind", "cat", None, None, False, ["flat", "steep", "round"], None),
    Param("rate", "float", 1e-4, 1.0, True, None, None),
    Param("depth", "int", 1, 12, False, None, ("kind", ["steep", "round"])),
    *(Param(name, "float", 0.0, 1.0, False, None, None) for name in "abc"),
]
N = 25


def loss(config: Config) -> float:
    """Two basins, a bad branch and a few losses far beyond the rest."""
    if config["a"] > 0.9:
        return float(500 * config["a"])
    bend = (math.log10(config["rate"]) + 2) ** 2 + 4 * (config["b"] - 0.3) ** 2 + config["c"] * config["a"]
    return float(
        bend + {"flat": 1.0, "steep": 0.3, "round": 0.0}[config["kind"]] + config.get("depth", 3) / 12
    )


def proposed(peer: Ours) -> list[Config]:
    """What it asks for when `N` experiments run one at a time."""
    asked: list[Config] = []
    while len(asked) < N:
        (config,) = peer.ask(1)
        peer.tell([Told(len(asked), config, loss(config))])
        asked.append(config)
    return asked


@pytest.fixture(scope="module")
def ours() -> list[Config]:
    return proposed(Ours(SPACE, 1, N))


@pytest.fixture
def _undone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A change is for good in the benchmark's own process; in that of the tests it is not."""
    monkeypatch.setattr(
        changed,
        "_put",
        lambda module, path, value: monkeypatch.setattr(f"{changed._ROOM}{module}.{path}", value),
    )


@pytest.mark.usefixtures("_undone")
@pytest.mark.parametrize("change", [name for name in INGREDIENTS | TRIED if name != KNOWN])
def test_each_change_makes_a_difference(change: str, ours: list[Config]) -> None:
    assert proposed(Changed(SPACE, 1, N, change)) != ours


@pytest.mark.usefixtures("_undone")
def test_known_results_are_used_from_the_first_model_on(ours: list[Config]) -> None:
    results = [(config, loss(config)) for config in Ours(SPACE, 2, N).ask(60)]
    informed = proposed(Known(SPACE, 1, N, results))
    assert informed[:5] == ours[:5]
    assert informed[5] != ours[5]


@pytest.mark.usefixtures("_undone")
def test_knowing_no_results_is_ours(ours: list[Config]) -> None:
    assert proposed(Known(SPACE, 1, N)) == ours


def test_every_change_is_a_method_by_name() -> None:
    for preposition, changes in (("without", INGREDIENTS), ("with", TRIED)):
        for name in changes:
            assert method_named(f"{preposition}:{name}").adapter.startswith("benchmarks.peers.changed:")
