"""What keeps scores from being compared: other data, other code, another metric or other splits."""

from tuner.experiment import Provenance

__all__ = ["WORDS", "difference"]

WORDS = {
    "data": "other data",
    "code": "other code",
    "metric": "another definition of the metric or splits",
}
"""The parts of a provenance, and what people call it where one differs."""


def difference(old: Provenance, new: Provenance) -> str:
    """In what an earlier provenance differs from the present one, such as "other data and other code"."""
    return " and ".join(words for name, words in WORDS.items() if getattr(old, name) != getattr(new, name))
