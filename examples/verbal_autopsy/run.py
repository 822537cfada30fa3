"""The comparison as a user types it: known sites, then new ones, by default and tuned."""

import csv
from collections.abc import Sequence
from pathlib import Path

from examples.steps import Gained, Shell
from examples.verbal_autopsy.data import write_deaths

__all__ = ["run"]

MODELS = ("logistic_regression", "random_forest", "xgboost")
_PARTS = {"all": ("known", "all"), "others": ("new", "mean")}
"""What is trained on, to what it is called, and which row of the results is the whole."""


def run(folder: Path, data: Path | None) -> list[Gained]:
    """Compare the three models, and say what tuning gained; two rows for each.

    Args:
        folder: a scratch copy of this one.
        data: the folder with the real data; None for the sample.
    """
    write_deaths(folder / "deaths.csv", data)
    trials = {"all": 100, "others": 8} if data is not None else {"all": 15, "others": 6}
    return [row for kind, n in trials.items() for row in compare(folder, kind, n)]


def compare(folder: Path, kind: str, n: int, *, models: Sequence[str] = MODELS) -> list[Gained]:
    """Compare on known sites ("all") or on new ones ("others"), with `n` candidates for each tuning."""
    shell = Shell(folder)
    shell.run(
        *("orchestrator", "compare", "--models", *models, "--train-on", kind, "--tune-hyperparameters"),
        *("--tuning-trials", str(n), "--pool", "local", "--output-dir", kind, "--no-progress"),
    )
    with (folder / kind / "results.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["metric"] == "csmf_accuracy"]
    called, whole = _PARTS[kind]
    gained = []
    for model in models:
        [row] = [each for each in rows if each["model"] == model and each["test_on"] == whole]
        ran = {
            each["study"]: int(each["experiments"])
            for each in rows
            if each["study"] and each["model"] == model
        }
        gained.append(
            Gained(
                f"verbal_autopsy, {called} {model}",
                "csmf_accuracy",
                float(row["default"]),
                float(row["tuned"]),
                _number(row["gain_low"]),
                _number(row["gain_high"]),
                sum(ran.values()),
                shell.seconds / len(models),
            )
        )
    return gained


def _number(text: str) -> float | None:
    return float(text) if text else None
