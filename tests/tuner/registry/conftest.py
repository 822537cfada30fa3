"""Fixtures of the registry's tests."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.contracts.registry_contract import Clock, Connect
from tuner.registry import Registry, open_registry


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "experiments.db"


@pytest.fixture
def connect(path: Path, clock: Clock) -> Iterator[Connect]:
    """Opens the registry at `path`, as often as called; all are closed at the end."""
    with ExitStack() as opened:

        def open_one() -> Registry:
            return opened.enter_context(open_registry(path, create=True, clock=clock, busy_timeout_s=5))

        yield open_one


@pytest.fixture
def registry(connect: Connect) -> Registry:
    return connect()


@pytest.fixture
def stdlib_sqlite(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine without the pysqlite3 wheel."""
    monkeypatch.setitem(sys.modules, "pysqlite3", None)
    monkeypatch.setitem(sys.modules, "pysqlite3.dbapi2", None)
