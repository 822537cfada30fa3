"""What all sections of the configuration share: frozen, no unknown keys, nothing converted silently."""

from collections.abc import Iterable
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from tuner.errors import did_you_mean

__all__ = ["Finite", "Section", "Texts", "unknown"]

_MOST_LISTED = 15

Texts = Annotated[tuple[str, ...], Field(strict=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]


class Section(BaseModel):
    """A table of the configuration."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def unknown(name: str, known: Iterable[str], what: str) -> str:
    """The sentence about a name that is none of the known ones; of a long list of them only the closest."""
    known = tuple(known)
    close = did_you_mean(name, known)
    listed = "" if close and len(known) > _MOST_LISTED else f" Known: {', '.join(known)}."
    return f"is an unknown {what}, {name!r}.{close}{listed}"
