"""What all sections of the configuration share: frozen, no unknown keys, nothing converted silently."""

import re
from collections.abc import Iterable
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from tuner.errors import did_you_mean

__all__ = ["Finite", "Section", "Texts", "checked_name", "unknown"]

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

Texts = Annotated[tuple[str, ...], Field(strict=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]


class Section(BaseModel):
    """A table of the configuration."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def unknown(name: str, known: Iterable[str], what: str) -> str:
    """The sentence about a name that is none of the known ones."""
    return f"is an unknown {what}, {name!r}.{did_you_mean(name, known)} Known: {', '.join(known)}."


def checked_name(name: str) -> str:
    """Return a name that can be shown, stored and typed everywhere.

    Raises:
        ValueError: it is none.
    """
    if NAME.fullmatch(name) is None:
        raise ValueError(
            "must be 1 to 64 letters, digits, '.', '_' or '-', beginning with a letter or digit, "
            f"but got {name!r}."
        )
    return name
