"""RetrainSearchCV: our generators as a search of scikit-learn, in the manner of RandomizedSearchCV."""

import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import isfinite
from numbers import Integral
from time import perf_counter
from typing import Any, ClassVar

import numpy as np
from sklearn.base import is_classifier
from sklearn.exceptions import FitFailedWarning
from sklearn.model_selection import check_cv
from sklearn.model_selection._search import BaseSearchCV
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions

from orchestrator.adapters.sklearn_space import EstimatorSpace, read_space
from tuner.errors import InvalidError, UsageError
from tuner.experiment import Direction, Observation, Params
from tuner.generators import METHODS, make_generator
from tuner.space import config_key

__all__ = ["RetrainSearchCV"]

_EVERY_FIT_FAILED = re.compile(r"All the (\d+) fits failed")
"""How scikit-learn begins to say that no fit of a call succeeded: nothing special for a batch of one."""


_Candidate = tuple[Params, Mapping[str, Any]]
"""A configuration of the space, and the parameters of the estimator that it stands for."""


class RetrainSearchCV(BaseSearchCV):  # type: ignore[misc]  # scikit-learn has no types
    """Searches hyperparameters by cross-validation, each batch of candidates learning from those before.

    It has the methods and attributes of scikit-learn's RandomizedSearchCV: `fit`, `predict`, `score`,
    `best_estimator_`, `best_params_`, `best_score_`, `best_index_`, `cv_results_` and so on, and the
    parameters not listed here mean what they mean there. All candidates are scored on the same splits, also
    where `cv` shuffles anew at each call. A candidate whose fits fail is learned from as such; with several
    metrics, the one named by `refit` is learned from, or else the first. A space of no more than `n_iter`
    candidates is tried whole, in the order of its lists.

    Args:
        estimator: what is fitted; its `score`, or `scoring`, is maximised.
        space: a dictionary of parameter names with lists of values or distributions, as for
            RandomizedSearchCV, or a list of such dictionaries; or a SearchSpace, or its document. A list of
            numbers is taken as ordered.
        method: name of the generator.
        n_iter: how many candidates are tried; fewer where the space has no more.
        batch_size: how many candidates are fitted at a time. With more, `n_jobs` has more to do at once than
            the splits of one candidate, and less is known when a candidate is chosen.
        guesses: candidates that are tried first, as dictionaries like `best_params_`. "current" for the
            estimator's own parameters, where the space holds them.
        random_state: of the candidates. The same integer gives the same candidates with any `n_jobs`.
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseSearchCV._parameter_constraints,
        "space": "no_validation",
        "method": [StrOptions(set(METHODS))],
        "n_iter": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "guesses": [StrOptions({"current"}), list, tuple, None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator: Any,
        space: Any,
        *,
        method: str = "bayesian",
        n_iter: int = 20,
        batch_size: int = 1,
        guesses: Any = "current",
        scoring: Any = None,
        n_jobs: int | None = None,
        refit: Any = True,
        cv: Any = None,
        verbose: int = 0,
        pre_dispatch: int | str = "2*n_jobs",
        random_state: Any = None,
        error_score: Any = np.nan,
        return_train_score: bool = False,
    ) -> None:
        self.space = space
        self.method = method
        self.n_iter = n_iter
        self.batch_size = batch_size
        self.guesses = guesses
        self.random_state = random_state
        super().__init__(
            estimator=estimator,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            pre_dispatch=pre_dispatch,
            error_score=error_score,
            return_train_score=return_train_score,
        )

    def _run_search(self, evaluate_candidates: Callable[..., Any], *, callback_ctx: Any = None) -> None:
        rng = check_random_state(self.random_state)
        with _as_value_error():
            space = read_space(self.space, rng)
        guesses = self._guessed(space)
        self._unscored = _Unscored()
        try:
            rounds = _Rounds(self, evaluate_candidates, callback_ctx)
            whole = space.whole(self.n_iter)
            if whole is not None:
                rounds.run([(config, space.params_of(config)) for config in whole])
            else:
                self._search(rounds, space, guesses, seed=int(rng.randint(2**31 - 1)))
            rounds.close()
        finally:
            del self._unscored

    def _search(
        self, rounds: "_Rounds", space: EstimatorSpace, guesses: Sequence[_Candidate], seed: int
    ) -> None:
        with _as_value_error():
            generator = make_generator(
                self.method,
                space.space,
                seed=seed,
                direction=Direction.MAXIMIZE,
                baseline=guesses[0][0] if guesses else None,
            )
        while (n := min(self.batch_size, self.n_iter - rounds.n_candidates)) > 0:
            generator.tell([], pending=[config for config, _ in guesses])
            batch, guesses = [*guesses[:n]], guesses[n:]
            if len(batch) < n:
                asked = generator.ask(n - len(batch))
                batch += [(one.params, space.params_of(one.params)) for one in asked]
            if not batch:
                break
            generator.tell(rounds.run(batch))

    def _guessed(self, space: EstimatorSpace) -> list[_Candidate]:
        """What is tried first."""
        if self.guesses == "current":
            current = self.estimator.get_params()
            config = space.config_of(current, whole=False)
            if config is None:
                return []
            return [(config, {name: current[name] for name in space.params_of(config)})]
        found = {}
        for guess in self.guesses or ():
            config = space.config_of(guess, whole=True) if isinstance(guess, Mapping) else None
            if config is None:
                raise InvalidError(
                    f"Each of `guesses` must be a candidate of the space, but got {guess!r}.",
                    "Give a value of its list or range to each parameter that is in use, and to no other.",
                )
            found[config_key(config)] = (config, guess)
        return list(found.values())

    def _format_results(
        self, candidate_params: Sequence[Any], n_splits: int, out: Sequence[Any], more_results: Any = None
    ) -> Any:
        """Put the candidates that scikit-learn dropped back in; keep the warnings for the end."""
        kept = self._unscored
        kept.formatted = (candidate_params, n_splits, out, more_results)
        candidates, scores = kept.put_back(candidate_params, n_splits, out, self.error_score)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            results = super()._format_results(candidates, n_splits, scores, more_results)
        kept.warnings = [each.message for each in caught]
        return results


@contextmanager
def _as_value_error() -> Iterator[None]:
    try:
        yield
    except UsageError as error:
        raise InvalidError(str(error), error.remedy) from error


@dataclass
class _Unscored:
    """Candidates whose fits all failed, in a call of which no fit succeeded: scikit-learn refuses these.

    Attributes:
        failed: index among all candidates, parameters, and seconds per fit, in the order they were tried.
        n_fits: how many fits that were.
        errors: what scikit-learn said of each call.
        formatted: what the last results were made of.
        warnings: what was warned of when they were made.
    """

    failed: list[tuple[int, Mapping[str, Any], float]] = field(default_factory=list)
    n_fits: int = 0
    errors: list[ValueError] = field(default_factory=list)
    formatted: tuple[Any, ...] | None = None
    warnings: list[Any] = field(default_factory=list)

    def __reduce__(self) -> tuple[Any, ...]:
        return (_Unscored, ())  # workers get a copy of the search with each fit, and need none of this

    def put_back(
        self, candidates: Iterable[Any], n_splits: int, out: Iterable[Any], error_score: float
    ) -> tuple[list[Any], list[Any]]:
        """All candidates in the order they were tried, and one result for each of their splits."""
        candidates, out = list(candidates), list(out)
        like = out[0]

        def scored(name: str) -> Any:
            return dict.fromkeys(like[name], error_score) if isinstance(like[name], dict) else error_score

        for at, params, seconds in self.failed:
            scores = {name: scored(name) for name in ("test_scores", "train_scores") if name in like}
            candidates.insert(at, params)
            out[at * n_splits : at * n_splits] = [
                {**like, **scores, "fit_time": seconds, "score_time": 0.0}
            ] * n_splits
        return candidates, out


class _Rounds:
    """The batches of one search: their evaluation, and what is learned from it."""

    def __init__(self, search: RetrainSearchCV, evaluate: Callable[..., Any], callback_ctx: Any) -> None:
        self.n_candidates = 0
        self._search = search
        self._evaluate = evaluate
        # Splits that were given as such are kept by scikit-learn.
        given = isinstance(search.cv, Iterable) and not hasattr(search.cv, "split")
        self._cv = None if given else _SameSplits(search.cv, classifier=is_classifier(search.estimator))
        self._results: dict[str, Any] | None = None
        self._context = callback_ctx and callback_ctx.subcontext(
            task_name="search",
            max_subtasks=search.n_iter * search.n_splits_,
            sequential_subtasks=False,
        ).call_on_fit_task_begin(estimator=search)

    def run(self, batch: Sequence[_Candidate]) -> list[Observation]:
        """Evaluate a batch, and say what came out."""
        candidates = [params for _, params in batch]
        n_before = self.n_candidates
        self.n_candidates += len(batch)
        context = {}
        if self._context is not None:
            context["callback_ctx"] = _Numbered(self._context, n_before * self._search.n_splits_)
        started = perf_counter()
        try:
            self._results = self._evaluate(candidates, cv=self._cv, **context)
        except ValueError as error:
            said = _EVERY_FIT_FAILED.match(str(error).strip())
            if said is None or self._search.error_score == "raise":
                raise
            kept = self._search._unscored
            kept.n_fits += int(said[1])
            seconds = (perf_counter() - started) / int(said[1])
            kept.failed += [(n_before + i, params, seconds) for i, params in enumerate(candidates)]
            kept.errors.append(error)
            return [_observation(config, self._search.error_score) for config, _ in batch]
        metric = self._metric(self._results)
        self._say(metric)
        # All are scored on the same splits: how far those lie apart says nothing about which is better.
        means = self._results[f"mean_test_{metric}"][n_before:]
        return [_observation(config, mean) for (config, _), mean in zip(batch, means, strict=True)]

    def close(self) -> None:
        """Bring the results up to date, and warn of what failed.

        Raises:
            ValueError: no fit of any candidate succeeded.
        """
        search, kept = self._search, self._search._unscored
        if self._results is None:
            said, error = f"All the {kept.n_fits} fits failed", kept.errors[0]
            raise ValueError(_EVERY_FIT_FAILED.sub(said, str(error), count=1)) from error
        if kept.failed:
            self._results.update(search._format_results(*(kept.formatted or ())))
            details = str(kept.errors[0]).partition("Below are more details")[2]
            warnings.warn(
                f"\nEvery fit of {len(kept.failed)} out of {self.n_candidates} candidates failed.\n"
                f"Their scores are set to {search.error_score}.\n\nBelow are more details{details}",
                FitFailedWarning,
                stacklevel=4,
            )
        for message in kept.warnings:
            warnings.warn(message, stacklevel=4)
        if self._context is not None:
            self._context.call_on_fit_task_end(estimator=search)

    def _metric(self, results: Mapping[str, Any]) -> str:
        metrics = [key.removeprefix("mean_test_") for key in results if key.startswith("mean_test_")]
        refit = self._search.refit
        return refit if isinstance(refit, str) and refit in metrics else metrics[0]

    def _say(self, metric: str) -> None:
        if self._search.verbose > 0 and self._results is not None:
            scores = self._results[f"mean_test_{metric}"]
            best = max(filter(isfinite, scores), default=np.nan)
            print(f"{self.n_candidates} of {self._search.n_iter} candidates, best mean {metric} {best:.6g}")


class _SameSplits:
    """A splitter that splits once, so that all batches are scored on the same splits."""

    def __init__(self, cv: Any, *, classifier: bool) -> None:
        self._cv, self._classifier = cv, classifier
        self._splits: list[Any] | None = None

    def split(self, X: Any, y: Any = None, **params: Any) -> list[Any]:  # noqa: N803 - scikit-learn's name
        if self._splits is None:
            self._splits = list(check_cv(self._cv, y, classifier=self._classifier).split(X, y, **params))
        return self._splits


class _Numbered:
    """A callback context in which the tasks of several batches are numbered through."""

    def __init__(self, context: Any, first: int) -> None:
        self._context, self._first = context, first

    def subcontext(self, *, task_id: int, **more: Any) -> Any:
        return self._context.subcontext(task_id=self._first + task_id, **more)


def _observation(config: Params, score: float) -> Observation:
    """What a generator learns of a score; one that is not finite is a failure."""
    return Observation(config, float(score) if isfinite(score) else None)
