"""A table of three sites for comparisons, and a pool that works in this process."""

from pathlib import Path

import numpy as np
import pandas as pd

from orchestrator.pool import Event, Finished, Task, WorkerPool
from orchestrator.worker import run_task
from retrain.pipeline import Pipeline

CONFIG = """
[pipeline]
model = "logistic_regression"
data = "places.csv"
target = "cause"
metric = "accuracy"
drop = ["id", "code"]
[splits]
folds = 3
holdout = 0.25
[space]
preset = "logistic_regression/conservative"
[compare]
site = "place"
metrics = ["csmf_accuracy"]
[compare.spaces.random_forest.params]
n_estimators = { type = "int", low = 5, high = 20, default = 10 }
max_depth = { type = "int", low = 2, high = 8, default = 4 }
"""


def table(n: int = 60, seed: int = 0) -> pd.DataFrame:
    """Three sites of `n` rows: four causes, one of them rare, one that "south" alone has."""
    rng = np.random.default_rng(seed)
    place = np.repeat(["north", "south", "west"], n)
    cause = rng.choice(["a", "b", "c"], size=3 * n, p=[0.5, 0.3, 0.2])
    cause[[3, 5, n + 4]] = "rare"
    cause[n + 10 : n + 16] = "southern"
    features = rng.normal(size=(3 * n, 4)) + 1.5 * (cause[:, None] == np.array(["a", "b", "c", "rare"]))
    frame = pd.DataFrame(features, columns=["w", "x", "y", "z"])
    return frame.assign(id=range(3 * n), place=place, code=cause, cause=cause)


def write_places(folder: Path, frame: pd.DataFrame | None = None, config: str = CONFIG) -> None:
    """A project with such a table."""
    (folder / "retrain.toml").write_text(config)
    (table() if frame is None else frame).to_csv(folder / "places.csv", index=False)


class InlinePool(WorkerPool):
    """Runs each task where it is submitted, on the pipeline and data that it was started with."""

    def __init__(self, pipeline: Pipeline, data: object, n_workers: int = 2) -> None:
        self.n_workers = n_workers
        self.ran: list[Task] = []
        self.pipeline, self.data = pipeline, data
        pipeline.use(data)
        self._events: list[Event] = []

    @property
    def n_free(self) -> int:
        return self.n_workers - sum(isinstance(each, Finished) for each in self._events)

    def submit(self, task: Task) -> None:
        self.ran.append(task)
        self._events.append(Finished(task.key, run_task(self.pipeline, task, self._events.append)))

    def wait(self, timeout_s: float) -> list[Event]:
        events, self._events = self._events, []
        return events

    def cancel(self, key: str) -> None:
        """It has ended already."""

    def prune(self, key: str) -> None:
        """It has ended already."""

    def go_on(self, key: str, step: int) -> None:
        """It has ended already."""

    def close(self) -> None:
        """There is nothing to end."""
