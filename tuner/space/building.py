"""Building a space: names, conditions, groups, forbids and defaults are checked against each other, once."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tuner.errors import SpaceError, did_you_mean
from tuner.space.conditions import Condition, Conditions, Key, checked_conditions, deciding_order
from tuner.space.constraints import Constraint, Forbid, Increasing, Sum
from tuner.space.defaults import allowed_defaults, default_in_group, with_default
from tuner.space.forbids import CompiledForbid, Forbids
from tuner.space.groups import Group
from tuner.space.ordering import IncreasingGroup
from tuner.space.params import CategoricalParam, FloatParam, IntParam, NumericParam, Param
from tuner.space.sums import SumGroup
from tuner.space.units import Unit
from tuner.space.values import brief, typed

__all__ = ["Built", "build"]


@dataclass(frozen=True)
class Built:
    """The parts of a consistent space. Every parameter has a default that fits the others."""

    params: dict[str, Param]
    constraints: tuple[Constraint, ...]
    conditions: dict[str, Condition]
    order: tuple[str, ...]
    units: tuple[Unit, ...]
    forbids: Forbids | None


def build(declared: Iterable[Param], constraints: Iterable[Constraint]) -> Built:
    """Check all declarations against each other.

    Raises:
        SpaceError: says what contradicts what.
    """
    params = _by_name(declared)
    kept = tuple(constraints)
    given = {param.name for param in params.values() if param.default_given}
    conditions = checked_conditions(params)
    order = deciding_order(params, conditions)
    forbids = [_compiled(constraint, params) for constraint in kept if isinstance(constraint, Forbid)]
    named = {name for forbid in forbids for name in forbid.names}
    excluded = _excluded(forbids)
    groups: dict[str, Group] = {}
    for constraint in kept:
        if isinstance(constraint, Sum | Increasing):
            members = _members(constraint, params, groups)
            group: Group = (
                SumGroup(constraint, members, named, excluded)
                if isinstance(constraint, Sum)
                else IncreasingGroup(constraint, members)
            )
            groups |= dict.fromkeys(group.names, group)
            params |= default_in_group(group)
        elif not isinstance(constraint, Forbid):
            raise SpaceError(
                f"A constraint must be a Sum, Increasing or Forbid, but got {brief(constraint)}."
            )
    engine = Forbids(params, order, conditions, groups, forbids) if forbids else None
    if engine is not None:
        moved = allowed_defaults(params, conditions, order, engine, given)
        params = {name: with_default(param, moved.get(name, param.default)) for name, param in params.items()}
    return Built(params, kept, conditions, tuple(order), _units(params, conditions, order, groups), engine)


def _by_name(declared: Iterable[Param]) -> dict[str, Param]:
    params: dict[str, Param] = {}
    if isinstance(declared, Mapping | str) or not isinstance(declared, Iterable):
        raise SpaceError(
            f"The parameters of a space must be a list, but got {brief(declared)}.",
            "Give a list of parameters; SearchSpace.of(...) takes a dictionary.",
        )
    for param in declared:
        if not isinstance(param, FloatParam | IntParam | CategoricalParam):
            raise SpaceError(
                f"A parameter must be a FloatParam, IntParam or CategoricalParam, but got {brief(param)}.",
                "SearchSpace.of(...) takes what other tools declare.",
            )
        if param.name in params:
            raise SpaceError(f"Each parameter must be declared once, but {param.name!r} is there twice.")
        params[param.name] = param
    if not params:
        raise SpaceError("A search space must have at least one parameter, but it is empty.")
    return params


def _known(name: str, constraint: Constraint, params: Mapping[str, Param]) -> Param:
    if name not in params:
        raise SpaceError(
            f"The constraint {constraint} names {brief(name)}, which is no parameter of this space."
            f"{did_you_mean(str(name), params)}",
            f"The space has: {', '.join(params)}.",
        )
    return params[name]


def _compiled(forbid: Forbid, params: Mapping[str, Param]) -> CompiledForbid:
    keys = []
    for name, values in forbid.values.items():
        param = _known(name, forbid, params)
        allowed = set()
        for value in values:
            checked, problem = param.check(value)
            if problem:
                raise SpaceError(f"The constraint {forbid} can never match: {problem}")
            allowed.add(typed(checked))
        keys.append((name, frozenset(allowed)))
    return CompiledForbid(tuple(keys), str(forbid))


def _members(
    constraint: Sum | Increasing, params: Mapping[str, Param], taken: Mapping[str, Group]
) -> list[NumericParam]:
    members: list[NumericParam] = []
    for name in constraint.names:
        param = _known(name, constraint, params)
        if not isinstance(param, NumericParam):
            raise SpaceError(f"The constraint {constraint} must name numbers, but {name!r} is categorical.")
        if name in taken:
            raise SpaceError(
                f"A parameter must stand in only one sum or order, but {name!r} is in "
                f"{taken[name].constraint} and in {constraint}."
            )
        members.append(param)
    first = members[0]
    for other in members[1:]:
        if _condition_keys(first) != _condition_keys(other):
            raise SpaceError(
                f"The parameters of {constraint} must share the same `when`, but {first.name!r} has "
                f"{first.when!r} and {other.name!r} has {other.when!r}.",
                "Give all of them the same `when`, or split the constraint.",
            )
    return members


def _condition_keys(param: NumericParam) -> dict[str, frozenset[Key]]:
    return {parent: frozenset(map(typed, values)) for parent, values in (param.when or {}).items()}


def _excluded(forbids: Sequence[CompiledForbid]) -> dict[str, set[Key]]:
    """Return the values that are forbidden on their own, by parameter."""
    excluded: dict[str, set[Key]] = {}
    for forbid in forbids:
        if len(forbid.keys) == 1:
            name, keys = forbid.keys[0]
            excluded.setdefault(name, set()).update(keys)
    return excluded


def _units(
    params: Mapping[str, Param], conditions: Conditions, order: Sequence[str], groups: Mapping[str, Group]
) -> tuple[Unit, ...]:
    by_first: dict[tuple[str, ...], None] = {}
    for name in order:
        by_first[groups[name].names if name in groups else (name,)] = None
    return tuple(
        Unit(tuple(params[name] for name in names), names, groups.get(names[0]), conditions.get(names[0]))
        for names in by_first
    )
