"""The one door through which JSON from users comes in, and canonical JSON goes out.

Python's own reader keeps the last of two equal keys, accepts NaN, and dies on deep nesting or on an integer
of 5,000 digits. This one refuses all of that, saying at which line and column, before much work is done.
"""

import json
import math
import re
from typing import Any

from tuner.errors import UsageError

__all__ = ["MAX_DEPTH", "dumps", "loads"]

MAX_DEPTH = 64
"""Arrays and objects within each other, at most."""

_SPACE = re.compile(r"[ \t\n\r]*")
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_WORD = re.compile(r"[-+]?[A-Za-z_0-9.]+")
_UNSAFE = re.compile("[\0\ud800-\udfff]")
_WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None}
_NON_FINITE = ("nan", "inf", "infinity")
_MAX_DIGITS = 19
"""A whole number of 64 bits has no more; longer ones are refused before they are converted."""

_decoder = json.JSONDecoder()
_encoder = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def loads(text: str | bytes, max_bytes: int = 1_000_000) -> Any:
    """Read one JSON value.

    Args:
        text: JSON in UTF-8.
        max_bytes: the longest text that is looked at.

    Returns:
        dict, list, str, bool, None, int (within 64 bits, signed) or float (finite).

    Raises:
        UsageError: too long, no JSON, nested deeper than MAX_DEPTH, a key twice in one object, a number that
            is not finite or beyond 64 bits, a lone surrogate, a NUL, a byte order mark, or text after the
            value. Says where, as line:column.
    """
    _check_size(text, max_bytes)
    return _Reader(_decoded(text)).document()


def dumps(value: Any) -> str:
    """Write JSON in its one canonical form: keys sorted, no spaces, non-ASCII as it is.

    Raises:
        UsageError: NaN, infinity, a lone surrogate, or anything that is not JSON.
    """
    try:
        written = _encoder.encode(value)
        written.encode("utf-8")
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(f"Only plain, finite values can be written as JSON: {error}.") from error
    return written


def _check_size(text: str | bytes, max_bytes: int) -> None:
    # A character takes at least one byte, so a text that is far too long is never even encoded.
    size = len(text)
    if size <= max_bytes and isinstance(text, str):
        size = len(text.encode("utf-8", "surrogatepass"))
    if size > max_bytes:
        raise UsageError(
            f"JSON must be no longer than {max_bytes:,} bytes, but got {size:,}.",
            "Give only what is asked for.",
        )


def _decoded(text: str | bytes) -> str:
    if not isinstance(text, str):
        try:
            text = text.decode("utf-8")
        except UnicodeDecodeError as error:
            before = error.object[: error.start].decode("utf-8")
            raise _fault("JSON must be UTF-8, but a byte is not", before, len(before)) from error
    if text.startswith("\ufeff"):
        raise _fault(
            "JSON must not start with a byte order mark", text, 0, "Save the file as UTF-8 without BOM."
        )
    return text


def _place(text: str, at: int) -> str:
    line = text.count("\n", 0, at) + 1
    return f"{line}:{at - text.rfind(chr(10), 0, at)}"


def _fault(what: str, text: str, at: int, remedy: str = "") -> UsageError:
    return UsageError(f"{what}, at {_place(text, at)}.", remedy or "Mend the JSON at this line:column.")


def _shown(text: str) -> str:
    """A piece of the input, short and without control characters."""
    return repr(text if len(text) <= 40 else f"{text[:30]}...")


