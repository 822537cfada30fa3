"""A PostgreSQL server of our own for a while: in a folder of its own, on a socket in it, without TCP.

It runs without fsync, so it shows nothing about power cuts; crashes of processes do not ask for it.
"""

import ctypes
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import threading
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

__all__ = ["GUARDED", "PostgresServer", "why_not"]

_SUPERUSER = "tester"
GUARDED = "guarded"
"""A user who needs a password; not there until a test makes it."""
_SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "32MB",
    "max_connections": "60",
    "lc_messages": "C",
    "log_min_messages": "warning",
}
_DEBIAN = "/usr/lib/postgresql/*/bin"
_ENVIRONMENT = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}


def why_not() -> str | None:
    """Why no server can be started here, or None."""
    if find_spec("psycopg") is None:
        return "the driver psycopg is not installed"
    missing = [name for name in ("postgres", "initdb") if _program(name) is None]
    if missing:
        return f"no PostgreSQL server: {' and '.join(missing)} neither on the PATH nor in {_DEBIAN}"
    if os.geteuid() == 0 and _servant() is None:
        return "PostgreSQL does not run as root, and there is no user `postgres` or `nobody` to run it as"
    return None


def _program(name: str) -> str | None:
    """Where a program of the server is: Debian keeps them off the PATH, one folder for each version."""
    folders = [os.environ["PATH"], *sorted(map(str, Path("/").glob(_DEBIAN[1:])), reverse=True)]
    return shutil.which(name, path=os.pathsep.join(folders))


def _servant() -> pwd.struct_passwd | None:
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    return None


@dataclass
class PostgresServer:
    """Started and stopped as often as asked; `remove` leaves nothing."""

    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="retrain-pg-")))
    process: "subprocess.Popen[bytes] | None" = None

    def __post_init__(self) -> None:
        self._as: dict[str, object] = {}
        if os.geteuid() == 0:
            servant = _servant()
            assert servant is not None
            self._as = {"user": servant.pw_uid, "group": servant.pw_gid, "extra_groups": []}
            os.chown(self.folder, servant.pw_uid, servant.pw_gid)
        self._run("initdb", "--no-sync", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8")
        rules = self.folder / "data" / "pg_hba.conf"
        rules.write_text(f"local all {GUARDED} scram-sha-256\nlocal all all trust\n")

    def _command(self, name: str, *arguments: str) -> list[str]:
        found = _program(name)
        assert found is not None
        # A link elsewhere would not find the files that lie beside the program.
        return [str(Path(found).resolve()), "-D", str(self.folder / "data"), *arguments]

    def _run(self, name: str, *arguments: str) -> None:
        subprocess.run(
            self._command(name, f"--username={_SUPERUSER}", *arguments),
            cwd=self.folder,
            env=_ENVIRONMENT,
            capture_output=True,
            check=True,
            **self._as,  # type: ignore[call-overload]
        )

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        settings = [f"--{name}={value}" for name, value in _SETTINGS.items()]
        self.process = subprocess.Popen(
            self._command("postgres", "-k", str(self.folder), *settings),
            cwd=self.folder,
            env=_ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            preexec_fn=_die_with_parent,
            **self._as,  # type: ignore[call-overload]
        )
        assert self.process.stderr is not None
        said = []
        for line in self.process.stderr:
            said.append(line.decode())
            if "ready to accept connections" in said[-1]:
                break
        else:
            raise RuntimeError("".join(said))
        # What it says from now on must not fill the pipe.
        self._reader = threading.Thread(target=self.process.stderr.read, daemon=True)
        self._reader.start()

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it and wait: SIGINT ends all sessions, SIGQUIT as a crash would, without a checkpoint."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait()
            self._reader.join()
            assert self.process.stderr is not None
            self.process.stderr.close()
            self.process = None

    def remove(self) -> None:
        try:
            self.stop(signal.SIGQUIT)  # what it would still write is thrown away
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, database: str = "postgres", scheme: str = "postgresql", user: str = _SUPERUSER) -> str:
        return f"{scheme}://{user}@/{database}?host={quote(str(self.folder), safe='')}&port=5432"

    def execute(self, statement: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """Run one statement in a session of its own, outside any transaction."""
        import psycopg

        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def make_database(self, name: str) -> str:
        """A database in which there is nothing yet; returns its URL."""
        self.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        self.execute(f'CREATE DATABASE "{name}"')
        return self.url(name)


def _die_with_parent() -> None:
    """A test run that is killed takes its server along (Linux)."""
    ctypes.CDLL(None).prctl(1, signal.SIGINT)
