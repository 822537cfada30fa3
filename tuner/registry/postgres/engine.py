"""Connections to a PostgreSQL server: how one is set up, and how a transaction runs.

Isolation is READ COMMITTED, with two kinds of writes. `write` lets one writer in at a time, by an advisory
lock that ends with the transaction, so that what it reads stays true until it commits. `write_beside_others`
takes only the locks of the rows it changes: for claims and their ends, which the fence keeps safe.
Whoever takes both takes the advisory lock first, and rows in the order of their ids: so nobody deadlocks.
"""

import os
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from sqlalchemy import Connection, Engine, create_engine, event

from tuner.errors import StorageError
from tuner.registry.locks import lock_out_writers
from tuner.registry.opened import Opened
from tuner.registry.postgres.address import Address
from tuner.registry.postgres.trouble import postgres_errors

__all__ = ["VANISHED_S", "PostgresDatabase"]

VANISHED_S = 25
"""About this long after a host vanished without a word, the server and the client give its connection up."""

_CLIENT = {
    "connect_timeout": "10",
    "application_name": "retrain",
    "keepalives": "1",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": f"{VANISHED_S}000",
}
_SESSION = {
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": f"{VANISHED_S}000",
    # A process that is stopped in the middle of a write must not hold up the others for long.
    "idle_in_transaction_session_timeout": "20000",
    "client_encoding": "UTF8",
}


class PostgresDatabase(Opened):
    """Connections to one registry on a server, usable by several threads of one process until `close`."""

    def __init__(self, address: Address, *, read_only: bool = False, busy_timeout_s: float = 30.0) -> None:
        super().__init__(address)
        self.address = address
        self.read_only = read_only
        self._settings = _settings(address, read_only=read_only, busy_timeout_s=busy_timeout_s)
        self.engine: Engine = create_engine(
            address.url,
            connect_args=self._settings,
            use_native_hstore=False,
            pool_size=2,
            max_overflow=8,
            pool_pre_ping=True,  # a server that was started again in the meantime goes unnoticed
        )
        event.listen(self.engine, "connect", _remember)
        self._reader = self.engine.execution_options(isolation_level="AUTOCOMMIT")
        _databases.add(self)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection whose statements each see the latest commit."""
        self._check_usable()
        with postgres_errors(self.address), self._reader.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction without another one of its kind: committed at the end, or rolled back whole."""
        with self.write_beside_others() as connection:
            lock_out_writers(connection)
            yield connection

    @contextmanager
    def write_beside_others(self) -> Iterator[Connection]:
        """One transaction beside others, for what changes only rows by their fence."""
        self._check_usable()
        if self.read_only:
            raise StorageError(
                f"{self.address} was opened for reading only, and nothing can be written through it.",
                "Open it without read_only=True.",
            )
        with postgres_errors(self.address), self.engine.begin() as connection:
            yield connection

    def connect(self) -> "psycopg.Connection[Any]":
        """One connection of its own, outside the pool, that commits each statement."""
        self._check_usable()
        with postgres_errors(self.address):
            _, given = self.engine.dialect.create_connect_args(self.address.url)
            connection = psycopg.connect(**{**given, **self._settings}, autocommit=True)
        _raw.add(connection)
        return connection

    def _release(self, *, here: bool) -> None:
        self.engine.dispose(close=here)


def _settings(address: Address, *, read_only: bool, busy_timeout_s: float) -> dict[str, Any]:
    """What libpq is given beside the URL, whose own settings win."""
    session = _SESSION | {"lock_timeout": str(max(1, round(busy_timeout_s * 1000)))}
    if read_only:
        session["default_transaction_read_only"] = "on"
    options = " ".join(f"-c {name}={value}" for name, value in session.items())
    given = address.url.query.get("options", "")
    both = f"{options} {given if isinstance(given, str) else ' '.join(given)}".strip()
    chosen = {name: value for name, value in _CLIENT.items() if name not in address.url.query}
    return {**chosen, "options": both}


def _remember(connection: "psycopg.Connection[Any]", _record: object) -> None:
    _raw.add(connection)


_databases: "weakref.WeakSet[PostgresDatabase]" = weakref.WeakSet()
_raw: "weakref.WeakSet[psycopg.Connection[Any]]" = weakref.WeakSet()
_inherited: list[Any] = []


def _forget_connections_in_child() -> None:
    """A forked child must not use its parent's connections, nor keep them open when the parent dies.

    Each descriptor becomes one of /dev/null: the driver's object, which is kept, may still close that.
    """
    nowhere = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for connection in _raw:
        _inherited.append(connection)
        if not connection.closed:
            os.dup2(nowhere, connection.fileno(), inheritable=False)
    os.close(nowhere)
    for database in _databases:
        _inherited.append(database.engine.pool)
        database.engine.dispose(close=False)


os.register_at_fork(after_in_child=_forget_connections_in_child)
