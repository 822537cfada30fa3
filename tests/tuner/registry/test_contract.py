"""The contract over SQLite, with the engine that ships with us and with Python's own."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.contracts.registry_cases import Connect
from tests.contracts.registry_contract import RegistryContract
from tests.contracts.registry_queries import QueriesContract
from tests.contracts.registry_studies import StudiesContract
from tuner.registry import open_registry
from tuner.registry.base import Registry
from tuner.registry.sql import Read
from tuner.registry.sqlite_reader import SqliteReader


@contextmanager
def through_a_reader(path: Path) -> Iterator[Read]:
    with open_registry(path, create=False, read_only=True) as reader:
        assert isinstance(reader, SqliteReader)
        with reader.reading() as read:
            yield read


class _OnSqlite(RegistryContract):
    @pytest.fixture(autouse=True)
    def closing_leaves_only_the_database(self, path: Path) -> Iterator[None]:
        yield
        assert [left.name for left in path.parent.iterdir()] == [path.name]

    @pytest.fixture
    def connect(self, closing_leaves_only_the_database: None, connect: Connect) -> Connect:
        return connect


class TestOnBundledSqlite(_OnSqlite):
    pass


@pytest.mark.usefixtures("stdlib_sqlite")
class TestOnPythonsSqlite(_OnSqlite):
    pass


class TestReadThroughAReader(StudiesContract, QueriesContract):
    """Every question is asked of what `read_only=True` opens, newly opened each time."""

    @pytest.fixture
    def connect(self, connect: Connect, path: Path, monkeypatch: pytest.MonkeyPatch) -> Connect:
        def open_one() -> Registry:
            registry = connect()
            monkeypatch.setattr(registry, "reading", lambda: through_a_reader(path))
            return registry

        return open_one
