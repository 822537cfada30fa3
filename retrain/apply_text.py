"""What a deployment did, or would do, in words: the changed file, figures before and after, verdicts."""

from collections.abc import Sequence
from typing import Any

from retrain.deploy.gate import Verdict
from retrain.deploy.report import ApplyOutcome, ApplyReport
from retrain.deploy.rivals import rivals_lines
from retrain.page import Page
from retrain.tables import render, to_json

__all__ = ["apply_text", "preview_text"]

_FIGURES = ["metric", "before", "after", "change", "which is"]


def apply_text(
    report: ApplyReport, output: str = "table", *, brief: bool = False, flags: str = "", colour: bool = False
) -> str:
    """Return a report as text without a final newline.

    Args:
        report: what was done.
        output: "csv" holds the figures alone, "json" everything.
        brief: the outcome alone, for a user who has just seen the rest; not of JSON and CSV.
        flags: common options to repeat in the commands that are suggested.
        colour: whether titles may be bold.
    """
    if output == "json":
        return to_json(report.to_dict())
    figures = _figures(report)
    if output == "csv":
        return render(figures, _FIGURES, "csv")
    page = Page(output, colour)
    if not brief:
        _details(page, report, figures)
    page.lines("The best of before", *rivals_lines(report.rivals, flags))
    page.lines("Outcome", f"{report.pipeline}: {report.message}", *_overrides(report), *_next(report, flags))
    return page.text()


def preview_text(report: ApplyReport, *, colour: bool = False) -> str:
    """Return what would happen, for the question whether it should."""
    page = Page("table", colour)
    _details(page, report, _figures(report))
    return page.text()


def _details(page: Page, report: ApplyReport, figures: list[dict[str, Any]]) -> None:
    page.table("Hyperparameters", _changes(report), ["parameter", "before", "after"])
    if report.diff:
        page.diff(f"Change of {report.target}", report.diff)
    page.table("Metrics", [{**row, "change": _signed(row["change"])} for row in figures], _FIGURES)
    page.lines(
        "Gate", *map(_verdict, report.verdicts), *(f"warning: {warning}" for warning in report.warnings)
    )
    page.lines("Notes", *report.notes)


def _verdict(verdict: Verdict) -> str:
    name = f" ({verdict.name})" if verdict.name else ""
    if verdict.override == "needed":
        return f"NOT MET, OVERRIDDEN{name}: {verdict.why}"
    unneeded = "; the override was not needed" if verdict.override else ""
    return f"{'met' if verdict.passed else 'NOT MET'}{name}: {verdict.why}{unneeded}"


def _overrides(report: ApplyReport) -> Sequence[str]:
    """What a person has let through, and why: never without being said."""
    reasons = {verdict.name: verdict.reason for verdict in report.verdicts if verdict.override == "needed"}
    return [f"gate {name} was overridden: {reason}" for name, reason in reasons.items()]


def _changes(report: ApplyReport) -> list[dict[str, Any]]:
    """The parameters that change, with those that appear or go away."""
    names = dict.fromkeys([*report.params, *report.previous])
    return [
        {"parameter": name, "before": report.previous.get(name), "after": report.params.get(name)}
        for name in names
        if report.previous.get(name) != report.params.get(name)
        or (name in report.previous) != (name in report.params)
    ]


def _figures(report: ApplyReport) -> list[dict[str, Any]]:
    before, after = report.before, report.after
    return [
        {
            "metric": name,
            "before": before.get(name),
            "after": after.get(name),
            "change": after[name] - before[name] if name in before and name in after else None,
            "which is": report.standing(name),
        }
        for name in dict.fromkeys([*after, *before])
    ]


def _signed(change: float | None) -> str:
    return "" if change is None else f"{change:+.4g}" if change else "0"


def _next(report: ApplyReport, flags: str) -> Sequence[str]:
    match report.outcome:
        case ApplyOutcome.DEPLOYED:
            # A second rollback goes one further back, never forward again: that needs the number.
            number = f" {report.from_version}" if report.action == "rollback" else ""
            return (f"back again: retrain --rollback{number}{flags}",)
        case ApplyOutcome.UNCHANGED if report.action != "rollback":
            return (f"deploy it anew all the same: add --force{flags}",)
    return ()
