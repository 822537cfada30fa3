"""What a study taught, in words: which parameters mattered, and what ten more experiments may bring."""

import math
from collections.abc import Mapping
from typing import Any

from retrain.metrics import is_share
from retrain.tables import number
from tuner.insight import Importance, Insight

__all__ = ["gain_line", "importance_rows"]

_N_SHOWN = 8


def importance_rows(insight: Insight) -> tuple[list[dict[str, Any]], str]:
    """The parameters that matter as rows of a table, and a note on the others."""
    shown = [each for each in insight.importances if each.matters][:_N_SHOWN]
    rows = [
        {
            "parameter": each.name,
            "share": f"{each.share:.0%}",
            "likely": f"{each.low:.0%} to {each.high:.0%}",
            "better": _better(each),
        }
        for each in shown
    ]
    others = [each for each in insight.importances if not each.matters]
    unsettled = [f"{each.name} ({each.low:.0%} to {each.high:.0%})" for each in others if each.unsettled]
    little = [f"{each.name} ({each.high:.0%})" for each in others if not (each.unsettled or each.dead)]
    dead = [each.name for each in others if each.dead]
    notes = [
        f"Too few results to say: {', '.join(unsettled)}." if unsettled else "",
        f"Little or nothing, at most the share in brackets: {', '.join(little)}." if little else "",
        f"No effect seen over the whole space: {', '.join(dead)}." if dead else "",
    ]
    return rows, " ".join(filter(None, notes))


def _better(each: Importance) -> str:
    best = each.best if isinstance(each.best, str | bool) or each.best is None else number(each.best, 3)
    words: Mapping[str, str] = {"higher": "higher", "lower": "lower", "inner": f"inside, near {best}"}
    if each.trend in words:
        return words[each.trend]
    return str(best) if isinstance(each.best, str | bool) else "open"


def gain_line(insight: Insight, metric: str, best: float | None = None) -> str | None:
    """What ten more experiments are expected to bring to the best value: of a share no more than is left."""
    gain = insight.gain
    if gain is None:
        return None
    left = 1 - best if best is not None and 0 <= best <= 1 and is_share(metric) else math.inf
    mean, low, high = (number(min(each, left), 2) for each in (gain.mean, gain.low, gain.high))
    return (
        f"{gain.n} more experiments are expected to gain {mean} {metric} on average"
        f" (eight of ten times {low} to {high})."
    )
