"""How good is the best configuration after 20 and after 50 experiments: ours beside the peers.

    python benchmarks/search.py --install ENVIRONMENTS           # once: the peers' own environments
    python benchmarks/search.py --environments ENVIRONMENTS      # all methods, all problems, seeds 0 to 2

Everything is measured anew, unless `--out FILE` keeps results: then only what is missing there is measured,
and `--report` prints what it holds and measures nothing. benchmarks/README.md says what each section does.
"""

import argparse
import os
import sys
from pathlib import Path

if not __package__:  # it is run, and not imported
    for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[_variable] = "1"
    # A neighbour of this file has the name of a package, and Python looks in this folder first.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from benchmarks.arena.changes import Changes
from benchmarks.arena.cost import Cost
from benchmarks.arena.crash import Crash
from benchmarks.arena.job import Options, Results, Section
from benchmarks.arena.problems import selected
from benchmarks.arena.running import missing_methods, run_all
from benchmarks.arena.sequential import Search
from benchmarks.arena.simplex import Simplex
from benchmarks.peers import METHODS, method_named
from benchmarks.peers.changed import INGREDIENTS, TRIED

SECTIONS: dict[str, Section] = {
    section.name: section
    for section in (
        Search(),
        Changes("ablations", "without", INGREDIENTS),
        Changes("tried", "with", TRIED),
        Cost(),
        Crash(),
        Simplex(),
    )
}


def parsed(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("sections", nargs="*", default=["search"], help=f"what to measure: {', '.join(SECTIONS)}")
    add("--methods", help=f"comma-separated: {', '.join(METHODS)}; ours:NAME is another method of ours")
    add("--problems", help="comma-separated names, with wildcards")
    add("--aside", action="store_true", help="the problems kept aside instead of the default ones")
    add("--seeds", type=_numbers, default="0,1,2", help="comma-separated")
    add("--n", type=int, help="experiments per run")
    add("--batch", type=_numbers, default="1", help="comma-separated sizes of batches")
    add("--scale", type=int, help="random configurations that set the scale where none is known")
    add("--jobs", type=int, default=1, help="runs at a time")
    add("--out", type=Path, help="keep results in this file, and measure only what is missing there")
    add("--report", action="store_true", help="print what --out holds; measure nothing")
    add("--plot", type=Path, help="draw regret against experiments: .png or .svg")
    add("--environments", type=Path, default=Path("environments"), help="folder of the peers' environments")
    add("--install", type=Path, metavar="FOLDER", help="make the peers' environments there, and stop")
    given = parser.parse_args(argv)
    if unknown := [name for name in given.sections if name not in SECTIONS]:
        parser.error(f"there is no section {unknown[0]!r}; there are: {', '.join(SECTIONS)}")
    if given.report and given.out is None:
        parser.error("--report prints what a file holds: name it with --out")
    try:
        given.problems_selected = selected(given.problems, given.aside)
        for name in _listed(given.methods or ""):
            method_named(name)
    except LookupError as error:
        parser.error(str(error))
    return given


def _listed(text: str) -> list[str]:
    return [part for part in text.split(",") if part]


def _numbers(text: str) -> list[int]:
    return [int(part) for part in _listed(text)]


def options_of(given: argparse.Namespace) -> Options:
    return Options(
        methods=_listed(given.methods) if given.methods else None,
        problems=given.problems_selected,
        seeds=given.seeds,
        batches=given.batch,
        named=given.problems is not None,
        n=given.n,
        scale=given.scale,
        environments=given.environments,
        plot=given.plot,
    )


def main(argv: list[str] | None = None) -> int:
    given = parsed(argv)
    if given.install is not None:
        from benchmarks.peers.environments import install

        return install(given.install)
    options = options_of(given)
    results = Results(given.out)
    status = 0
    for name in given.sections:
        section = SECTIONS[name]
        jobs = section.jobs(options)
        missing = missing_methods(list(dict.fromkeys(job.method for job in jobs)), options.environments)
        failed: list[str] = []
        if not given.report:
            work = [(section, job) for job in jobs if job.method not in missing]
            failed = run_all(work, results, options.environments, given.jobs)
        print(section.report(results.of(jobs), options))
        for method in missing:
            print(f"Not measured here: {method}: no environment {method_named(method).environment!r} in "
                  f"{options.environments} (--install makes it).", file=sys.stderr)  # fmt: skip
        for line in failed:
            print(f"Failed: {line}", file=sys.stderr)
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
