"""What `retrain doctor` says about the store."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tuner.errors import UsageError
from tuner.registry.base import RegistryReader
from tuner.registry.invariants import Held, check_invariants, file_problems
from tuner.registry.owners import is_dead, lock_folder, to_owner, unknown_locks
from tuner.registry.sql_reader import SqlReader
from tuner.registry.sql_registry import file_of
from tuner.registry.sqlite_file import dbapi, is_sound

__all__ = ["RegistryInfo", "SqliteEngine", "deep_check", "registry_info", "sqlite_engine"]


@dataclass(frozen=True, slots=True)
class SqliteEngine:
    """The SQLite in use. `is_sound`: free of the WAL-reset bug, so that WAL mode is safe."""

    driver: str
    version: str
    is_sound: bool


@dataclass(frozen=True, slots=True)
class RegistryInfo:
    """The state of one registry file.

    Attributes:
        journal_mode: "wal" on a sound engine, else "delete".
        problems: what SQLite's integrity and foreign key checks found; empty is good.
        owners_alive: processes that work on it now.
        owners_dead: processes that died and still hold experiments; the next run takes these back.
        n_held_by_dead: how many experiments those hold.
        n_unknown_locks: locks that dead owners left who have no row: their commits are missing.
    """

    path: Path
    size_bytes: int
    engine: SqliteEngine
    journal_mode: str
    problems: tuple[str, ...]
    application_id: int
    schema_version: int
    owners_alive: int
    owners_dead: int
    n_held_by_dead: int
    n_unknown_locks: int


def sqlite_engine() -> SqliteEngine:
    """The SQLite that a registry opened now would use."""
    driver = dbapi()
    return SqliteEngine(
        driver.__name__.split(".")[0], driver.sqlite_version, is_sound(driver.sqlite_version_info)
    )


def deep_check(registry: RegistryReader, tell: Callable[[str], None] = lambda _: None) -> list[Held]:
    """Check every invariant of the stored rows; takes seconds for each 100,000. Nothing is written.

    `tell` takes a line now and then that says how far it is.
    """
    if not isinstance(registry, SqlReader):
        raise UsageError("Only a registry in an SQL database can be examined.")
    with registry.reading() as read:

        def ask(question: str) -> list[tuple[Any, ...]]:
            return [tuple(row.values()) for row in read(question, [])]

        return check_invariants(ask, tell, is_file=file_of(registry) is not None)


def registry_info(
    registry: RegistryReader, clock: Callable[[], float] = time.time, *, whole: bool = True
) -> RegistryInfo:
    """Look at a registry, and with `whole` from end to end: seconds for each GB. Nothing is written."""
    path = file_of(registry)
    if not isinstance(registry, SqlReader) or path is None:
        raise UsageError("Only a registry in an SQLite file can be examined.")
    with registry.reading() as read:

        def pragma(name: str) -> list[tuple[object, ...]]:
            return [tuple(row.values()) for row in read(f"PRAGMA {name}", [])]

        problems = file_problems(lambda question: pragma(question.removeprefix("PRAGMA "))) if whole else []
        folder = lock_folder(path)
        left = unknown_locks(folder, [str(row["token"]) for row in read("SELECT token FROM owners", [])])
        owners = map(to_owner, read("SELECT * FROM owners", []))
        dead = {owner.id: is_dead(owner, folder, clock()) for owner in owners}
        held = [
            row["owner_id"] for row in read("SELECT owner_id FROM experiments WHERE owner_id IS NOT NULL", [])
        ]
        return RegistryInfo(
            path=path,
            size_bytes=path.stat().st_size,
            engine=sqlite_engine(),
            journal_mode=str(pragma("journal_mode")[0][0]),
            problems=tuple(problems),
            application_id=int(str(pragma("application_id")[0][0])),
            schema_version=int(str(pragma("user_version")[0][0])),
            owners_alive=sum(not gone for gone in dead.values()),
            owners_dead=len({id_ for id_ in held if dead.get(id_, True)}),
            n_held_by_dead=sum(dead.get(id_, True) for id_ in held),
            n_unknown_locks=len(left),
        )
