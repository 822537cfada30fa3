"""Tables: any model family of the factory, cross-validated, on one holdout that no search sees."""

import logging
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from retrain.code_version import version_of
from retrain.comparable import given_besides
from retrain.metrics import COSTS, METRICS, get_metric
from retrain.models import Facts, ModelFamily, check_installed, check_task, choice_of, make_model
from retrain.params import best_params
from retrain.pipeline import FOLDS, REFIT, Detail, Pipeline, Report, Scores
from retrain.pipelines.artifact import (
    TabularModel,
    converged,
    fit_estimator,
    fitted_columns,
    load_tabular_model,
    make_preprocessing,
    predict,
    save_model,
)
from retrain.pipelines.blocks import deal_blocks, scores_without_blocks
from retrain.pipelines.by_group import group_scores
from retrain.pipelines.checking import (
    check_classes,
    check_defined,
    check_names,
    check_rules,
    fewest_features,
)
from retrain.pipelines.costs import costs
from retrain.pipelines.folds import Fold, Folds, LoadedTable, check_learned, design_of, rows_of
from retrain.pipelines.lockstep import Pause
from retrain.pipelines.scoring import FoldScores, mean_of, means, score_all
from retrain.pipelines.stepwise import Marks, Stepwise
from retrain.pipelines.stopping import Stopped, final_rounds, fit_stopping, fitted_so, stopping_split
from retrain.splits import Split, make_folds, split_holdout, why_not_stratified
from retrain.tune_rows import choose_rows
from tuner.experiment import Direction, Evaluation, Params, Provenance, Value
from tuner.patterns import Traits
from tuner.space import config_key

if TYPE_CHECKING:
    import pandas as pd

    from retrain.config import Config
    from retrain.data import Leak, Table

__all__ = ["TabularPipeline"]

_log = logging.getLogger(__name__)


