"""Bringing an older registry up to date: a backup first, then all steps in one transaction."""

import logging
from contextlib import closing
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

from tuner.registry.backup import copy_database
from tuner.registry.engine import Database
from tuner.registry.opening import folder_lock
from tuner.registry.signature import SCHEMA_VERSION
from tuner.registry.sql import reading
from tuner.registry.sqlite_file import connect

__all__ = ["SCRIPTS", "migrate", "run_steps", "upgrade"]

SCRIPTS = "tuner.registry:migrations"

_log = logging.getLogger(__name__)


def migrate(path: Path) -> None:
    """Bring the registry at `path` to the present schema. A crash leaves the old one or the new one."""
    with (
        folder_lock(path.parent),
        closing(Database(path, lambda: connect(path, "rw"))) as database,
    ):
        with database.read() as connection:
            version = int(connection.exec_driver_sql("PRAGMA user_version").scalar_one())
        if version == SCHEMA_VERSION:
            return  # another process was first
        kept = path.with_name(f"{path.name}.schema{version}.backup")
        with database.read() as connection:
            copy_database(reading(connection), kept)
        _log.warning("migrating %s from schema %d to %d; backup at %s", path, version, SCHEMA_VERSION, kept)
        upgrade(database)


def upgrade(database: Database) -> None:
    """Run every step that the database lacks, and stamp it."""
    with database.write() as connection:
        run_steps(connection)
        connection.exec_driver_sql(f"PRAGMA user_version = {SCHEMA_VERSION}")


def run_steps(connection: Connection) -> None:
    """Run every step that the database lacks, in the transaction of the connection."""
    config = Config()
    config.set_main_option("script_location", SCRIPTS)
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