class _Reader:
    """A recursive reader over one text; its depth is bounded by MAX_DEPTH."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def document(self) -> Any:
        self._skip()
        if self.at == len(self.text):
            raise UsageError("JSON must hold a value, but the text is empty.", "Give a value such as {}.")
        value = self._value(0)
        self._skip()
        if self.at < len(self.text):
            rest = self.text[self.at : self.at + 41]
            raise self._error(f"JSON must be one value, but {_shown(rest)} follows it")
        return value

    def _error(self, what: str, at: int | None = None) -> UsageError:
        return _fault(what, self.text, self.at if at is None else at)

    def _skip(self) -> None:
        match = _SPACE.match(self.text, self.at)
        assert match is not None  # it matches nothing, too
        self.at = match.end()

    def _next(self) -> str:
        """Skip blanks and return the character there, "" at the end."""
        self._skip()
        return self.text[self.at : self.at + 1]

    def _value(self, depth: int) -> Any:
        found = self._next()
        if found in ("{", "["):
            if depth == MAX_DEPTH:
                raise self._error(f"JSON must be nested no deeper than {MAX_DEPTH} levels")
            return self._object(depth + 1) if found == "{" else self._array(depth + 1)
        if found == '"':
            return self._string()
        match = _NUMBER.match(self.text, self.at)
        if match is not None and not self.text[match.end() : match.end() + 1].isalnum():
            return self._number(match)
        return self._word(found)

    def _object(self, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        places: dict[str, int] = {}
        self.at += 1
        if self._next() == "}":
            self.at += 1
            return found
        while True:
            if self._next() != '"':
                raise self._expected("a key in double quotes")
            start = self.at
            key = self._string()
            if key in places:
                first = _place(self.text, places[key])
                raise self._error(f"Each key must stand once, but {_shown(key)} stands at {first} too", start)
            places[key] = start
            if self._next() != ":":
                raise self._expected(f"':' after the key {_shown(key)}")
            self.at += 1
            found[key] = self._value(depth)
            if self._ends("}"):
                return found

    def _array(self, depth: int) -> list[Any]:
        found: list[Any] = []
        self.at += 1
        if self._next() == "]":
            self.at += 1
            return found
        while True:
            found.append(self._value(depth))
            if self._ends("]"):
                return found

    def _ends(self, closing: str) -> bool:
        """Step over a comma or the closing bracket; True for the latter."""
        found = self._next()
        if found not in (",", closing) or not found:
            raise self._expected(f"',' or {closing!r}")
        self.at += 1
        return found == closing

    def _expected(self, what: str) -> UsageError:
        if self.at >= len(self.text):
            return self._error(f"JSON must be complete, but it ends where {what} must stand")
        return self._error(f"Here must stand {what}, but there is {self.text[self.at]!r}")

    def _string(self) -> str:
        start = self.at
        try:
            found, self.at = _decoder.raw_decode(self.text, start)
        except json.JSONDecodeError as error:
            raise self._error(f"Not a JSON string ({error.msg})", error.pos) from error
        unsafe = _UNSAFE.search(found)
        if unsafe is not None:
            kind = "a NUL character" if unsafe[0] == "\0" else f"a lone surrogate (\\u{ord(unsafe[0]):04x})"
            raise self._error(f"A string must not hold {kind}", start)
        return str(found)

    def _number(self, match: "re.Match[str]") -> int | float:
        written, whole = match[0], match[2] is None and match[3] is None
        if whole:
            if len(written) > _MAX_DIGITS + 1 or not -(2**63) <= int(written) < 2**63:
                raise self._error(f"A whole number must fit into 64 bits, but there is {_shown(written)}")
            number: int | float = int(written)
        else:
            number = float(written)
            if not math.isfinite(number):
                raise self._error(
                    f"A number must be finite, but {_shown(written)} is beyond the range of a float"
                )
        self.at = match.end()
        return number

    def _word(self, found: str) -> bool | None:
        match = _WORD.match(self.text, self.at)
        word = match[0] if match is not None else found
        if word in _WORDS:
            self.at += len(word)
            return _WORDS[word]
        if word.lstrip("+-").lower() in _NON_FINITE:
            raise self._error(f"A number must be finite, but there is {word}")
        if not word:
            raise self._expected("a value")
        raise self._error(f"Here must stand a JSON value, but there is {_shown(word)}")
