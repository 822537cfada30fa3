# ruff: noqa: D102 - `Lifeline` holds the docstrings of its methods
"""Who is alive: every opening of a registry that claims something is an owner with a random id.

An owner holds a kernel lock (`flock`) on a file of its own, `<database>.owners/<id>.lock`. The kernel frees
it at death, whatever the death was: no clock, no process id that could be used again. Two kinds of owners it
does not give away: those on other hosts, and those that are stopped. For these there is a lease, kept by
`heartbeat`: by the clock of the kernel since its boot where both run under it, which nobody can set; by the
time of day between hosts.

An owner that could not write its heartbeat must not look stopped. So one that holds its lock counts as silent
only for as long as the one who judges has itself been heard without a gap: the registry could be written all
that time, and the other did not. After a long lock, a full disk or a sleep of the whole host nobody is judged
until a lease later. What remains is an owner that alone could not write for a whole lease: what it runs is
run once more, and of the two results the one of the present attempt is the only one.
"""

import fcntl
import logging
import os
import platform
import secrets
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import ColumnElement, Connection, insert, select, update

from tuner.errors import StorageError
from tuner.registry.schema import owners

__all__ = [
    "LEASE_S",
    "Lifeline",
    "Machine",
    "Owner",
    "OwnerLock",
    "beat",
    "boot_seconds",
    "is_dead",
    "lock_folder",
    "of_unknown_locks",
    "read_owners",
    "register",
    "sweep",
    "to_owner",
    "unknown_locks",
]

_log = logging.getLogger(__name__)

LEASE_S = 60.0
"""An owner that only its heartbeat can prove alive is dead when the last one is this old."""


def boot_seconds() -> float:
    """Seconds since the boot of this kernel, sleep included. No change of the time of day moves it."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


@dataclass(frozen=True, slots=True)
class Machine:
    """Where a process runs. `boot_id` changes with every start of the kernel."""

    host: str
    boot_id: str

    def shares_kernel_with(self, other: "Machine") -> bool:
        """Whether a lock held there is seen here. Containers of one host have names of their own."""
        return self.boot_id == other.boot_id and (bool(self.boot_id) or self.host == other.host)

    @staticmethod
    def here() -> "Machine":
        """This host and the present boot of its kernel."""
        try:
            boot_id = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        except OSError:  # no Linux: the lock still tells the living from the dead on this host
            boot_id = ""
        return Machine(platform.node(), boot_id)


@dataclass(frozen=True, slots=True)
class Owner:
    """A row of `owners`."""

    id: int
    token: str
    machine: Machine
    pid: int
    opened_at: float
    heartbeat_at: float
    heartbeat_boot_s: float | None = None


class Lifeline(Protocol):
    """What proves to others that this opening of a registry lives, and tells it which others are dead."""

    token: str

    def register(self, connection: Connection, now: float) -> int:
        """Take what dies with this process, then write the owner's row. Returns its id."""

    def beat(self, connection: Connection, owner_id: int, now: float) -> None:
        """Note that this owner lives."""

    def judge(self, connection: Connection, now: float) -> Callable[[Owner], bool]:
        """Whether an owner is dead, at this moment; this one never is."""

    def sweep(self, connection: Connection) -> None:
        """Remove what the dead left outside the database."""

    def release(self) -> None:
        """Give up what `register` took. Idempotent."""


def read_owners(connection: Connection, *conditions: ColumnElement[bool]) -> list[Owner]:
    """The owners that meet the SQL conditions, oldest first."""
    rows = connection.execute(select(owners).where(*conditions).order_by(owners.c.id))
    return [to_owner(row) for row in rows.mappings()]


def to_owner(row: Mapping[Any, Any]) -> Owner:
    """A row of `owners`."""
    return Owner(
        row["id"],
        row["token"],
        Machine(row["host"], row["boot_id"]),
        row["pid"],
        row["opened_at"],
        row["heartbeat_at"],
        row["heartbeat_boot_s"],
    )


def register(connection: Connection, token: str, now: float, boot_s: float | None = None) -> int:
    """Write the row of an owner whose lock is held. Returns its id."""
    machine = Machine.here()
    id_: int = connection.execute(
        insert(owners)
        .values(
            token=token,
            host=machine.host,
            boot_id=machine.boot_id,
            pid=os.getpid(),
            opened_at=now,
            heartbeat_at=now,
            heartbeat_boot_s=boot_s,
        )
        .returning(owners.c.id)
    ).scalar_one()
    return id_


def beat(connection: Connection, owner_id: int, now: float, boot_s: float | None = None) -> None:
    """Note that an owner lives."""
    values = {"heartbeat_at": now, "heartbeat_boot_s": boot_s}
    connection.execute(update(owners).where(owners.c.id == owner_id).values(values))


def is_dead(owner: Owner, folder: Path, now: float) -> bool:
    """Whether an owner is gone: its lock decides under this kernel, a reboot or its lease elsewhere."""
    here = Machine.here()
    if owner.machine.shares_kernel_with(here):
        with _probe(folder / f"{owner.token}.lock") as is_free:
            return is_free
    return owner.machine.host == here.host or now >= owner.heartbeat_at + LEASE_S


def lock_folder(database: Path) -> Path:
    """Where the owners of this database keep their locks."""
    return database.with_name(database.name + ".owners")


