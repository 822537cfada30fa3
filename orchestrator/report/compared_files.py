"""The files of a comparison: `results.csv` with every row, and the plot of default against tuned."""

from pathlib import Path

from orchestrator.comparison.run import Compared
from orchestrator.plan import StopReason
from orchestrator.report.compared_text import COLUMNS, row_documents
from retrain.console import say
from retrain.tables import render
from tuner.errors import UsageError

__all__ = ["write_files"]


def write_files(compared: Compared) -> list[str]:
    """Write what there is to write and return the paths; nothing of a comparison that did not end.

    Raises:
        UsageError: the folder cannot be written to.
    """
    if compared.reason is not StopReason.DONE:
        return []
    path = compared.folder / "results.csv"
    try:
        path.write_text(render(row_documents(compared), COLUMNS, "csv") + "\n", encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"The results cannot be written to {str(path)!r}: {error.strerror}.", "Give another --output-dir."
        ) from None
    return [str(path), *_plotted(compared, compared.folder / "default_against_tuned.png")]


def _plotted(compared: Compared, path: Path) -> list[str]:
    rows = [row for row in compared.rows if row.metric == compared.design.metrics[0]]
    if not any(row.gain is not None for row in rows):
        return []
    from orchestrator.plots.canvas import check_file
    from orchestrator.plots.compared import draw

    try:
        check_file(path)
    except UsageError as error:
        say(f"no plot: {error} {error.remedy}")
        return []
    draw(rows, path)
    return [str(path)]
