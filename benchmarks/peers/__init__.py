"""The methods that `benchmarks/search.py` compares: ours, and the peers in environments of their own."""

import hashlib
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["METHODS", "PEERS", "ROOT", "Method", "method_named"]

ROOT = Path(__file__).resolve().parent.parent.parent
REQUIREMENTS = Path(__file__).resolve().parent / "requirements"


@dataclass(frozen=True)
class Method:
    """Where a method comes from.

    Attributes:
        adapter: "module:class" of its `Peer`.
        environment: name of a file in `requirements/`; "" for the environment of the benchmark itself.
        package: the package that does the work.
        revision: raised when the adapter changes what the method is asked or told, so that no result from
            before is taken for one of now.
        settings: further arguments of the adapter.
    """

    adapter: str
    environment: str = ""
    package: str = ""
    revision: int = 1
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def version(self) -> str:
        """What its results depend on: of a peer, its pinned release; of ours, the code itself."""
        if not self.environment:
            return f"{_code_version() if self.package else 'none'}/{self.revision}"
        for line in (REQUIREMENTS / f"{self.environment}.txt").read_text("utf-8").splitlines():
            if line.lower().startswith(f"{self.package.lower()}=="):
                return f"{line.strip()}/{self.revision}"
        raise LookupError(f"requirements/{self.environment}.txt pins no {self.package}")


@cache
def _code_version() -> str:
    """A hash of every file of `tuner`, so that a result of ours is never one of other code."""
    digest = hashlib.sha256()
    for path in sorted((ROOT / "tuner").rglob("*")):
        if path.suffix in (".py", ".toml"):
            digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


_OURS = Method("benchmarks.peers.ours:Ours", package="tuner", revision=2)


def _optuna(sampler: str, **settings: Any) -> Method:
    adapter = "benchmarks.peers.optuna_peer:OptunaPeer"
    return Method(adapter, "main", "optuna", settings={"sampler": sampler, **settings})


PEERS: dict[str, Method] = {
    "random": Method("benchmarks.peers.random_peer:RandomPeer"),
    "cmaes": _optuna("CmaEsSampler", conditional=False, tell_asked=True),
    "hyperopt-tpe": Method("benchmarks.peers.hyperopt_peer:HyperoptPeer", "main", "hyperopt"),
    "optuna-tpe": _optuna("TPESampler"),
    "optuna-tpe-multivariate": _optuna("TPESampler", multivariate=True, group=True, constant_liar=True),
    "optuna-gp": replace(_optuna("GPSampler", conditional=False, leave_asked=True), revision=2),
    "skopt-gp": Method("benchmarks.peers.skopt_peer:SkoptPeer", "main", "scikit-optimize", 2),
    "smac": Method("benchmarks.peers.smac_peer:SmacPeer", "smac", "smac"),
    "hebo": Method("benchmarks.peers.hebo_peer:HeboPeer", "hebo", "hebo", 2),
    "botorch": Method("benchmarks.peers.botorch_peer:BotorchPeer", "main", "botorch", 2),
}

METHODS: dict[str, Method] = {"ours": _OURS, **PEERS}


def method_named(name: str) -> Method:
    """A method of the table, or one of ours that is not in it.

    `ours:NAME` is another method of `tuner.generators`; `without:NAME` is ours without an ingredient, and
    `with:NAME` ours with what was tried: see `changed.py`.

    Raises:
        LookupError: there is no such method.
    """
    if name.startswith("ours:"):
        return replace(_OURS, settings={"method": name.removeprefix("ours:")})
    if name == "with:known":
        return replace(_OURS, adapter="benchmarks.peers.changed:Known")
    if name.startswith(("with:", "without:")):
        return replace(
            _OURS, adapter="benchmarks.peers.changed:Changed", settings={"change": name.partition(":")[2]}
        )
    if name not in METHODS:
        raise LookupError(f"There is no method {name!r}. There are: {', '.join(METHODS)}.")
    return METHODS[name]
