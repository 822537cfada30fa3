"""What keeps scores from being compared: other data, other code, another metric or other splits."""

import hashlib
import re

from tuner.experiment import Params, Provenance
from tuner.strict_json import dumps

__all__ = ["WORDS", "difference", "given_besides"]

WORDS = {
    "data": "other data",
    "code": "other code",
    "metric": "another definition of the metric or splits",
}
"""The parts of a provenance, and what people call it where one differs."""

_FEW = 3
_GIVEN = re.compile(r" with (\{.*?\}|\d+ given \(sha256:\w+\))")


def given_besides(fixed: Params) -> str:
    """What the code of a provenance says of parameters that every experiment is given; "" for none.

    A few are spelled out, more are counted and hashed. `difference` knows both forms.
    """
    if not fixed:
        return ""
    if len(fixed) <= _FEW:
        return f" with {dict(sorted(fixed.items()))}"
    digest = hashlib.sha256(dumps(dict(fixed)).encode()).hexdigest()
    return f" with {len(fixed)} given (sha256:{digest[:16]})"


def difference(old: Provenance, new: Provenance) -> str:
    """In what an earlier provenance differs from the present one, such as "other data and other code"."""
    words = [text for name, text in WORDS.items() if getattr(old, name) != getattr(new, name)]
    if old.code != new.code and _GIVEN.sub("", old.code) == _GIVEN.sub("", new.code):
        words[words.index(WORDS["code"])] = "other fixed or deployed hyperparameters"
    return " and ".join(words)
