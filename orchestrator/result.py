"""What a run came to: the exit code, and the few lines that are printed at its end."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.confirm_text import confirm_text
from orchestrator.confirming import ConfirmResult
from orchestrator.plan import StopReason
from orchestrator.report.confirmed_text import confirmed_json
from retrain.tables import plus_minus, plus_minus_column, printable, render, seconds, to_json
from retrain.tune_rows import tuned_on
from tuner.experiment import Experiment, Study

__all__ = ["RunResult", "result_text", "traceback_text", "trouble_text"]

_N_CAUSES = 3


@dataclass(frozen=True, slots=True)
class RunResult:
    """The end of one invocation.

    Attributes:
        reason: why it ended.
        n_complete: experiments that this invocation completed.
        n_pruned: experiments of it that a pruner stopped.
        n_failed: experiments that failed for good, earlier parts of a continued run included.
        causes: why they failed, most common first, with how many.
        n_waiting: experiments of the study that still wait.
        n_released: experiments that ran at the end and wait again.
        exhausted: the space (or the design) had fewer candidates than were wanted.
        best, baseline: of the study, scored on what this run scored on.
        front: with several objectives, their Pareto front among these; empty otherwise.
        elapsed_s: from the first claim that was possible to the end.
        command: what continues the run.
        flags: common options to repeat in the command that is suggested.
        same_error: the last of the experiments that failed alike, where that stopped the run.
        confirmation: of the best, where one was asked for and begun.
        exit_code: of the process; see design.md section 6.
    """

    study: Study
    reason: StopReason
    n_complete: int
    n_failed: int
    causes: Sequence[tuple[str, int]]
    n_waiting: int
    n_released: int
    exhausted: bool
    best: Experiment | None
    baseline: Experiment | None
    elapsed_s: float
    command: Sequence[str]
    flags: str
    exit_code: int
    same_error: Experiment | None = None
    n_pruned: int = 0
    confirmation: ConfirmResult | None = None
    front: Sequence[Experiment] = ()


def result_text(result: RunResult, output: str = "table") -> str:
    """Return the result as text without a final newline; `output` is one of `retrain.tables.FORMATS`."""
    document = _document(result)
    if output == "json":
        return to_json(document)
    if output == "table":
        text = "\n".join(map(printable, _lines(result)))
        if result.confirmation is None or result.confirmation.confirmed is None:
            return text
        return f"{text}\n\n{confirm_text(result.confirmation)}"
    del document["same_error"], document["confirmed"]
    flat = {**document, **{key: (document[key] or {}).get("value") for key in ("best", "baseline")}}
    flat["best_experiment"] = (document["best"] or {}).get("experiment")
    if "front" in flat:
        flat["front"] = " ".join(document["front"])
    return render([flat], list(flat), output)


def traceback_text(result: RunResult) -> str | None:
    """Where the error that stopped the run came from; None for any other end."""
    if result.same_error is None:
        return None
    return "\n".join(map(printable, (result.same_error.traceback or "").splitlines())) or None


def trouble_text(result: RunResult) -> tuple[str, str] | None:
    """What is wrong about a run that ended with code 1, 5 or 6, and what to do; None for the others."""
    look = f"orchestrator --summary{result.flags}"
    if result.same_error is not None:
        again = shlex.join([*result.command, "--same-error", "0"])
        last = f"{result.same_error.public_id}: {result.same_error.error}"
        return (
            f"Experiments failed one after another with the same error, last {last}",
            f"mend the cause, then the same command goes on with what waits; or nevertheless: {again}",
        )
    match result.exit_code:
        case 5:
            n_ended = result.n_complete + result.n_pruned + result.n_failed
            return (
                f"{result.n_failed} of {n_ended} experiments failed, which is more than --max-failed allows.",
                look,
            )
        case 6 if result.n_complete:
            limits = "; ".join(map(str, result.study.goals.limits))
            return f"No experiment keeps the limits of the study: {limits}.", look
        case 6:
            return "The run ended before any experiment was complete.", look
    return None


def _document(result: RunResult) -> dict[str, Any]:
    return {
        "study": result.study.name,
        "metric": result.study.metric,
        "ended": result.reason.value,
        "n_complete": result.n_complete,
        **({"n_pruned": result.n_pruned} if result.n_pruned else {}),
        "n_failed": result.n_failed,
        "n_waiting": result.n_waiting,
        "elapsed_s": round(result.elapsed_s, 3),
        "best": None if result.front else _described(result.best, "value", "std_error"),
        **({"front": [each.public_id for each in result.front]} if result.study.goals.objectives else {}),
        "baseline": _described(result.baseline, "value", "std_error"),
        "same_error": _described(result.same_error, "error", "traceback"),
        "confirmed": result.confirmation and confirmed_json(result.confirmation.confirmed),
    }


def _described(experiment: Experiment | None, *facts: str) -> dict[str, Any] | None:
    """Its id, these of its attributes, and its parameters."""
    if experiment is None:
        return None
    named = {name: getattr(experiment, name) for name in facts}
    return {"experiment": experiment.public_id, **named, "params": dict(experiment.params)}


def _lines(result: RunResult) -> list[str]:
    n_ended = result.n_complete + result.n_pruned + result.n_failed
    how = {
        StopReason.DONE: "done",
        StopReason.TIMEOUT: "the time is up",
        StopReason.INTERRUPTED: "interrupted",
        StopReason.SAME_ERROR: "stopped",
    }[result.reason]
    pruned = [f"{result.n_pruned} pruned"] if result.n_pruned else []
    counts = [f"{result.n_complete} complete", *pruned, f"{result.n_failed} failed"]
    counts += [f"{result.n_waiting} waiting"] if result.n_waiting else []
    lines = [f"{how} after {seconds(result.elapsed_s)}: {', '.join(counts)}"]
    if result.exhausted:
        lines.append("every configuration of the space (or of the design) has been tried")
    if result.front:
        lines += _front_lines(result)
    elif result.best is not None:
        lines += _best_lines(result.study.metric, result.best, result.baseline)
        if (part := tuned_on(result.best.provenance)) is not None:
            lines.append(f"{part}; confirmation, gate and final fit take all")
    elif n_ended and n_ended == result.n_failed:
        lines.append("no experiment succeeded")
    elif result.n_complete:
        lines.append("no experiment keeps the limits of the study")
    for cause, count in result.causes[:_N_CAUSES]:
        lines.append(f"failed {count} x: {cause}")
    n_more = len(result.causes) - _N_CAUSES
    if n_more > 0:
        lines.append(f"and {n_more} more cause{'s' if n_more > 1 else ''} of failure")
    if result.reason is not StopReason.DONE:
        lines.append(f"continue with: {shlex.join(result.command)}")
    elif n_ended and not result.front:
        lines.append(f"next: orchestrator --summary{result.flags}")
    return lines


def _front_lines(result: RunResult) -> list[str]:
    """With several objectives there is no best one."""
    study, n = result.study, len(result.front)
    metrics = ", ".join([study.metric, *(each.metric for each in study.goals.objectives)])
    return [
        f"front of {metrics}: {n} experiment{'' if n == 1 else 's'}",
        f"choose by: orchestrator --summary{result.flags}",
    ]


def _best_lines(metric: str, best: Experiment, baseline: Experiment | None) -> list[str]:
    """The best and the baseline, each on a line of its own: both with an id would not fit 80 columns."""
    if baseline is None or baseline.id == best.id:
        line = f"best {metric} {plus_minus(best.value, best.std_error)} by {best.public_id}"
        return [line] if baseline is None else [line, "it is the baseline"]
    of_best, of_baseline = plus_minus_column([(each.value, each.std_error) for each in (best, baseline)])
    return [f"best {metric} {of_best} by {best.public_id}", f"baseline {of_baseline}"]
