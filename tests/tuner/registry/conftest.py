"""Fixtures of the registry's tests."""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path

import pytest

from tests.contracts.registry_cases import SPEC, Clock, Connect, some
from tuner.experiment import Study
from tuner.registry import Registry, open_registry
from tuner.registry.sqlite_file import dbapi


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "experiments.db"


@pytest.fixture(scope="session")
def make_blank(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], None]:
    """Puts a new registry at a path where there is none: a copy, since making one takes a while."""

    @cache
    def blank(driver: str) -> bytes:
        path = tmp_path_factory.mktemp("blank") / f"{driver}.db"
        open_registry(path, create=True).close()
        return path.read_bytes()

    def make(path: Path) -> None:
        if not path.exists():
            path.write_bytes(blank(dbapi().__name__))

    return make


@pytest.fixture
def connect(path: Path, clock: Clock, make_blank: Callable[[Path], None]) -> Iterator[Connect]:
    """Opens the registry at `path`, as often as called; all are closed at the end."""
    with ExitStack() as opened:

        def open_one() -> Registry:
            make_blank(path)
            return opened.enter_context(open_registry(path, create=True, clock=clock, busy_timeout_s=5))

        yield open_one


@pytest.fixture
def registry(connect: Connect) -> Registry:
    return connect()


@pytest.fixture
def study(registry: Registry) -> Study:
    """A study with four experiments that wait."""
    study = registry.open_study(SPEC)
    registry.add(study, some(4))
    return study


@pytest.fixture
def stdlib_sqlite(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine without the pysqlite3 wheel."""
    monkeypatch.setitem(sys.modules, "pysqlite3", None)
    monkeypatch.setitem(sys.modules, "pysqlite3.dbapi2", None)
