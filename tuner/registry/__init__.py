"""The registry: studies, experiments and deployments in one SQLite file. `base` is the contract."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, overload

from tuner.errors import UsageError
from tuner.registry.base import (
    Attempt,
    Claim,
    Deployment,
    Effort,
    Event,
    FailedAlike,
    HoldoutRead,
    Lesson,
    Limits,
    ModelVersion,
    Pattern,
    Recovered,
    Registry,
    RegistryReader,
    Run,
    StudySpec,
    VersionState,
)
from tuner.registry.postgres import is_postgres

__all__ = [
    "Attempt",
    "Claim",
    "Deployment",
    "Effort",
    "Event",
    "FailedAlike",
    "HoldoutRead",
    "Lesson",
    "Limits",
    "ModelVersion",
    "Pattern",
    "Recovered",
    "Registry",
    "RegistryReader",
    "Run",
    "StudySpec",
    "VersionState",
    "open_registry",
]


@overload
def open_registry(
    url: str | Path = ...,
    *,
    create: bool,
    read_only: Literal[False] = ...,
    clock: Callable[[], float] = ...,
    busy_timeout_s: float = ...,
    allow_network_fs: bool = ...,
) -> Registry: ...


@overload
def open_registry(
    url: str | Path = ...,
    *,
    create: bool,
    read_only: bool,
    clock: Callable[[], float] = ...,
    busy_timeout_s: float = ...,
    allow_network_fs: bool = ...,
) -> RegistryReader: ...


def open_registry(
    url: str | Path = "sqlite:///experiments.db",
    *,
    create: bool,
    read_only: bool = False,
    clock: Callable[[], float] = time.time,
    busy_timeout_s: float = 30.0,
    allow_network_fs: bool = False,
) -> RegistryReader:
    """Open the registry at `url`: an SQLAlchemy URL of SQLite or PostgreSQL, or a plain path.

    Args:
        url: where it is; relative paths are relative to the working directory.
        create: make it where there is none, or an empty file.
        read_only: return what can only read; make no file; works on a read-only disk, and answers at once.
        clock: gives Unix seconds.
        busy_timeout_s: how long one write waits for another process.
        allow_network_fs: write to a file on a network file system, too, with a warning.

    Raises:
        NotFoundError: there is no registry, and none was to be made.
        NotARegistryError: a foreign, damaged or newer file or database. It was not touched.
        OutdatedError: an older schema, opened with `read_only`. Otherwise it is brought up to date.
        StorageError: it cannot be reached, written or read, or is on a network file system; BusyError:
            another process is at it.
        UsageError: the URL names no file, a folder, or a folder that does not exist; no database; or the
            driver for PostgreSQL is not installed.
    """
    if isinstance(url, str) and is_postgres(url):
        return _open_postgres(
            url, create=create, read_only=read_only, clock=clock, busy_timeout_s=busy_timeout_s
        )
    if read_only:
        from tuner.registry.sqlite_reader import open_reader

        return open_reader(url, busy_timeout_s=busy_timeout_s)
    from tuner.registry.opening import open_database  # with SQLAlchemy, which is slow to import
    from tuner.registry.owners import OwnerLock, lock_folder
    from tuner.registry.sql_registry import SqlRegistry

    database = open_database(
        url, create=create, busy_timeout_s=busy_timeout_s, allow_network_fs=allow_network_fs
    )
    return SqlRegistry(database, OwnerLock(lock_folder(database.path)), clock)


def _open_postgres(url: str, **options: Any) -> Registry:
    try:
        import psycopg  # noqa: F401 - an extra, so it may be missing
    except ImportError as error:
        raise UsageError(
            f"A registry on PostgreSQL needs the driver psycopg, which cannot be imported here: {error}.",
            "Install it with: pip install 'retrain[postgres]'",
        ) from error
    from tuner.registry.postgres.opening import open_postgres

    return open_postgres(url, **options)
