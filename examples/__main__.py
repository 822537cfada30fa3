"""`python -m examples [NAME ...] [--data DIR]`: run the applications in a row, and print one table.

Without `--data` each runs on a small sample that it makes itself; with it, on the real data in that folder.
"""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from examples.steps import Gained, StepError
from retrain.tables import render
from tuner.errors import RetrainError

HERE = Path(__file__).parent
NAMES = tuple(
    name
    for name in ("movies", "verbal_autopsy", "risk", "trainer", "text")
    if (HERE / name / "run.py").is_file()
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run what was asked for; 1 where one of them failed."""
    parser = argparse.ArgumentParser(prog="python -m examples", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which: all of {', '.join(NAMES)}")
    parser.add_argument("--data", type=Path, metavar="DIR", help="the folder with the real data")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="run in this folder and leave it")
    asked = parser.parse_args(argv)
    unknown = [name for name in asked.names if name not in NAMES]
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; there are {', '.join(NAMES)}")
    if asked.data is not None and not asked.data.is_dir():
        parser.error(f"--data must be a folder, but {str(asked.data)!r} is none")
    rows: list[Gained] = []
    failed: list[str] = []
    for name in asked.names or NAMES:
        print(f"\n==== {name}\n", flush=True)
        try:
            rows += run(name, asked.data, asked.keep)
        except (StepError, RetrainError) as error:
            print(f"error: {name}: {error}", file=sys.stderr, flush=True)
            if isinstance(error, RetrainError) and error.remedy:
                print(f"try: {error.remedy}", file=sys.stderr, flush=True)
            failed.append(name)
    print("\n" + table(rows))
    return 1 if failed else 0


def run(name: str, data: Path | None, keep: Path | None) -> list[Gained]:
    """Run one example in a copy of its folder.

    Args:
        name: its folder.
        data: the folder with the real data of all; None for the example's own sample.
        keep: where the copy goes and stays; None for a temporary one.
    """
    module = import_module(f"examples.{name}.run")
    with tempfile.TemporaryDirectory() as scratch:
        folder = (keep or Path(scratch)).resolve() / name
        shutil.copytree(HERE / name, folder, ignore=shutil.ignore_patterns("__pycache__"))
        gained: list[Gained] = module.run(folder, None if data is None else data.resolve())
        return gained


def table(rows: Sequence[Gained]) -> str:
    """One line for each task of each application, in 80 columns; metrics and notes below.

    Of a name with a comma, what stands before it is the line above those tasks.
    """
    heads = ["application", "default", "tuned", "gain, 95 % interval", "n", "min"]
    lines: list[dict[str, object]] = []
    above = ""
    for row in rows:
        whole, _, task = row.application.rpartition(", ")
        if whole and whole != above:
            lines.append({"application": whole})
        above = whole
        cells = (
            task,
            f"{row.default:.4f}",
            f"{row.tuned:.4f}",
            f"{row.tuned - row.default:+.4f}{_interval(row)}",
            row.n_experiments,
            f"{row.seconds / 60:.1f}",
        )
        lines.append(dict(zip(heads, cells, strict=True)))
    notes = [f"{row.application}: {row.metric}{row.note and '; '}{row.note}" for row in rows]
    return "\n".join(
        ["Scores on held-out rows; n experiments, minutes by the clock", render(lines, heads), "", *notes]
    )


def _interval(row: Gained) -> str:
    return "" if row.low is None or row.high is None else f" [{row.low:+.4f}, {row.high:+.4f}]"


if __name__ == "__main__":
    sys.exit(main())
