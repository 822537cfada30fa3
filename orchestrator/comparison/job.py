"""One model on one training set, as a pipeline: what workers tune, fit and test.

All jobs of a comparison share the table and one pool. Which job a task belongs to travels in its parameters.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from orchestrator.comparison.rows import Dealt
from orchestrator.pool import Event, Task, WorkerPool
from retrain.honest import holdout_gain, holdout_score
from retrain.metrics import UndefinedMetricError, get_metric, is_share, score
from retrain.pipeline import Pipeline, Report
from retrain.pipelines.blocks import deal_blocks, scores_without_blocks
from retrain.pipelines.folds import LoadedTable, rows_of
from retrain.pipelines.tabular import TabularPipeline
from retrain.tune_rows import choose_rows
from tuner.experiment import Direction, Evaluation, Params, Provenance, loss_of
from tuner.space import IntParam, SearchSpace

if TYPE_CHECKING:
    from retrain.config import Config, SplitsConfig
    from retrain.data import Table
    from retrain.metrics import Predictions

__all__ = ["ALL", "JOB", "TEST", "Job", "JobPool", "Jobs", "Sites", "Training", "loaded_for", "pipeline_of"]

JOB, TEST = "compare.job", "compare.test"
"""Parameters that no model has: which job a task is of; and which configurations to fit and test, if so."""

ALL = "all"
"""The test set of all held-out rows together."""


@dataclass(frozen=True, slots=True)
class Training:
    """What models are trained on.

    Attributes:
        kind: "all" sites, "others" than `site`, or the site's "own" rows.
        site: number of the site; None for all.
        on: numbers of the sites that are trained on.
        tests: names of the test sets; sites, and `ALL`.
    """

    kind: str
    site: int | None
    on: tuple[int, ...]
    tests: tuple[str, ...]

    @property
    def is_known(self) -> bool:
        """Whether it is tested on sites that it was trained on: in domain."""
        return self.kind != "others"


@dataclass(frozen=True, slots=True)
class Job:
    """One model on one training set of one size."""

    model: str
    training: Training
    size: float

    @property
    def key(self) -> str:
        """Unique within a comparison."""
        return f"{self.model}/{self.training.kind}/{self.training.site}/{self.size!r}"


@dataclass(frozen=True, slots=True)
class Sites:
    """The data of a comparison: the table of all its sites, who they are, and which rows are whose."""

    table: "Table"
    names: tuple[str, ...]
    dealt: Dealt

    def training(self, job: Job) -> np.ndarray:
        """The rows that a job learns from."""
        return self.dealt.training(list(job.training.on), job.size)

    def tests(self, job: Job) -> dict[str, np.ndarray]:
        """The rows that it is tested on, none of which any search of it sees, by test set."""
        return {name: self._test(job.training, name) for name in job.training.tests}

    def _test(self, training: Training, name: str) -> np.ndarray:
        if not training.is_known:
            return self.dealt.whole(self.names.index(name))
        return self.dealt.held_out(list(training.on) if name == ALL else [self.names.index(name)])

    def n_unknown(self, job: Job) -> dict[str, int]:
        """How many rows of each test set are of a class that the training rows lack."""
        y = self.table.y
        if not self.table.n_classes:
            return dict.fromkeys(job.training.tests, 0)
        known = np.unique(y[self.training(job)])
        return {name: int((~np.isin(y[rows], known)).sum()) for name, rows in self.tests(job).items()}


def pipeline_of(configs: "Mapping[str, Config]", sites: Sites, job: Job) -> TabularPipeline:
    """The pipeline that scores a job's configurations on its training rows alone, with its data in use."""
    config = configs[job.model]
    data, splits = loaded_for(config, sites, job)
    pipeline = TabularPipeline(config.model_copy(update={"splits": splits}))
    pipeline.use(data)
    return pipeline


def loaded_for(config: "Config", sites: Sites, job: Job) -> "tuple[LoadedTable, SplitsConfig]":
    """The rows of a job, and how its folds are drawn.

    Where it is tested on a site that it does not know, its folds leave whole sites out, too. Its tuning is
    scored on `tune_rows` of the rows to train on, where those are configured; what is compared takes all.
    """
    table, splits, train = sites.table, config.splits, sites.training(job)
    rows = np.concatenate([train, *sites.tests(job).values()])
    digest = hashlib.sha256(f"{table.fingerprint} {job.key} {sites.names}".encode())
    digest.update(np.ascontiguousarray(np.concatenate([[len(train)], rows]), dtype=np.int64).data)
    table = replace(table, fingerprint=f"sha256:{digest.hexdigest()[:32]}")
    # Before sites become the groups: a part of the rows has some of each site, not some of the sites.
    chosen = choose_rows(rows_of(table).take(train), splits.tune_rows, splits.seed)
    tuned = None if chosen is None else train[chosen]
    n_sites = len(np.unique(sites.dealt.site[train]))
    if not job.training.is_known and n_sites > 1:
        folds = min(splits.folds, n_sites)
        splits = splits.model_copy(update={"group": config.compare.site, "folds": folds})
        table = replace(table, groups=sites.dealt.site)
    return LoadedTable(table, train, rows[len(train) :], tuned=tuned), splits


