"""What is to be compared: checked whole, before anything runs or is written."""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from orchestrator.comparison.job import ALL, Job, Sites, Training, loaded_for, pipeline_of
from orchestrator.comparison.rows import deal
from retrain.data import Roles, find_leaks, known_rows, make_table, read_table, warn_of_row_names
from retrain.metrics import Metric, get_metric
from retrain.models import check_metric, check_task, get_family, make_model
from retrain.params import best_params
from retrain.pipelines.folds import rows_of
from retrain.splits import make_folds
from tuner.errors import ConfigError, DataError, UsageError, did_you_mean
from tuner.experiment import Params
from tuner.generators import make_generator
from tuner.space.share import check_share

if TYPE_CHECKING:
    import pandas as pd

    from retrain.config import Config

__all__ = ["METHODS", "RAY_TUNE", "Asked", "Design", "design"]

_log = logging.getLogger(__name__)

RAY_TUNE = "ray_tune"

METHODS: Mapping[str, str] = MappingProxyType(
    {"bayesian": "bayesian", "random": "random", "grid": "grid", "optuna": "tpe", RAY_TUNE: RAY_TUNE}
)
"""How users call a method of tuning, and what it is called in the registry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the user asks for; empty where the configuration or the data say.

    Attributes:
        data: a table instead of the configured one.
        sites, models: names.
        sizes: shares of the training rows, in (0, 1].
        train_on: of "all", "others", "own".
        tune: whether to tune, too.
        method: of `METHODS`.
        trials: candidates of each tuning; the defaults come on top.
        timeout_s: of each tuning.
        metric: that is tuned, and looked at first.
    """

    data: Path | None = None
    sites: Sequence[str] = ()
    models: Sequence[str] = ()
    sizes: Sequence[float] = ()
    train_on: Sequence[str] = ()
    tune: bool = False
    method: str = "bayesian"
    trials: int = 20
    timeout_s: float | None = None
    metric: str | None = None


@dataclass(frozen=True, slots=True)
class Design:
    """A comparison that can be run.

    Attributes:
        configs: the configuration of each model.
        sites: the data.
        jobs: what there is to tune, fit and test.
        metrics: what test rows are scored by, the one that is optimised first.
        asked: what it was made from.
    """

    configs: Mapping[str, "Config"]
    sites: Sites
    jobs: tuple[Job, ...]
    metrics: tuple[str, ...]
    asked: Asked

    def n_folds(self, job: Job) -> int:
        """Of one cross-validation of a job."""
        return loaded_for(self.configs[job.model], self.sites, job)[1].folds

    def defaults(self, model: str) -> Params:
        """The configuration that tuning is measured against."""
        return self.configs[model].search_space().defaults()


def design(config: "Config", asked: Asked) -> Design:
    """Read the data and say what is to be done.

    Raises:
        UsageError: something that was asked for, configured or is in the data cannot be compared; says what.
    """
    metric, metrics = _metrics(config, asked)
    models = _models(config, asked)
    sizes = _sizes(asked.sizes)
    if asked.method not in METHODS:
        raise UsageError(
            f"Unknown tuning method {asked.method!r}.{did_you_mean(asked.method, METHODS)}",
            f"There are: {', '.join(METHODS)}.",
        )
    config = _of_sites(config, asked.data)
    configs = {model: _config_of(config, model, metric.name) for model in models}
    for each in configs.values():
        _check_space(each, asked)
    sites, frame = _sites(config, asked.sites, metric)
    for model in models:
        check_task(get_family(model), sites.table.task)
        check_metric(get_family(model), metric.name)
        space, fixed = configs[model].search_space(), configs[model].pipeline.fixed
        make_model(model, best_params(space, {}, fixed), sites.table.task, 0)
    for name in metrics[1:]:
        _check_defined(name, sites)
    trainings = _trainings(sites.names, asked.train_on or config.compare.train_on, bool(asked.train_on))
    jobs = tuple(Job(model, each, size) for each in trainings for size in sizes for model in models)
    found = Design(configs, sites, jobs, metrics, asked)
    _check_jobs(found, metric)
    _tell_of_leaks(config, found, frame)
    return found


# ---- what is asked for


