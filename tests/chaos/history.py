"""The truth outside the database: two append-only files that every process of a run writes its lines to.

A line is one `write` to a file opened with O_APPEND: processes never mix theirs, and a kill leaves all of it
or nothing. `executions` says what ran, `acks` says what the registry had promised, and what went wrong.
"""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["EXECUTIONS", "History", "Line", "Tail", "read_lines"]

Line = dict[str, Any]
"""`kind`, `at` (Unix seconds) and what belongs to that kind."""

EXECUTIONS = ("began", "ended")
"""Kinds that go to the execution log; all others go to the log of acknowledgements."""


class History:
    """Writes the two logs of one run, kept in `folder`. Open one in each process."""

    def __init__(self, folder: Path) -> None:
        self.executions = folder / "executions.jsonl"
        self.acks = folder / "acks.jsonl"
        self._files = {path: _open(path) for path in (self.executions, self.acks)}

    def write(self, kind: str, **what: Any) -> None:
        """Append one line."""
        line = json.dumps({"kind": kind, "at": time.time(), **what}) + "\n"
        path = self.executions if kind in EXECUTIONS else self.acks
        os.write(self._files[path], line.encode())

    def close(self) -> None:
        for descriptor in self._files.values():
            os.close(descriptor)

    def lines(self) -> list[Line]:
        """All lines of both logs; those of one log in the order in which they were written."""
        return [*read_lines(self.executions), *read_lines(self.acks)]


def _open(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)


def read_lines(path: Path) -> Iterator[Line]:
    """The lines of one log."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


class Tail:
    """Reads a log that grows: each call gives the lines that are new."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")

    def new(self) -> list[Line]:
        lines = []
        while line := self._file.readline():
            if not line.endswith(b"\n"):  # a line is written whole, but may be read while it is
                self._file.seek(-len(line), os.SEEK_CUR)
                break
            lines.append(json.loads(line))
        return lines

    def close(self) -> None:
        self._file.close()
