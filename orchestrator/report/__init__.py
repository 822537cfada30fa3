"""Reports: rows in, text out. Each takes an open registry and returns text without a final newline."""

from collections.abc import Mapping

from orchestrator.report.detail import diff, show
from orchestrator.report.lineage import lineage
from orchestrator.report.listing import listing
from orchestrator.report.summary import summarize
from orchestrator.report.summary_text import summary_text
from tuner.experiment import Study, Value
from tuner.registry.base import RegistryReader

__all__ = ["diff", "lineage", "listing", "show", "summarize", "summary", "summary_text"]


def summary(
    registry: RegistryReader,
    study: Study,
    *,
    top: int = 5,
    deployed: Mapping[str, Value] | None = None,
    folds: int | None = None,
    pipeline: str | None = None,
    holdout: bool = True,
    output: str = "table",
    flags: str = "",
    colour: bool = False,
) -> str:
    """Was the tuning worth it: `summarize` and `summary_text` in one call; see there.

    Raises:
        NotFoundError: the study has no experiments yet.
    """
    facts = summarize(registry, study, top=top, deployed=deployed, folds=folds, pipeline=pipeline)
    return summary_text(facts, output, holdout=holdout, flags=flags, colour=colour)
