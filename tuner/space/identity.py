"""The identity of a configuration: the same in every process, on every machine, for ever."""

import hashlib
import json
from collections.abc import Mapping

from tuner.errors import ParamsError
from tuner.experiment import Value

__all__ = ["config_key"]

_encoder = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def config_key(config: Mapping[str, Value]) -> str:
    """Return the SHA-256 (64 hexadecimal digits) of a configuration's canonical JSON.

    The order of the parameters does not matter; types do: 1, 1.0, true and "1" differ. -0.0 is 0.0.

    Raises:
        ParamsError: a value is not finite, or not a plain string, number, boolean or None.
    """
    unsigned = {name: value + 0.0 if type(value) is float else value for name, value in config.items()}
    try:
        text = _encoder.encode(unsigned)
    except (TypeError, ValueError) as error:
        raise ParamsError(
            f"A configuration must hold plain finite values, but got {dict(config)!r}: {error}.",
            "Validate it in its space first.",
        ) from error
    return hashlib.sha256(text.encode("ascii")).hexdigest()
