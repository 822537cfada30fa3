"""Declarations of one parameter in other tools' words, brought into ours.

    {"type": "loguniform", "lower": 0.01, "upper": 0.3}
    {"type": "quniform", "low": 0, "high": 1, "q": 0.1}
    {"distribution": "log_uniform_values", "min": 1e-5, "max": 0.1}
    {"min": 1, "max": 8}, {"values": ["a", "b"]}, {"value": 3}

Bounds are included, but for the upper one of what is called `randint`, as wherever that word comes from. The
multiples of q that lie between the bounds are what a `q...` holds. Without a `type`, `min` and `max` follow
the rule of the W&B sweeps they come from: two whole numbers make an integer, others a float.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from tuner.errors import SpaceError, did_you_mean
from tuner.space.foreign.steps import below_excluded, multiples
from tuner.space.values import brief, is_array, is_number, plain

__all__ = ["OWN_TYPES", "in_our_words", "is_declaration"]

OWN_TYPES = ("float", "int", "categorical")

_WORDS = {  # what others call our keys
    "lower": "low",
    "min": "low",
    "upper": "high",
    "max": "high",
    "q": "step",
    "values": "choices",
    "options": "choices",
    "categories": "choices",
    "default_value": "default",
    "distribution": "type",
}
_BOUNDS = ("low", "high", "lower", "upper", "min", "max")
_LISTS = ("choices", "values", "options", "categories")
_NUMERIC = ("low", "high", "log", "step", "base", "default", "when")
_KEYS = {
    "float": _NUMERIC,
    "int": _NUMERIC,
    "categorical": ("choices", "default", "when"),
    "constant": ("value", "when"),
}


class _Kind(NamedTuple):
    """What a word for a type means. `log` None: as declared."""

    own: str
    log: bool | None = None
    of_q: bool = False
    excluded: bool = False


_KINDS = {
    "float": _Kind("float"),
    "uniform": _Kind("float"),
    "loguniform": _Kind("float", log=True),
    "quniform": _Kind("float", of_q=True),
    "qloguniform": _Kind("float", log=True, of_q=True),
    "int": _Kind("int"),
    "randint": _Kind("int", excluded=True),
    "lograndint": _Kind("int", log=True, excluded=True),
    "qrandint": _Kind("int", of_q=True, excluded=True),
    "qlograndint": _Kind("int", log=True, of_q=True, excluded=True),
    "categorical": _Kind("categorical"),
    "choice": _Kind("categorical"),
    "constant": _Kind("constant"),
}
_SAME = {  # further spellings, without - and _
    "double": "float",
    "real": "float",
    "uniformfloat": "float",
    "loguniformvalues": "loguniform",
    "qloguniformvalues": "qloguniform",
    "integer": "int",
    "intuniform": "int",
    "uniformint": "int",
    "gridsearch": "choice",
}
_EXPONENTS = ("loguniform", "qloguniform")
"""Names of `distribution` whose min and max are exponents of e (W&B)."""

_UNBOUNDED = ("normal", "qnormal", "lognormal", "qlognormal", "randn", "qrandn", "norm")


def is_declaration(table: Mapping[Any, Any]) -> bool:
    """Whether a dictionary declares one parameter, rather than holding parameters by name."""
    given = {key: plain(value) for key, value in table.items() if key != "when"}
    return any(_is_sign(key, value) for key, value in given.items()) and all(
        value is None or isinstance(value, str | int | float) or _is_list(value) for value in given.values()
    )


def _is_sign(key: object, value: object) -> bool:
    if key in _BOUNDS:
        return not _is_list(value)
    if key in ("type", "distribution"):
        return isinstance(value, str)
    return key == "value" or (key in _LISTS and _is_list(value))


def _is_list(value: object) -> bool:
    return isinstance(value, list | tuple | range) or is_array(value)


def in_our_words(name: object, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the table of the same parameter with our `type` and our keys.

    Raises:
        SpaceError: an unknown type or key, a key that is there twice in other words, or a missing bound.
    """
    where = f"parameter {name!r}"
    table: dict[str, Any] = {}
    for key, value in given.items():
        own = _WORDS.get(key, key)
        if own in table:
            twice = next(other for other in given if _WORDS.get(other, other) == own)
            raise SpaceError(f"`{own}` of {where} must be given once, but got both {twice!r} and {key!r}.")
        table[own] = value
    word = _type_word(given, table)
    if word is None:  # perhaps since the key is misspelt
        _check_keys(where, given, (*_NUMERIC, "choices", "value"))
    kind = _kind(where, word)
    _check_keys(where, given, _KEYS[kind.own])
    table["type"] = kind.own
    table.pop("base", None)  # which makes no difference to what is drawn
    if kind.own == "constant":
        return _constant(where, table)
    if kind.own in ("int", "float") and "low" in table and "high" in table:
        if "distribution" in given and _plain_word(word) in _EXPONENTS:
            _raise_to_powers(name, table)
        _settle(str(name), table, kind)
    return table


