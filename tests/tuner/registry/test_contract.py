"""The contract over SQLite, with the engine that ships with us and with Python's own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contracts.registry_cases import Connect
from tests.contracts.registry_contract import RegistryContract


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
