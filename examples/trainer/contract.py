"""What the step promises to the pipeline that calls it, checked before it is handed over."""

import math
from collections.abc import Mapping
from typing import Any, TypedDict, cast

__all__ = ["ContractError", "HpoResult", "checked"]


class HpoResult(TypedDict):
    """What the search came to.

    Where nothing was finished in time, the best are None, and `best_hyperparameters` are the defaults.

    Attributes:
        hpo_completed: whether all trials that were asked for were run; False for partial results.
        hpo_best_trial: public id of the best experiment.
        best_hyperparameters: of the best: defaults, what was found, and what is fixed.
        hpo_study_name: the study in the registry.
        hpo_best_value: of the best, on validation data.
        hpo_trials_run: how many this call finished.
        hpo_duration_seconds: of this call, by the clock.
    """

    hpo_completed: bool
    hpo_best_trial: str | None
    best_hyperparameters: dict[str, Any]
    hpo_study_name: str
    hpo_best_value: float | None
    hpo_trials_run: int
    hpo_duration_seconds: float


class ContractError(ValueError):
    """The result is not what was promised; says every fault."""


_TYPES: Mapping[str, tuple[type, ...]] = {
    "hpo_completed": (bool,),
    "hpo_best_trial": (str, type(None)),
    "best_hyperparameters": (dict,),
    "hpo_study_name": (str,),
    "hpo_best_value": (float, type(None)),
    "hpo_trials_run": (int,),
    "hpo_duration_seconds": (float,),
}


def checked(result: Mapping[str, Any]) -> HpoResult:
    """Return the result, if it keeps the contract. Other keys are left out.

    Raises:
        ContractError: names every key that is missing or holds what it must not.
    """
    faults = [f"{key!r} is missing" for key in _TYPES if key not in result]
    faults += [
        f"{key!r} must be of type {' or '.join(kind.__name__ for kind in kinds)}, but is {result[key]!r}"
        for key, kinds in _TYPES.items()
        if key in result and type(result[key]) not in kinds
    ]
    if not faults:
        faults = _contradictions(result)
    if faults:
        raise ContractError(f"The result of the search breaks its contract: {'; '.join(faults)}.")
    return cast(HpoResult, {key: result[key] for key in _TYPES})


def _contradictions(result: Mapping[str, Any]) -> list[str]:
    faults = []
    value, trial = result["hpo_best_value"], result["hpo_best_trial"]
    if (value is None) != (trial is None):
        faults.append(f"a best trial has a value, and a value a trial, but they are {trial!r} and {value!r}")
    if value is not None and not math.isfinite(value):
        faults.append(f"'hpo_best_value' must be finite, but is {value!r}")
    if not result["best_hyperparameters"]:
        faults.append("'best_hyperparameters' must not be empty")
    if not result["hpo_study_name"]:
        faults.append("'hpo_study_name' must not be empty")
    faults += [
        f"{key!r} must be a finite number of at least 0, but is {result[key]!r}"
        for key in ("hpo_trials_run", "hpo_duration_seconds")
        if not 0 <= result[key] < math.inf
    ]
    if result["hpo_completed"] and trial is None:
        faults.append("a search that was completed has a best trial")
    return faults
