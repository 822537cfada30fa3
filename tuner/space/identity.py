"""The identity of a configuration: the same in every process, on every machine, for ever."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from tuner.errors import ParamsError
from tuner.experiment import Value
from tuner.space.values import brief, plain

__all__ = ["config_key"]

_encoder = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def config_key(config: Mapping[str, Value]) -> str:
    """Return the SHA-256 (64 hexadecimal digits) of a configuration's canonical JSON.

    The order of the parameters does not matter; types do: 1, 1.0, true and "1" differ. -0.0 is 0.0.

    Raises:
        ParamsError: a value is not finite, or not a plain string, number, boolean or None.
    """
    try:
        text = _encoder.encode({name: _unsigned(value) for name, value in config.items()})
    except (TypeError, ValueError) as error:
        raise ParamsError(
            f"A configuration must hold plain finite values, but got {brief(dict(config))}: {error}.",
            "Validate it in its space first.",
        ) from error
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _unsigned(value: Any) -> Value:
    """Return the plain value, and zero without its sign."""
    found = plain(value)
    if type(found) is float:
        return found + 0.0
    if found is None or isinstance(found, str | int):
        return found
    raise TypeError(f"{type(found).__name__} is no plain value")
