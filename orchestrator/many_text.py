"""What `orchestrator all` prints at its end: a line for each, the next command, and its exit code."""

import shlex
from collections.abc import Sequence
from typing import Any

from orchestrator.many import Outcome
from orchestrator.plan import StopReason
from retrain.tables import render, seconds, to_json

__all__ = ["exit_code_of", "many_text", "next_line"]

_COLUMNS = ["architecture", "metric", "baseline", "best", "holdout", "n", "took", "ended"]
_WORDS = {
    None: "not begun",
    0: "done",
    1: "failed",
    2: "refused",
    4: "no registry",
    5: "some failed",
    6: "no result",
    130: "interrupted",
    143: "interrupted",
}

_TO_GO_ON = (None, 130, 143)
"""How those ended that the same command goes on with."""


def many_text(outcomes: Sequence[Outcome], output: str = "table") -> str:
    """Return the summary as text without a final newline; in JSON, with all that each printed."""
    if output == "json":
        return to_json(
            {
                each.part.name: {
                    "config": each.part.config,
                    "exit_code": each.code,
                    "elapsed_s": round(each.elapsed_s, 3),
                    "result": dict(each.document) or None,
                }
                for each in outcomes
            }
        )
    rows = [_row(each) for each in outcomes]
    used = [name for name in _COLUMNS if any(row[name] is not None for row in rows)]
    return render(rows, used, output, keys=["architecture"])


def next_line(outcomes: Sequence[Outcome], command: Sequence[str], db: str = "") -> str | None:
    """What to type next: the same command where it goes on, else how to look at what came to a result.

    Args:
        outcomes: of all parts.
        command: which this was.
        db: the flag of a registry of all, such as " --db all.db".
    """
    if any(each.code in _TO_GO_ON or _is_cut_short(each) for each in outcomes):
        return f"continue with: {shlex.join(command)}"
    found = [each for each in outcomes if each.document.get("best") or each.document.get("front")]
    if not found:
        return None
    first, *others = (shlex.quote(each.part.config) for each in found)
    staged = "stages" in found[0].document
    what = "retrain --apply-hp best --dry-run" if staged else "orchestrator --summary"
    so_on = f", and so on for {', '.join(others)}" if others else ""
    return f"next: {what} --config {first}{db}{so_on}"


def exit_code_of(outcomes: Sequence[Outcome], stop_code: int | None = None) -> int:
    """The exit code of all: of an interruption, else the first that is not 0; 6 where one was not begun."""
    if stop_code is not None:
        return stop_code
    codes = [6 if each.code is None else each.code for each in outcomes]
    failed = [each.code for each in outcomes if each.code not in (None, 0)]
    return failed[0] if failed and failed[0] is not None else max(codes, default=6)


def _row(outcome: Outcome) -> dict[str, Any]:
    found = outcome.document
    best, baseline, holdout = (found.get(key) or {} for key in ("best", "baseline", "holdout"))
    metric = found.get("metric")
    counted = [each for each in found.get("stages", [found]) if "complete" in each or "n_complete" in each]
    n = sum(int(each.get("complete", each.get("n_complete", 0))) for each in counted)
    return {
        "architecture": outcome.part.name,
        "metric": metric,
        "baseline": baseline.get("value"),
        "best": best.get("value"),
        "holdout": holdout.get("metrics", {}).get(f"test_{metric}"),
        "n": n if counted else None,
        "took": seconds(outcome.elapsed_s) if outcome.code is not None else None,
        "ended": _how_it_ended(outcome),
    }


def _how_it_ended(outcome: Outcome) -> str:
    return "time is up" if _is_cut_short(outcome) else _WORDS.get(outcome.code, f"exit code {outcome.code}")


def _is_cut_short(outcome: Outcome) -> bool:
    return outcome.code == 0 and outcome.document.get("ended") == StopReason.TIMEOUT
