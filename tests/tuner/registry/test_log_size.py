"""B20: the log of a registry stays small, whoever reads from it."""

import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from tests.contracts.registry_cases import SPEC, Connect, some
from tests.tuner.registry.engines import needs_wal
from tuner.registry import open_registry
from tuner.registry.engine import connect as raw_connect

N_COMMITS = 600
_CHECKPOINT_BYTES = 4000 * 4096  # `wal_autocheckpoint`: after a commit that finds the log this long


def largest_log(connect: Connect, path: Path) -> int:
    """The size in bytes that the log comes to during many commits."""
    registry = connect()
    registry.open_study(SPEC)
    log = path.with_name(f"{path.name}-wal")
    largest = 0
    for n in range(N_COMMITS):
        registry.log("note", "long", text="x" * 100_000, n=n)
        largest = max(largest, log.stat().st_size)
    return largest


@contextmanager
def in_a_loop(read: Callable[[], object]) -> Iterator[None]:
    over = threading.Event()

    def loop() -> None:
        while not over.is_set():
            read()

    reader = threading.Thread(target=loop)
    reader.start()
    try:
        yield
    finally:
        over.set()
        reader.join()


@needs_wal
def test_one_who_reads_all_the_time_does_not_make_the_log_grow(connect: Connect, path: Path) -> None:
    """A dashboard that never rests; 20,000 commits in small."""
    registry = connect()
    study = registry.open_study(SPEC)
    registry.add(study, some(50))
    with open_registry(path, create=False, read_only=True) as reader:

        def read() -> None:
            reader.events(1000)
            reader.experiments(study)
            reader.counts(study)

        with in_a_loop(read):
            assert largest_log(connect, path) < 2 * _CHECKPOINT_BYTES


@needs_wal
def test_one_who_held_a_read_open_would(connect: Connect, path: Path) -> None:
    """That the bound above means something."""
    connect().open_study(SPEC)
    with closing(raw_connect(path, "ro")) as raw:
        raw.execute("BEGIN")
        raw.execute("SELECT count(*) FROM experiments").fetchall()
        assert largest_log(connect, path) > 2 * _CHECKPOINT_BYTES
