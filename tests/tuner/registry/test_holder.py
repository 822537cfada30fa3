"""B1: a lock that another process holds is named in the error."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tuner.errors import BusyError
from tuner.registry import open_registry
from tuner.registry.holder import lock_holder

HOLD = """
import sys
from pathlib import Path
from tuner.registry.engine import connect
raw = connect(Path(sys.argv[1]), "rw")
raw.execute(sys.argv[2])
print("ready", flush=True)
sys.stdin.read()
"""


def refused(path: Path, begin: str) -> tuple[str, str]:
    """Who holds the lock, by number and name, and what a writer is told."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, path, begin], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "ready\n"
        with (
            open_registry(path, create=False, busy_timeout_s=0) as registry,
            pytest.raises(BusyError) as caught,
        ):
            registry.log("note", "x")
        name = Path(f"/proc/{holder.pid}/comm").read_text().strip()
        holder.communicate()
    return f"pid {holder.pid} ({name})", str(caught.value)


@pytest.mark.parametrize("begin", ["BEGIN IMMEDIATE", "BEGIN EXCLUSIVE"])
def test_the_process_that_writes_is_named(path: Path, begin: str) -> None:
    open_registry(path, create=True).close()
    holder, said = refused(path, begin)
    assert said == f"{path} is locked by {holder} for longer than the busy timeout."


def test_the_process_that_writes_is_named_without_wal(path: Path, stdlib_sqlite: None) -> None:
    open_registry(path, create=True).close()
    code = "import sys; sys.modules['pysqlite3'] = None\n" + HOLD
    with subprocess.Popen(
        [sys.executable, "-c", code, path, "BEGIN IMMEDIATE"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "ready\n"
        with (
            open_registry(path, create=False, busy_timeout_s=0) as registry,
            pytest.raises(BusyError, match=rf"locked by pid {holder.pid} \("),
        ):
            registry.log("note", "x")
        holder.communicate()


def test_other_locks_are_not_taken_for_it(path: Path) -> None:
    path.touch()
    status = path.stat()
    here = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    others = [
        f"1: POSIX  ADVISORY  READ 11 {here} 1073741825 1073741825",  # a reader
        f"2: POSIX  ADVISORY  WRITE 12 {here} 0 10",  # another byte
        f"3: POSIX  ADVISORY  WRITE 13 {here[:-1]}x 1073741825 1073741825".replace("x", ""),  # another file
        f"4: FLOCK  ADVISORY  WRITE 14 {here} 0 EOF",  # another kind of lock
        f"5: POSIX  ADVISORY  WRITE 15 ff:ff:{status.st_ino} 1073741825 1073741825",  # another disk
        f"6: POSIX  ADVISORY  WRITE 0 {here} 1073741825 1073741825",  # in another container
        "7: -> POSIX  ADVISORY  WRITE 16 and so on",
        "",
    ]
    table = "\n".join(others)
    assert lock_holder(path, table) == ""
    assert lock_holder(path, f"{table}\n8: POSIX  ADVISORY  WRITE 999999999 {here} 0 EOF") == "pid 999999999"
    assert lock_holder(path.with_name("none.db"), table) == ""
    assert lock_holder(path, "") == ""
