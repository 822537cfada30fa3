"""Reading a table: CSV, Parquet, or a data set that scikit-learn carries."""

import codecs
import csv
import gzip
import logging
import stat
import sys
import warnings
import zlib
from collections import deque
from pathlib import Path
from typing import IO

import pandas as pd

from retrain.config.pipeline import BUILT_IN_DATA
from retrain.data.merged import warn_of_merged_rows
from tuner.errors import DataError, did_you_mean

__all__ = ["column_names", "read_table"]

_log = logging.getLogger(__name__)

TEXT_SUFFIXES = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz")
PARQUET_SUFFIXES = (".parquet", ".pq")
SEPARATORS = ",;\t|"
_ANOTHER = "Mend the file, or name another one as `data` under [pipeline]."


def read_table(source: str, root: Path) -> pd.DataFrame:
    """Read a table with unique column names and at least one row.

    Args:
        source: a name of `BUILT_IN_DATA`, or a path relative to `root`.
        root: folder of the configuration.

    Raises:
        DataError: the source does not exist, cannot be read, or holds no rows.
    """
    if source in BUILT_IN_DATA:
        return _built_in(source)
    path = root / source
    _check_path(path)
    frame = _read_parquet(path) if _is_parquet(path) else _read_text(path)
    if frame.empty:
        raise DataError(f"The data {str(path)!r} have a header, but no rows.", _ANOTHER)
    return frame


def column_names(path: Path) -> list[str]:
    """The names of a file's columns, of which no more than the header is read.

    Raises:
        DataError: the file cannot be read.
    """
    _check_path(path)
    try:
        if _is_parquet(path):
            import pyarrow.parquet as pq

            return list(pq.read_schema(path).names)
        return _read_header(path)[0]
    except ImportError:
        raise DataError(
            f"Reading {str(path)!r} needs pyarrow, which is not installed.", "pip install 'retrain[parquet]'"
        ) from None
    except (OSError, EOFError, ValueError, csv.Error, zlib.error) as error:
        raise DataError(
            f"The data {str(path)!r} cannot be read: {str(error).rstrip('.')}.", _ANOTHER
        ) from None


def _is_parquet(path: Path) -> bool:
    """By the end of its name: else it is text.

    Raises:
        DataError: it is neither.
    """
    name = path.name.lower()
    if not name.endswith(TEXT_SUFFIXES + PARQUET_SUFFIXES):
        raise DataError(
            f"The data {str(path)!r} must be CSV or Parquet, by the end of its name.",
            f"Known ends: {', '.join(TEXT_SUFFIXES + PARQUET_SUFFIXES)}",
        )
    return name.endswith(PARQUET_SUFFIXES)


def _built_in(name: str) -> pd.DataFrame:
    from sklearn import datasets

    frame: pd.DataFrame = getattr(datasets, f"load_{name}")(as_frame=True).frame
    return frame


def _check_path(path: Path) -> None:
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        files = [other.name for other in path.parent.glob("*")] if path.parent.is_dir() else []
        near = did_you_mean(path.name, [*files, *BUILT_IN_DATA])
        raise DataError(
            f"The data {str(path)!r} do not exist.{near}",
            f"Data sets that need no file: {', '.join(BUILT_IN_DATA)}",
        ) from None
    except OSError as error:
        raise DataError(f"The data {str(path)!r} cannot be read: {error.strerror}.", _ANOTHER) from None
    if stat.S_ISDIR(found.st_mode):
        raise DataError(f"The data {str(path)!r} must be a file, but it is a folder.", _ANOTHER)
    if found.st_size == 0:
        raise DataError(f"The data {str(path)!r} are empty.", _ANOTHER)


# ---- text


def _likely_encoding(data: bytes) -> str:
    """What text is in that is not UTF-8: spreadsheets write UTF-16 with its mark, or a code page."""
    return "utf-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "latin1"


def _read_text(path: Path) -> pd.DataFrame:
    try:
        header, separator = _read_header(path)
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            frame = pd.read_csv(path, sep=separator, encoding="utf-8-sig", low_memory=False, index_col=False)
        with _opened(path) as file:
            warn_of_merged_rows(frame, path.name, file, separator)
    except UnicodeDecodeError as error:
        raise DataError(
            f"The data {str(path)!r} must be UTF-8 text, but byte {error.start} is not.",
            f"Convert them: iconv -f {_likely_encoding(error.object)} -t utf-8 {path.name} > utf8.csv",
        ) from None
    except (pd.errors.ParserError, pd.errors.ParserWarning, csv.Error) as error:
        if "EOF inside string" in str(error):
            raise _never_closed(path, separator) from None
        detail = str(error).rpartition("C error: ")[2].strip().rstrip(".")
        raise DataError(
            f"The data {str(path)!r} are not a table: {detail}.", "Mend that line, or the quotes before it."
        ) from None
    except pd.errors.EmptyDataError:
        raise DataError(f"The data {str(path)!r} are empty.", _ANOTHER) from None
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"The data {str(path)!r} cannot be read: {str(error).rstrip('.')}.", _ANOTHER
        ) from None
    if header[0] == "" and len(header) > 1:
        _log.warning("The first column of %s has no name: taken for row numbers, and left out.", path.name)
        frame = frame.drop(columns=frame.columns[0])
    return frame


def _read_header(path: Path) -> tuple[list[str], str]:
    """The column names as they stand, and the separator: the likeliest of a few, by the first line."""
    with _opened(path) as file:
        first = file.readline(1_000_000)
        separator = max(SEPARATORS, key=first.count)
        file.seek(0)
        records = csv.reader(file, delimiter=separator)
        try:
            header = next(records, [])
            swallows = records.line_num > 1 and next(records, None) is None
        except csv.Error:  # too long for a field
            swallows = True
    if swallows:
        raise _never_closed(path, separator)
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise DataError(
            f"The data {str(path)!r} have several columns named {', '.join(map(repr, twice))}.",
            "Rename all but one.",
        )
    return header or [""], separator


def _opened(path: Path) -> IO[str]:
    reads = gzip.open if path.suffix == ".gz" else Path.open
    return reads(path, "rt", encoding="utf-8-sig", newline="")


def _never_closed(path: Path, separator: str) -> DataError:
    """What to say of text in which a quote is open at its end: on which line that is, counted from 1."""
    limit = csv.field_size_limit(sys.maxsize)  # the rest of the file is one field
    try:
        with _opened(path) as file:
            records = csv.reader(file, delimiter=separator)
            [last] = deque(records, maxlen=1)
    finally:
        csv.field_size_limit(limit)
    rest = last[-1].replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n")
    line = records.line_num - rest.count("\n")
    return DataError(
        f"The data {str(path)!r} are not a table: the quote that opens on line {line} is never closed.",
        "Close it, or take it away; a quote within a quoted text is written twice.",
    )


# ---- Parquet


def _read_parquet(path: Path) -> pd.DataFrame:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise DataError(
            f"Reading {str(path)!r} needs pyarrow, which is not installed.", "pip install 'retrain[parquet]'"
        ) from None
    try:
        arrow = pq.read_table(path)
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(
            f"The data {str(path)!r} are not a readable Parquet file: {reason}", _ANOTHER
        ) from None
    frame: pd.DataFrame = arrow.to_pandas()
    if not frame.columns.is_unique:
        twice = sorted(set(frame.columns[frame.columns.duplicated()]))
        raise DataError(
            f"The data {str(path)!r} have several columns named {', '.join(map(repr, twice))}.",
            "Rename all but one.",
        )
    return frame.rename(columns=str)
