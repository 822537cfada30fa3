"""JSON as it is given to an option: typed there, in a file (`@FILE`), or on standard input (`-`)."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

from tuner import strict_json
from tuner.errors import ParamsError

__all__ = ["MAX_BYTES", "parse_guesses", "read_typed"]

MAX_BYTES = 1_000_000
"""Largest JSON that is read, in bytes."""


def read_typed(typed: str, option: str, *, stdin: BinaryIO | None = None) -> tuple[str | bytes, str]:
    """Return the text, and what to call the place where it came from.

    Args:
        typed: JSON, `@FILE`, or `-` for standard input.
        option: what it followed, such as "--apply-hp".
        stdin: read for `-`; the process's own when not given.

    Raises:
        ParamsError: the file cannot be read.
    """
    text = typed.strip()
    if text == "-":
        stream = sys.stdin.buffer if stdin is None else stdin
        return stream.read(MAX_BYTES + 1), "stdin"
    if text.startswith("@"):
        return _read(Path(text[1:])), text[1:]
    return typed, option


def _read(path: Path) -> bytes:
    """The file, never more than the limit of it: it may be a device or a pipe."""
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ParamsError(
            f"{str(path)!r} cannot be read: {reason}.",
            "Check the path: a relative one starts in the present folder.",
        ) from error


def parse_guesses(
    given: Sequence[str], option: str, *, stdin: BinaryIO | None = None
) -> list[dict[str, Any]]:
    """Return the configurations that each of `given` holds: one JSON object, or a list of them.

    Raises:
        UsageError: no strict JSON, or too large; says where.
        ParamsError: no object, or a file that cannot be read.
    """
    guesses: list[dict[str, Any]] = []
    for typed in given:
        text, source = read_typed(typed, option, stdin=stdin)
        document = strict_json.loads(text, max_bytes=MAX_BYTES) if text.strip() else []
        some = document if isinstance(document, list) else [document]
        if not some or not all(isinstance(each, dict) for each in some):
            raise ParamsError(
                f"A guess must be a JSON object, or a list of them, but {source} holds"
                f" {'nothing' if not some else strict_json.dumps(document)[:80]}.",
                f"Name each hyperparameter with its value, in braces: {option} '{{\"name\": 1}}'.",
            )
        guesses += some
    return guesses