class TabularPipeline(Pipeline):
    """Scores a model family on a table by cross-validation.

    `evaluate` returns the mean over folds with the corrected standard error of `splits.standard_error`. Its
    further metrics are the usual ones of the task, where every fold defines them, `fit_seconds` per fold and,
    where a model stopped before it converged, in how many folds: `n_not_converged`.
    """

    def __init__(self, config: "Config") -> None:
        settings = config.pipeline
        assert settings.model is not None, "the configuration has checked it"
        assert settings.metric is not None, "the configuration has checked it"
        self.name = config.name
        self.space = config.search_space()
        self.metric = settings.metric
        self.direction = Direction(get_metric(settings.metric).direction)
        self._config = config
        self._choice = choice_of(settings.models)
        self._fixed = settings.fixed
        for family in self._choice.families:
            check_installed(family)
        check_names(self._choice, self._of_the_model([*self.space.names, *self._fixed]), self.steps)
        self._data: LoadedTable | None = None
        self._folds: Folds | None = None
        self._stopped: dict[tuple[str, int], Stopped] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Travels without its data, which every worker is given once and by itself."""
        return {**self.__dict__, "_data": None, "_folds": None, "_stopped": {}}

    # ---- data

    def load(self) -> LoadedTable:
        """Read the table, check it, and split off the holdout. Says what may leak.

        Raises:
            DataError: the data cannot be trained on; says why and names the column or file.
        """
        from retrain.data import warn_of_row_names

        loaded, leaks = self.look()
        warn_of_row_names(loaded.table)
        for leak in leaks:
            _log.warning("%s", leak)
        return loaded

    def look(self) -> "tuple[LoadedTable, list[Leak]]":
        """Do what `load` does, and return what may leak instead of saying anything. Errors as there."""
        from retrain.data import read_table

        splits = self._config.splits
        frame = read_table(str(self._config.pipeline.data), self._config.root)
        table = self._table(frame)
        for family in self._choice.families:
            check_task(family, self._learned(table))
        check_defined(self._scored[1:], (table.task, *self._further_tasks))
        train, holdout = split_holdout(rows_of(table), splits.holdout, splits.seed)
        in_table = self._checked_folds(train, table)
        chosen = choose_rows(rows_of(table).take(train), splits.tune_rows, splits.seed)
        tuned = None if chosen is None else train[chosen]
        self.check_rules(table, in_table if tuned is None else self._checked_folds(tuned, table))
        leaks = self._leaks(frame, table, [(train, holdout), *in_table])
        suspicions = tuple(f"possible leakage: {leak.what}" for leak in leaks)
        return LoadedTable(table, train, holdout, suspicions, tuned), leaks

    _further_tasks: tuple[str, ...] = ()
    """Tasks besides that of the target, whose metrics are known, too."""

    def _learned(self, table: "Table") -> str:
        """The task that the model learns."""
        return table.task

    def check_rules(self, table: "Table", folds: list[Split]) -> None:
        """Refuse, before anything runs, a space of which some models cannot be fitted: with a ConfigError."""
        facts = Facts(
            self._learned(table),
            min(len(learned) for learned, _ in folds),
            stops_early=self._config.pipeline.early_stopping_rounds is not None,
        )
        check_rules(
            self._choice,
            self.space,
            self._of_the_models,
            facts,
            lambda family: self._n_features(family, table, folds),
            ask_library=bool(self._of_the_model(self._fixed)),
        )

    def _n_features(self, family: ModelFamily, table: "Table", folds: list[Split]) -> int | None:
        """The fewest features that a fold has once they are prepared; None where that is not known before."""
        return fewest_features(family, table, folds)

    def _table(self, frame: "pd.DataFrame") -> "Table":
        """Features, target, groups and times of the raw rows."""
        from retrain.data import make_table

        settings, splits = self._config.pipeline, self._config.splits
        return make_table(
            frame,
            self._target,
            get_metric(self.metric),
            drop=settings.drop,
            group=splits.group,
            time=splits.time,
            by=[gate.by for gate in self._config.gate if gate.by is not None],
        )

    def _leaks(self, frame: "pd.DataFrame", table: "Table", splits: list[Split]) -> "list[Leak]":
        """What may leak from rows learned from to rows scored; `splits`: the holdout, then the folds."""
        from retrain.data import Roles, find_leaks, known_rows

        settings, design = self._config.pipeline, self._config.splits
        roles = Roles(self._target, design.group, design.time, settings.trusted)
        return find_leaks(known_rows(frame, self._target), table, splits[0], splits[1:], roles)

    @property
    def _target(self) -> str:
        return self._config.pipeline.target or "target"

    def _checked_folds(self, taken: np.ndarray, table: "Table") -> list[Split]:
        """The folds of the first repeat of these rows, which all others are like."""
        splits, rows = self._config.splits, rows_of(table).take(taken)
        folds = make_folds(rows, splits.folds, 1, seed=0)
        check_classes(rows, table.classes, self._scored, splits.folds)
        reason = why_not_stratified(rows, splits.folds)
        if reason:
            _log.warning("%s", reason)
        if self._config.pipeline.early_stopping_rounds is not None:
            for step, (learned, _) in enumerate(folds):
                stopping_split(rows.take(learned), 0, step)
        return [(taken[learned], taken[scored]) for learned, scored in folds]

    def use(self, data: object) -> None:
        """Take what `load` returned."""
        if not isinstance(data, LoadedTable):
            raise TypeError(f"expected a LoadedTable, but got {type(data).__name__}")
        self._data, self._folds, self._stopped = data, None, {}

    @property
    def data(self) -> LoadedTable:
        """What `use` was given; loaded here and now where it was not called."""
        if self._data is None:
            self.use(self.load())
        assert self._data is not None
        return self._data

    def provenance(self) -> Provenance:
        """Fingerprint of the table; versions of what scores it; metric, folds and holdout."""
        settings = self._config.pipeline
        libraries = sorted({"scikit-learn", *(family.library for family in self._choice.families)})
        code = ", ".join(f"{name} {version_of(name)}" for name in ("retrain", *libraries))
        fixed = given_besides(self._fixed)
        patience = settings.early_stopping_rounds
        stopping = f" stopping early after {patience} rounds" if patience else ""
        design = design_of(self._config.splits, self.data)
        return Provenance(
            data=self.data.table.fingerprint,
            code=f"{' or '.join(self._choice.names)}{fixed}{stopping}; {code}",
            metric=f"{self.metric}, {self.direction.value}; {design}",
        )

    def traits(self) -> Traits:
        """The model family, the task, and what the rows to train on are like."""
        from retrain.data import meta_features

        table = self.data.table
        return Traits(" or ".join(self._choice.names), table.task, meta_features(table, self.data.train))

    # ---- scoring

    def evaluate(self, params: Params, report: Report, seed: int) -> Evaluation:
        """Cross-validate one configuration, reporting the metric fold by fold.

        Raises:
            ResultError: the metric is undefined on a fold (of outcome NON_FINITE).
        """
        return self._evaluate(params, report, seed, tuning=False)

    @property
    def steps(self) -> str:
        """Folds, unless the configuration names others."""
        return self._config.pruning.steps or FOLDS

    def evaluate_for_tuning(self, params: Params, report: Report, seed: int) -> Evaluation:
        """The same on `tune_rows` of the rows, where those are configured."""
        return self._evaluate(params, report, seed, tuning=self.data.tuned is not None)

    def _evaluate(self, params: Params, report: Report, seed: int, *, tuning: bool) -> Evaluation:
        if self.steps == FOLDS:
            return self._cross_validated(params, report, seed, {}, tuning=tuning)[0]
        return self._evaluate_stepwise(params, report, seed, tuning=tuning)

    @property
    def splits_follow_seed(self) -> bool:
        """True, except with a time: of that there is one order."""
        return self._config.splits.time is None

    def evaluate_in_detail(
        self, params: Params, report: Report, seed: int, by: Mapping[str, Collection[str]]
    ) -> tuple[Evaluation, Detail]:
        """The same with every metric fold by fold, and told apart by columns."""
        return self._cross_validated(params, report, seed, by)

    def _cross_validated(
        self,
        params: Params,
        report: Report,
        seed: int,
        by: Mapping[str, Collection[str]],
        *,
        tuning: bool = False,
    ) -> tuple[Evaluation, Detail]:
        start = time.perf_counter()
        folds = self._folds_of(seed, tuning=tuning)
        done: list[FoldScores] = []
        for step in range(len(folds)):
            done.append(self._score_fold(params, folds, step, seed))
            rounds = {} if done[-1].stopped is None else {"best_iteration": float(done[-1].stopped[0])}
            report(step, {name: done[-1].metrics[name] for name in self._scored} | rounds)
        evaluation = self._evaluation(params, seed, folds, done, start)
        scores = [fold.metrics for fold in done]
        by_fold = {name: tuple(fold[name] for fold in scores) for name in means(scores)}
        said = [(valid, fold.predictions) for (_, valid), fold in zip(folds.splits, done, strict=True)]
        repeats = [said[i : i + self._n_folds] for i in range(0, len(said), self._n_folds)] if by else []
        return evaluation, Detail(by_fold, group_scores(self.data.table, by, repeats))

    def _evaluate_stepwise(self, params: Params, report: Report, seed: int, *, tuning: bool) -> Evaluation:
        """The folds with looks on their way, reporting the mean of their scores at each step."""
        start = time.perf_counter()
        folds = self._folds_of(seed, tuning=tuning)
        jobs = [partial(self._score_fold, params, folds, step, seed) for step in range(len(folds))]
        done, curve = self._way.scored(jobs, report)
        evaluation = self._evaluation(params, seed, folds, done, start)
        last = self._way.last(self._given(params)[1], len(folds))
        measured = self._way.whole_curve(curve, self.metric, evaluation.value, last, done)
        return replace(evaluation, measurements=measured)

    @property
    def _way(self) -> Stepwise:
        its, table = self._config.pruning, self.data.table
        grid = (its.looks, its.first_step, its.factor)
        return Stepwise(self.steps, *grid, self._scored, table.task, table.n_classes)

    def _score_fold(
        self, params: Params, folds: Folds, step: int, seed: int, pause: Pause[Marks] | None = None
    ) -> FoldScores:
        """Fit one fold and score it; with `pause`, also at the steps on its way."""
        table, (family, given) = self.data.table, self._given(params)
        fold = self._prepare(folds, step, params)
        fit_start = time.perf_counter()
        estimator = make_model(family.name, given, table.task, seed)
        best = None
        if pause is not None and self._way.unit != "samples":
            check_learned(fold.y_train, table, step)
            present = self._way.fit_watched(family, estimator, given, fold, pause)
        else:
            if pause is not None:
                self._way.fit_parts(family, given, fold, (seed, step), pause)
            present, best = self._fit(family, estimator, fold, folds, step)
        fit_seconds = time.perf_counter() - fit_start
        predictions = predict(estimator, fold.x_valid, present, table.n_classes)
        metrics = score_all(
            self._scored, table.task, fold.y_valid, predictions, table.n_classes, f"on fold {step}"
        ) | costs(
            [name for name in self.goals.metrics if name in COSTS],
            estimator,
            fold.x_valid,
            partial(predict, estimator, present=present, n_classes=table.n_classes),
        )
        stopped = None
        if best is not None:
            stopped = (best, len(folds.parted(step)[0]))
            metrics["best_iteration"] = float(best)
        return FoldScores(metrics, predictions, fit_seconds, converged(estimator), stopped)

    def _evaluation(
        self, params: Params, seed: int, folds: Folds, done: Sequence[FoldScores], start: float
    ) -> Evaluation:
        """The mean of the folds with its standard error."""
        stopped = [fold.stopped for fold in done if fold.stopped is not None]
        if stopped and not folds.tuning:  # the final fit follows the rounds on all rows
            best_rounds, n_learned = zip(*stopped, strict=True)
            self._stopped[config_key(params), seed] = Stopped(best_rounds, n_learned)
        further = {"fit_seconds": sum(fold.fit_seconds for fold in done) / len(done)}
        if n_not_converged := sum(not fold.converged for fold in done):
            further["n_not_converged"] = float(n_not_converged)
        scores = [fold.metrics for fold in done]
        return mean_of(scores, self.metric, further, folds.mean_sizes, time.perf_counter() - start)

    @property
    def _n_folds(self) -> int:
        return self._config.splits.folds

    @property
    def _scored(self) -> list[str]:
        """The metrics that count: the pipeline's own, and those of further objectives and of limits."""
        return [self.metric, *(name for name in self.goals.metrics if name in METRICS)]

    def _given(self, params: Params) -> tuple[ModelFamily, dict[str, Value]]:
        """The model that a configuration stands for, and its own hyperparameters, fixed ones included."""
        return self._choice.chosen(self._of_the_models(params))

    def _of_the_models(self, params: Params) -> dict[str, Value]:
        given = best_params(self.space, params, self._fixed, strict=False)
        return {name: given[name] for name in self._of_the_model(given)}

    def _patience(self, family: ModelFamily) -> int | None:
        """How long it learns on in vain, where it stops early."""
        return None if family.default_rounds is None else self._config.pipeline.early_stopping_rounds

    def _of_the_model(self, names: Iterable[str]) -> list[str]:
        """Which of these hyperparameters are the model's: all but those that prepare its features."""
        return list(names)

    def _prepare(self, folds: Folds, step: int, params: Params) -> Fold:
        """One fold with its features prepared."""
        return folds.prepare(step, self._given(params)[0].name)

    def _folds_of(self, seed: int, *, tuning: bool = False) -> Folds:
        """The folds of a seed; those of the last one are kept."""
        if self._folds is None or (self._folds.seed, self._folds.tuning) != (seed, tuning):
            self._folds = Folds(self.data, self._config.splits, seed, tuning=tuning)
        return self._folds

    def _fit(
        self,
        family: ModelFamily,
        estimator: Any,
        fold: Fold,
        folds: Folds,
        step: int,
    ) -> tuple[np.ndarray | None, int | None]:
        """Fit on a fold: the classes that occur, and the best round where it stops early."""
        table, patience = self.data.table, self._patience(family)
        x, y = fold.x_train, fold.y_train
        learn, stop = (slice(None), slice(0)) if patience is None else folds.parted(step)
        check_learned(y[learn], table, step)
        if patience is None:
            return fit_estimator(estimator, x, y, table.n_classes), None
        return fit_stopping(
            family.name, estimator, (x[learn], y[learn]), (x[stop], y[stop]), table.n_classes, patience
        )

    # ---- the final model

    @property
    def can_fit(self) -> bool:
        """True."""
        return True

    def fit(self, params: Params, seed: int) -> Any:
        """Fit a TabularModel on all rows but the holdout; stopping early, for as long as the folds say."""
        data, (family, given) = self.data, self._given(params)
        rule: dict[str, Any] = {"rule": REFIT, "n_rows": len(data.train)}
        patience = self._patience(family)
        if patience is not None:
            most = int(str(given.get("n_estimators", family.default_rounds)))
            stopped = self._stopped_folds(params, seed)
            n_rounds = final_rounds(stopped, len(data.train), most)
            given["n_estimators"] = n_rounds
            rule |= fitted_so(stopped, patience, n_rounds, most)
        table, features, y = data.table, data.table.features[data.train], data.table.y[data.train]
        preprocess = make_preprocessing(family.name, table.columns)
        estimator = make_model(family.name, given, table.task, seed)
        present = fit_estimator(estimator, preprocess.fit_transform(features), y, table.n_classes)
        columns = fitted_columns(table.columns, preprocess)
        rule |= {"params": given, "columns": list(columns.names)}
        return TabularModel(
            family.name, table.task, columns, table.classes, preprocess, estimator, present, rule
        )

    def _stopped_folds(self, params: Params, seed: int) -> Stopped:
        """Where the folds stopped; found out anew where these parameters were not scored here."""
        key = config_key(params), seed
        if key not in self._stopped:
            self.evaluate(params, lambda *_: None, seed)
        return self._stopped[key]

    def fit_rule(self, model: Any) -> Mapping[str, Any]:
        """Rule, rows, columns, parameters of the final fit and, with early stopping, how they came about."""
        return dict(model.fit)

    def suspicions(self) -> Sequence[str]:
        """What may leak."""
        return self.data.suspicions

    def test(self, model: Any) -> Scores:
        """Score on the holdout: the pipeline's metric and the usual ones, named `test_<metric>`.

        The pipeline's metric is also scored without each of up to twenty blocks of the holdout, the same for
        every model, for the error of its score.

        Raises:
            ResultError: the metric is undefined on the holdout.
        """
        return self.test_in_detail(model, {})[0]

    def test_in_detail(self, model: Any, by: Mapping[str, Collection[str]]) -> tuple[Scores, Detail]:
        """The same, told apart by columns."""
        data = self.data
        table, truth = data.table, data.table.y[data.holdout]
        predictions = model.predictions(table.features[data.holdout])
        metrics = score_all(self._scored, table.task, truth, predictions, table.n_classes, "on the holdout")
        blocks = deal_blocks(rows_of(table).take(data.holdout), self._config.splits.seed)
        left_out = scores_without_blocks(self.metric, truth, predictions, table.n_classes, blocks)
        scores = Scores(
            {f"test_{name}": value for name, value in metrics.items()},
            len(truth),
            {f"test_{self.metric}": left_out} if left_out else {},
        )
        return scores, Detail(groups=group_scores(table, by, [[(data.holdout, predictions)]], "test_"))

    def costs_of(self, model: Any, names: Collection[str]) -> Mapping[str, float]:
        """Measure the model with its preparation of the features, on rows of the holdout."""
        return costs(list(names), model, self.data.table.features[self.data.holdout], model.predictions)

    def save(self, model: Any, folder: Path) -> Sequence[Path]:
        """Write schema, preparation and model, each library's in a format that holds no code."""
        return save_model(model, folder)

    @property
    def can_predict(self) -> bool:
        """True."""
        return True

    def load_model(self, folder: Path) -> Any:
        """Read what `save` wrote."""
        return load_tabular_model(folder)

    def sample_rows(self, n: int) -> list[dict[str, Value]]:
        """Rows that lie evenly among those to train on."""
        data = self.data
        among = np.linspace(0, len(data.train) - 1, min(n, len(data.train))).astype(int)
        return data.table.columns.decode(data.table.features[data.train[among]])

    def predict_rows(self, model: Any, rows: Sequence[Mapping[str, Value]]) -> list[Any]:
        """Numbers, or for each row its label and the probabilities of the classes."""
        return list(model.predict_rows(rows))
