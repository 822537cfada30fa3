"""Looks at the holdout: every one is written down, since each makes the next a little less honest."""

from collections.abc import Sequence

from retrain.honest import HoldoutScore, holdout_score
from retrain.metrics import is_share
from retrain.pipeline import Pipeline, Scores
from retrain.results import failure_of
from tuner.errors import RetrainError
from tuner.experiment import Params
from tuner.registry.base import HoldoutRead, Registry

__all__ = ["count_look", "look_at_holdout"]


def look_at_holdout(
    registry: Registry,
    pipeline: Pipeline,
    params: Params,
    *,
    seed: int,
    why: str,
    who: str,
    experiment: str | None = None,
) -> HoldoutRead:
    """Fit on all training data, test on the holdout, and write down what was seen.

    Args:
        registry: where looks are counted.
        pipeline: one that can fit, with its data in use.
        params: a complete configuration.
        seed: of the fit.
        why: what looks, such as "orchestrator confirm".
        who: on whose behalf.
        experiment: public id of the experiment whose configuration it is.

    Raises:
        RetrainError: the user's code failed, or the registry refuses.
    """
    try:
        scores = pipeline.test(pipeline.fit(params, seed))
    except RetrainError:
        raise
    except (Exception, SystemExit) as error:  # user code may raise anything
        raise RetrainError(f"The final fit failed: {failure_of(error).message}") from error
    return count_look(registry, pipeline, params, scores, why=why, who=who, experiment=experiment)


def count_look(
    registry: Registry,
    pipeline: Pipeline,
    params: Params,
    scores: Scores,
    *,
    why: str,
    who: str,
    experiment: str | None = None,
    version: int | None = None,
) -> HoldoutRead:
    """Write down what a fitted model scored on the holdout; arguments as for `look_at_holdout`.

    `version`: the number of the version whose configuration it is, where there is one.
    """
    return registry.add_holdout_read(
        HoldoutRead(
            pipeline.name,
            params,
            scores.metrics,
            pipeline.provenance(),
            why,
            who,
            experiment=experiment,
            version=version,
            n_rows=scores.n_rows,
            intervals={
                name: (score.low, score.high)
                for name, left_out in scores.left_out.items()
                if (score := _interval(scores, name, left_out)) is not None
            },
        )
    )


def _interval(scores: Scores, name: str, left_out: Sequence[float]) -> HoldoutScore | None:
    value = scores.metrics[name]
    share = is_share(name) and 0 <= value <= 1  # and no accuracy in percent
    return holdout_score(value, left_out, n_rows=scores.n_rows if share else None)
