"""Texts: any model family of the factory on TF-IDF features, scored as `tabular` scores a table."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from retrain.metrics import get_metric
from retrain.models import ModelFamily, make_model
from retrain.pipeline import REFIT
from retrain.pipelines.artifact import fit_estimator
from retrain.pipelines.folds import Fold, Folds, LoadedTable
from retrain.pipelines.tabular import TabularPipeline
from retrain.pipelines.text_artifact import TextModel, load_text_model, save_text_model
from retrain.pipelines.tfidf import PREFIX, Counter, check_tfidf, check_values, learn
from retrain.places import unmark
from retrain.splits import Split
from tuner.experiment import Params, Provenance, Value
from tuner.space import CategoricalParam, Param

if TYPE_CHECKING:
    import pandas as pd

    from retrain.config import Config
    from retrain.data import Leak, Table

__all__ = ["TextPipeline"]


class TextPipeline(TabularPipeline):
    """Scores a model family on texts as `TabularPipeline` does on a table.

    The features are part of the space: parameters whose names begin with `tfidf_` say how they are made, anew
    from the training rows of each fold.
    """

    def __init__(self, config: "Config") -> None:
        assert config.pipeline.text is not None, "the configuration has checked it"
        self._text, self._about = config.pipeline.text, config.pipeline.about
        self._counter: Counter | None = None
        super().__init__(config)
        reach = self._reach(PREFIX)
        check_tfidf(dict.fromkeys(name for name, _ in reach), about=bool(self._about))
        check_values(reach)

    def _reach(self, prefix: str) -> list[tuple[str, Value]]:
        """What parameters whose names begin so may be: all choices, both ends of ranges, what is fixed."""
        searched = [each for each in self.space.params.values() if each.name.startswith(prefix)]
        return [
            *((each.name, value) for each in searched for value in _ends(each)),
            *((name, value) for name, value in self._fixed.items() if name.startswith(prefix)),
        ]

    def __getstate__(self) -> dict[str, Any]:
        """Travels without its data and what was counted in them."""
        return {**super().__getstate__(), "_counter": None}

    def use(self, data: object) -> None:
        """Take what `load` returned."""
        super().use(data)
        assert isinstance(data, LoadedTable)
        self._counter = Counter(data.table.features)

    def provenance(self) -> Provenance:
        """As of a table, and which column holds the texts."""
        found = super().provenance()
        about = f" about {' to '.join(self._about)}" if self._about else ""
        return replace(found, code=f"TF-IDF of {self._text!r}{about}, {found.code}")

    def _table(self, frame: "pd.DataFrame") -> "Table":
        from retrain.data import make_texts

        splits = self._config.splits
        return make_texts(
            frame,
            self._text,
            self._target,
            get_metric(self.metric),
            about=(self._about[0], self._about[1]) if self._about else None,
            group=splits.group,
            time=splits.time,
            by=[gate.by for gate in self._config.gate if gate.by is not None],
        )

    def _leaks(self, frame: "pd.DataFrame", table: "Table", splits: list[Split]) -> "list[Leak]":  # noqa: ARG002
        from retrain.data import copied_texts

        if self._text in self._config.pipeline.trusted:
            return []
        return copied_texts(table, self._text, splits, self._config.splits.group)

    # ---- features

    def _n_features(self, family: ModelFamily, table: "Table", folds: list[Split]) -> int | None:  # noqa: ARG002
        """None: it hangs on the parameters that begin with `tfidf_`."""
        return None

    def _of_the_model(self, names: Iterable[str]) -> list[str]:
        return [name for name in names if not name.startswith(PREFIX)]

    def _prepare(self, folds: Folds, step: int, params: Params) -> Fold:
        """The features of one fold, learned from its training rows."""
        table, (train, valid) = self.data.table, folds.splits[step]
        features = learn({**params, **self._fixed}, self._counts, train)
        return Fold(
            self._counts.weighed(features, train),
            table.y[train],
            self._counts.weighed(features, valid),
            table.y[valid],
        )

    @property
    def _counts(self) -> Counter:
        _ = self.data  # loaded here and now where nobody handed it over
        assert self._counter is not None
        return self._counter

    # ---- the final model

    def fit(self, params: Params, seed: int) -> Any:
        """Fit a `TextModel` on all rows but the holdout."""
        table, train, (family, given) = self.data.table, self.data.train, self._given(params)
        features = learn({**params, **self._fixed}, self._counts, train)
        estimator = make_model(family.name, given, table.task, seed)
        present = fit_estimator(
            estimator, self._counts.weighed(features, train), table.y[train], table.n_classes
        )
        rule = {
            "rule": REFIT,
            "n_rows": len(train),
            "params": {**params, **self._fixed},
            "columns": [self._text, *self._about],
        }
        return TextModel(
            family.name,
            table.task,
            self._text,
            table.classes,
            features,
            estimator,
            present,
            rule,
            self._about,
        )

    def save(self, model: Any, folder: Path) -> Sequence[Path]:
        """Write schema, features and model: JSON, UBJSON for XGBoost, the format of skops for the rest."""
        return save_text_model(model, folder)

    def load_model(self, folder: Path) -> Any:
        """Read what `save` wrote."""
        return load_text_model(folder)

    def sample_rows(self, n: int) -> list[dict[str, Value]]:
        """Texts that lie evenly among those to train on, each with its place where one is asked about."""
        data = self.data
        among = np.linspace(0, len(data.train) - 1, min(n, len(data.train))).astype(int)
        found = [unmark(text) for text in data.table.features[data.train[among]]]
        return [
            {self._text: text, **dict(zip(self._about, place, strict=bool(self._about)))}
            for text, *place in found
        ]


def _ends(param: Param) -> Sequence[Value]:
    return param.choices if isinstance(param, CategoricalParam) else (param.low, param.high)
