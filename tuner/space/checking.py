"""Checking a configuration against its space: every fault is found and said at once."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tuner.errors import ParamsError, did_you_mean
from tuner.experiment import Value
from tuner.space.values import show

if TYPE_CHECKING:
    from tuner.space.space import SearchSpace

__all__ = ["checked"]


@dataclass
class _Findings:
    values: dict[str, Value] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    doubtful: set[str] = field(default_factory=set)
    """Names whose value is wrong, or whose activity hangs on such a name."""


def checked(space: "SearchSpace", config: object, fill: Mapping[str, Any] | None = None) -> dict[str, Value]:
    """Return the complete configuration in the space's own types and order.

    Args:
        space: what it is checked against.
        config: the configuration as given.
        fill: values for active parameters that were not given; None makes missing ones a fault.

    Raises:
        ParamsError: lists every fault.
    """
    if not isinstance(config, Mapping):
        raise ParamsError(
            f"A configuration must be a table of parameters and values, but got {type(config).__name__}.",
            'Give an object such as {"name": value}.',
            ["not a table"],
        )
    findings = _Findings()
    for name in config:
        if name not in space.params:
            hint = did_you_mean(name, space.names) if isinstance(name, str) else ""
            findings.problems.append(f"Unknown parameter {name!r}.{hint}")
    for name in space.order:
        _check_one(space, name, config, fill, findings)
    if not findings.doubtful:
        findings.problems += space.broken(findings.values)
    else:
        findings.problems += space.broken(findings.values, without=findings.doubtful)
    if findings.problems:
        raise _error(space, findings.problems)
    return space.sorted(findings.values)


def _check_one(
    space: "SearchSpace",
    name: str,
    config: Mapping[str, Any],
    fill: Mapping[str, Any] | None,
    findings: _Findings,
) -> None:
    param, condition = space.params[name], space.conditions.get(name)
    if condition is not None:
        if any(parent in findings.doubtful for parent, _ in condition.parents):
            findings.doubtful.add(name)
            if name in config:
                _, problem = param.check(config[name])
                findings.problems += [problem] if problem else []
            return
        if not condition.holds(findings.values):
            if name in config:
                findings.problems.append(_inactive(space, name, findings.values))
            return
    if name in config:
        value, problem = param.check(config[name])
    elif fill is not None:
        value, problem = param.check(fill[name]) if name in fill else (param.default, "")
    else:
        value, problem = None, f"{name!r} is missing."
    if problem:
        findings.problems.append(problem)
        findings.doubtful.add(name)
    else:
        findings.values[name] = value


def _inactive(space: "SearchSpace", name: str, values: Mapping[str, Value]) -> str:
    for parent, allowed in (space.params[name].when or {}).items():
        if parent not in values:
            return f"{name!r} is only used when {parent} is in use, which it is not here: leave {name!r} out."
        if values[parent] not in allowed or type(values[parent]) not in map(type, allowed):
            return (
                f"{name!r} is only used when {parent} is {show(allowed)}, but {parent} is {values[parent]!r}: "
                f"leave {name!r} out."
            )
    return f"{name!r} is not in use here: leave it out."


def _error(space: "SearchSpace", problems: list[str]) -> ParamsError:
    what = (
        problems[0]
        if len(problems) == 1
        else f"The configuration has {len(problems)} faults: {' '.join(problems)}"
    )
    return ParamsError(what, f"The space has: {', '.join(space.names)}.", problems)
