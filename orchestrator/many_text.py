"""What `orchestrator all` prints at its end: a line for each, and its exit code."""

from collections.abc import Sequence
from typing import Any

from orchestrator.many import Outcome
from orchestrator.plan import StopReason
from retrain.tables import render, seconds, to_json

__all__ = ["exit_code_of", "many_text"]

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
    if outcome.code == 0 and outcome.document.get("ended") == StopReason.TIMEOUT:
        return "time is up"
    return _WORDS.get(outcome.code, f"exit code {outcome.code}")
