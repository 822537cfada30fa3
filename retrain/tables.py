"""Rows in, text out: the one door to tabulate, used by every report of both commands.

Four formats: `table` for people (as wide as the terminal, rounded), `markdown`, `csv` and `json` (full
precision). Text that users, models or data put into a cell can neither steer a terminal nor become a formula
in a spreadsheet.
"""

import csv
import io
import json
import math
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TextIO

__all__ = [
    "FORMATS",
    "WIDTH",
    "number",
    "plus_minus",
    "plus_minus_column",
    "printable",
    "render",
    "seconds",
    "signed",
    "terminal_width",
    "timestamp",
    "to_json",
]

FORMATS = ("table", "json", "csv", "markdown")
WIDTH = 80
"""Columns of a report that does not go to a terminal."""
_NARROWEST = 40

_LONGEST_CELL = 44
_MOST_DECIMALS = 8
_GAP = 2
_NOT_PRINTABLE = re.compile(r"[^\x20-\x7e]")
_MARKDOWN_ACTIVE = re.compile(r"[\\|<`*\[]")
_FORMULA_STARTS = ("=", "+", "-", "@")


def render(
    rows: Iterable[Mapping[str, Any]],
    columns: Sequence[str],
    output: str = "table",
    *,
    keys: Sequence[str] = (),
    width: int | None = None,
    digits: int = 5,
) -> str:
    """Return `rows` as text without a final newline.

    Args:
        rows: one mapping per row; a missing column or None is an empty cell (null in JSON).
        columns: names of the columns, in order; others are left out.
        output: one of `FORMATS`.
        keys: columns that a table too wide for `width` repeats in front of every further block of columns.
        width: columns, by default `terminal_width()`; only the format "table" keeps to it.
        digits: significant digits of numbers in "table" and "markdown".
    """
    chosen = [{name: row.get(name) for name in columns} for row in rows]
    match output:
        case "json":
            return to_json(chosen)
        case "csv":
            return _csv(chosen, columns)
        case "markdown":
            return _markdown(chosen, columns, digits)
        case "table":
            return _table(chosen, columns, keys, width or terminal_width(), digits)
    raise ValueError(f"`output` must be one of {', '.join(FORMATS)}, but got {output!r}")


def terminal_width(stream: TextIO | None = None) -> int:
    """Columns of the terminal that a stream (stdout) is, at least 40; 80 where it is none or does not say."""
    try:
        columns = os.get_terminal_size((sys.stdout if stream is None else stream).fileno()).columns
    except (OSError, ValueError, AttributeError):  # no file, no terminal, closed, or None
        return WIDTH
    return max(_NARROWEST, columns) if columns else WIDTH


def printable(text: str) -> str:
    r"""Show every character that a terminal could obey (controls, direction marks) as `\x1b` or `\u202e`."""

    def shown(match: re.Match[str]) -> str:
        character = match.group()
        if character.isprintable():
            return character
        return character.encode("unicode_escape", "surrogatepass").decode("ascii")

    return _NOT_PRINTABLE.sub(shown, text)


def number(value: float, digits: int = 5) -> str:
    """Return a number with `digits` significant digits, and all that stand before the point."""
    if isinstance(value, int):
        return str(value)
    if 10**digits <= abs(value) < 1e12:
        return f"{value:.0f}"
    return f"{value:.{digits}g}"


def plus_minus(value: float | None, std_error: float | None) -> str:
    """Return "0.9912 ± 0.0031": the error with two significant digits, the value as far as the error goes."""
    return plus_minus_column([(value, std_error)])[0]


def plus_minus_column(values: Iterable[tuple[float | None, float | None]]) -> list[str]:
    """The same for several values with their errors: all with the decimals of the smallest error."""
    pairs = list(values)
    errors = [error for _, error in pairs if error and math.isfinite(error)]
    decimals = max(map(_decimals, errors), default=0)

    def shown(value: float | None, error: float | None) -> str:
        if value is None:
            return ""
        if not error or not math.isfinite(error):
            return number(value)
        if decimals > _MOST_DECIMALS:
            return f"{number(value, 9)} ± {error:.2g}"
        return f"{value:.{decimals}f} ± {error:.{decimals}f}"

    return [shown(*pair) for pair in pairs]


def signed(difference: float, std_error: float) -> str:
    """Return "+0.0102" or "-0.0016": a difference with its sign, as far as its error goes."""
    if not std_error > 0 or _decimals(std_error) > _MOST_DECIMALS:
        return f"{difference:+.4g}"
    return f"{difference:+.{_decimals(std_error)}f}"


