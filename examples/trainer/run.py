"""Both tasks as a bigger pipeline runs them: search, train, one look at the test set; and again next year."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from examples.steps import Gained
from examples.trainer.again import again_table, run_again
from examples.trainer.data import write_people
from examples.trainer.settings import TASKS
from examples.trainer.trainer import train
from retrain.config import load_config
from retrain.holdout import count_look
from retrain.honest import holdout_gain
from retrain.pipelines import load_pipeline
from tuner.experiment import Direction
from tuner.registry import open_registry

__all__ = ["held_out", "run"]


def run(folder: Path, data: Path | None) -> list[Gained]:
    """Search and train for both tasks, score the models on held-out people; then the year after.

    Args:
        folder: a scratch copy of this one.
        data: the folder with the real data; None for the sample.
    """
    trials, again = (40, 8) if data is not None else (8, 4)
    rows = []
    for task in TASKS:
        start = time.perf_counter()
        write_people(folder / "nhefs.csv", data)
        result = train(folder, task, trials=trials, progress=True)
        print(json.dumps(result, indent=1), flush=True)
        rows.append(held_out(folder, task, result, start))
        if data is not None or task == "weight":
            print(
                again_table(task, [run_again(folder, task, data, trials=trials // 2, again=again)]),
                flush=True,
            )
    return rows


def held_out(folder: Path, task: str, result: Mapping[str, Any], start: float) -> Gained:
    """Score the default and the best configuration on the test set: the one look at it, which is counted."""
    config = load_config(folder / TASKS[task])
    pipeline = load_pipeline(config)
    pipeline.use(pipeline.load())
    name = f"test_{pipeline.metric}"
    scores = {}
    with open_registry(config.db, create=False) as registry:
        best = registry.get_experiment(result["hpo_best_trial"])
        for what, params in (("default", pipeline.space.defaults()), ("tuned", best.params)):
            scores[what] = pipeline.test(pipeline.fit(params, config.study.seed))
            count_look(registry, pipeline, params, scores[what], why="examples trainer", who="the example")
    default, tuned = scores["default"], scores["tuned"]
    gain = holdout_gain(
        tuned.metrics[name],
        tuned.left_out.get(name, ()),
        default.metrics[name],
        default.left_out.get(name, ()),
        Direction.MAXIMIZE,  # of the difference itself, in whatever direction it is better
    )
    return Gained(
        f"trainer, {task}",
        pipeline.metric,
        default.metrics[name],
        tuned.metrics[name],
        None if gain is None else gain.low,
        None if gain is None else gain.high,
        result["hpo_trials_run"],
        time.perf_counter() - start,
        f"default: xgboost; tuned: {best.params['model']}; {tuned.n_rows} people held out",
    )
