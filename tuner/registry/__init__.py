"""The registry: studies, experiments and deployments in one SQLite file. `base` is the contract."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tuner.errors import UsageError
from tuner.registry.base import (
    Attempt,
    Claim,
    Deployment,
    Effort,
    Event,
    Limits,
    ModelVersion,
    Recovered,
    Registry,
    Run,
    StudySpec,
    VersionState,
)
from tuner.registry.opening import open_database
from tuner.registry.owners import OwnerLock, lock_folder
from tuner.registry.postgres import is_postgres
from tuner.registry.sql_registry import SqlRegistry

__all__ = [
    "Attempt",
    "Claim",
    "Deployment",
    "Effort",
    "Event",
    "Limits",
    "ModelVersion",
    "Recovered",
    "Registry",
    "Run",
    "StudySpec",
    "VersionState",
    "open_registry",
]


def open_registry(
    url: str | Path = "sqlite:///experiments.db",
    *,
    create: bool,
    read_only: bool = False,
    clock: Callable[[], float] = time.time,
    busy_timeout_s: float = 30.0,
) -> Registry:
    """Open the registry at `url`: an SQLAlchemy URL of SQLite or PostgreSQL, or a plain path.

    Args:
        url: where it is; relative paths are relative to the working directory.
        create: make it where there is none, or an empty file.
        read_only: refuse every write, make no file; works on a read-only disk.
        clock: gives Unix seconds.
        busy_timeout_s: how long one write waits for another process.

    Raises:
        NotFoundError: there is no registry, and none was to be made.
        NotARegistryError: a foreign, damaged or newer file or database. It was not touched.
        StorageError: it cannot be reached, written or read; BusyError: another process is at it.
        UsageError: the URL names no file, a folder, or a folder that does not exist; no database; or the
            driver for PostgreSQL is not installed.
    """
    if isinstance(url, str) and is_postgres(url):
        return _open_postgres(
            url, create=create, read_only=read_only, clock=clock, busy_timeout_s=busy_timeout_s
        )
    database = open_database(url, create=create, read_only=read_only, busy_timeout_s=busy_timeout_s)
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