def _decimals(std_error: float) -> int:
    """Decimals that show two significant digits of an error (> 0, finite)."""
    return max(0, 1 - math.floor(math.log10(std_error)))


def seconds(duration_s: float | None) -> str:
    """Return a duration for people: "0.42 s", "38 s", "4 min 10 s", "3 h 5 min", "2 d 4 h"."""
    if duration_s is None:
        return ""
    if duration_s < 10:
        return f"{duration_s:.2g} s"
    whole = round(duration_s)
    for unit, size, smaller, part in (("d", 86400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if whole >= size:
            rest = whole % size // part
            return f"{whole // size} {unit} {rest} {smaller}" if rest else f"{whole // size} {unit}"
    return f"{whole} s"


def timestamp(unix_s: float | None) -> str | None:
    """Unix seconds as "2026-11-21T09:01:12Z", or None."""
    if unix_s is None:
        return None
    return datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def to_json(document: Any) -> str:
    """Return indented JSON that is safe to print; what JSON cannot hold (NaN, objects) is a ValueError."""
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    return re.sub(r"[^\n\x20-\x7e]", _json_escape, text)


def _json_escape(match: re.Match[str]) -> str:
    character = match.group()
    return character if character.isprintable() else json.dumps(character)[1:-1]


def _cell(value: Any, digits: int = 5) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return number(value, digits)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return printable(text)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_CELL else text[: _LONGEST_CELL - 1] + "…"


def _table(
    rows: list[dict[str, Any]], columns: Sequence[str], keys: Sequence[str], width: int, digits: int
) -> str:
    import tabulate  # here, since `--help` has no tables

    tabulate.MIN_PADDING = 0  # the default widens every column by two, which 80 columns cannot afford
    cells = {name: [_short(_cell(row[name], digits)) for row in rows] for name in columns}
    right = {name for name in columns if _is_numeric(row[name] for row in rows)}
    shown = {name: _short(printable(name)) for name in columns}
    widths = {name: max(map(len, [shown[name], *cells[name]])) for name in columns}
    blocks = []
    for block in _blocks(columns, widths, keys, width):
        text = tabulate.tabulate(
            list(zip(*(cells[name] for name in block), strict=True)),
            headers=[shown[name] for name in block],
            tablefmt="simple",
            disable_numparse=True,
            colalign=["right" if name in right else "left" for name in block] if rows else None,
        )
        blocks.append("\n".join(line.rstrip() for line in text.split("\n")))
    return "\n\n".join(blocks)


def _blocks(
    columns: Sequence[str], widths: Mapping[str, int], keys: Sequence[str], width: int
) -> list[list[str]]:
    """Cut the columns into runs that fit; every run after the first starts with the keys."""
    blocks: list[list[str]] = [[]]
    used = 0
    for name in columns:
        if blocks[-1] and used + widths[name] > width and len(blocks[-1]) > len(keys):
            blocks.append([key for key in keys if key != name])
            used = sum(widths[key] + _GAP for key in blocks[-1])
        blocks[-1].append(name)
        used += widths[name] + _GAP
    return blocks


def _is_numeric(values: Iterable[Any]) -> bool:
    given = [value for value in values if value is not None]
    return bool(given) and all(isinstance(v, int | float) and not isinstance(v, bool) for v in given)


def _markdown(rows: list[dict[str, Any]], columns: Sequence[str], digits: int) -> str:
    def line(cells: Iterable[str]) -> str:
        return "| " + " | ".join(_MARKDOWN_ACTIVE.sub(r"\\\g<0>", cell) for cell in cells) + " |"

    right = [_is_numeric(row[name] for row in rows) for name in columns]
    head = line(printable(name) for name in columns)
    rule = "|" + "|".join("---:" if numeric else "---" for numeric in right) + "|"
    return "\n".join([head, rule, *(line(_cell(row[name], digits) for name in columns) for row in rows)])


def _csv(rows: list[dict[str, Any]], columns: Sequence[str]) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([_csv_cell(name) for name in columns])
    writer.writerows([_csv_cell(row[name]) for name in columns] for row in rows)
    return buffer.getvalue().rstrip("\n")


def _csv_cell(value: Any) -> Any:
    if isinstance(value, float | int) and not isinstance(value, bool):
        return repr(value)
    text = _cell(value)
    return "'" + text if text.startswith(_FORMULA_STARTS) else text
