"""Random search spaces of every kind, and a plain judge of configurations that shares no code with the
product.

`search_spaces()` is for every test that must hold for any space; `finite=True` keeps them small enough to
list.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise, product
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from tuner.errors import SpaceError
from tuner.space import (
    CategoricalParam,
    Constraint,
    FloatParam,
    Forbid,
    Increasing,
    IntParam,
    Param,
    SearchSpace,
    Sum,
)

__all__ = [
    "all_configs",
    "configs",
    "garbage",
    "is_active",
    "is_valid",
    "search_spaces",
    "seeds",
    "values_of",
]

CHOICES: list[Any] = ["a", "b", "1", 1, 1.0, 0.5, True, False, None, "None", 0, -3]
BOUNDS = [-2.5, -1.0, 0.0, 0.1, 0.25, 1.0, 3.0, 10.0]
STEPS = [0.05, 0.1, 0.25, 0.5, 1.0]

seeds: SearchStrategy[int] = st.integers(0, 2**32 - 1)


# ---- parameters


@st.composite
def _floats(draw: DrawFn, name: str, when: Any, finite: bool) -> FloatParam:
    low = draw(st.sampled_from(BOUNDS))
    step = draw(st.sampled_from(STEPS if finite else [None, None, *STEPS]))
    n_steps = draw(st.integers(0, 4 if finite else 30))
    log = low > 0 and draw(st.booleans())
    if step is None:
        width = draw(st.sampled_from([0.0, 1e-3, 0.5, 1.0, 7.25, 1000.0]))
        return FloatParam(name, low, low + width, log=log, when=when)
    return FloatParam(name, low, round(low + n_steps * step, 6), log=log, step=step, when=when)


@st.composite
def _ints(draw: DrawFn, name: str, when: Any, finite: bool) -> IntParam:
    low, step = draw(st.integers(-5, 20)), draw(st.integers(1, 3))
    n_steps = draw(st.integers(0, 4 if finite else 40))
    return IntParam(
        name, low, low + n_steps * step, log=low > 0 and draw(st.booleans()), step=step, when=when
    )


@st.composite
def _categoricals(draw: DrawFn, name: str, when: Any) -> CategoricalParam:
    keys = draw(st.lists(st.integers(0, len(CHOICES) - 1), min_size=1, max_size=4, unique=True))
    return CategoricalParam(name, [CHOICES[key] for key in keys], when=when)


def _params(name: str, when: Any, finite: bool) -> SearchStrategy[Param]:
    return st.one_of(_categoricals(name, when), _ints(name, when, finite), _floats(name, when, finite))


def values_of(param: Param) -> list[Any]:
    """Every value of a countable parameter, worked out here."""
    if isinstance(param, CategoricalParam):
        return list(param.choices)
    if param.step is None:
        assert param.low == param.high
        return [param.low]
    n_steps = round((param.high - param.low) / param.step)
    values = [round(param.low + k * param.step, 9) for k in range(n_steps + 1)]
    return [int(v) for v in values] if isinstance(param, IntParam) else [float(v) for v in values]


# ---- spaces


@st.composite
def _conditions(draw: DrawFn, earlier: Sequence[Param]) -> dict[str, list[Any]] | None:
    """A condition on up to two countable parameters declared before: chains of any depth come about."""
    countable = [param for param in earlier if param.n_values is not None]
    if not countable or draw(st.integers(0, 2)) == 0:
        return None
    parents = draw(st.lists(st.sampled_from(countable), min_size=1, max_size=2, unique_by=lambda p: p.name))
    when = {}
    for parent in parents:
        values = values_of(parent)[:8]
        picked = draw(st.lists(st.integers(0, len(values) - 1), min_size=1, max_size=3, unique=True))
        when[parent.name] = [values[i] for i in picked]
    return when


@st.composite
def search_spaces(
    draw: DrawFn, max_blocks: int = 4, finite: bool = False, constraints: bool = True
) -> SearchSpace:
    """A space of up to `max_blocks` parameters, sums and orders, with conditions and forbids among them.

    Without `constraints`, of parameters and conditions alone.
    """
    params: list[Param] = []
    kept: list[Constraint] = []
    kinds = ["free", "free", "sum", "order"] if constraints else ["free"]
    for number in range(draw(st.integers(1, max_blocks))):
        when = draw(_conditions(params))
        kind = draw(st.sampled_from(kinds))
        if kind == "free":
            params.append(draw(_params(f"p{number}", when, finite)))
        else:
            members, constraint = draw(_groups(f"{kind}{number}", kind, when, finite))
            params += members
            kept += constraint
    for _ in range(draw(st.integers(0, 3)) if constraints else 0):
        forbid = draw(_forbids(params))
        if _builds(params, [*kept, forbid]):
            kept.append(forbid)
    return SearchSpace(draw(st.permutations(params)), kept)


@st.composite
def _groups(
    draw: DrawFn, name: str, kind: str, when: Any, finite: bool
) -> tuple[list[Param], list[Constraint]]:
    n_members = draw(st.integers(2, 3 if finite else 5))
    numbers = st.one_of if draw(st.booleans()) else _same
    members: list[Any] = []
    for i in range(n_members):
        one = numbers(_floats(f"{name}_{i}", when, finite), _ints(f"{name}_{i}", when, finite))
        members.append(draw(one))
    names = [member.name for member in members]
    if kind == "order":
        order = Increasing(names)
        return members, [order] if _builds(_apart(members), [order]) else []
    # The total of some point of the box can always be met.
    total = math.fsum(draw(st.sampled_from(_some_values(member))) for member in members)
    return members, [Sum(names, total)]


def _same(one: SearchStrategy[Any], other: SearchStrategy[Any]) -> SearchStrategy[Any]:
    return one


def _some_values(param: Any) -> list[Any]:
    if param.n_values is not None:
        return values_of(param)
    return [param.low, param.high, (param.low + param.high) / 2, (3 * param.low + param.high) / 4]


def _apart(members: Sequence[Any]) -> list[Param]:
    """The members without their condition, to be built alone."""
    return [type(m)(m.name, m.low, m.high, log=m.log, step=m.step) for m in members]


@st.composite
def _forbids(draw: DrawFn, params: Sequence[Param]) -> Forbid:
    named = draw(st.lists(st.sampled_from(params), min_size=1, max_size=3, unique_by=lambda p: p.name))
    values = {}
    for param in named:
        some = values_of(param) if param.n_values is not None else _some_values(param)
        picked = draw(st.lists(st.integers(0, len(some) - 1), min_size=1, max_size=3, unique=True))
        values[param.name] = [some[i] for i in picked]
    return Forbid(values)


def _builds(params: Sequence[Param], constraints: Sequence[Constraint]) -> bool:
    try:
        SearchSpace(params, constraints)
    except SpaceError:
        return False
    return True


# ---- configurations

garbage: SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.text(max_size=3),
    st.integers(-(10**25), 10**25),
    st.floats(),
    st.lists(st.integers(), max_size=2),
)
"""Anything that might be given as a value."""


def configs(space: SearchSpace) -> SearchStrategy[dict[str, Any]]:
    """Configurations as a careless user may give them: near, far, wrong, incomplete, with strange names."""
    near = [st.one_of(st.floats(-20, 20), st.sampled_from(CHOICES), garbage) for _ in space.names]
    known = st.fixed_dictionaries({}, optional=dict(zip(space.names, near, strict=True)))
    strange = st.dictionaries(st.text(max_size=3), garbage, max_size=1)
    return st.builds(lambda one, other: {**other, **one}, known, strange)


# ---- the judge


def _same_value(one: Any, other: Any) -> bool:
    return type(one) is type(other) and one == other


def is_active(space: SearchSpace, name: str, config: Mapping[str, Any]) -> bool:
    """Whether a parameter's conditions hold, all the way up."""
    when = space.params[name].when or {}
    return all(
        is_active(space, parent, config) and any(_same_value(config.get(parent), value) for value in values)
        for parent, values in when.items()
    )


