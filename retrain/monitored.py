"""What a monitoring file says last."""

import csv
import io
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from tuner import strict_json
from tuner.errors import DataError, NotFoundError, UsageError, did_you_mean

__all__ = ["Reading", "read_metric"]

_MAX_BYTES = 10_000_000
_WRITE = (
    'Its last entry should be a number, a JSON object such as {"value": 0.91}, or a row below a CSV header.'
)


@dataclass(frozen=True, slots=True)
class Reading:
    """The last entry of a monitoring file.

    Attributes:
        name: what it is called there; the pipeline's metric where the file holds a bare number.
        value: finite.
        digest: tells this entry, in this place of the file, from any other.
    """

    name: str
    value: float
    digest: str


def read_metric(path: Path, metric: str | None) -> Reading:
    """Return the last entry.

    Args:
        path: JSON (a number, an object, or a list of either), one JSON document in a line, or CSV with a
            header (by its name).
        metric: what to look for in an object or row; "value" is taken, too.

    Raises:
        NotFoundError: there is no such file.
        DataError: it holds no finite number of that name; says what it holds.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        raise NotFoundError(
            f"There is no file {str(path)!r} to watch.", "Give the file that your monitoring writes."
        ) from None
    except OSError as error:
        raise DataError(f"{str(path)!r} cannot be read: {error.strerror}.", _WRITE) from error
    if len(data) > _MAX_BYTES:
        raise DataError(f"{str(path)!r} must be at most {_MAX_BYTES:,} bytes.", "Keep the latest entries.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(f"{str(path)!r} must be UTF-8 text.", _WRITE) from None
    entry, place = _last_entry(text, path)
    name, value = _metric_of(entry, metric, path)
    return Reading(name, value, sha256(json.dumps([place, name, value]).encode()).hexdigest()[:16])


def _last_entry(text: str, path: Path) -> tuple[Any, int]:
    """The last entry, and how many there are."""
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        raise DataError(f"{str(path)!r} is empty: it must hold at least one entry.", _WRITE)
    if path.suffix.lower() in (".csv", ".tsv"):
        rows = list(
            csv.DictReader(io.StringIO(text), delimiter="\t" if path.suffix.lower() == ".tsv" else ",")
        )
        if not rows:
            raise DataError(f"{str(path)!r} must hold a row below its header.", _WRITE)
        return rows[-1], len(rows)
    try:
        document = strict_json.loads(text, _MAX_BYTES)
    except UsageError as error:
        if len(lines) == 1:
            raise DataError(f"{str(path)!r} must hold JSON: {error}", _WRITE) from None
        return _last_line(lines[-1], path), len(lines)
    if isinstance(document, list):
        if not document:
            raise DataError(f"{str(path)!r} holds an empty list.", _WRITE)
        return document[-1], len(document)
    return document, 1


def _last_line(line: str, path: Path) -> Any:
    try:
        return strict_json.loads(line)
    except UsageError as error:
        raise DataError(
            f"The last line of {str(path)!r} must be JSON: {error}", "A CSV file must be called .csv."
        ) from None


def _metric_of(entry: Any, metric: str | None, path: Path) -> tuple[str, float]:
    name = metric or "value"
    if isinstance(entry, Mapping):
        found = [each for each in (metric, "value") if each is not None and each in entry]
        if not found:
            held = ", ".join(map(str, entry)) or "nothing"
            raise DataError(
                f"The last entry of {str(path)!r} must hold {name!r} (or 'value'), but holds {held}."
                + did_you_mean(name, [str(key) for key in entry]),
                _WRITE,
            )
        name, entry = found[0], entry[found[0]]
    try:
        value = math.nan if isinstance(entry, bool) or entry is None else float(entry)
    except (TypeError, ValueError, OverflowError):
        value = math.nan
    if not math.isfinite(value):
        raise DataError(
            f"The last {name} of {str(path)!r} must be a finite number, but is {entry!r}.", _WRITE
        )
    return name, value
