"""The contract over SQLite, with the engine that ships with us and with Python's own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contracts.registry_contract import Clock, Connect, RegistryContract
from tuner.registry import open_registry
from tuner.registry.base import Registry


class _OnSqlite(RegistryContract):
    @pytest.fixture
    def connect(self, clock: Clock, tmp_path: Path) -> Iterator[Connect]:
        opened: list[Registry] = []

        def open_one() -> Registry:
            opened.append(open_registry(tmp_path / "experiments.db", create=True, clock=clock))
            return opened[-1]

        yield open_one
        for registry in opened:
            registry.close()
        left = sorted(path.name for path in tmp_path.iterdir())
        assert left == ["experiments.db"], "closing leaves nothing but the database"


class TestOnBundledSqlite(_OnSqlite):
    pass


@pytest.mark.usefixtures("stdlib_sqlite")
class TestOnPythonsSqlite(_OnSqlite):
    pass
