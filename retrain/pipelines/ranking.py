"""Recommenders: a scorer of the user's own ranks items, by the pairs that each user has rated differently."""

import time
from collections.abc import Collection, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from retrain.comparable import given_besides
from retrain.metrics import RANKING_METRICS
from retrain.pipeline import FOLDS, REFIT, Detail, Pipeline, Report, Scores
from retrain.pipelines.constants import without_constants
from retrain.pipelines.objective import code_version
from retrain.pipelines.pairs import Pairs
from retrain.pipelines.python import Reference
from retrain.pipelines.ranking_artifact import RankingModel, load_ranking_model, save_ranking_model
from retrain.pipelines.ranking_folds import LoadedRatings, RankingFold, make_ranking_folds, split_ratings
from retrain.pipelines.scorer import Scorer
from retrain.pipelines.scoring import means
from retrain.reloading import plain
from retrain.splits import standard_error
from tuner.experiment import Direction, Evaluation, Params, Provenance, Value
from tuner.patterns import Traits

if TYPE_CHECKING:
    from retrain.config import Config

__all__ = ["RankingPipeline"]

N_BLOCKS = 20
"""At most, of the users held out: without each it is scored once more, for the error of its score."""


class RankingPipeline(Pipeline):
    """Scores a recommender by pairwise accuracy.

    Of the pairs of items that a user has rated differently, that is the share that is ranked rightly, ties
    counting half; then the mean over users, who count alike. The value is the mean over
    folds with the corrected standard error of `splits.standard_error`.
    """

    def __init__(self, config: "Config") -> None:
        settings = config.pipeline
        assert settings.scorer is not None, "the configuration has checked it"
        assert settings.metric is not None, "the configuration has checked it"
        self.name = config.name
        self.space = config.search_space()
        self.metric = settings.metric
        self.direction = Direction(RANKING_METRICS[settings.metric])
        self._config = config
        self._fixed = settings.fixed
        self._scorer = Scorer(Reference.parse(settings.scorer, config.root, "pipeline.scorer"))
        blanked = without_constants(config, [*self.space.names, *self._fixed])
        self._code = code_version(self._scorer.code, config.root, blanked)
        self._data: LoadedRatings | None = None
        self._folds: tuple[int, list[RankingFold]] | None = None
        self._learned: dict[int, Any] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Travels without its data, which every worker is given once and by itself."""
        return {**self.__dict__, "_data": None, "_folds": None, "_learned": {}}

    # ---- data

    def load(self) -> LoadedRatings:
        """Read ratings and items, check them, and split off the holdout.

        Raises:
            DataError: they cannot be ranked; says why and names the column or file.
        """
        from retrain.data import read_table
        from retrain.data.ratings import make_ratings

        settings, splits, root = self._config.pipeline, self._config.splits, self._config.root
        ratings = make_ratings(
            read_table(str(settings.data), root),
            read_table(str(settings.items), root),
            user=settings.user,
            item=settings.item,
            target=settings.target or "rating",
            time=splits.time,
        )
        loaded = split_ratings(ratings, settings.held_out, settings.known, splits.holdout, splits.seed)
        self._make_folds(loaded, 0)
        return loaded

    def use(self, data: object) -> None:
        """Take what `load` returned."""
        if not isinstance(data, LoadedRatings):
            raise TypeError(f"expected LoadedRatings, but got {type(data).__name__}")
        self._data, self._folds, self._learned = data, None, {}

    @property
    def data(self) -> LoadedRatings:
        """What `use` was given; loaded here and now where it was not called."""
        if self._data is None:
            self.use(self.load())
        assert self._data is not None
        return self._data

    def provenance(self) -> Provenance:
        """Fingerprint of the tables; the code, less the constants that a deployment writes; the splits."""
        settings, splits = self._config.pipeline, self._config.splits
        what = f"users, {settings.known:g} of theirs known" if settings.held_out == "users" else "ratings"
        by = f" by time {splits.time!r}" if splits.time else ""
        return Provenance(
            data=self.data.ratings.fingerprint,
            code=f"{self._code}{given_besides(self._fixed)}; retrain {version('retrain')}",
            metric=f"{self.metric}, {self.direction.value}; {splits.folds} folds x {splits.repeats} of"
            f" {what}{by}, holdout {splits.holdout:g} of seed {splits.seed}",
        )

    def traits(self) -> Traits:
        """The scorer, and how many users, items and ratings there are to train on."""
        data = self.data
        n_users = len(np.unique(data.ratings.users[data.train]))
        n_items, n_ratings = len(data.ratings.items), len(data.train)
        features = {
            "n_users": float(n_users),
            "n_items": float(n_items),
            "n_ratings": float(n_ratings),
            "density": n_ratings / (n_users * n_items),
        }
        return Traits(self._scorer.reference.attribute, "ranking", features)

    # ---- scoring

    @property
    def steps(self) -> str:
        """Folds."""
        return FOLDS

    def evaluate(self, params: Params, report: Report, seed: int) -> Evaluation:
        """Rank what each fold holds out, reporting the metric fold by fold.

        Raises:
            ResultError: the scorer returned something else than a finite number for each row.
        """
        return self.evaluate_in_detail(params, report, seed, {})[0]

    def evaluate_in_detail(
        self,
        params: Params,
        report: Report,
        seed: int,
        by: Mapping[str, Collection[str]],  # noqa: ARG002 - the configuration has refused it
    ) -> tuple[Evaluation, Detail]:
        """The same with every metric fold by fold."""
        start = time.perf_counter()
        given = {**params, **self._fixed}
        scores: list[dict[str, float]] = []
        folds = self._folds_of(seed)
        for step, fold in enumerate(folds):
            learned = self._learn(fold, step, given, seed)
            scores.append(fold.pairs.metrics(self._scorer.scores(learned, fold.asked, given, seed)))
            report(step, {self.metric: scores[-1][self.metric]})
        metrics = means(scores)
        sizes = [np.mean([size(fold) for fold in folds]) for size in (_n_learned, _n_ranked)]
        values = [fold[self.metric] for fold in scores]
        evaluation = Evaluation(
            metrics.pop(self.metric),
            std_error=standard_error(values, *map(float, sizes)),
            metrics=metrics,
            duration_s=time.perf_counter() - start,
        )
        return evaluation, Detail({name: tuple(fold[name] for fold in scores) for name in RANKING_METRICS})

    def _folds_of(self, seed: int) -> list[RankingFold]:
        """The folds of a seed; those of the last one are kept, with what was learned from them."""
        if self._folds is None or self._folds[0] != seed:
            self._folds, self._learned = (seed, self._make_folds(self.data, seed)), {}
        return self._folds[1]

    def _make_folds(self, data: LoadedRatings, seed: int) -> list[RankingFold]:
        settings, splits = self._config.pipeline, self._config.splits
        return make_ranking_folds(data, settings.held_out, settings.known, splits.folds, splits.repeats, seed)

    def _learn(self, fold: RankingFold, step: int, given: Params, seed: int) -> Any:
        items = self.data.ratings.items
        if self._scorer.learns_from_params:
            return self._scorer.learn(fold.learned, items, given, seed)
        if step not in self._learned:
            self._learned[step] = self._scorer.learn(fold.learned, items, given, seed)
        return self._learned[step]

    # ---- the final model

    @property
    def can_fit(self) -> bool:
        """True."""
        return True

    def fit(self, params: Params, seed: int) -> RankingModel:
        """A recommender that knows all ratings but those of the holdout."""
        data = self.data
        frame = data.ratings.frame.iloc[data.train].reset_index(drop=True)
        given = {**params, **self._fixed}
        return RankingModel(self._scorer, frame, data.ratings.items, data.ratings.target, given, seed)

    def fit_rule(self, model: RankingModel) -> Mapping[str, Any]:
        """Rule, number of ratings, and the columns of both tables."""
        columns = [str(name) for frame in (model.ratings, model.items) for name in frame.columns]
        return {"rule": REFIT, "n_rows": len(model.ratings), "columns": columns}

    def test(self, model: RankingModel) -> Scores:
        """Rank the holdout; what is known of its users is given to the model.

        Raises:
            ResultError: the scorer returned something else than a finite number for each row.
        """
        data = self.data
        ratings, asked = data.ratings, data.asked
        said = model.scores(
            ratings.asked(asked).reset_index(drop=True), ratings.frame.iloc[data.known].reset_index(drop=True)
        )
        pairs = Pairs.of(ratings.users[asked], ratings.y[asked])
        blocks = pairs.deal_blocks(N_BLOCKS, self._config.splits.seed)
        left_out = [pairs.metrics(said, blocks == block)[self.metric] for block in np.unique(blocks)]
        return Scores(
            {f"test_{name}": value for name, value in pairs.metrics(said).items()},
            len(asked),
            {f"test_{self.metric}": tuple(left_out)} if len(left_out) > 1 else {},
        )

    def save(self, model: RankingModel, folder: Path) -> Sequence[Path]:
        """Write the ratings, the items, the parameters and the scorer's own files."""
        return save_ranking_model(model, folder)

    @property
    def can_predict(self) -> bool:
        """True."""
        return True

    def load_model(self, folder: Path) -> RankingModel:
        """Read what `save` wrote, with the code of then."""
        return load_ranking_model(folder, self._config.root)

    def sample_rows(self, n: int) -> list[dict[str, Value]]:
        """Rows that lie evenly among those to train on, without their ratings."""
        train = self.data.train
        among = np.linspace(0, len(train) - 1, min(n, len(train))).astype(int)
        rows = self.data.ratings.asked(train[among])
        return [
            {str(name): plain(value) for name, value in zip(rows.columns, row, strict=True)}
            for row in rows.itertuples(index=False)
        ]

    def predict_rows(self, model: RankingModel, rows: Sequence[Mapping[str, Value]]) -> list[Any]:
        """The score of each row."""
        return list(model.predict_rows(rows))


def _n_learned(fold: RankingFold) -> int:
    return fold.n_learned


def _n_ranked(fold: RankingFold) -> int:
    return fold.pairs.n_users
