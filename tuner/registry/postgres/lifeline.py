# ruff: noqa: D102 - `Lifeline` holds the docstrings of its methods
"""Who is alive, on whatever host: each owner holds an advisory lock of the server on a connection of its own.

The server frees it when that connection ends: at once when the process dies, after `VANISHED_S` when its host
vanishes. Whoever is stopped keeps its connection, and is dead when its lease is over. The lease goes by the
server's clock alone.
"""

import math
import secrets
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import psycopg
from sqlalchemy import Connection, text

from tuner.registry.owners import LEASE_S, Lifeline, Owner, beat, register
from tuner.registry.postgres.engine import PostgresDatabase
from tuner.registry.postgres.trouble import postgres_errors

__all__ = ["ServerLock"]

_TIMES = text(
    "SELECT extract(epoch FROM clock_timestamp())::double precision AS now,"
    " extract(epoch FROM pg_postmaster_start_time())::double precision AS started"
)
# As pg_locks shows a lock with a key of 64 bits: in two halves, and with objsubid 1.
_HELD = text(
    "SELECT classid::bigint << 32 | objid::bigint FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1"
    " AND granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


class ServerLock(Lifeline):
    """The lock of this opening of the registry, by its random id.

    `by_server`: heartbeats and leases go by the server's clock, not by the one that is handed to the methods.
    """

    def __init__(self, database: PostgresDatabase, *, by_server: bool = True) -> None:
        self.token = secrets.token_hex(8)
        self._database = database
        self._by_server = by_server
        self._connection: psycopg.Connection[Any] | None = None
        self._is_held = False
        self._guard = threading.Lock()

    def register(self, connection: Connection, now: float) -> int:
        self._hold()
        return register(connection, self.token, self._times(connection, now)[0])

    def beat(self, connection: Connection, owner_id: int, now: float) -> None:
        self._hold()  # first: a beat says that the lock was held
        beat(connection, owner_id, self._times(connection, now)[0])

    def judge(self, connection: Connection, now: float) -> Callable[[Owner], bool]:
        now, started = self._times(connection, now)
        held = set(connection.execute(_HELD).scalars())

        def is_dead(owner: Owner) -> bool:
            if owner.token == self.token:
                return False
            # While the server was down nobody could be heard.
            if now >= max(owner.heartbeat_at, started) + LEASE_S:
                return True
            # One that has started since has lost every lock, and says nothing by that.
            return _key(owner.token) not in held and owner.heartbeat_at >= started

        return is_dead

    def sweep(self, connection: Connection) -> None:
        """Nothing is left outside the database."""

    def release(self) -> None:
        with self._guard:
            if self._connection is not None and self._database.is_open:
                with suppress(psycopg.Error):  # the end of the connection frees it too, but a little later
                    self._connection.execute("SELECT pg_advisory_unlock(%s)", [_key(self.token)])
                self._connection.close()
            self._connection, self._is_held = None, False

    def _times(self, connection: Connection, now: float) -> tuple[float, float]:
        """The present, and the start of the server."""
        if not self._by_server:
            return now, -math.inf
        times = connection.execute(_TIMES).one()
        return times.now, times.started

    def _hold(self) -> None:
        """Take the lock, or make sure that the connection which holds it still stands."""
        with self._guard, postgres_errors(self._database.address):
            if self._is_held and self._connection is not None and _answers(self._connection):
                return
            if self._connection is None or not _answers(self._connection):
                self._connection, self._is_held = self._database.connect(), False
            # Refused while the server has not yet noticed that our last connection is gone: next time, then.
            row = self._connection.execute("SELECT pg_try_advisory_lock(%s)", [_key(self.token)]).fetchone()
            self._is_held = row is not None and bool(row[0])


def _answers(connection: "psycopg.Connection[Any]") -> bool:
    try:
        connection.execute("SELECT 1")
    except psycopg.OperationalError:
        connection.close()
        return False
    return True


def _key(token: str) -> int:
    """A token as the signed 64 bits of an advisory lock."""
    return int.from_bytes(bytes.fromhex(token), "big", signed=True)
