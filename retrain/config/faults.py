"""From pydantic's list of errors to one sentence of ours that names every fault, its key and its origin."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from tuner.errors import ConfigError, did_you_mean

__all__ = ["FaultsError", "explain"]

_RULE = "Input should be "


class FaultsError(ValueError):
    """Several faults of one section: (key, sentence) pairs."""

    def __init__(self, faults: Sequence[tuple[str, str]]) -> None:
        super().__init__(faults)
        self.faults = tuple(faults)

    @classmethod
    def raise_if(cls, faults: Sequence[tuple[str, str]]) -> None:
        """Raise when there is any fault."""
        if faults:
            raise cls(faults)


def explain(
    error: ValidationError, schema: type[BaseModel], where: str, origins: Mapping[str, str] | None = None
) -> ConfigError:
    """Turn a failed validation into one ConfigError.

    Args:
        error: what pydantic found.
        schema: the model that was validated, for the names it knows.
        where: the file, as the user knows it.
        origins: for dotted keys that did not come from the file, the flag or variable that set them.
    """
    origins = origins or {}
    sentences: list[str] = []
    places: list[str] = []
    for detail in _as_one(error.errors()):
        for key, sentence in _faults(detail, schema):
            origin = next((f" (from {name})" for dotted, name in origins.items() if dotted == key), "")
            line = f"`{key}` {sentence}{origin}" if key else f"{sentence}{origin}"
            if line not in sentences:
                sentences.append(line)
                places.append(origins.get(key, where))
    remedy = f"Mend {' and '.join(dict.fromkeys(places))}, then check the whole with: retrain doctor"
    if len(sentences) == 1:
        return ConfigError(f"{where}: {sentences[0]}", remedy)
    numbered = " ".join(f"({i}) {sentence}" for i, sentence in enumerate(sentences, 1))
    return ConfigError(f"{where} has {len(sentences)} faults: {numbered}", remedy)


def _as_one(details: Sequence[Any]) -> list[Any]:
    """What the members of a union say of one value as one fault; a list is not short for its bad items."""
    found: dict[tuple[str, str], Any] = {}
    for detail in details:
        key, rule = _dotted(_location(detail["loc"])), detail["msg"].removeprefix(_RULE)
        if detail["type"] == "too_short" and any(each.startswith(f"{key}[") for each, _ in found):
            continue
        of_union = detail["msg"].startswith(_RULE)
        same = (key, repr(detail["input"]) if of_union else f"{len(found)} {rule}")
        if same in found:
            found[same] = {**found[same], "msg": f"{found[same]['msg']} or {rule}"}
        else:
            found[same] = detail
    return list(found.values())


def _faults(detail: Any, schema: type[BaseModel]) -> list[tuple[str, str]]:
    location, kind = _location(detail["loc"]), detail["type"]
    key = _dotted(location)
    cause = detail.get("ctx", {}).get("error")
    if isinstance(cause, FaultsError):
        return [(_dotted([*location, name]), sentence) for name, sentence in cause.faults]
    if kind == "value_error":
        return [(key, str(cause))]
    if kind == "extra_forbidden":
        return [(key, _unknown_key(location, schema))]
    if kind == "missing":
        return [(key, "is needed.")]
    if kind in ("model_type", "dict_type"):
        return [(key, f"must be a table, but got {_shown(detail['input'])}.")]
    rule = detail["msg"].removeprefix(_RULE) if kind != "tuple_type" else "a list"
    close = did_you_mean(str(detail["input"]), re.findall(r"'([^']+)'", rule))
    return [(key, f"must be {rule}, but got {_shown(detail['input'])}.{close}")]


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _location(parts: Sequence[str | int]) -> list[str | int]:
    """The key path without what pydantic adds for the members of a union or the type of a container."""
    return [part for part in parts if isinstance(part, int) or not _is_type_name(part)]


def _is_type_name(part: str) -> bool:
    return part in ("str", "float", "int", "bool") or "[" in part or part.startswith("constrained-")


def _dotted(location: Sequence[str | int]) -> str:
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _unknown_key(location: Sequence[str | int], schema: type[BaseModel]) -> str:
    """Say that a key is unknown; name the closest of its section, or the section it belongs in."""
    section = schema
    for part in location[:-1]:
        section = _section_of(section, part)
    name = str(location[-1])
    known = [key for key, field in section.model_fields.items() if not field.exclude]
    close = did_you_mean(name, known)
    if not close:
        homes = [
            key
            for key in schema.model_fields
            if name in getattr(_section_of(schema, key), "model_fields", {})
        ]
        close = f" It belongs in [{homes[0]}]." if homes else ""
    return f"is not a known key.{close} Known: {', '.join(known)}."


def _section_of(schema: type[BaseModel], part: str | int) -> type[BaseModel]:
    """The model behind one part of a key path; an index or the name of a phase stays where it is."""
    field = schema.model_fields.get(str(part))
    return _model_in(field.annotation) or schema if field is not None else schema


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((model for argument in get_args(annotation) if (model := _model_in(argument))), None)