def _in_range(param: Param, value: Any) -> bool:
    if isinstance(param, CategoricalParam):
        return any(_same_value(value, choice) for choice in param.choices)
    if type(value) is not (int if isinstance(param, IntParam) else float):
        return False
    if not param.low <= value <= param.high:
        return False
    return param.n_values is None or any(abs(value - one) <= 1e-9 for one in values_of(param))


def is_valid(space: SearchSpace, config: Mapping[str, Any]) -> bool:
    """Whether a configuration is complete, in range, in plain Python types, and keeps every constraint."""
    if set(config) != {name for name in space.names if is_active(space, name, config)}:
        return False
    if not all(_in_range(space.params[name], value) for name, value in config.items()):
        return False
    return all(_keeps(constraint, config) for constraint in space.constraints)


def _keeps(constraint: Constraint, config: Mapping[str, Any]) -> bool:
    if isinstance(constraint, Forbid):
        return not all(
            name in config and any(_same_value(config[name], value) for value in values)
            for name, values in constraint.values.items()
        )
    if constraint.names[0] not in config:
        return True
    values = [config[name] for name in constraint.names]
    if isinstance(constraint, Sum):
        return bool(abs(math.fsum(values) - constraint.equals) <= 1e-9 * max(1.0, abs(constraint.equals)))
    return all(one < other for one, other in pairwise(values))


def all_configs(space: SearchSpace) -> list[dict[str, Any]]:
    """Every valid configuration of a small finite space, by trying all combinations."""
    absent = object()
    options = [[*values_of(param), *([absent] if param.when else [])] for param in space.params.values()]
    found = []
    for values in product(*options):
        config = {n: v for n, v in zip(space.names, values, strict=True) if v is not absent}
        if is_valid(space, config):
            found.append(config)
    return found
