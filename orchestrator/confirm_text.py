"""What `orchestrator confirm` prints at its end."""

import shlex
from typing import Any

from orchestrator.confirming import ConfirmResult
from orchestrator.plan import StopReason
from orchestrator.report.confirmed_text import confirmed_json, confirmed_lines
from retrain.page import Page
from retrain.tables import render, seconds, to_json

__all__ = ["confirm_text"]


def confirm_text(result: ConfirmResult, output: str = "table", *, colour: bool = False) -> str:
    """Return the result as text without a final newline.

    Args:
        result: what a confirmation came to.
        output: one of `retrain.tables.FORMATS`; "csv" is a table of the candidates.
        colour: whether titles may be bold.
    """
    document = confirmed_json(result.confirmed)
    if output == "json":
        return to_json(
            {
                "study": result.study.name,
                "metric": result.study.metric,
                "ended": result.reason.value,
                "n_repeats": result.n_repeats,
                "n_looks": len(result.looks),
                "confirmed": document,
                "continue": None if result.reason is StopReason.DONE else shlex.join(result.command),
            }
        )
    if output == "csv":
        rows: list[dict[str, Any]] = [] if document is None else document["candidates"]
        return render(
            rows, ["id", "validation", "mean", "std_error", "low", "high", "bound", "n_repeats"], output
        )
    page = Page(output, colour)
    page.lines(f"Confirmed: {result.study.name}, {result.study.metric}", *_lines(result))
    if result.reason is not StopReason.DONE:
        page.verbatim("Continue with", shlex.join(result.command))
    elif result.confirmed is not None and not _in_use(result):
        page.verbatim("Apply the winner", f"retrain --apply-hp best{result.flags}")
    return page.text()


def _lines(result: ConfirmResult) -> list[str]:
    how = {StopReason.TIMEOUT: "the time is up", StopReason.INTERRUPTED: "interrupted"}.get(
        result.reason, "done"
    )
    n = result.n_repeats
    lines = [f"{how} after {seconds(result.elapsed_s)}: {n} repeat{'' if n == 1 else 's'} run"]
    if result.confirmed is not None:
        lines += confirmed_lines(result.confirmed, result.study, result.looks)
    elif result.reason is StopReason.DONE:
        lines.append("None could be scored again, so nothing is confirmed:")
        lines += [f"  {each}: {why}" for each, why in result.plan.failed.items()]
    return lines


def _in_use(result: ConfirmResult) -> bool:
    """Whether the winner is what is in production, or the baseline where nothing else is."""
    assert result.confirmed is not None
    references = result.plan.references
    return result.confirmed.winner.public_id == (references.get("deployed") or references.get("baseline"))
