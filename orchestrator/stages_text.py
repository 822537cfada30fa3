"""What `orchestrator stages` prints at its end."""

import shlex
from typing import Any

from orchestrator.plan import StopReason
from orchestrator.stages import StageOutcome, StagesResult
from retrain.page import Page
from retrain.tables import number, plus_minus, plus_minus_column, render, seconds, to_json
from tuner.experiment import Experiment
from tuner.registry.base import HoldoutRead

__all__ = ["stages_json", "stages_text"]

_ABOUT = ["stage", "study", "fidelity", "method", "params", "configs"]
_CAME_TO = ["complete", "failed", "best", "value"]
_ENDS = {StopReason.TIMEOUT: "the time is up", StopReason.INTERRUPTED: "interrupted"}


def stages_text(result: StagesResult, output: str = "table", *, colour: bool = False) -> str:
    """Return the result as text without a final newline; "csv" is a table of the stages."""
    if output == "json":
        return to_json(stages_json(result))
    rows = [_row(each) for each in result.stages]
    if output == "csv":
        return render(rows, [*_ABOUT, *_CAME_TO], output)
    pairs = [(each.best.value, each.best.std_error) if each.best else (None, None) for each in result.stages]
    shown = zip(rows, plus_minus_column(pairs), strict=True)
    failed = ["failed"] if any(each.n_failed for each in result.stages) else []
    differ = len({each.fidelity for each in result.stages}) > 1
    page = Page(output, colour)
    page.table(
        "Stages",
        [{**row, result.metric: value} for row, value in shown],
        ["stage", "params", "complete", *failed, result.metric, "fidelity"],
        keys=("stage",),
        note="Scores of different fidelity are not comparable." if differ else "",
    )
    page.lines("Result", *_lines(result))
    if result.reason is not StopReason.DONE:
        page.verbatim("Continue with", shlex.join(result.command))
    elif result.best is not None:
        page.verbatim("Next", f"retrain --apply-hp best --dry-run{result.flags}")
    return page.text()


def stages_json(result: StagesResult) -> dict[str, Any]:
    """The same, JSON-ready."""
    look = result.look
    return {
        "study": result.study,
        "metric": result.metric,
        "ended": result.reason.value,
        "stages": [_row(each) for each in result.stages],
        "best": _experiment(result.best),
        "baseline": _experiment(result.baseline),
        "holdout": None if look is None else {"metrics": dict(look.metrics), "n_rows": look.n_rows},
        "elapsed_s": result.elapsed_s,
        "continue": None if result.reason is StopReason.DONE else shlex.join(result.command),
    }


def _row(stage: StageOutcome) -> dict[str, Any]:
    return {
        "stage": stage.name,
        "study": stage.study,
        "fidelity": stage.fidelity,
        "method": stage.method,
        "params": stage.n_params,
        "configs": stage.n_wanted,
        "complete": stage.n_complete,
        "failed": stage.n_failed,
        "best": None if stage.best is None else stage.best.public_id,
        "value": None if stage.best is None else stage.best.value,
    }


def _experiment(row: Experiment | None) -> dict[str, Any] | None:
    if row is None:
        return None
    scores = {"value": row.value, "std_error": row.std_error}
    return {"experiment": row.public_id, **scores, "params": dict(row.params)}


def _lines(result: StagesResult) -> list[str]:
    if result.reason is StopReason.SAME_ERROR:
        lines = ["stopped: experiments failed one after another with the same error"]
    else:
        lines = [f"{_ENDS.get(result.reason, 'done')} after {seconds(result.elapsed_s)}"]
    if result.reason is StopReason.DONE and result.best is None:
        lines.append("no experiment succeeded, so that there is nothing to go on with")
    if result.best is not None:
        value = plus_minus(result.best.value, result.best.std_error)
        lines.append(f"best {result.metric} {value} by {result.best.public_id} of study {result.study}")
    if result.baseline is not None:
        lines.append(f"baseline {plus_minus(result.baseline.value, result.baseline.std_error)}")
    name = f"test_{result.metric}"
    if result.look is not None and name in result.look.metrics:
        lines.append(_on_holdout(result.look, name))
    return lines


def _on_holdout(look: HoldoutRead, name: str) -> str:
    shown = f"holdout {number(look.metrics[name])}"
    if name in look.intervals:
        low, high = look.intervals[name]
        shown += f", 95 % interval [{number(low)}, {number(high)}]"
    return f"{shown} on {look.n_rows} rows, fitted on all others"
