"""The chaos run as a command.

python -m tests.chaos --seed 0 --experiments 300 --kills 50     the small form, as in the tests
python -m tests.chaos --experiments 5000 --kills 1000           the long form, some minutes
python -m tests.chaos --mutants                                 whether it would notice
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.chaos.mutants import MUTANTS
from tests.chaos.report import print_mutants, print_report
from tests.chaos.run import run, try_mutants
from tests.chaos.settings import Settings

__all__ = ["main"]


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--experiments", type=int, default=300, metavar="N")
    parser.add_argument("--kills", type=int, default=50, metavar="N", help="one pause comes with every three")
    parser.add_argument("--orchestrators", type=int, default=3, metavar="K")
    parser.add_argument("--hosts", type=int, default=2, metavar="N", help="spread over pretended hosts")
    parser.add_argument("--lease", type=float, default=0.5, metavar="S", help="of an owner on another host")
    parser.add_argument("--engine", choices=("bundled", "python"), default="bundled")
    parser.add_argument("--patience", type=float, default=3600, metavar="S", help="longer is a violation")
    parser.add_argument("--mutant", choices=tuple(MUTANTS), help="build this defect in")
    parser.add_argument("--mutants", action="store_true", help="try all of them, one after the other")
    parser.add_argument("--format", choices=("table", "json"), default="table")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        if given.mutants:
            started = time.monotonic()
            reports = try_mutants(Path(folder), given.seed, given.engine)
            return print_mutants(reports, time.monotonic() - started, given.format)
        report = run(
            Settings(
                folder=Path(folder) / "run",
                seed=given.seed,
                experiments=given.experiments,
                kills=given.kills,
                orchestrators=given.orchestrators,
                n_hosts=given.hosts,
                lease_s=given.lease,
                engine=given.engine,
                mutant=given.mutant,
                points=MUTANTS[given.mutant].points if given.mutant else {},
                patience_s=given.patience,
            )
        )
    return print_report(report, given.format)


if __name__ == "__main__":
    sys.exit(main())
