"""Building a space: names, conditions, groups, forbids and defaults are checked against each other, once."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from tuner.errors import SpaceError, did_you_mean
from tuner.experiment import Value
from tuner.space.conditions import Condition, Conditions, checked_conditions, deciding_order
from tuner.space.constraints import Constraint, Forbid, Increasing, Sum
from tuner.space.forbids import CompiledForbid, Forbids
from tuner.space.groups import Group
from tuner.space.ordering import IncreasingGroup
from tuner.space.params import CategoricalParam, FloatParam, IntParam, NumericParam, Param
from tuner.space.sums import SumGroup
from tuner.space.units import Unit
from tuner.space.values import show, typed

__all__ = ["Built", "build"]


@dataclass(frozen=True)
class Built:
    """The parts of a consistent space; every parameter has a default that fits the others."""

    params: dict[str, Param]
    constraints: tuple[Constraint, ...]
    conditions: Conditions
    order: list[str]
    units: tuple[Unit, ...]
    forbids: Forbids | None


def build(declared: Iterable[Param], constraints: Iterable[Constraint]) -> Built:
    """Check all declarations against each other.

    Raises:
        SpaceError: says what contradicts what.
    """
    params = _by_name(declared)
    kept = tuple(constraints)
    conditions = checked_conditions(params)
    order = deciding_order(params, conditions)
    forbids = _compiled(params, [c for c in kept if isinstance(c, Forbid)])
    reached = {name for forbid in forbids for name in forbid.names}
    given = {param.name for param in params.values() if param.default_given}
    groups: dict[str, Group] = {}
    for constraint in kept:
        if isinstance(constraint, Sum | Increasing):
            members = _members(params, constraint, groups)
            params |= _with_defaults(constraint, members)
            group = _group(constraint, [_numeric(params[m.name]) for m in members], reached)
            groups |= dict.fromkeys(constraint.names, group)
        elif not isinstance(constraint, Forbid):
            raise SpaceError(f"A constraint must be a Sum, Increasing or Forbid, but got {constraint!r}.")
    engine = Forbids(params, order, conditions, groups, forbids) if forbids else None
    if engine is not None:
        moved = _allowed_defaults(params, conditions, order, engine, given)
        params = {
            name: _with_default(param, moved.get(name, param.default)) for name, param in params.items()
        }
    return Built(params, kept, conditions, order, _units(params, conditions, order, groups), engine)


def _by_name(declared: Iterable[Param]) -> dict[str, Param]:
    params: dict[str, Param] = {}
    for param in declared:
        if not isinstance(param, FloatParam | IntParam | CategoricalParam):
            raise SpaceError(
                f"A parameter must be a FloatParam, IntParam or CategoricalParam, but got {param!r}."
            )
        if param.name in params:
            raise SpaceError(f"Each parameter must be declared once, but {param.name!r} is there twice.")
        params[param.name] = param
    if not params:
        raise SpaceError("A search space must have at least one parameter, but it is empty.")
    return params


def _known(what: str, name: str, params: Mapping[str, Param]) -> Param:
    if name not in params:
        raise SpaceError(
            f"{what} names {name!r}, which is no parameter of this space.{did_you_mean(str(name), params)}",
            f"The space has: {', '.join(params)}.",
        )
    return params[name]


def _numeric(param: Param) -> NumericParam:
    assert isinstance(param, NumericParam)
    return param


def _members(
    params: Mapping[str, Param], constraint: Sum | Increasing, taken: Mapping[str, Group]
) -> list[NumericParam]:
    members = []
    for name in constraint.names:
        param = _known(f"The constraint {constraint}", name, params)
        if not isinstance(param, NumericParam):
            raise SpaceError(f"The constraint {constraint} must name numbers, but {name!r} is categorical.")
        if name in taken:
            raise SpaceError(
                f"A parameter must stand in only one sum or order, but {name!r} is in {taken[name].constraint} "
                f"and in {constraint}."
            )
        members.append(param)
    first = members[0]
    for other in members[1:]:
        if _condition_keys(first) != _condition_keys(other):
            raise SpaceError(
                f"The parameters of {constraint} must share the same `when`, but {first.name!r} has {first.when!r} "
                f"and {other.name!r} has {other.when!r}.",
                "Give all of them the same `when`, or split the constraint.",
            )
    return members


def _condition_keys(param: Param) -> dict[str, frozenset[tuple[type, Value]]]:
    return {parent: frozenset(map(typed, values)) for parent, values in (param.when or {}).items()}


def _group(constraint: Sum | Increasing, params: Sequence[NumericParam], reached: set[str]) -> Group:
    if isinstance(constraint, Sum):
        return SumGroup(constraint, params, reached)
    return IncreasingGroup(constraint, params)


def _with_defaults(constraint: Sum | Increasing, members: Sequence[NumericParam]) -> dict[str, Param]:
    """Give the members defaults that satisfy the constraint; those the user gave stand."""
    free = _group(constraint, members, set())  # refuses a constraint that can never hold
    if all(member.default_given for member in members):
        problem = free.problem({member.name: member.default for member in members})
        if problem:
            raise SpaceError(f"The defaults break a constraint: {problem}", "Change one of these defaults.")
        return {}
    held = [_held(member) if member.default_given else member for member in members]
    try:
        group = _group(constraint, held, set())
    except SpaceError as error:
        given = show(member.name for member in members if member.default_given)
        raise SpaceError(
            f"The defaults given for {given} leave none for the others: {error}",
            "Change one of these defaults.",
        ) from error
    values = group.nearest([param.default for param in group.params])
    defaults = dict(zip(group.names, values, strict=True))
    return {m.name: m if m.default_given else _with_default(m, defaults[m.name]) for m in members}  # type: ignore[misc]


def _held(param: NumericParam) -> NumericParam:
    return replace(param, low=param.default, high=param.default)


def _with_default(param: Param, default: Value) -> Param:
    return param if typed(param.default) == typed(default) else replace(param, default=default)


def _compiled(params: Mapping[str, Param], forbids: Sequence[Forbid]) -> list[CompiledForbid]:
    compiled = []
    for forbid in forbids:
        keys = []
        for name, values in forbid.values.items():
            param = _known(f"The constraint {forbid}", name, params)
            allowed = set()
            for value in values:
                checked, problem = param.check(value)
                if problem:
                    raise SpaceError(f"The constraint {forbid} can never match: {problem}")
                allowed.add(typed(checked))
            keys.append((name, frozenset(allowed)))
        compiled.append(CompiledForbid(tuple(keys), str(forbid)))
    return compiled


def _allowed_defaults(
    params: Mapping[str, Param],
    conditions: Mapping[str, Condition],
    order: Sequence[str],
    engine: Forbids,
    given: set[str],
) -> Mapping[str, Value]:
    """Return defaults to change so that the default configuration is allowed; only those nobody gave move."""
    wanted: dict[str, Value] = {name: param.default for name, param in params.items()}
    active: dict[str, Value] = {}
    for name in order:
        if name not in conditions or conditions[name].holds(active):
            active[name] = wanted[name]
    violated = engine.violated(active)
    if not violated:
        return {}
    found = engine.escape(wanted, fixed=given)
    if found is not None:
        return found
    if engine.escape(wanted) is not None:
        raise SpaceError(
            f"The defaults break a constraint: {violated[0].text}.", "Change one of these defaults."
        )
    culprits = engine.contradiction(wanted)
    one = len(culprits) == 1
    raise SpaceError(
        f"No configuration is left: the constraint{'' if one else 's'} {'; '.join(culprits)} "
        f"{'excludes' if one else 'together exclude'} every one.",
        "Leave one of them out or allow more values.",
    )


def _units(
    params: Mapping[str, Param], conditions: Conditions, order: Sequence[str], groups: Mapping[str, Group]
) -> tuple[Unit, ...]:
    units, done = [], set()
    for name in order:
        if name in done:
            continue
        group = groups.get(name)
        names = group.names if group is not None else (name,)
        done.update(names)
        units.append(Unit(tuple(params[n] for n in names), names, group, conditions.get(name)))
    return tuple(units)
