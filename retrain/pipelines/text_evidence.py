"""Texts and the spans in them: what `text` does for labels, done for spans, alone or together with labels."""

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from retrain.metrics import BINARY, COSTS, MULTICLASS, SPANS, get_metric
from retrain.models import make_model
from retrain.pipeline import FOLDS, REFIT, Detail, Report, Scores
from retrain.pipelines.artifact import fit_estimator
from retrain.pipelines.blocks import deal_blocks
from retrain.pipelines.by_group import group_scores
from retrain.pipelines.costs import costs
from retrain.pipelines.evidence_artifact import load_evidence_model, save_evidence_model
from retrain.pipelines.folds import rows_of
from retrain.pipelines.scoring import mean_of, means, score_all
from retrain.pipelines.text import TextPipeline
from retrain.pipelines.text_heads import EvidenceModel, Head, Said, Tokens, insides
from retrain.pipelines.tfidf import learn
from retrain.results import ResultError
from retrain.spans import span_scores
from tuner.errors import ConfigError, did_you_mean
from tuner.experiment import Evaluation, Outcome, Params, Value

if TYPE_CHECKING:
    import pandas as pd

    from retrain.config import Config
    from retrain.data import EvidenceTable, Table

__all__ = ["EvidencePipeline"]

PREFIX = "span_"
"""What the names of the hyperparameters of spans begin with."""

_WINDOW, _THRESHOLD = f"{PREFIX}window", f"{PREFIX}threshold"
_LABEL_METRIC = "f1_macro"


