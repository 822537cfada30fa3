"""Find the configuration, lay flags and environment over it, and check the whole.

A flag wins over `RETRAIN_*`, that over the file, that over the defaults. The variable of a key is its section
and name in capitals: `RETRAIN_DB`, `RETRAIN_PIPELINE_MODEL`, `RETRAIN_SPLITS_FOLDS`. `RETRAIN_CONFIG` names
the file.
"""

import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from retrain.config.faults import explain
from retrain.config.files import FILE, PREFIX, absolute_url, find_config, parted, read_document, shown
from retrain.config.schema import Config
from tuner.errors import ConfigError, did_you_mean

__all__ = ["load_config"]


def load_config(
    path: Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
) -> Config:
    """Load and check the configuration.

    Args:
        path: the file, or the folder it is in; the working directory when not given. With `#NAME` behind it,
            its architecture of that name.
        overrides: flags by dotted key, such as {"db": .., "study.seed": 3}. None means not given.
        environ: the environment; the process's own when not given.

    Raises:
        ConfigError: there is no configuration, or it has faults; names all of them.
    """
    environ = os.environ if environ is None else environ
    if path is None and environ.get(f"{PREFIX}CONFIG"):
        path = Path(environ[f"{PREFIX}CONFIG"])
    path, architecture = parted(path)
    source = find_config(path)
    if source is None:
        raise ConfigError(
            f"There is no {FILE} in {(path or Path.cwd())}, and no [tool.retrain] in a pyproject.toml.",
            "Write one to edit with `retrain init`, or look around: retrain init --example breast_cancer",
        )
    document = read_document(source, architecture)
    origins: dict[str, str] = {}
    for key, (variable, value) in _from_environment(environ).items():
        _set(document, key, value)
        origins[key] = variable
    for key, value in (overrides or {}).items():
        if value is not None:
            _set(document, key, value)
            origins[key] = "the command line"
    for key in _keys_with_nul(document):
        raise ConfigError(
            f"{shown(source)}: `{key}` must not hold a NUL character.", "Take \\u0000 out of it."
        )
    root = source.resolve().parent
    if isinstance(document.get("db"), str):
        document["db"] = absolute_url(document["db"], Path.cwd() if "db" in origins else root)
    else:
        document.setdefault("db", absolute_url(Config.model_fields["db"].default, root))
    try:
        config = Config.model_validate(document)
    except ValidationError as error:
        raise explain(error, Config, shown(source), origins) from None
    return config.model_copy(update={"root": root, "source": source})


# ---- flags and environment


def _from_environment(environ: Mapping[str, str]) -> dict[str, tuple[str, Any]]:
    """The keys that the environment sets: {dotted key: (variable, value)}."""
    keys = {PREFIX + key.upper().replace(".", "_"): key for key in _keys(Config)}
    sections = tuple(PREFIX + name.upper() + "_" for name in Config.model_fields)
    found = {}
    for variable, text in environ.items():
        if variable in keys:
            found[keys[variable]] = (variable, _value(keys[variable], text))
        elif variable.startswith(sections):
            raise ConfigError(
                f"The environment variable {variable} names no key of the configuration."
                + did_you_mean(variable, keys),
                f"Unset it: unset {variable}",
            )
    return found


def _keys(schema: type[BaseModel], prefix: str = "") -> dict[str, Any]:
    """Every key that holds one value or a list, by its dotted name, with its annotation."""
    keys: dict[str, Any] = {}
    for name, field in schema.model_fields.items():
        if field.exclude:
            continue
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            keys |= _keys(field.annotation, f"{prefix}{name}.")
        else:
            keys[prefix + name] = field.annotation
    return keys


def _value(key: str, text: str) -> Any:
    """A variable's value: text where the key takes text, else what TOML reads in it, else the text."""
    annotation = _keys(Config)[key]
    if annotation is str or (get_origin(annotation) is UnionType and str in get_args(annotation)):
        return text
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _set(document: dict[str, Any], key: str, value: Any) -> None:
    *sections, name = key.split(".")
    for section in sections:
        inner = document.get(section)
        if not isinstance(inner, dict):
            if inner is not None:
                return  # the file's own fault there is reported
            inner = document[section] = {}
        document = inner
    document[name] = value


def _keys_with_nul(value: Any, key: str = "") -> Iterator[str]:
    """Where a NUL stands, which no name of a file and no argument of a program can hold."""
    if isinstance(value, str) and "\0" in value:
        yield key
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _keys_with_nul(inner, f"{key}.{name}".lstrip("."))
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield from _keys_with_nul(inner, f"{key}[{i}]")
