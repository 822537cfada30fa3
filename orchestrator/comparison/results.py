"""The figures of a comparison as rows, one for each job, test set and metric, and the means over sites."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.comparison.design import Design
from orchestrator.comparison.fits import Fit
from orchestrator.comparison.job import ALL, Job
from orchestrator.comparison.tuned import Tuned
from tuner.experiment import Provenance

__all__ = ["MEAN", "Figure", "Row", "means_of", "rows_of_results"]

MEAN = "mean"
"""What stands for a site in the mean over sites."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A number with its 95 % interval; `low` and `high` are None where the test rows are too few for one."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One model on one training set, tested on one site, by one metric.

    Attributes:
        job: model, training set, size.
        test: name of the site; `ALL` for all held-out rows together, `MEAN` for the mean over sites.
        n_train, n_test: rows.
        n_unknown: test rows of classes that the training rows lack.
        default, tuned: scores; None where there is none.
        gain: of tuned over default, positive where it is better.
        tuning: what the tuning came to; None where nothing was tuned.
        why: why a score is missing.
        kept: the tuning found nothing better than the defaults.
    """

    job: Job
    test: str
    metric: str
    n_train: int
    n_test: int
    n_unknown: int
    default: Figure | None
    tuned: Figure | None
    gain: Figure | None
    tuning: Tuned | None
    why: str = ""
    kept: bool = False


def rows_of_results(
    design: Design,
    defaults: Mapping[Job, Fit],
    tuned: Mapping[Job, Fit],
    tunings: Mapping[Job, Tuned],
    found: Mapping[tuple[Provenance, str], Mapping[tuple[str, str, str], float]],
    failed: Mapping[tuple[Provenance, str], str],
) -> list[Row]:
    """All rows, in the order of the design, each group of sites followed by its mean.

    Args:
        design: what was compared.
        defaults: the fits of each job with its default configuration.
        tuned: those with what tuning found; none of a job that kept its defaults.
        tunings: of each job.
        found: the figures of the fits, by their key.
        failed: why others have none.
    """
    rows: list[Row] = []
    for job in design.jobs:
        tests, unknown = design.sites.tests(job), design.sites.n_unknown(job)
        n_train = len(design.sites.training(job))
        first, second, tuning = defaults[job], tuned.get(job), tunings.get(job)
        ours = found.get(first.key, {})
        theirs = found.get(second.key, {}) if second is not None else {}
        kept = tuning is not None and tuning.params is not None and second is None
        why = failed.get(first.key, "") or (tuning.why if tuning is not None else "")
        why = why or (failed.get(second.key, "") if second is not None else "")
        for metric in design.metrics:
            for test, numbers in tests.items():
                default = _figure(ours, "value", "low", "high", metric, test)
                tuned_ = default if kept else _figure(theirs, "value", "low", "high", metric, test)
                gain = _figure(theirs, "gain", "gain_low", "gain_high", metric, test)
                if kept and default is not None:
                    gain = Figure(0.0, 0.0, 0.0)
                undefined = "" if default or not ours else f"{metric} is undefined on these rows"
                rows.append(
                    Row(
                        job,
                        test,
                        metric,
                        n_train,
                        len(numbers),
                        unknown[test],
                        default,
                        tuned_,
                        gain,
                        tuning,
                        why or undefined,
                        kept,
                    )
                )
    return rows + means_of(rows)


def _figure(
    figures: Mapping[tuple[str, str, str], float], what: str, low: str, high: str, metric: str, test: str
) -> Figure | None:
    value = figures.get((what, metric, test))
    if value is None:
        return None
    return Figure(value, figures.get((low, metric, test)), figures.get((high, metric, test)))


def means_of(rows: Sequence[Row]) -> list[Row]:
    """The mean over sites of each model, size, kind of training and metric: each site counts the same."""
    groups: dict[tuple[str, float, str, str], list[Row]] = {}
    for row in rows:
        if row.test != ALL:
            groups.setdefault((row.job.model, row.job.size, row.job.training.kind, row.metric), []).append(
                row
            )
    found = []
    for each in groups.values():
        if len(each) < 2:
            continue
        first = each[0]
        found.append(
            Row(
                first.job,
                MEAN,
                first.metric,
                round(sum(row.n_train for row in each) / len(each)),
                sum(row.n_test for row in each),
                sum(row.n_unknown for row in each),
                _mean(row.default for row in each),
                _mean(row.tuned for row in each),
                _mean(row.gain for row in each),
                None,
                next((row.why for row in each if row.why), ""),
                all(row.kept for row in each),
            )
        )
    return found


def _mean(given: Iterable[Figure | None]) -> Figure | None:
    """The mean of independent figures; None where one is missing.

    The distances to the ends of its interval are the root of the summed squares of theirs, over their number:
    G. Y. Zou and A. Donner, "Construction of confidence limits about effect measures", Statistics in Medicine
    27 (2008), equations 3 and 4. It is the mean of these very sites: how others would do is no part of it.
    """
    figures = list(given)
    known = [each for each in figures if each is not None]
    if not known or len(known) < len(figures):
        return None
    value = math.fsum(each.value for each in known) / len(known)
    below = [each.value - each.low for each in known if each.low is not None]
    above = [each.high - each.value for each in known if each.high is not None]
    if len(below) < len(known):
        return Figure(value)
    return Figure(value, value - math.hypot(*below) / len(known), value + math.hypot(*above) / len(known))
