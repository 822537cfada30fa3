"""Defaults that fit together: those that were given stand, the others give way."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from tuner.errors import SpaceError
from tuner.experiment import Value
from tuner.space.conditions import Conditions
from tuner.space.forbids import Forbids
from tuner.space.groups import Group
from tuner.space.params import FloatParam, IntParam, NumericParam, Param
from tuner.space.values import typed

__all__ = ["allowed_defaults", "default_in_group", "with_default"]

_MAX_SAID = 10
"""Forbids written into one message."""


def with_default(param: Param, default: Value) -> Param:
    """Return the parameter with this default."""
    return param if typed(param.default) == typed(default) else replace(param, default=default)


def default_in_group(group: Group) -> dict[str, Param]:
    """Return the members whose default must change for the defaults to satisfy the group's constraint.

    Raises:
        SpaceError: the defaults that were given leave nothing for the others.
    """
    given = [param.name for param in group.params if param.default_given]
    problem = group.problem({param.name: param.default for param in group.params})
    if not problem:
        return {}
    if len(given) == len(group.params):
        raise SpaceError(f"The defaults must fit together: {problem}", "Change one of these defaults.")
    try:
        held = group.with_params([_held(param) for param in group.params])
    except SpaceError as error:
        raise SpaceError(
            f"The defaults must fit together, but {', '.join(given)} leave nothing for the others. {error}",
            "Change one of these defaults.",
        ) from error
    fitting = dict(zip(held.names, held.nearest([param.default for param in held.params]), strict=True))
    rounded = {param.name: _rounded(param, fitting[param.name]) for param in held.params}
    chosen = fitting if group.problem(rounded) else rounded
    return {
        param.name: replace(param, default=chosen[param.name])
        for param in group.params
        if isinstance(param, FloatParam | IntParam) and not param.default_given
    }


def _rounded(param: NumericParam, value: float) -> float:
    """Return a continuous value without digits that nobody would write."""
    rounded: float = value if param.n_values is not None else param.clip(float(f"{value:.12g}"))
    return rounded


def _held(param: NumericParam) -> NumericParam:
    """Return the parameter with a given default as its only value."""
    return replace(param, low=param.default, high=param.default) if param.default_given else param


def allowed_defaults(
    params: Mapping[str, Param],
    conditions: Conditions,
    order: Sequence[str],
    forbids: Forbids,
    given: set[str],
) -> Mapping[str, Value]:
    """Return the defaults to change so that the default configuration is allowed.

    Raises:
        SpaceError: a forbid excludes the defaults that were given, or no configuration is left at all.
    """
    wanted: dict[str, Value] = {name: param.default for name, param in params.items()}
    active: dict[str, Value] = {}
    for name in order:
        if name not in conditions or conditions[name].holds(active):
            active[name] = wanted[name]
    violated = forbids.violated(active)
    if not violated:
        return {}
    found = forbids.escape(wanted, fixed=given)
    if found is not None:
        return found
    if forbids.escape(wanted) is not None:
        raise SpaceError(
            f"The defaults must be an allowed configuration, but one excludes them: {violated[0].text}.",
            "Change one of these defaults.",
        )
    culprits = forbids.contradiction(wanted)
    excluding = "this constraint excludes" if len(culprits) == 1 else "these constraints together exclude"
    more = f"; and {len(culprits) - _MAX_SAID} more" if len(culprits) > _MAX_SAID else ""
    raise SpaceError(
        f"A search space must have a valid configuration, but {excluding} every one: "
        f"{'; '.join(culprits[:_MAX_SAID])}{more}.",
        "Leave one of them out, or allow more values.",
    )