def _metrics(config: "Config", asked: Asked) -> tuple[Metric, tuple[str, ...]]:
    if config.pipeline.kind != "tabular":
        raise ConfigError(
            f"Sites are compared on a table, but the pipeline is of kind {config.pipeline.kind!r}.",
            'Set kind = "tabular", data and target under [pipeline].',
        )
    if config.splits.time is not None:
        raise ConfigError(
            "A comparison deals the rows of each site at random, but splits.time orders them.",
            "Take time out of [splits], in a configuration of its own: --config.",
        )
    metric = get_metric(asked.metric or str(config.pipeline.metric))
    names = [metric.name, str(config.pipeline.metric), *config.compare.metrics]
    return metric, tuple(dict.fromkeys(names))


def _models(config: "Config", asked: Asked) -> list[str]:
    configured = config.pipeline.model
    given = asked.models or ([configured] if isinstance(configured, str) else list(configured or ()))
    return [get_family(name).name for name in dict.fromkeys(given)]


def _sizes(given: Sequence[float]) -> list[float]:
    for size in given:
        if not (math.isfinite(size) and 0 < size <= 1):
            raise UsageError(
                f"A training size is a share of the training rows, above 0 and at most 1, but got {size:g}.",
                "Such as: --training-sizes 0.5 1.0",
            )
    return sorted(set(given)) or [1.0]


def _of_sites(config: "Config", data: Path | None) -> "Config":
    """The same with its column of sites and its data named, and without what a comparison ignores."""
    site = config.compare.site or config.splits.group
    if site is None:
        raise ConfigError(
            f"A comparison must know which column holds the sites, but {config.source.name} does not say.",
            'Add [compare] with site = "the column".',
        )
    pipeline, splits = config.pipeline, config.splits
    if data is not None:
        pipeline = pipeline.model_copy(update={"data": str(data.absolute())})
    if splits.group == site:
        splits = splits.model_copy(update={"group": None})
    compare = config.compare.model_copy(update={"site": site})
    nothing = {"objective": (), "limit": (), "gate": ()}
    return config.model_copy(update={"pipeline": pipeline, "splits": splits, "compare": compare, **nothing})


def _config_of(config: "Config", model: str, metric: str) -> "Config":
    from retrain.config import SpaceConfig

    own = model == config.pipeline.model
    space = config.compare.spaces.get(model)
    if space is None:
        space = config.space if own else SpaceConfig()
    stops = get_family(model).default_rounds is not None
    changed = {
        "model": model,
        "metric": metric,
        "direction": None,
        "fixed": config.pipeline.fixed if own else {},
        "early_stopping_rounds": config.pipeline.early_stopping_rounds if stops else None,
    }
    return config.model_copy(update={"pipeline": config.pipeline.model_copy(update=changed), "space": space})


def _check_space(config: "Config", asked: Asked) -> None:
    space = config.search_space()
    if not asked.tune:
        return
    if asked.method == RAY_TUNE:
        from orchestrator.ray_tuning import check_ray_tune

        check_share(space)
        check_ray_tune(space)
    else:
        make_generator(METHODS[asked.method], space)


# ---- the data


def _sites(config: "Config", wanted: Sequence[str], metric: Metric) -> "tuple[Sites, pd.DataFrame]":
    """The table of the sites that are compared, and the raw rows that it was made of."""
    pipeline, column = config.pipeline, str(config.compare.site)
    target = pipeline.target or "target"
    frame = read_table(str(pipeline.data), config.root)
    names = list(map(str, frame.columns))
    for key, name in (("target", target), ("compare.site", column)):
        if name not in names:
            raise DataError(
                f"The data have no column {name!r}, as {key} names it.{did_you_mean(name, names)}",
                f"Columns: {', '.join(names[:20])}, ..."
                if len(names) > 20
                else f"Columns: {', '.join(names)}",
            )
    frame = known_rows(frame, target)
    of_row = frame[column].astype("str").where(frame[column].notna(), "")
    there = {str(name): int(n) for name, n in of_row.value_counts().items() if str(name).strip()}
    for name in wanted:
        if name not in there:
            raise DataError(
                f"There is no site {name!r} in the column {column!r}.{did_you_mean(name, there)}",
                f"Sites and their rows: {', '.join(f'{each} {n}' for each, n in there.items())}.",
            )
    chosen = tuple(dict.fromkeys(wanted or sorted(there)))
    if not chosen:
        raise DataError(f"The column {column!r} names no site in any row.", "Name another as compare.site.")
    kept = of_row.isin(list(chosen))
    if not wanted and not kept.all():
        _log.warning("%d rows name no site and are left out.", int((~kept).sum()))
    frame, of_row = frame[kept], of_row[kept]
    drop = tuple(dict.fromkeys([*pipeline.drop, column]))
    table = make_table(frame, target, metric, drop=drop, group=config.splits.group)
    warn_of_row_names(table)
    site = np.array([chosen.index(name) for name in of_row], dtype=np.int64)
    y = table.y if table.n_classes else None
    dealt = deal(site, y, table.groups, config.splits.holdout, config.splits.seed)
    return Sites(table, chosen, dealt), frame


