"""A search space as a document: the JSON stored with a study, and the TOML of retrain.toml and presets.

    {"params": [{"name": "lr", "type": "float", "low": 1e-4, "high": 1.0, "log": true, "default": 0.01}, ...],
     "constraints": [{"sum": ["a", "b"], "equals": 1.0}, {"increasing": ["c", "d"]}, {"forbid": {"e": [1]}}]}

In TOML `params` is a table by name, and null, which TOML lacks, is written `{ null = true }`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from tuner.errors import SpaceError, did_you_mean
from tuner.space.constraints import Constraint, Forbid, Increasing, Sum
from tuner.space.foreign.dialect import in_our_words
from tuner.space.params import CategoricalParam, FloatParam, IntParam, Param

__all__ = [
    "constraint_from_dict",
    "constraint_to_dict",
    "param_from_dict",
    "param_to_dict",
    "parts_from_dict",
]

_NEEDED = {"float": ("low", "high"), "int": ("low", "high"), "categorical": ("choices",)}
_SUCH_AS = {"low": "0.01", "high": "0.3", "choices": '["gbtree", "dart"]', "equals": "1.0"}
_CLASSES: dict[str, type[Param]] = {"float": FloatParam, "int": IntParam, "categorical": CategoricalParam}


def parts_from_dict(document: object) -> tuple[list[Param], list[Constraint]]:
    """Return the parameters and constraints that a document declares.

    Raises:
        SpaceError: it is no such document; names the key and where it stands.
    """
    document = _table("a search space", document)
    _check_keys("a search space", document, ("params", "constraints"), ("params",))
    constraints = document.get("constraints", [])
    if not isinstance(constraints, Sequence) or isinstance(constraints, str):
        raise SpaceError(f"`constraints` must be a list of tables, but got {constraints!r}.")
    return _params(document["params"]), [constraint_from_dict(item) for item in constraints]


def _params(declared: object) -> list[Param]:
    if isinstance(declared, Mapping):
        return [param_from_dict(name, table) for name, table in declared.items()]
    if not isinstance(declared, Sequence) or isinstance(declared, str):
        raise SpaceError(f"`params` must be a table of parameters by name, but got {declared!r}.")
    params = []
    for item in declared:
        table = dict(_table("a parameter", item))
        if "name" not in table:
            raise SpaceError(f"Every parameter in a list needs a `name`, but got {table!r}.")
        params.append(param_from_dict(table.pop("name"), table))
    return params


def param_from_dict(name: Any, table: object) -> Param:
    """Build one parameter from its table, such as {type = "float", low = 0.01, high = 0.3, log = true}.

    Other tools' words for it are understood, too (see `tuner.space.foreign.dialect`).

    Raises:
        SpaceError: an unknown type or key, a missing one, or values that contradict each other.
    """
    where = f"parameter {name!r}"
    declared = _table(where, table)
    given = in_our_words(name, declared)
    kind = given.pop("type")
    for key in _NEEDED[kind]:
        if key not in given:
            raise _lacks(where, key, declared)
    return _CLASSES[kind](name, **{key: _without_null_tables(value) for key, value in given.items()})


def param_to_dict(param: Param) -> dict[str, Any]:
    """Return the table of one parameter, with its name, ready for JSON."""
    table: dict[str, Any] = {"name": param.name, "type": param.kind}
    if isinstance(param, CategoricalParam):
        table["choices"] = list(param.choices)
    else:
        table |= {"low": param.low, "high": param.high}
        if param.log:
            table["log"] = True
        if param.step is not None and not (param.kind == "int" and param.step == 1):
            table["step"] = param.step
    table["default"] = param.default
    if param.when:
        table["when"] = {parent: list(values) for parent, values in param.when.items()}
    return table


def constraint_from_dict(table: object) -> Constraint:
    """Build one constraint from its table: {sum, equals}, {increasing} or {forbid}.

    Raises:
        SpaceError: it is none of these.
    """
    given = _table("a constraint", table)
    if "sum" in given:
        _check_keys("a sum constraint", given, ("sum", "equals"), ("equals",))
        return Sum(given["sum"], given["equals"])
    if "increasing" in given:
        _check_keys("an increasing constraint", given, ("increasing",))
        return Increasing(given["increasing"])
    if "forbid" in given:
        _check_keys("a forbid constraint", given, ("forbid",))
        return Forbid(_without_null_tables(given["forbid"]))
    _check_keys("a constraint", given, ("sum", "equals", "increasing", "forbid"))
    raise SpaceError(
        f"A constraint must have one of `sum`, `increasing` or `forbid`, but got {dict(given)!r}."
    )


def constraint_to_dict(constraint: Constraint) -> dict[str, Any]:
    """Return the table of one constraint, ready for JSON."""
    if isinstance(constraint, Sum):
        return {"sum": list(constraint.names), "equals": constraint.equals}
    if isinstance(constraint, Increasing):
        return {"increasing": list(constraint.names)}
    return {"forbid": {name: list(values) for name, values in constraint.values.items()}}


def _table(where: str, value: object) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise SpaceError(f"The declaration of {where} must be a table, but got {value!r}.")
    return value


def _check_keys(
    where: str, given: Mapping[str, Any], known: Sequence[str], needed: Sequence[str] = ()
) -> None:
    for key in given:
        if key not in known:
            raise SpaceError(
                f"Unknown key {key!r} in the declaration of {where}.{did_you_mean(str(key), known)}",
                f"The keys are: {', '.join(known)}.",
            )
    for key in needed:
        if key not in given:
            raise _lacks(where, key, given)


def _lacks(where: str, key: str, given: Mapping[str, Any]) -> SpaceError:
    return SpaceError(
        f"The declaration of {where} needs `{key}`, but got only {', '.join(map(str, given))}.",
        f"Such as {key} = {_SUCH_AS[key]}." if key in _SUCH_AS else "",
    )


def _without_null_tables(value: Any) -> Any:
    """Replace each {null = true} by None, however deep."""
    if isinstance(value, Mapping):
        if set(value) == {"null"} and value["null"] is True:
            return None
        return {key: _without_null_tables(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_null_tables(item) for item in value]
    return value
