"""From the defaults to a tuned model in production, and a floor below which it is looked after."""

import json
import os
from pathlib import Path
from typing import Any

from examples.risk.data import write_clients
from examples.risk.modes import Mode, study_of, words
from examples.steps import Gained, Shell
from retrain.config import load_config
from retrain.honest import holdout_gain
from retrain.pipelines import load_pipeline
from tuner.experiment import Params

__all__ = ["promoted", "run"]

POOL = ("--pool", "local", "--no-progress")
FLOOR = 0.70
REAL: dict[str, Any] = {"mode": "aggressive", "time_budget": "10m", "max_concurrent": 2}
"""Ten minutes of the two hours that the mode may take."""

SAMPLE: dict[str, Any] = {
    **REAL,
    "experiments": 12,
    "time_budget": "1m",
    "grace_period": 10,
    "preset": "xgboost/default",
}
"""Enough to see it work."""


def run(folder: Path, data: Path | None) -> list[Gained]:
    """Run it in a copy of this folder.

    Args:
        folder: the copy.
        data: the folder that holds `risk_credit_default/`; None for the sample.
    """
    write_clients(folder / "clients.csv", data)
    shell = Shell(folder)
    mode = Mode.of(SAMPLE if data is None else REAL)
    shell.run(*words(mode), *POOL)
    study = ("--study", study_of(mode))
    as_tuned = ("env", f"RETRAIN_SPACE_PRESET={mode.preset}")
    shell.run(*as_tuned, "orchestrator", "--summary", *study)
    shell.run(*as_tuned, "retrain", "--apply-hp", "best", *study, codes=(0, 3))
    print(json.dumps(promoted(folder), indent=1), flush=True)
    counts = shell.read(*as_tuned, "orchestrator", "--summary", *study)
    row = _gained(folder, mode, counts, shell.seconds)
    (folder / "live.jsonl").write_text('{"roc_auc": 0.64}\n')  # what a monitor of the served model wrote
    shell.run("retrain", "--watch-metric", "live.jsonl", "--min", str(FLOOR), codes=(0, 1))
    return [row]


def promoted(folder: Path) -> dict[str, Any]:
    """What is in production, by the path that never changes: `versions/current.json` names the version.

    Its folder holds the model, the hyperparameters, the metrics, and where all of it came from.
    """
    versions = folder / "versions"
    number = json.loads((versions / "current.json").read_text(encoding="utf-8"))["risk"]["version"]
    manifest = json.loads((versions / f"{number:06d}" / "manifest.json").read_text(encoding="utf-8"))
    return {"version": number, **{key: manifest[key] for key in ("params", "metrics") if key in manifest}}


def _gained(folder: Path, mode: Mode, summary: dict[str, Any], seconds: float) -> Gained:
    """The defaults and the best of the search, both on clients that no search has seen."""
    config = load_config(folder, {"space.preset": mode.preset}, environ=dict(os.environ))
    pipeline = load_pipeline(config)
    pipeline.use(pipeline.load())
    best: Params = summary["best"][0]["params"]
    default, tuned = (
        pipeline.test(pipeline.fit(params, config.study.seed)) for params in (pipeline.space.defaults(), best)
    )
    name = f"test_{pipeline.metric}"
    gain = holdout_gain(
        tuned.metrics[name],
        tuned.left_out[name],
        default.metrics[name],
        default.left_out[name],
        pipeline.direction,
    )
    counts = summary["counts"]
    return Gained(
        "risk",
        pipeline.metric,
        default.metrics[name],
        tuned.metrics[name],
        None if gain is None else gain.low,
        None if gain is None else gain.high,
        sum(counts.values()),
        seconds,
        f"{mode.mode}; {counts['pruned']} stopped early; {tuned.n_rows} clients held out",
    )