def _constant(where: str, table: dict[str, Any]) -> dict[str, Any]:
    if "value" not in table:
        raise SpaceError(f"The declaration of {where} needs `value`, but got only {', '.join(table)}.")
    value = table.pop("value")
    return {**table, "type": "categorical", "choices": [value]}


def _type_word(given: Mapping[str, Any], table: Mapping[str, Any]) -> Any:
    if "type" in table:
        return table["type"]
    if "value" in table:
        return "constant"
    if "choices" in table:
        return "categorical"
    if "min" in given and "max" in given:
        bounds = (plain(given["min"]), plain(given["max"]))
        return "int" if all(isinstance(bound, int) for bound in bounds) else "float"
    return None


def _plain_word(word: str) -> str:
    return word.lower().replace("_", "").replace("-", "")


def _kind(where: str, word: Any) -> _Kind:
    if isinstance(word, str):
        plain_word = _plain_word(word)
        found = _KINDS.get(_SAME.get(plain_word, plain_word))
        if found is not None:
            return found
        if plain_word in _UNBOUNDED:
            raise SpaceError(
                f"{where[0].upper()}{where[1:]} must have bounds, but a {word!r} has none.",
                'Say how far to search: type = "float" with low and high.',
            )
    hint = did_you_mean(word, [*OWN_TYPES, *_KINDS]) if isinstance(word, str) else ""
    raise SpaceError(
        f"`type` of {where} must be one of {', '.join(OWN_TYPES)}, but got {brief(word)}.{hint}",
        f"Words of other tools are understood, too: {', '.join(w for w in _KINDS if w not in OWN_TYPES)}.",
    )


def _check_keys(where: str, given: Mapping[str, Any], known: tuple[str, ...]) -> None:
    others = [other for other, own in _WORDS.items() if own in known and own != "type"]
    for key in given:
        if _WORDS.get(key, key) not in ("type", *known):
            raise SpaceError(
                f"Unknown key {key!r} in the declaration of {where}."
                f"{did_you_mean(str(key), ['type', *known, *others])}",
                f"The keys are: {', '.join(('type', *known))}.",
            )


def _raise_to_powers(name: object, table: dict[str, Any]) -> None:
    for key in ("low", "high"):
        exponent = plain(table[key])
        if not is_number(exponent) or abs(exponent) > 230:
            raise SpaceError(
                f"`{key}` of {name!r} must be an exponent of e within 230, but got {brief(exponent)}.",
                'For bounds of the value itself write distribution = "log_uniform_values".',
            )
        table[key] = math.exp(exponent)


def _settle(name: str, table: dict[str, Any], kind: _Kind) -> None:
    """Work out scale, steps and the last value as the word for the type has them."""
    if kind.log is not None:
        table["log"] = kind.log
    if kind.of_q:
        table.setdefault("step", 1)
    if kind.excluded and (not kind.of_q or table["step"] == 1):
        table["high"] = below_excluded(name, table["low"], table["high"])
    if kind.of_q:
        table["low"], table["high"] = multiples(name, table["low"], table["high"], table["step"])
