"""What memory is worth on a second run: `python -m examples.trainer.again [--data DIR] [--seeds N]`.

A first search has the people who were known a year before, 70 % of them. Then all are there, and a short
search starts: once cold, and once with what the first has taught. Nothing here looks at the test set.
"""

import argparse
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tabulate import tabulate

from examples.trainer.data import write_people
from examples.trainer.settings import TASKS
from examples.trainer.trainer import search
from retrain.config import load_config
from tuner.experiment import Direction
from tuner.registry import open_registry

__all__ = ["again_table", "main", "run_again"]

_BEFORE = 0.7
_AFTER = (1, 2, 4, 8)
"""After so many candidates the best is told."""

Found = dict[str, list[float]]
"""By how the search was started, the best value after 1, 2, 4, ... candidates."""


def run_again(folder: Path, task: str, data: Path | None, *, trials: int, again: int, seed: int = 0) -> Found:
    """Search on most of the people, then on all of them, with and without memory of it.

    Args:
        folder: holds the configurations; this has a registry of its own in a folder below it.
        task: "death" or "weight".
        data: the folder with the real data; None for the sample.
        trials: of the first search.
        again: of each later one.
        seed: of the first search; the later two have the next one.
    """
    below = folder / f"again-{task}-{seed}"
    below.mkdir()
    shutil.copy(folder / TASKS[task], below)
    write_people(below / "nhefs.csv", data, share=_BEFORE)
    search(below, task, study="before", seed=seed, trials=trials)
    write_people(below / "nhefs.csv", data)
    found = {}
    for start in ("memory", "cold"):  # in this order: the memory would know a cold one that came before
        search(below, task, study=start, seed=seed + 1, trials=again, workers=1, memory=start == "memory")
        found[start] = _best_after(below, task, start, [n for n in _AFTER if n <= again])
    return found


def _best_after(folder: Path, task: str, study: str, counts: Sequence[int]) -> list[float]:
    """The best of the first `n` candidates, for each of `counts`; the default one is none of them."""
    with open_registry(load_config(folder / TASKS[task]).db, create=False, read_only=True) as registry:
        stored = registry.find_study(study)
        assert stored is not None, "it has just been searched"
        experiments = [each for each in registry.experiments(stored) if each.method != "default"]
    values = [each.value for each in experiments if each.value is not None]
    better = max if stored.direction is Direction.MAXIMIZE else min
    return [better(values[:n]) for n in counts]


def again_table(task: str, runs: Sequence[Found]) -> str:
    """The best after so many candidates, the mean of several runs."""
    means = {
        start: [sum(values) / len(runs) for values in zip(*(run[start] for run in runs), strict=True)]
        for start in ("cold", "memory")
    }
    heads = [f"{task}, best of", *map(str, _AFTER[: len(means["cold"])])]
    return tabulate([[start, *values] for start, values in means.items()], heads, floatfmt=".4f")


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table of each task."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, metavar="DIR", help="the folder with the real data")
    parser.add_argument("--seeds", type=int, default=3)
    asked = parser.parse_args(argv)
    for task in TASKS:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            shutil.copy(Path(__file__).parent / TASKS[task], folder)
            runs = [
                run_again(folder, task, asked.data, trials=16, again=4, seed=seed)
                for seed in range(0, 2 * asked.seeds, 2)
            ]
        print(again_table(task, runs), flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
