"""Which SQLite a test runs on."""

import pytest

from tuner.registry.sqlite_file import dbapi, is_sound

__all__ = ["needs_wal"]

needs_wal = pytest.mark.skipif(
    not is_sound(dbapi().sqlite_version_info),
    reason=f"SQLite {dbapi().sqlite_version} is not safe in WAL mode, as this needs: pip install pysqlite3",
)
"""For what only a registry in WAL mode can do, or can do wrong."""
