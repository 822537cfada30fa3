"""From the defaults, which the gate refuses, to a tuned recommender in production, in two phases."""

import json
import os
from pathlib import Path
from typing import Any

from examples.movies.data import prepare
from examples.steps import Gained, Shell
from retrain.config import load_config
from retrain.honest import holdout_gain
from retrain.pipelines import load_pipeline

__all__ = ["run"]

METRIC = "pairwise_accuracy"
POOL = ("--pool", "local", "--no-progress")
PHASE = ("--phase", "taste")
PHASE_2_DEFAULTS = {"user_preference_weight": 0.0, "franchise_depth_scaling": 0.0, "rating_model": "mean"}


def run(folder: Path, data: Path | None) -> list[Gained]:
    """Run it in a copy of this folder.

    Args:
        folder: the copy.
        data: the folder that holds `movies/`; None for the sample.
    """
    n_films, n_ratings = prepare(folder, None if data is None else data / "movies")
    print(f"{n_ratings} ratings of {n_films} films\n", flush=True)
    shell = Shell(folder)
    shell.run("retrain", codes=(3,))  # the gate refuses the defaults
    shell.run("orchestrator", "--method", "bayesian", "--configs", "50", *POOL)
    shell.run("orchestrator", "--summary")
    shell.run("retrain", "--apply-hp", "best")
    first = shell.read("retrain", "--history")
    seconds = shell.seconds
    shell.run("orchestrator", "--method", "bayesian", "--configs", "20", *PHASE, *POOL)
    shell.run("retrain", "--apply-hp", "best", *PHASE, codes=(0, 3))
    shell.run("retrain", "--history")
    phase_2 = shell.read("orchestrator", "--summary", *PHASE)
    default, tuned = ({**PHASE_2_DEFAULTS, **_params(folder, version)} for version in (1, 2))
    both = {**tuned, **phase_2["best"][0]["params"]}
    assert len(first) == 2, "what was in place, and what was applied"
    return [
        _gained(folder, "movies, first search", default, tuned, 51, seconds),
        _gained(folder, "movies, taste", tuned, both, 21, shell.seconds - seconds),
    ]


def _params(folder: Path, version: int) -> dict[str, Any]:
    """The hyperparameters of a version."""
    text = (folder / "versions" / f"{version:06d}" / "manifest.json").read_text(encoding="utf-8")
    params: dict[str, Any] = json.loads(text)["params"]
    return params


def _gained(
    folder: Path, name: str, before: dict[str, Any], after: dict[str, Any], n: int, seconds: float
) -> Gained:
    """Both on the users that no search has seen."""
    config = load_config(folder, environ=dict(os.environ))
    pipeline = load_pipeline(config)
    pipeline.use(pipeline.load())
    scores = [pipeline.test(pipeline.fit(params, config.study.seed)) for params in (before, after)]
    value, left_out = (
        [getattr(each, part)[f"test_{METRIC}"] for each in scores] for part in ("metrics", "left_out")
    )
    gain = holdout_gain(value[1], left_out[1], value[0], left_out[0], pipeline.direction)
    return Gained(
        name,
        METRIC,
        value[0],
        value[1],
        None if gain is None else gain.low,
        None if gain is None else gain.high,
        n,
        seconds,
        f"{scores[0].n_rows} ratings of held-out users to rank; seeds {config.splits.seed} of the holdout,"
        f" {config.study.seed} of the search",
    )