class EvidencePipeline(TextPipeline):
    """Scores how well spans are found in texts, alone or together with the labels of the texts.

    Spans are learned from and scored once for each text of a document; labels once for each row. `mean_f1` is
    the mean of `f1_macro` of the labels and `span_f1`, the mean F1 of characters over texts.
    """

    def __init__(self, config: "Config") -> None:
        self._architecture = config.pipeline.predicts
        if config.pruning.steps not in (None, FOLDS):
            raise ConfigError(
                f"pruning.steps must be 'folds' for spans, but is {config.pruning.steps!r}.",
                "Leave it out, or take spans out of [pipeline].",
            )
        super().__init__(config)
        _check(self._reach(PREFIX))

    _further_tasks = (SPANS,)

    def _learned(self, table: "Table") -> str:  # noqa: ARG002
        return BINARY if self._architecture == "span" else MULTICLASS

    def _table(self, frame: "pd.DataFrame") -> "Table":
        from retrain.data import make_evidence

        settings, splits = self._config.pipeline, self._config.splits
        first, last = settings.spans
        return make_evidence(
            frame,
            self._text,
            settings.target,
            (first, last),
            get_metric(_LABEL_METRIC),
            group=splits.group,
            by=[gate.by for gate in self._config.gate if gate.by is not None],
        )

    def _of_the_model(self, names: Iterable[str]) -> list[str]:
        return [name for name in super()._of_the_model(names) if not name.startswith(PREFIX)]

    @property
    def _evidence(self) -> "EvidenceTable":
        from retrain.data import EvidenceTable

        table = self.data.table
        assert isinstance(table, EvidenceTable)
        return table

    # ---- scoring

    def _cross_validated(
        self,
        params: Params,
        report: Report,
        seed: int,
        by: Mapping[str, Collection[str]],
        *,
        tuning: bool = False,
    ) -> tuple[Evaluation, Detail]:
        """Cross-validate one configuration, with every metric fold by fold; labels told apart by columns."""
        start = time.perf_counter()
        table, folds = self._evidence, self._folds_of(seed, tuning=tuning)
        scores: list[dict[str, float]] = []
        said_of: list[Any] = []
        fit_seconds = 0.0
        for step, (train, valid) in enumerate(folds.splits):
            fit_start = time.perf_counter()
            model = self._fit_rows(params, train, seed, f"fold {step}")
            fit_seconds += time.perf_counter() - fit_start
            said = model.predictions(table.features[valid])
            if by and said.labels is not None:
                said_of.append((valid, said.labels))
            wanted = [name for name in self.goals.metrics if name in COSTS]
            scores.append(
                self._scores(valid, said, f"on fold {step}")
                | costs(wanted, model, table.features[valid], model.predictions)
            )
            report(step, {self.metric: scores[-1][self.metric]})
        further = {"fit_seconds": fit_seconds / len(folds)}
        elapsed_s = time.perf_counter() - start
        evaluation = mean_of(scores, self.metric, further, folds.mean_sizes, elapsed_s)
        by_fold = {name: tuple(fold[name] for fold in scores) for name in means(scores)}
        n = self._n_folds
        repeats = [said_of[i : i + n] for i in range(0, len(said_of), n)]
        return evaluation, Detail(by_fold, group_scores(table, by, repeats) if repeats else {})

    def _scores(self, rows: np.ndarray, said: Said, where: str) -> dict[str, float]:
        """All metrics of what was said of some rows.

        Raises:
            ResultError: none of the texts has a known span, or a metric of labels is undefined.
        """
        table, found = self._evidence, self._span_scores(rows, said)
        if not len(found):
            raise ResultError(f"No text has a known span {where}.", outcome=Outcome.NON_FINITE)
        names = ("span_precision", "span_recall", "span_f1")
        scores = dict(zip(names, map(float, found.mean(axis=0)), strict=True))
        if said.labels is None:
            return scores
        of_labels = [name for name in self._scored if SPANS not in get_metric(name).tasks]
        wanted = list(dict.fromkeys([_LABEL_METRIC, *of_labels]))
        scores |= score_all(wanted, table.task, table.y[rows], said.labels, table.n_classes, where)
        return scores | {"mean_f1": (scores[_LABEL_METRIC] + scores["span_f1"]) / 2}

    def _span_scores(self, rows: np.ndarray, said: Said) -> np.ndarray:
        """Of each text that counts: (m, 3)."""
        table = self._evidence
        counted = np.flatnonzero(table.whole[rows])
        truth = [[span[:2] for span in table.spans[rows[i]]] for i in counted]
        return span_scores(truth, [said.spans[i] for i in counted]) if len(counted) else np.zeros((0, 3))

    # ---- fitting

    def _fit_rows(self, params: Params, rows: np.ndarray, seed: int, where: str) -> EvidenceModel:
        """Learn features and heads from some rows and no others.

        Raises:
            ResultError: nothing can be learned from them (of outcome NON_FINITE).
        """
        table, given = self._evidence, {**params, **self._fixed}
        features = learn(given, self._counts, rows)
        window, threshold = int(str(given.get(_WINDOW, 2))), float(str(given.get(_THRESHOLD, 0.5)))
        whole = rows[table.whole[rows]]
        if not len(whole):
            raise ResultError(f"No text of {where} has a known span.", outcome=Outcome.NON_FINITE)
        found = Tokens(table.features[whole])
        codes = insides(found, table.spans[whole])
        if self._architecture == "joint":
            prepared = found.matrix(features, window, self._counts.weighed(features, whole))
            span = self._head(params, prepared, codes, 1 + table.n_classes, seed, where)
        else:
            prepared = found.matrix(features, window)
            span = self._head(params, prepared, np.minimum(codes, 1), 2, seed, where)
        label = None
        if self._architecture == "share":
            per_row = self._counts.weighed(features, rows)
            label = self._head(params, per_row, table.y[rows], table.n_classes, seed, where)
        return EvidenceModel(
            self._given(params)[0].name,
            table.task,
            self._architecture,
            self._text,
            table.classes,
            features,
            window,
            threshold,
            span,
            label,
        )

    def _head(self, params: Params, x: Any, y: np.ndarray, n_classes: int, seed: int, where: str) -> Head:
        if (y == y[0]).all():
            raise ResultError(f"All of {where} is of one class.", outcome=Outcome.NON_FINITE)
        family, given = self._given(params)
        estimator = make_model(family.name, given, BINARY if n_classes == 2 else MULTICLASS, seed)
        present = fit_estimator(estimator, x, y, n_classes)
        assert present is not None, "classes have codes"
        return Head(estimator, present, n_classes)

    def fit(self, params: Params, seed: int) -> EvidenceModel:
        """Fit on all rows but the holdout."""
        data = self.data
        model = self._fit_rows(params, data.train, seed, "the training rows")
        rule = {
            "rule": REFIT,
            "n_rows": len(data.train),
            "params": {**params, **self._fixed},
            "columns": [self._text],
        }
        return replace(model, fit=rule)

    def test_in_detail(self, model: Any, by: Mapping[str, Collection[str]]) -> tuple[Scores, Detail]:
        """Score on the holdout; labels told apart by columns."""
        data, table = self.data, self._evidence
        said = model.predictions(table.features[data.holdout])
        metrics = self._scores(data.holdout, said, "on the holdout")
        left_out = self._left_out(said)
        scores = Scores(
            {f"test_{name}": value for name, value in metrics.items()},
            len(data.holdout),
            {f"test_{self.metric}": left_out} if left_out else {},
        )
        if said.labels is None:
            return scores, Detail()
        return scores, Detail(groups=group_scores(table, by, [[(data.holdout, said.labels)]], "test_"))

    def _left_out(self, said: Said) -> tuple[float, ...]:
        """The pipeline's metric on the holdout without each of its blocks; empty where one has none."""
        rows = self.data.holdout
        blocks = deal_blocks(rows_of(self.data.table).take(rows), self._config.splits.seed)
        if blocks.max() < 1:
            return ()
        found: list[float] = []
        for block in range(int(blocks.max()) + 1):
            kept = np.flatnonzero(blocks != block)
            try:
                found.append(self._scores(rows[kept], said.of(kept), "there")[self.metric])
            except ResultError:
                return ()
        return tuple(found)

    def save(self, model: Any, folder: Path) -> Sequence[Path]:
        """Write schema, features and heads, as of labels."""
        return save_evidence_model(model, folder)

    def load_model(self, folder: Path) -> EvidenceModel:
        """Read what `save` wrote."""
        return load_evidence_model(folder)


def _check(values: Iterable[tuple[str, Value]]) -> None:
    """Refuse hyperparameters of spans that there are not, and values that they cannot have.

    Raises:
        ConfigError: names the first.
    """
    known = (_WINDOW, _THRESHOLD)
    for name, value in values:
        if name not in known:
            what = f"Unknown parameter {name!r} of spans.{did_you_mean(name, known)}"
            raise ConfigError(what, f"There are: {', '.join(known)}.")
        number = value if isinstance(value, int | float) and not isinstance(value, bool) else -1
        is_fit = isinstance(number, int) and number >= 0 if name == _WINDOW else 0 <= number <= 1
        if not is_fit:
            must = "a whole number of at least 0" if name == _WINDOW else "a probability, in [0, 1]"
            raise ConfigError(f"{name} must be {must}, but is {value!r}.", "Change it, or its range.")
