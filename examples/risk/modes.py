"""How hard to look: three modes, each a row of settings; a dictionary names one and changes what it likes.

    words(Mode.of({"mode": "aggressive", "grace_period": 20, "max_concurrent": 4}))

is the command line of a search, as a user would type it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from tuner.errors import UsageError, did_you_mean

__all__ = ["MODES", "Mode", "words"]


_LEAST = {"experiments": 1, "grace_period": 1, "max_concurrent": 1, "reduction_factor": 2}


@dataclass(frozen=True, slots=True)
class Mode:
    """What one search may take.

    Attributes:
        mode: its name, and the end of its study's name.
        experiments: new candidates (>= 1); the defaults come on top, once a study.
        time_budget: for the whole, such as "10m" or "1h".
        preset: the space that is searched.
        pruner: what stops bad ones early.
        grace_period: rounds that each has at least (>= 1).
        reduction_factor: one in so many goes on at each rung (>= 2).
        max_concurrent: experiments at a time (>= 1); None for one per core.

    Raises:
        UsageError: a number that cannot be.
    """

    mode: str
    experiments: int
    time_budget: str
    preset: str
    pruner: str = "none"
    grace_period: int = 30
    reduction_factor: float = 3
    max_concurrent: int | None = None

    def __post_init__(self) -> None:
        for name, least in _LEAST.items():
            given = getattr(self, name)
            if given is None and name == "max_concurrent":
                continue
            kinds = (int, float) if name == "reduction_factor" else (int,)
            if isinstance(given, bool) or not isinstance(given, kinds) or given < least:
                raise UsageError(f"{name} must be a number of at least {least}, but got {given!r}.")

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> "Mode":
        """The mode that a dictionary names ("default" where it names none), with what else it says.

        Raises:
            UsageError: an unknown mode or setting, or a number that cannot be.
        """
        name = settings.get("mode", "default")
        if name not in MODES:
            raise UsageError(
                f"Unknown mode {name!r}.{did_you_mean(str(name), MODES)}", f"Modes: {', '.join(MODES)}."
            )
        known = [each.name for each in fields(cls)]
        for given in settings:
            if given not in known:
                raise UsageError(
                    f"Unknown setting {given!r}.{did_you_mean(str(given), known)}",
                    f"Settings: {', '.join(known)}.",
                )
        return replace(MODES[name], **settings)


MODES: dict[str, Mode] = {
    each.mode: each
    for each in (
        Mode("conservative", 5, "10m", "xgboost/conservative"),
        Mode("default", 50, "1h", "xgboost/default"),
        Mode("aggressive", 100, "2h", "xgboost/aggressive", pruner="asha"),
    )
}
"""What there is to choose from."""


def words(mode: Mode) -> list[str]:
    """The command of a search; what has no flag is a variable of the environment."""
    variables = [
        f"RETRAIN_SPACE_PRESET={mode.preset}",
        f"RETRAIN_PRUNING_GRACE={mode.grace_period}",
        f"RETRAIN_PRUNING_REDUCTION_FACTOR={mode.reduction_factor:g}",
    ]
    command = ["orchestrator", "--study", study_of(mode), "--method", "bayesian"]
    command += ["--configs", str(mode.experiments), "--timeout", mode.time_budget, "--pruner", mode.pruner]
    command += ["--workers", str(mode.max_concurrent)] if mode.max_concurrent else []
    return ["env", *variables, *command]


def study_of(mode: Mode) -> str:
    """Each mode has a study of its own, since each has another space."""
    return f"risk-{mode.mode}"