def _check_defined(name: str, sites: Sites) -> None:
    if sites.table.task not in get_metric(name).tasks:
        raise ConfigError(
            f"The metric {name!r} must be defined for the data, but these are of a {sites.table.task} task.",
            "Name others as compare.metrics.",
        )


def _trainings(names: Sequence[str], kinds: Sequence[str], asked: bool) -> list[Training]:
    every = tuple(range(len(names)))
    found = []
    for kind in dict.fromkeys(kinds):
        if kind == "all":
            found.append(Training(kind, None, every, (*names, ALL) if len(names) > 1 else tuple(names)))
        elif kind == "own":
            found += [Training(kind, i, (i,), (names[i],)) for i in every]
        elif len(names) > 1:
            found += [Training(kind, i, every[:i] + every[i + 1 :], (names[i],)) for i in every]
        elif asked:
            raise UsageError(
                f"To train on others than {names[0]!r}, there must be others, but it is the only site.",
                "Give two or more --sites, or --train-on all.",
            )
    if ALL in names:
        raise DataError(f"A site must not be called {ALL!r}.", "Give it another name in the data.")
    return found or [Training("all", None, every, tuple(names))]


# ---- what each job learns from


def _check_jobs(found: Design, metric: Metric) -> None:
    """Refuse a job that has too little to learn from, or nothing to be tested on."""
    for training, size in dict.fromkeys((job.training, job.size) for job in found.jobs):
        job = next(each for each in found.jobs if (each.training, each.size) == (training, size))
        for name, rows in found.sites.tests(job).items():
            if not len(rows):
                raise DataError(
                    f"The site {name!r} must have rows to test on, but none of its few rows is held out.",
                    "Leave it out (--sites), or hold out more: [splits] holdout.",
                )
        try:
            _check_training(found, job, metric)
        except DataError as error:
            where = ", ".join(found.sites.names[i] for i in training.on)
            raise DataError(
                f"Trained on {where} with training size {size:g}: {error}",
                error.remedy or "Use a larger size, or other sites.",
            ) from None


def _check_training(found: Design, job: Job, metric: Metric) -> None:
    table, rows = found.sites.table, found.sites.training(job)
    if len(rows) < 2:
        raise DataError(f"there are {len(rows)} rows to learn from.", "Use a larger size, or other sites.")
    if table.n_classes and len(np.unique(table.y[rows])) < 2:
        raise DataError(
            f"the rows to learn from must hold at least two classes, but all are"
            f" {table.classes[table.y[rows[0]]]!r}.",
            "Use a larger size, or other sites.",
        )
    if not found.asked.tune:
        return
    data, splits = loaded_for(found.configs[job.model], found.sites, job)
    learned, y = rows_of(data.table).take(data.train), table.y[rows]
    folds = make_folds(learned, splits.folds, 1, found.configs[job.model].study.seed)
    for train, scored in folds:
        if table.n_classes and len(np.unique(y[train])) < 2:
            raise DataError(
                "a fold of the tuning leaves one class to learn from.", "Use a larger size, or other sites."
            )
        if metric.every_class and len(np.unique(y[scored])) < table.n_classes:
            raise DataError(
                f"{metric.name} needs every class in every fold, but some are too rare.",
                "Tune another metric: --tuning-metric.",
            )
    for model in found.configs:
        pipeline = pipeline_of(found.configs, found.sites, replace(job, model=model))
        pipeline.check_rules(table, [(rows[train], rows[scored]) for train, scored in folds])


def _tell_of_leaks(config: "Config", found: Design, frame: "pd.DataFrame") -> None:
    """Warn of what may leak from the training rows of all sites into their held-out rows."""
    sites, every = found.sites, list(range(len(found.sites.names)))
    sides = sites.dealt.training(every, 1.0), sites.dealt.held_out(every)
    if not all(len(side) for side in sides):
        return
    roles = Roles(config.pipeline.target or "target", config.splits.group, None, config.pipeline.trusted)
    for leak in find_leaks(frame, sites.table, sides, [], roles):
        _log.warning("%s", leak)
