"""Fixtures of the tests over PostgreSQL: `connect` opens a registry on a server, in a database of its own."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.contracts.registry_cases import Clock, Connect
from tests.postgres_server import PostgresServer
from tuner.registry import Registry, open_registry
from tuner.registry.postgres.rules import COUNTED
from tuner.registry.schema import metadata


@pytest.fixture(scope="session")
def contract_url(postgres_server: PostgresServer) -> str:
    """A registry that every test finds empty."""
    url = postgres_server.make_database("contract")
    open_registry(url, create=True).close()
    return url


@pytest.fixture
def url(postgres_server: PostgresServer, contract_url: str) -> Iterator[str]:
    yield contract_url
    postgres_server.execute(
        "SET session_replication_role = replica;"  # without the triggers that keep what there is
        f"TRUNCATE {', '.join(metadata.tables.keys() - COUNTED.keys())} RESTART IDENTITY",
        database="contract",
    )


@pytest.fixture
def connect(url: str, clock: Clock) -> Iterator[Connect]:
    """Opens the registry at `url`, as often as called; all are closed at the end."""
    with ExitStack() as opened:

        def open_one() -> Registry:
            return opened.enter_context(open_registry(url, create=True, clock=clock, busy_timeout_s=5))

        yield open_one
