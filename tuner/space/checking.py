"""Checking a configuration against its space: every fault is found, and said at once."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tuner.errors import ParamsError, did_you_mean
from tuner.experiment import Value
from tuner.space.conditions import Condition
from tuner.space.values import brief, show

if TYPE_CHECKING:
    from tuner.space.space import SearchSpace

__all__ = ["checked"]

_MAX_SAID = 20
"""Faults written into one message; `problems` has them all."""


@dataclass
class _Findings:
    """What is known so far. `doubtful`: names with a wrong value, or whose activity hangs on such a one."""

    values: dict[str, Value] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    doubtful: set[str] = field(default_factory=set)


def checked(space: "SearchSpace", config: object, fill: Mapping[str, Any] | None = None) -> dict[str, Value]:
    """Return the complete configuration in the space's own types and order.

    Args:
        space: what it is checked against.
        config: the configuration as given.
        fill: values for active parameters that were not given, before their defaults; None makes every
            missing one a fault.

    Raises:
        ParamsError: lists every fault.
    """
    if not isinstance(config, Mapping):
        problem = f"A configuration must be a table of names and values, but got {brief(config)}."
        raise ParamsError(problem, 'Write it as {"name": value, ...}.', [problem])
    findings = _Findings()
    _find_unknown(space, config, findings)
    for name in space.order:
        _check_one(space, name, config, fill, findings)
    findings.problems += space.broken(findings.values)
    if findings.problems:
        raise _error(space, findings.problems)
    return space.ordered(findings.values)


def _find_unknown(space: "SearchSpace", config: Mapping[Any, Any], findings: _Findings) -> None:
    for name in config:
        if name not in space.params:
            # Looking for a likeness takes a while, which a flood of wrong names must not multiply.
            likeness = isinstance(name, str) and len(findings.problems) < _MAX_SAID
            hint = did_you_mean(name, space.names) if likeness else ""
            findings.problems.append(f"Unknown parameter {brief(name)}.{hint}")


def _check_one(
    space: "SearchSpace",
    name: str,
    config: Mapping[str, Any],
    fill: Mapping[str, Any] | None,
    findings: _Findings,
) -> None:
    param, condition = space.params[name], space.conditions.get(name)
    if condition is not None and not condition.holds(findings.values):
        if not _is_doubtful(condition, findings):
            if name in config:
                findings.problems.append(_inactive(space, name, findings.values))
            return
        findings.doubtful.add(name)
        if name not in config:
            return
    value, problem = None, f"{name!r} is missing."
    if name in config:
        value, problem = param.check(config[name])
    elif fill is not None and name in fill:
        value, problem = param.check(fill[name])
        problem = f"{problem} (It was not given anew, and stems from the base.)" if problem else ""
    elif fill is not None:
        value, problem = param.default, ""
    if problem:
        findings.problems.append(problem)
        findings.doubtful.add(name)
    elif name not in findings.doubtful:
        findings.values[name] = value


def _is_doubtful(condition: Condition, findings: _Findings) -> bool:
    """Whether the condition might hold once the faults are mended."""
    certain = Condition(tuple(pair for pair in condition.parents if pair[0] not in findings.doubtful))
    return len(certain.parents) < len(condition.parents) and certain.holds(findings.values)


def _inactive(space: "SearchSpace", name: str, values: Mapping[str, Value]) -> str:
    for parent, keys in space.conditions[name].parents:
        if not Condition(((parent, keys),)).holds(values):
            found = f"is {values[parent]!r}" if parent in values else "is not in use"
            needed = f"{parent} is {show((space.params[name].when or {})[parent])}"
            return f"{name!r} is in use only where {needed}, but {parent} {found}: leave {name!r} out."
    raise AssertionError(f"{name} is active")


def _error(space: "SearchSpace", problems: list[str]) -> ParamsError:
    what = problems[0]
    if len(problems) > 1:
        said = " ".join(problems[:_MAX_SAID])
        more = f" And {len(problems) - _MAX_SAID} more." if len(problems) > _MAX_SAID else ""
        what = f"The configuration has {len(problems)} faults: {said}{more}"
    return ParamsError(what, f"The space has: {', '.join(space.names)}.", problems)
