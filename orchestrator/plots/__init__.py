"""Pictures of a study: what each shows is gathered by a pure function and drawn by another, in one file each.

Only `canvas` loads matplotlib, and only when something is drawn.
"""

from pathlib import Path

from tuner.errors import UsageError, did_you_mean
from tuner.experiment import Params, Study
from tuner.registry.base import RegistryReader

__all__ = ["KINDS", "check_kind", "plot"]

KINDS = (
    "convergence",
    "front",
    "importance",
    "parallel",
    "slice",
    "learning-curves",
    "default-against-tuned",
)


def check_kind(kind: str) -> None:
    """Refuse a kind that there is not.

    Raises:
        UsageError: it is none of `KINDS`; names the closest.
    """
    if kind not in KINDS:
        raise UsageError(
            f"Unknown kind of picture {kind!r}.{did_you_mean(kind, KINDS)}", f"There are: {', '.join(KINDS)}."
        )


def plot(
    registry: RegistryReader,
    study: Study,
    kind: str,
    path: Path,
    *,
    pipeline: str,
    folds: int | None = None,
    deployed: Params | None = None,
) -> Path:
    """Draw one picture of a study into a file.

    Args:
        registry: where to look.
        study: which one.
        kind: one of `KINDS`.
        path: ends in .png, .svg or .html.
        pipeline: whose looks at the holdout count.
        folds: of one cross-validation, where known.
        deployed: the hyperparameters in production now, where known.

    Returns:
        The path.

    Raises:
        UsageError: the kind, the file or the study does not go, or matplotlib is missing.
        NotFoundError: there is nothing to plot yet.
    """
    from orchestrator.plots import convergence, front, importance, learning_curves, parallel, slices, tuned
    from orchestrator.plots.canvas import check_file
    from orchestrator.plots.rows import gather
    from orchestrator.report.summary import latest_insight, summarize

    check_kind(kind)
    check_file(path)
    rows = gather(registry, study)
    insight, further = latest_insight(registry, study)
    match kind:
        case "convergence":
            canvas = convergence.draw(convergence.prepare(rows))
        case "front":
            on_it = registry.front(study, rows.complete[0].experiment.provenance) if rows.complete else []
            canvas = front.draw(front.prepare(rows, on_it, deployed))
        case "importance":
            canvas = importance.draw(importance.prepare(study, insight, further))
        case "parallel":
            canvas = parallel.draw(parallel.prepare(rows, insight))
        case "slice":
            canvas = slices.draw(slices.prepare(rows))
        case "learning-curves":
            canvas = learning_curves.draw(
                learning_curves.prepare(rows, lambda point: registry.measurements(point.experiment))
            )
        case _:
            if study.goals.objectives:
                raise UsageError(
                    f"Study {study.name!r} has several objectives, so there is no tuned one, but a front.",
                    "Draw the front: orchestrator plot front",
                )
            facts = summarize(registry, study, top=1, folds=folds, pipeline=pipeline)
            canvas = tuned.draw(
                tuned.prepare(
                    registry,
                    study,
                    facts.baseline,
                    facts.chosen,
                    facts.confirmed,
                    pipeline=pipeline,
                    folds=folds,
                )
            )
    canvas.save(path)
    return path
