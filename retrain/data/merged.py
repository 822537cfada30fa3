"""Rows that a stray quote has merged: what a quoted text holds looks like rows of its own table."""

import logging
from collections.abc import Iterable, Sequence
from typing import IO

import pandas as pd

__all__ = ["warn_of_merged_rows"]

_log = logging.getLogger(__name__)


def warn_of_merged_rows(frame: pd.DataFrame, name: str, file: IO[str], separator: str) -> None:
    """Warn where rows were most likely read as one: of the first place, by its line.

    A column of texts with line breaks is left alone, unless each of these is between what looks like rows: as
    many cells as the table has columns, and numbers where these have numbers. Then a quote was opened where
    none was meant, and the next one closed it.

    Args:
        frame: as read, with every column.
        name: of the file.
        file: its text, to find the line.
        separator: of its cells.
    """
    is_numeric = [pd.api.types.is_numeric_dtype(each) for each in frame.dtypes]
    for place in [i for i, numeric in enumerate(is_numeric) if not numeric]:
        column = frame.iloc[:, place]
        if not pd.api.types.is_string_dtype(column):  # truth values, of which some are missing
            continue
        merged = None
        for text in column[column.str.contains("\n", regex=False, na=False)]:
            lines = [line.rstrip("\r") for line in text.split("\n")]
            if not _are_rows([line.split(separator) for line in lines], place, is_numeric):
                merged = None
                break
            merged = merged or lines
        if merged is not None:
            n = len(merged) - 1
            _log.warning(
                "The quote that opens on line %s of %s closes %d line%s below, and what is between looks like"
                " rows, which are read as one. Take it away, or double it within a quoted text.",
                _line_of(merged[0], file), name, n, "" if n == 1 else "s",
            )  # fmt: skip
            return


def _are_rows(lines: Sequence[Sequence[str]], place: int, is_numeric: Sequence[bool]) -> bool:
    """Whether the end of a row from `place` on, whole rows, and the beginning of one follow each other."""
    n, (first, *whole, last) = len(is_numeric), lines
    if len(first) != n - place or not place < len(last) <= n or any(len(line) != n for line in whole):
        return False
    cells = [*zip(first[1:], is_numeric[place + 1 :], strict=True)]
    cells += [pair for line in whole for pair in zip(line, is_numeric, strict=True)]
    cells += zip(last[:-1], is_numeric, strict=False)
    numbers = [cell for cell, numeric in cells if numeric and cell.strip()]
    return bool(numbers) and all(map(_is_number, numbers))


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return cell.strip().lower() in ("true", "false")
    return True


def _line_of(first: str, lines: Iterable[str]) -> str:
    """The line that ends in the beginning of the text, counted from 1; "?" where quotes within it hide it."""
    found = (i for i, line in enumerate(lines, 1) if line.rstrip("\r\n").endswith(f'"{first}'))
    return str(next(found, "?"))
