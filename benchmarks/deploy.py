"""Many deploy at once, and others read meanwhile: every deployment is recorded, and nobody sees half of one.

python benchmarks/deploy.py [--processes 8] [--applies 20] [--reads 2000]

Each of the processes applies other hyperparameters, one after the other, into one project. Then one process
applies 50 times while another reads the target file, `current.json` and the version it points at as fast as
it can, and counts what it saw. The exit code is 1 where anything is not as it must be.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from retrain.history import history
from retrain.tables import render
from tests.retrain.deploy.project import Project, assert_consistent, in_process
from tests.retrain.deploy.reading import read_while_applying

GATE = "[[gate]]\nmetric = 'rmse'\nmax_drop = 10.0\n"
"""Random hyperparameters are to be deployed one after the other, good or bad."""


def apply_at_once(n_processes: int, n_each: int) -> list[dict[str, Any]]:
    """Run the processes to their end, and hold the ledger against the versions."""
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        project = Project(root, extra=GATE)
        processes = [in_process(root, "apply_many", seed, n_each) for seed in range(n_processes)]
        for process in processes:
            process.join()
        codes = [process.exitcode for process in processes]
        active = assert_consistent(project)
        with project.registry() as registry:
            ledger = history(registry, "ridge")
            n_versions = len(registry.versions("ridge"))
    wanted = 1 + n_processes * n_each  # what was found in place is the first
    chained = [row["from"] for row in ledger] == [None, *(row["to"] for row in ledger[:-1])]
    return [
        _row("processes that ended well", codes.count(0), n_processes),
        _row("entries in the ledger", len(ledger), wanted),
        _row("versions, each whole by its hashes", n_versions, wanted),
        _row("each entry takes over from the one before", int(chained), 1),
        _row("the last entry is active", int(ledger[-1]["to"] == active), 1),
        {"what": "seconds", "found": round(time.perf_counter() - started, 1)},
    ]


def read_meanwhile(n_applies: int, n_reads: int) -> list[dict[str, Any]]:
    """Read while somebody applies, and count what was neither old nor new."""
    with tempfile.TemporaryDirectory() as folder:
        seen = read_while_applying(Path(folder), n_applies, n_reads)
    return [
        {"what": f"reads during {n_applies} applies", "found": seen.n_reads},
        {"what": "different versions seen", "found": seen.n_versions},
        _row("target files that were half of one", seen.n_broken_targets, 0),
        _row("pointers that led to no whole version", seen.n_broken_pointers, 0),
    ]


def _row(what: str, found: int, wanted: int) -> dict[str, Any]:
    return {"what": what, "found": found, "wanted": wanted, "": "" if found == wanted else "NOT AS WANTED"}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--applies", type=int, default=20, help="of each process")
    parser.add_argument("--reads", type=int, default=2000, help="at least so many")
    given = parser.parse_args(arguments)
    columns = ["what", "found", "wanted", ""]
    print(f"{given.processes} processes x {given.applies} applies")
    rows = apply_at_once(given.processes, given.applies)
    print(render(rows, columns), end="\n\n")
    read = read_meanwhile(50, given.reads)
    print(render(read, columns))
    return int(any(row.get("") for row in [*rows, *read]))


if __name__ == "__main__":
    sys.exit(main())
