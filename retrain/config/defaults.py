"""The defaults of a preset: they stay where parameters of the user's own replace the preset's without one.

What a study has to beat are the defaults. A narrower range of one parameter should not move them unasked.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from tuner.errors import SpaceError
from tuner.experiment import Value
from tuner.space import Param, SearchSpace, param_from_dict
from tuner.space.documents import param_to_dict
from tuner.space.values import typed

__all__ = ["left_unsaid", "space_with_defaults"]

_log = logging.getLogger(__name__)


def left_unsaid(own: Mapping[str, Any], preset: Mapping[str, Any]) -> dict[str, Value]:
    """The preset's defaults of parameters that own ones replace without naming any: tables by name, both."""
    return {name: preset[name]["default"] for name in own if name in preset and _is_unsaid(name, own[name])}


def _is_unsaid(name: str, table: Any) -> bool:
    try:
        return not param_from_dict(name, table).default_given
    except SpaceError:
        return False  # told when the space is built


def space_with_defaults(
    params: Mapping[str, Any], constraints: Sequence[Any], defaults: Mapping[str, Value]
) -> SearchSpace:
    """Build a space in which these defaults count as far as they fit; where one does not, it is said.

    Args:
        params: tables by name.
        constraints: tables.
        defaults: of parameters whose tables have none.

    Raises:
        SpaceError: parameters or constraints contradict each other.
    """
    wanted = {name: default for name, default in defaults.items() if name in params}
    kept = {
        name: table
        for name, default in wanted.items()
        if (table := _with_default(param_from_dict(name, params[name]), default)) is not None
    }
    space = _built({**params, **kept}, constraints, else_of=params)
    moved = [
        f"{name} = {now!r} instead of {default!r}"
        for name, default in wanted.items()
        if not _is_default(space.params[name], default, now := space.params[name].default)
    ]
    if moved:
        _log.warning(
            "The preset's defaults do not all fit what [space] has instead, so that the baseline has %s:"
            " name a `default` there to choose another.",
            ", ".join(moved),
        )
    return space


def _built(params: Mapping[str, Any], constraints: Sequence[Any], else_of: Mapping[str, Any]) -> SearchSpace:
    """A space of the parameters, or where their defaults do not fit together, of the others."""
    try:
        return SearchSpace.from_dict({"params": params, "constraints": constraints})
    except SpaceError:
        return SearchSpace.from_dict({"params": else_of, "constraints": constraints})


def _with_default(param: Param, default: Value) -> dict[str, Any] | None:
    """The table of a parameter with this default; None where it is not in its range."""
    value, problem = param.check(default)
    if problem:
        return None
    table = param_to_dict(replace(param, default=value))
    return {key: entry for key, entry in table.items() if key != "name"}


def _is_default(param: Param, default: Value, now: Value) -> bool:
    value, problem = param.check(default)
    return not problem and typed(value) == typed(now)
