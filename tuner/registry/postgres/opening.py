"""From a URL to a database that is ours and up to date. Anything else gets one sentence, untouched."""

import logging
import time
from collections.abc import Callable

from sqlalchemy import Connection, text

from tuner.errors import NotARegistryError, NotFoundError, StorageError
from tuner.registry.postgres.address import Address
from tuner.registry.postgres.engine import PostgresDatabase
from tuner.registry.postgres.lifeline import ServerLock
from tuner.registry.postgres.rules import create_schema
from tuner.registry.schema import SCHEMA_VERSION, metadata
from tuner.registry.sql_registry import SqlRegistry

__all__ = ["open_postgres", "stored_version"]

_OLDEST = 130000
_log = logging.getLogger(__name__)

# Tables of extensions may lie beside ours.
_TABLES = text("""
    SELECT c.relname FROM pg_class AS c
    WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm')
      AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.objid = c.oid AND d.deptype = 'e')""")
_ABOUT = text(
    "SELECT current_setting('server_version_num')::int AS version, current_schema() AS schema,"
    " current_setting('server_encoding') AS encoding"
)


def open_postgres(
    url: str, *, create: bool, read_only: bool, clock: Callable[[], float], busy_timeout_s: float
) -> SqlRegistry:
    """Open the registry at `url`; see `open_registry` for what it raises.

    Heartbeats and leases go by the server's clock, unless a clock other than the host's is given.
    """
    address = Address.of(url)
    database = PostgresDatabase(address, read_only=read_only, busy_timeout_s=busy_timeout_s)
    try:
        with database.read() as connection:
            _check_server(connection, address)
            version = stored_version(connection, address)
        if version is None:
            _check_may_create(address, create=create and not read_only)
            _create(database)
        elif version < SCHEMA_VERSION:
            _bring_up_to_date(database, version)
    except BaseException:
        database.close()
        raise
    return SqlRegistry(database, ServerLock(database, by_server=clock is time.time), clock)


def _check_server(connection: Connection, address: Address) -> None:
    about = connection.execute(_ABOUT).one()
    if about.version < _OLDEST:
        raise StorageError(
            f"The registry needs PostgreSQL 13 or newer, but {address} runs {about.version // 10000}.",
            "Use a newer server.",
        )
    if about.encoding != "UTF8":
        raise StorageError(
            f"The registry needs a database in UTF8, but {address} is in {about.encoding}.",
            "Make one with: createdb --encoding=UTF8 --template=template0 NAME",
        )
    if about.schema is None:
        raise StorageError(
            f"{address} has no schema to work in: none of its search_path exists, or none may be used.",
            "Make it with CREATE SCHEMA, or GRANT the user USAGE on it.",
        )


def stored_version(connection: Connection, address: Address) -> int | None:
    """The schema version of the registry that is there; None where there is nothing at all.

    Raises:
        NotARegistryError: other tables than ours, some of ours missing, or a newer version.
    """
    there = set(connection.execute(_TABLES).scalars())
    if not there:
        return None
    ours = metadata.tables.keys()
    if "alembic_version" not in there or not {"experiments", "attempts", "provenances"} <= there:
        raise NotARegistryError(
            f"{address} is not a registry: it holds the tables of another program. They were not touched.",
            "Name an empty database with --db, made with createdb.",
        )
    stamp = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    version = int(stamp) if stamp is not None and str(stamp).isdigit() else 0
    if version > SCHEMA_VERSION:
        raise NotARegistryError(
            f"{address} has schema {version}, made by a newer version; this one knows schemas up to"
            f" {SCHEMA_VERSION}. It was not touched.",
            "Upgrade with: pip install --upgrade 'retrain[postgres]'",
        )
    if missing := sorted(ours - there if version == SCHEMA_VERSION else ()):
        raise NotARegistryError(
            f"{address} is damaged (without its table {missing[0]}). It was not touched.",
            "Restore it from a backup made with pg_dump, or name another database with --db.",
        )
    return version


def _check_may_create(address: Address, *, create: bool) -> None:
    if not create:
        raise NotFoundError(
            f"There is no registry at {address}: the database is empty.",
            "Start one with `orchestrator --method bayesian --configs 20`, or name another with --db.",
        )


def _create(database: PostgresDatabase) -> None:
    """Make the registry, unless another process was first. All of it appears at once."""
    with database.write() as connection:
        if stored_version(connection, database.address) is None:
            create_schema(connection)


def _bring_up_to_date(database: PostgresDatabase, version: int) -> None:
    if database.read_only:
        raise StorageError(
            f"{database.address} has schema {version}, and can be read once it was brought to schema"
            f" {SCHEMA_VERSION}.",
            "Make a backup with pg_dump, then run `retrain --history` once, which opens it for writing.",
        )
    from tuner.registry.migrate import run_steps  # alembic is slow to import and seldom needed

    with database.write() as connection:
        if stored_version(connection, database.address) != SCHEMA_VERSION:  # another process was first
            _log.warning("migrating %s from schema %d to %d", database.address, version, SCHEMA_VERSION)
            run_steps(connection)
