"""What `retrain doctor` says about a registry on a server."""

from dataclasses import dataclass

from sqlalchemy import text

from tuner.errors import UsageError
from tuner.registry.base import RegistryReader
from tuner.registry.owners import read_owners
from tuner.registry.postgres.engine import PostgresDatabase
from tuner.registry.postgres.lifeline import ServerLock
from tuner.registry.postgres.opening import stored_version
from tuner.registry.sql_registry import SqlRegistry

__all__ = ["ServerInfo", "server_info"]

_ABOUT = text(
    "SELECT current_setting('server_version') AS version, current_setting('data_checksums') AS checksums,"
    " pg_database_size(current_database()) AS size_bytes, pg_is_in_recovery() AS is_standby"
)
_DURABLE = ("fsync", "full_page_writes", "synchronous_commit")
_UNCHECKED = text("SELECT conname FROM pg_constraint WHERE NOT convalidated ORDER BY conname")
_DISABLED = text(
    "SELECT tgname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid"
    " WHERE relnamespace = current_schema()::regnamespace AND NOT tgisinternal AND tgenabled = 'D'"
    " ORDER BY tgname"
)
_HELD = text("SELECT owner_id FROM experiments WHERE owner_id IS NOT NULL")


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """The state of one registry on a server.

    Attributes:
        where: its address, without a password.
        version: of the server.
        has_checksums: whether the server notices a damaged page by its checksum.
        not_durable: settings by which a result that was told could be lost in a power cut.
        lifted: constraints and triggers of ours that somebody switched off.
        owners_alive: processes, on whatever host, that work on it now.
        owners_dead: processes that died and still hold experiments; the next run takes these back.
        n_held_by_dead: how many experiments those hold.
    """

    where: str
    size_bytes: int
    version: str
    is_standby: bool
    has_checksums: bool
    not_durable: tuple[str, ...]
    lifted: tuple[str, ...]
    schema_version: int
    owners_alive: int
    owners_dead: int
    n_held_by_dead: int


def server_info(registry: RegistryReader) -> ServerInfo:
    """Look at a registry on a server, and at what the server promises. Nothing is written."""
    if not isinstance(registry, SqlRegistry) or not isinstance(registry.database, PostgresDatabase):
        raise UsageError("Only a registry on a server can be examined here.", "Name one with --db.")
    database = registry.database
    with database.read() as connection:
        about = connection.execute(_ABOUT).one()
        settings = {name: connection.exec_driver_sql(f"SHOW {name}").scalar_one() for name in _DURABLE}
        is_dead = ServerLock(database).judge(connection, 0.0)
        dead = {owner.id: is_dead(owner) for owner in read_owners(connection)}
        held = list(connection.execute(_HELD).scalars())
        return ServerInfo(
            where=str(database.address),
            size_bytes=about.size_bytes,
            version=about.version,
            is_standby=about.is_standby,
            has_checksums=about.checksums == "on",
            not_durable=tuple(name for name, value in settings.items() if value == "off"),
            lifted=(*connection.execute(_UNCHECKED).scalars(), *connection.execute(_DISABLED).scalars()),
            schema_version=stored_version(connection, database.address) or 0,
            owners_alive=sum(not gone for gone in dead.values()),
            owners_dead=len({id_ for id_ in held if dead.get(id_, True)}),
            n_held_by_dead=sum(dead.get(id_, True) for id_ in held),
        )
