"""How long until the light commands answer, beside a bare `python -c "import click"` in the same run.

The targets: `--help` within 2 times that, `--summary` and the other reports within 4 times.

python benchmarks/startup.py [--runs 7]
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tabulate import tabulate

from tuner.experiment import Direction, Evaluation, Provenance, Suggestion
from tuner.registry import open_registry
from tuner.registry.base import StudySpec
from tuner.space import FloatParam, SearchSpace

N_EXPERIMENTS = 100


def fill(folder: Path) -> None:
    """Write a study of finished experiments, and the configuration that names it."""
    space = SearchSpace([FloatParam("x", 0.0, 1.0)])
    spec = StudySpec("startup", space.to_dict(), "value", Direction.MINIMIZE, space.defaults())
    with open_registry(str(folder / "experiments.db"), create=True) as registry:
        study = registry.open_study(spec)
        registry.add(study, [Suggestion({"x": i / N_EXPERIMENTS}, "random") for i in range(N_EXPERIMENTS)])
        for claim in registry.claim(study, N_EXPERIMENTS):
            value = float(claim.experiment.params["x"] or 0.0)
            registry.complete(claim, Evaluation(value, duration_s=1.0), Provenance())
    (folder / "objective.py").write_text("def train(params):\n    return params['x']\n")
    (folder / "retrain.toml").write_text(
        'name = "startup"\n[pipeline]\nkind = "objective:train"\nmetric = "value"\ndirection = "minimize"\n'
        '[space.params]\nx = { type = "float", low = 0.0, high = 1.0 }\n'
    )


def seconds(command: list[str], folder: Path) -> float:
    """Wall seconds of one run of a command that must succeed."""
    start = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    return time.perf_counter() - start


def target(command: str) -> int | None:
    """How many times the floor a command may take."""
    if command.startswith("python"):
        return None
    return 2 if command.endswith("--help") else 4


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=7)
    runs = parser.parse_args().runs
    scripts = Path(sys.executable).parent
    commands = {
        'python -c "import click"': [sys.executable, "-c", "import click"],
        "retrain --help": [str(scripts / "retrain"), "--help"],
        "orchestrator --help": [str(scripts / "orchestrator"), "--help"],
        "orchestrator --summary": [str(scripts / "orchestrator"), "--summary"],
        "orchestrator ls": [str(scripts / "orchestrator"), "ls"],
        "orchestrator show best": [str(scripts / "orchestrator"), "show", "best"],
        "retrain --tune-report": [str(scripts / "retrain"), "--tune-report"],
    }
    os.environ["NO_COLOR"] = "1"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fill(folder)
        times: dict[str, list[float]] = {what: [] for what in commands}
        for _ in range(
            runs + 1
        ):  # in turn, so that a slow minute meets all of them; the first round warms up
            for what, command in commands.items():
                times[what].append(seconds(command, folder))
    floor = statistics.median(times['python -c "import click"'][1:])
    rows = [
        (
            what,
            statistics.median(t[1:]),
            min(t[1:]),
            max(t[1:]),
            statistics.median(t[1:]) / floor,
            target(what),
        )
        for what, t in times.items()
    ]
    print(f"{N_EXPERIMENTS} experiments in the study, {runs} runs each, seconds")
    print(tabulate(rows, headers=["command", "median", "min", "max", "x floor", "target"], floatfmt=".3f"))


if __name__ == "__main__":
    main()
