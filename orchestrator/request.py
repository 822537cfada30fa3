"""What one invocation is asked to do, checked before anything heavy starts."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from numbers import Integral, Real
from typing import Any

from retrain.tuning import DEFAULT_CONFIGS, DEFAULT_METHOD
from tuner.errors import UsageError, did_you_mean
from tuner.generators import METHODS
from tuner.pruners import make_pruner

__all__ = ["N_CONFIRMED", "N_REPEATS", "POOLS", "Request"]

POOLS = ("ray", "local")

N_CONFIRMED = 5
"""How many of the best a confirmation takes."""

N_REPEATS = 5
"""How often it scores each of them at most."""

_AT_ONCE = ("grid", "random")
_LARGEST_DESIGN = 80
_N_REFERENCES = 2


@dataclass(frozen=True, slots=True)
class Request:
    """One invocation. `settled` checks it and fills in the defaults.

    Attributes:
        method: a generator's name, or None to run what waits.
        n_configs: new candidates; None for the method's own number.
        warm_start: names of earlier studies that the generator learns from.
        memory: how similar studies must be to be learned from unnamed, in (0, 1]; None for not at all.
        hints_at_memory: where there are such and `memory` is None, it is said how to use it.
        options: further options of the generator.
        n_workers: size of the pool; None for one per core, and no more than there is to run.
        pool: one of `POOLS`.
        address: of a Ray cluster; None for this machine.
        timeout_s: how long the whole may take, the start of the workers included; None for no end. What
            would not come to its end is not begun, and what runs then is given back.
        started_at: when that time began, on the monotonic clock; None for when the request is taken up.
        cost_per_hour: of one worker, in whatever unit, to say what a run may cost; None where nobody said.
        experiment_timeout_s: longest time of one experiment; None derives it from those that finished.
        experiment_memory_bytes: what one experiment, its worker included, may hold; None for no limit.
        grace_s: how long running experiments may go on after a stop.
        seed: of the study, if it is new; None for the configured one.
        echo: show what experiments print.
        max_failed: more failed experiments than this end in exit code 5.
        same_error: so many experiments that fail in a row with the same error stop the run; 0 for never.
        confirm: so many of the best are scored once more on fresh folds; 0 for none.
        repeats: how often at most.
        pruner: one of `tuner.pruners.PRUNERS`, which stops experiments early.
        pruner_options: of its class.
        command: the command as typed, which also continues an interrupted run.
        flags: common options to repeat in commands that are suggested, such as " --config other.toml".
    """

    method: str | None = None
    n_configs: int | None = None
    warm_start: Sequence[str] = ()
    memory: float | None = None
    hints_at_memory: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    n_workers: int | None = None
    pool: str = "ray"
    address: str | None = None
    timeout_s: float | None = None
    started_at: float | None = None
    cost_per_hour: float | None = None
    experiment_timeout_s: float | None = None
    experiment_memory_bytes: int | None = None
    grace_s: float = 30.0
    seed: int | None = None
    echo: bool = False
    max_failed: int = 0
    same_error: int = 3
    confirm: int = 0
    repeats: int = N_REPEATS
    pruner: str = "none"
    pruner_options: Mapping[str, Any] = field(default_factory=dict)
    command: Sequence[str] = ()
    flags: str = ""

    @property
    def learns(self) -> bool:
        """Whether the method gains from results, so that its candidates are written in rounds."""
        return self.method is not None and self.method not in _AT_ONCE

    @property
    def n_cores(self) -> int | None:
        """The cores that its workers share; None where these are those of a cluster."""
        address = (
            (self.address or os.environ.get("RAY_ADDRESS") or "local") if self.pool == "ray" else "local"
        )
        return _n_cores() if address == "local" else None

    def settled(self) -> "Request":
        """Return the request with its defaults filled in.

        Raises:
            UsageError: an unknown method, pool or pruner, or a number that cannot be.
        """
        for name, value, known in (("method", self.method, METHODS), ("pool", self.pool, POOLS)):
            if value is not None and value not in known:
                raise UsageError(
                    f"Unknown {name} {value!r}.{did_you_mean(value, known)}",
                    f"There are: {', '.join(known)}.",
                )
        make_pruner(self.pruner, **self.pruner_options)
        for name, count, least in (
            ("configs", self.n_configs, 1),
            ("workers", self.n_workers, 1),
            ("seed", self.seed, 0),
            ("max-failed", self.max_failed, 0),
            ("same-error", self.same_error, 0),
            ("confirm", self.confirm, 0),
            ("repeats", self.repeats, 2),
        ):
            if count is not None and not (_is(Integral, count) and count >= least):
                whole = "" if _is(Integral, count) else "a whole number of "
                raise UsageError(
                    f"{name} must be {whole}at least {least}, but got {count!r}.",
                    f"Leave it out, or give {least}.",
                )
        for name, given_s in (("timeout", self.timeout_s), ("experiment-timeout", self.experiment_timeout_s)):
            if given_s is not None and not (_is(Real, given_s) and given_s > 0):
                what = "more than 0, since nothing is done in no time" if _is(Real, given_s) else "seconds"
                raise UsageError(
                    f"{name} must be {what}, but got {given_s!r}.",
                    "Leave it out for no limit, or give one such as 600.",
                )
        if self.memory is not None and not (_is(Real, self.memory) and 0 < self.memory <= 1):
            raise UsageError(
                f"How similar studies must be to be learned from is in (0, 1], but got {self.memory!r}.",
                "Give True, or a number such as 0.8.",
            )
        if self.address is not None and self.pool != "ray":
            raise UsageError(
                f"An address is that of a Ray cluster, but the pool is {self.pool!r}.", "Give --pool ray."
            )
        if self.method is None and self.n_configs is None:
            return self
        method = self.method or DEFAULT_METHOD
        n_configs = self.n_configs if self.n_configs or method == "grid" else DEFAULT_CONFIGS
        return replace(self, method=method, n_configs=n_configs)

    def without_confirming(self) -> "Request":
        """The same for a run after which nothing is confirmed."""
        return replace(self, confirm=0)

    def n_workers_for(self, n_open: int) -> int:
        """How many workers to start: as asked for, else one per core, and no more than there are experiments.

        Args:
            n_open: experiments that wait already.
        """
        n_new = 0 if self.method is None else (self.n_configs or _LARGEST_DESIGN) + _N_REFERENCES
        if self.n_workers is None:
            return max(1, min(_n_cores(), n_open + n_new))
        n_repeats = (self.confirm + _N_REFERENCES) * self.repeats if self.confirm else 0
        return max(1, min(self.n_workers, max(n_open + n_new, n_repeats)))


def _is(kind: type, given: object) -> bool:
    """Whether this is a number of this kind: who calls from Python may give anything."""
    return isinstance(given, kind) and not isinstance(given, bool)


def _n_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