class Jobs(Pipeline):
    """All jobs of a comparison, on the one table that every worker maps.

    Args:
        configs: by model.
        jobs: what there is to do.
        metrics: what test rows are scored by, the one that is optimised first.
    """

    def __init__(self, configs: "Mapping[str, Config]", jobs: Sequence[Job], metrics: Sequence[str]) -> None:
        self.name = "comparison"
        self.space = SearchSpace([IntParam("unused", 0, 1)])
        self.metric = metrics[0]
        self.direction = Direction(get_metric(metrics[0]).direction)
        self._configs = configs
        self._jobs = {job.key: job for job in jobs}
        self._metrics = tuple(metrics)
        self._sites: Sites | None = None
        self._latest: tuple[str, TabularPipeline] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Travels without its data, which every worker is given once and by itself."""
        return {**self.__dict__, "_sites": None, "_latest": None}

    def use(self, data: object) -> None:
        """Take the table with its sites."""
        assert isinstance(data, Sites)
        self._sites, self._latest = data, None

    def provenance(self) -> Provenance:
        """None of its own: each job has one."""
        return Provenance()

    def evaluate(self, params: Params, report: Report, seed: int) -> Evaluation:
        """Score a configuration for a job's tuning; or fit and test the one or two of a test."""
        params = dict(params)
        job, test = self._jobs[str(params.pop(JOB))], params.pop(TEST, None)
        pipeline = self._pipeline_of(job)
        if test is None:
            return pipeline.evaluate_for_tuning(params, report, seed)
        assert self._sites is not None
        return _fit_and_test(pipeline, self._sites, job, json.loads(str(test)), self._metrics, seed)

    def _pipeline_of(self, job: Job) -> TabularPipeline:
        """That of the last job is kept, with its folds."""
        if self._latest is None or self._latest[0] != job.key:
            assert self._sites is not None, "`use` was called"
            self._latest = None
            self._latest = (job.key, pipeline_of(self._configs, self._sites, job))
        return self._latest[1]


def _fit_and_test(
    pipeline: TabularPipeline,
    sites: Sites,
    job: Job,
    configurations: Sequence[Params],
    metrics: Sequence[str],
    seed: int,
) -> Evaluation:
    """Fit one configuration and test it; of two, also what the first gains over the second, row by row.

    Returns:
        As metrics, by `<what>:<metric>:<number of the test set>`: value, low, high of the first; gain,
        gain_low, gain_high of the first over the second. What has no value on these rows is absent.
    """
    models = [pipeline.fit(params, seed) for params in configurations]
    table = sites.table
    found: dict[str, float] = {}
    for i, rows in enumerate(sites.tests(job).values()):
        truth = table.y[rows]
        blocks = deal_blocks(rows_of(table).take(rows), seed)
        said = [model.predictions(table.features[rows]) for model in models]
        for metric in metrics:
            figures = _figures(metric, truth, said, table.n_classes, blocks)
            found |= {f"{what}:{metric}:{i}": value for what, value in figures.items()}
    return Evaluation(float(len(found)), metrics=found)


def _figures(
    metric: str, truth: np.ndarray, said: "Sequence[Predictions]", n_classes: int, blocks: np.ndarray
) -> dict[str, float]:
    try:
        values = [score(get_metric(metric), truth, each, n_classes) for each in said]
    except UndefinedMetricError:
        return {}
    left_out = [scores_without_blocks(metric, truth, each, n_classes, blocks) for each in said]
    figures = {"value": values[0]}
    share = is_share(metric) and 0 <= values[0] <= 1
    interval = holdout_score(values[0], left_out[0], n_rows=len(truth) if share else None)
    if interval is not None:
        figures |= {"low": interval.low, "high": interval.high}
    if len(said) > 1:
        direction = Direction(get_metric(metric).direction)
        figures["gain"] = loss_of(values[1], direction) - loss_of(values[0], direction)
        gain = holdout_gain(values[0], left_out[0], values[1], left_out[1], direction)
        if gain is not None:
            figures |= {"gain_low": gain.low, "gain_high": gain.high}
    return figures


class JobPool(WorkerPool):
    """The workers of a comparison, lent to one job: its tasks say which it is. Their owner closes them."""

    def __init__(self, pool: WorkerPool, job: Job) -> None:
        self.n_workers, self.takes_ahead = pool.n_workers, pool.takes_ahead
        self._pool, self._job = pool, job

    @property
    def n_free(self) -> int:  # noqa: D102 - the contract says it
        return self._pool.n_free

    def submit(self, task: Task) -> None:  # noqa: D102
        self._pool.submit(self._marked(task))

    def submit_ahead(self, tasks: Sequence[Task]) -> None:  # noqa: D102
        self._pool.submit_ahead([self._marked(task) for task in tasks])

    def wait(self, timeout_s: float) -> list[Event]:  # noqa: D102
        return self._pool.wait(timeout_s)

    def cancel(self, key: str) -> None:  # noqa: D102
        self._pool.cancel(key)

    def prune(self, key: str) -> None:  # noqa: D102
        self._pool.prune(key)

    def go_on(self, key: str, step: int) -> None:  # noqa: D102
        self._pool.go_on(key, step)

    def close(self) -> None:
        """Nothing: the workers go on with other jobs."""

    def _marked(self, task: Task) -> Task:
        return replace(task, params={**task.params, JOB: self._job.key})