def sweep(connection: Connection, folder: Path) -> None:
    """Remove the lock files that owners of this host left when they died, and warn of those without a row."""
    tokens = [path.stem for path in folder.glob("*.lock")]
    unheard_of = set(unknown_locks(folder, (owner.token for owner in read_owners(connection))))
    here = Machine.here()
    elsewhere = {
        owner.token
        for owner in read_owners(connection, owners.c.token.in_(tokens))
        if not owner.machine.shares_kernel_with(here) and owner.machine.host != here.host
    }
    for token in tokens:
        path = folder / f"{token}.lock"
        with _probe(path) as is_free:
            # Still under the probe's lock: an owner that is just taking this one waits, then starts afresh.
            if is_free and token not in elsewhere:
                path.unlink(missing_ok=True)
    _remove_if_empty(folder)
    if unheard_of:
        _log.warning("%s", of_unknown_locks(len(unheard_of)))


def unknown_locks(folder: Path, known: Iterable[str]) -> list[str]:
    """Tokens of the dead that left a lock, and are not known to the registry."""
    tokens = sorted({path.stem for path in folder.glob("*.lock")} - set(known))
    free = []
    for token in tokens:
        with _probe(folder / f"{token}.lock") as is_free:
            if is_free:
                free.append(token)
    return free


def of_unknown_locks(n: int) -> str:
    """What it means that there are some."""
    whom = "1 killed orchestrator" if n == 1 else f"{n} killed orchestrators"
    return (
        f"there are locks of {whom} that the registry has never heard of: its last commits may be missing,"
        " as when its -wal file was removed"
    )


@contextmanager
def _probe(path: Path) -> Iterator[bool]:
    """Whether nobody holds this lock, for as long as the block runs.

    The probe's lock is a shared one: two processes that look at once must not take each other for the owner.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield True
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        yield False
    else:
        yield True
    finally:
        os.close(descriptor)


def _remove_if_empty(folder: Path) -> None:
    with suppress(OSError):  # others are in there, or it is gone already
        folder.rmdir()


class OwnerLock(Lifeline):
    """The lock file of this opening of the registry. Taken at first use; held until `release` or death."""

    def __init__(self, folder: Path) -> None:
        self.token = secrets.token_hex(8)
        self._folder = folder
        self._path = folder / f"{self.token}.lock"
        self._descriptor: int | None = None
        self._guard = threading.Lock()
        self._steady_since = boot_seconds()
        _locks.add(self)

    def register(self, connection: Connection, now: float) -> int:
        try:
            self._acquire()
        except OSError as error:
            raise StorageError(
                f"{self._folder} cannot be written, where those who work on the registry keep their locks"
                f" ({error.strerror}).",
                "Make the folder of the registry writable.",
            ) from error
        self._steady_since = boot_seconds()
        return register(connection, self.token, now, self._steady_since)

    def beat(self, connection: Connection, owner_id: int, now: float) -> None:
        boot_s = boot_seconds()
        if not self._is_steady(connection, boot_s):
            self._steady_since = boot_s
        beat(connection, owner_id, now, boot_s)

    def judge(self, connection: Connection, now: float) -> Callable[[Owner], bool]:
        boot_s = boot_seconds()
        watched_since = self._steady_since if self._is_steady(connection, boot_s) else boot_s
        here = Machine.here()

        def is_silent(owner: Owner) -> bool:
            heard = owner.heartbeat_boot_s
            if heard is None or not owner.machine.shares_kernel_with(here):
                return False
            return boot_s >= max(heard, watched_since) + LEASE_S

        def judged(owner: Owner) -> bool:
            return owner.token != self.token and (is_dead(owner, self._folder, now) or is_silent(owner))

        return judged

    def _is_steady(self, connection: Connection, boot_s: float) -> bool:
        """Whether the last heartbeat of our own that was committed is recent."""
        stored = select(owners.c.heartbeat_boot_s).where(owners.c.token == self.token)
        last = connection.execute(stored).scalar_one_or_none()
        return last is not None and boot_s - last <= LEASE_S / 2

    def sweep(self, connection: Connection) -> None:
        sweep(connection, self._folder)

    def _acquire(self) -> None:
        with self._guard:
            while self._descriptor is None:
                try:
                    self._folder.mkdir(exist_ok=True)
                    descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
                except FileNotFoundError:  # the last owner has just removed the folder
                    continue
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                if _is_file_of(descriptor, self._path):
                    self._descriptor = descriptor
                else:
                    os.close(descriptor)

    def release(self) -> None:
        with self._guard:
            if self._descriptor is None:
                return
            self._path.unlink(missing_ok=True)
            _remove_if_empty(self._folder)
            os.close(self._descriptor)
            self._descriptor = None

    def forget(self) -> None:
        """Close the inherited descriptor in a forked child. The parent keeps its lock."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        self._guard = threading.Lock()  # the parent's other thread may have held it while forking


def _is_file_of(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


_locks: "weakref.WeakSet[OwnerLock]" = weakref.WeakSet()


def _forget_locks_in_child() -> None:
    """Else a forked child would keep the lock of a parent that died, and the parent would look alive."""
    for lock in _locks:
        lock.forget()


os.register_at_fork(after_in_child=_forget_locks_in_child)
