"""The same kills and pauses on our registry and on Optuna's SQLite storage: what is lost, stuck or doubled.

    python benchmarks/chaos.py [--seed N] [--experiments N] [--kills N] [--peer PYTHON]

Three processes work off configurations of 5 to 50 ms each, while a nemesis kills them (SIGKILL) and stops
them for longer than a lease or grace period (SIGSTOP, then SIGCONT). Kills and pauses fall by progress, from
the same seed for each system. Optuna runs as it is by default, and with its heartbeats and retries on. Ours
is the chaos run of the tests (`python -m tests.chaos`), whose configurations also raise, die and score NaN,
while Optuna's all score. What is true is written to files outside the databases.

executions: how often one was begun; extra: those that became neither a result nor a counted failure.
results: configurations with an end that is stored. lost: acknowledged and not stored, or never ended. stuck:
running for ever. doubled: stored or acknowledged twice. refused: results that came too late and were not
taken, and other errors of the storage.

Optuna is no dependency of ours: `--peer` names the Python of an environment that has it (default: this one).
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tabulate import tabulate

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.chaos.history import read_lines
from tests.chaos.run import run
from tests.chaos.settings import Settings

COUNTED = ("executions", "extra", "results", "lost", "stuck", "doubled", "refused")
HEAD = ("system", "experiments", "kills", "pauses", *COUNTED, "seconds")
PATIENCE_S = 1800.0


def ours(folder: Path, seed: int, experiments: int, kills: int) -> dict[str, Any]:
    """One run of our own, on one host."""
    settings = Settings(
        folder=folder,
        seed=seed,
        experiments=experiments,
        kills=kills,
        n_hosts=1,
        patience_s=PATIENCE_S,
    )
    report = run(settings)
    if report.violations:
        raise SystemExit("\n".join(report.violations))
    lines = read_lines(settings.logs / "executions.jsonl")
    return {
        "system": "retrain",
        "experiments": experiments,
        "executions": sum(line["kind"] == "began" for line in lines),
        "extra": report.verdict.extra_executions,
        "stuck": experiments - report.verdict.results,
        "refused": report.verdict.fenced,
        **{name: report.figures()[name] for name in ("kills", "pauses", "results", "lost", "seconds")},
        "doubled": report.verdict.duplicated,
    }


def peer(
    python: str, folder: Path, seed: int, experiments: int, kills: int, heartbeat: bool
) -> dict[str, Any] | None:
    """The same on Optuna; None where this Python has none."""
    folder.mkdir()
    strikes = ["--kills", str(kills), "--pauses", str(Settings(folder, kills=kills).pauses)]
    command = [python, str(ROOT / "benchmarks" / "chaos_optuna.py"), str(folder), "--seed", str(seed)]
    command += ["--experiments", str(experiments), *strikes, *(["--heartbeat"] if heartbeat else [])]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        if "No module named 'optuna'" in done.stderr:
            return None
        raise SystemExit(done.stderr)
    said = json.loads(done.stdout)
    system = f"Optuna {said['version']}" + (", heartbeat and retry" if heartbeat else "")
    extra = said["executions"] - said["results"]
    return {"system": system, "experiments": experiments, "extra": extra, **said}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--experiments", type=int, default=150, metavar="N")
    parser.add_argument("--kills", type=int, default=40, metavar="N", help="one pause comes with every three")
    parser.add_argument("--peer", default=sys.executable, metavar="PYTHON", help="a Python that has optuna")
    given = parser.parse_args()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="chaos-") as name:
        folder = Path(name)
        for kills in (0, given.kills):
            rows.append(ours(folder / f"ours{kills}", given.seed, given.experiments, kills))
            for heartbeat in (False, True):
                place = folder / f"peer{kills}{heartbeat}"
                found = peer(given.peer, place, given.seed, given.experiments, kills, heartbeat)
                rows += [found] if found else []
    print(tabulate([[row[name] for name in HEAD] for row in rows], HEAD))
    if len(rows) == 2:
        print("Optuna is not installed here, so its rows are missing. Try --peer .peer/bin/python after")
        print("    python -m venv .peer && .peer/bin/pip install optuna")


if __name__ == "__main__":
    main()
