"""A Summary in words and tables, or as one JSON document."""

from dataclasses import asdict
from typing import Any

from orchestrator.report.confirmed_text import confirmed_json, confirmed_lines, count_of_looks, looks_json
from orchestrator.report.insight_text import gain_line, importance_rows
from orchestrator.report.rows import (
    PLUS_MINUS,
    aligned,
    all_names,
    count_text,
    differing,
    experiment_json,
    goal_facts,
    goals_of,
    parameter_cell,
    parameter_columns,
    provenance_facts,
    provenance_json,
)
from orchestrator.report.summary import Excluded, FailureGroup, Summary
from retrain.comparable import WORDS
from retrain.improvement import improvement_json, improvement_lines
from retrain.page import Page
from retrain.tables import number, plus_minus_column, render, seconds, to_json
from tuner.experiment import Experiment
from tuner.insight import FURTHER

__all__ = ["summary_text"]

_ABOUT_EXCLUDED = (
    "They are kept, but scores of different origin are never mixed. To score the best of them on what is now:"
)


def summary_text(
    summary: Summary, output: str = "table", *, holdout: bool = True, flags: str = "", colour: bool = False
) -> str:
    """Return a Summary as text without a final newline.

    Args:
        summary: the facts.
        output: "table" and "markdown" are for people; "json" holds everything at full precision; "csv" is the
            table of the best alone.
        holdout: whether the pipeline holds rows back that no search sees.
        flags: common options to repeat in the commands that are suggested, such as " --config other.toml".
        colour: whether titles may be bold.
    """
    match output:
        case "json":
            return to_json(_document(summary, flags))
        case "csv":
            return _top_csv(summary)
    page = Page(output, colour)
    _head(page, summary)
    _top(page, summary)
    if not summary.front:  # with several objectives there is no best one
        if summary.confirmed is None:
            page.lines("Improvement of the best", *_improvement_lines(summary, flags))
        page.lines("Honest score", *_honest_lines(summary, holdout, flags))
    _insight(page, summary)
    if not summary.front:
        page.lines("At a bound", *_bound_lines(summary))
    page.lines("Failures", *(line for group in summary.failures for line in _failure_lines(group)))
    if summary.excluded:
        again = f"  orchestrator revalidate --top 5{flags}"
        page.lines("Not compared", *map(_excluded_line, summary.excluded), _ABOUT_EXCLUDED, again)
    page.lines(
        "Cost",
        f"{seconds(summary.experiments_s)} of experiments, in {seconds(summary.wall_s)} by the clock",
        *_pruned_lines(summary),
    )
    command = _apply_command(summary, flags)
    if command is not None:
        page.verbatim("Apply one of them" if summary.front else "Apply the best", command)
    return page.text()


def _pruned_lines(summary: Summary) -> list[str]:
    """How many were stopped early, and what that saved."""
    pruned = summary.pruned
    if pruned is None:
        return []
    n = f"{pruned.count} experiment{'' if pruned.count == 1 else 's'} stopped early"
    if pruned.saved_s is None:
        return [f"{n}, after {seconds(pruned.spent_s)} in all"]
    latest = f" (the latest {pruned.n_known:,})" if pruned.n_known < pruned.count else ""
    share = pruned.saved_s / ((pruned.spent_s + pruned.saved_s) or 1.0)
    return [
        f"{n}{latest}, after {seconds(pruned.spent_s)} in all;",
        f"  whole ones would have taken about {seconds(pruned.saved_s)} more ({share:.0%} saved)",
    ]


def _apply_command(summary: Summary, flags: str = "") -> str | None:
    """The command that deploys the best; None where it is in use already, or nothing is gained by it."""
    if summary.front:
        return f"retrain --apply-hp ID{flags}"
    chosen, baseline = summary.chosen, summary.baseline
    if chosen is None or summary.best_in_use:
        return None
    if baseline is not None and baseline.id == chosen.id and summary.deployed is None:
        return None
    return f"retrain --apply-hp {chosen.public_id}{flags}"


def _head(page: Page, summary: Summary) -> None:
    study = summary.study
    facts = {
        "metric": f"{study.metric}, {study.direction}",
        **goal_facts(study.goals),
        **provenance_facts(summary.provenance, study),
        "experiments": count_text(summary.counts),
        "infeasible": _infeasible(summary),
    }
    page.lines(f"Study {study.name}", *aligned(facts))


def _infeasible(summary: Summary) -> str:
    if not summary.n_infeasible:
        return ""
    limits = "; ".join(map(str, summary.study.goals.limits))
    return f"{summary.n_infeasible} of {summary.n_compared} break a limit: {limits}"


def _top(page: Page, summary: Summary) -> None:
    if not summary.top:
        why = "keeps the limits" if summary.n_infeasible else "is complete"
        page.lines("Best", f"None yet: no experiment {why}.")
        return
    study, rows = summary.study, _ranked(summary)
    values = plus_minus_column([(e.value, e.std_error) for _, e in rows])
    confirmed = _confirmed_column(summary, [each for _, each in rows])
    page.table(
        f"Pareto front: {len(summary.front)} of {summary.n_compared}"
        if summary.front
        else f"Best {len(summary.top)} of {summary.n_compared}",
        [
            {
                "#": rank,
                "experiment": each.public_id,
                study.metric: value,
                **goals_of(each, study.goals),
                "confirmed": again,
            }
            for (rank, each), value, again in zip(rows, values, confirmed, strict=True)
        ],
        ["#", "experiment", study.metric, *study.goals.metrics, *(["confirmed"] if any(confirmed) else [])],
        note=PLUS_MINUS if any("±" in value for value in values) else "",
    )
    # One row per parameter: a space of twenty still fits the screen, and the eye compares along a line.
    page.table(
        "Where they differ",
        [
            {"parameter": name, **{rank: parameter_cell(each.params, name) for rank, each in rows}}
            for name in differing([e.params for _, e in rows])
        ],
        ["parameter", *(rank for rank, _ in rows)],
        keys=("parameter",),
        digits=4,
    )


def _confirmed_column(summary: Summary, rows: list[Experiment]) -> list[str]:
    """The score on fresh folds of those that were confirmed."""
    if summary.confirmed is None:
        return [""] * len(rows)
    known = {each.id: (estimate.mean, estimate.std_error) for each, estimate in summary.confirmed.estimates}
    return plus_minus_column([known.get(each.id, (None, None)) for each in rows])


def _ranked(summary: Summary) -> list[tuple[str, Experiment]]:
    """The best with their ranks, then the baseline and what is deployed now, if not among them."""
    ranked = [(str(rank), each) for rank, each in enumerate(summary.front or summary.top, 1)]
    listed = {each.id for _, each in ranked}
    references = (("base", summary.baseline), ("now", summary.deployed))
    return ranked + [(label, row) for label, row in references if row is not None and row.id not in listed]


def _improvement_lines(summary: Summary, flags: str) -> list[str]:
    if not summary.top:
        return []
    best = summary.top[0]
    lines = []
    for name, row in (("The baseline", summary.baseline), ("What is deployed", summary.deployed)):
        if row is not None and row.id == best.id:
            lines.append(f"{name} is the best of {summary.n_compared}: nothing to gain so far.")
    if summary.baseline is None:
        lines += [
            "The baseline has no result to compare with. What became of it:",
            f"  orchestrator ls --method default{flags}",
        ]
    for each in summary.improvements:
        lines += improvement_lines(each)
    return lines


def _honest_lines(summary: Summary, holdout: bool, flags: str) -> list[str]:
    """The three numbers of the winner; else what would give them."""
    command = f"  orchestrator confirm{flags}"
    looks = [f"The holdout was {count_of_looks(summary.looks)}."] if holdout and summary.looks else []
    if summary.confirmed is not None:
        lines = confirmed_lines(summary.confirmed, summary.study, summary.looks)
        if summary.unconfirmed is not None:
            better = f"{summary.unconfirmed.public_id} is better by validation, and was not confirmed yet:"
            lines += [better, command]
        return lines
    if not summary.top or summary.n_compared < 2:
        return looks
    if summary.n_repeats:
        begun = f"A confirmation has begun ({_repeats(summary.n_repeats)}) and not ended. It goes on with:"
        return [begun, command, *looks]
    picked = f"Luck helped to choose the best of {summary.n_compared}, and its score is not confirmed."
    return [f"{picked} To score the best once more, on fresh folds:", command, *looks]


def _repeats(n: int) -> str:
    return f"{n} repeat{'' if n == 1 else 's'}"


def _insight(page: Page, summary: Summary) -> None:
    if summary.insight is None:
        return
    for metric, insight in {summary.study.metric: summary.insight, **summary.further}.items():
        rows, note = importance_rows(insight)
        of = f" for {metric}" if summary.further else ""
        title = f"What mattered{of} in {insight.n} results"
        if rows:
            page.table(title, rows, ["parameter", "share", "likely", "better"], note=note)
        elif note:
            page.lines(title, note)
    if not summary.front:
        best = summary.top[0].value if summary.top else None
        page.lines("Going on", *filter(None, [gain_line(summary.insight, summary.study.metric, best)]))


def _bound_lines(summary: Summary) -> list[str]:
    return [
        f"{hit.name} = {number(hit.value)} is {'at' if hit.exact else 'near'} its {hit.side} bound"
        + ("" if hit.exact else f" {number(hit.bound)}")
        + (f"; to look further, widen it to {number(hit.wider)}" if hit.wider != hit.bound else "")
        for hit in summary.bounds
    ]


def _failure_lines(group: FailureGroup) -> list[str]:
    cause = f"{group.outcome}: {group.message}" if group.message else str(group.outcome)
    return [f"{group.count} x {cause}", f"  orchestrator show {group.example}"]


def _excluded_line(excluded: Excluded) -> str:
    why = " and ".join(
        f"{WORDS[name]} ({getattr(excluded.provenance, name)[:60] or 'none'})" for name in excluded.differs
    )
    return f"{excluded.count} experiment{'s' if excluded.count > 1 else ''} scored on {why}"


def _top_csv(summary: Summary) -> str:
    rows = _ranked(summary)
    fixed = ["rank", "role", "experiment", "method", "value", "std_error", *summary.study.goals.metrics]
    known = {} if summary.confirmed is None else {row.id: each for row, each in summary.confirmed.estimates}
    fixed += ["confirmed", "confirmed_std_error"] if known else []
    columns = parameter_columns(all_names([e.params for _, e in rows]), fixed)
    return render(
        [
            {
                "rank": int(rank) if rank.isdigit() else None,
                "role": _role(summary, each),
                "experiment": each.public_id,
                "method": each.method,
                "value": each.value,
                "std_error": each.std_error,
                **goals_of(each, summary.study.goals),
                "confirmed": known[each.id].mean if each.id in known else None,
                "confirmed_std_error": known[each.id].std_error if each.id in known else None,
                **{column: parameter_cell(each.params, name) for name, column in columns.items()},
            }
            for rank, each in rows
        ],
        [*fixed, *columns.values()],
        "csv",
    )


def _role(summary: Summary, experiment: Experiment) -> str:
    """What a row of the CSV is: a reference, which may be among the best, or one of the best."""
    for role, row in (("baseline", summary.baseline), ("deployed", summary.deployed)):
        if row is not None and row.id == experiment.id:
            return role
    return "front" if summary.front else "best"


def _goals_document(summary: Summary) -> dict[str, Any]:
    """Nothing for a study that wants nothing but its metric."""
    goals = summary.study.goals
    if not goals:
        return {}
    return {
        "goals": goals.to_dict(),
        "n_infeasible": summary.n_infeasible,
        "front": [
            {"id": each.public_id, "value": each.value, **goals_of(each, goals)} for each in summary.front
        ],
    }


def _document(summary: Summary, flags: str) -> dict[str, Any]:
    study, provenance = summary.study, summary.provenance
    return {
        "study": study.name,
        "metric": study.metric,
        "direction": study.direction.value,
        "seed": study.seed,
        "scored_on": None if provenance is None else provenance_json(provenance),
        "counts": {state.value: n for state, n in summary.counts.items()},
        "n_compared": summary.n_compared,
        **_goals_document(summary),
        "best": [experiment_json(each) for each in summary.top],
        "baseline": summary.baseline and experiment_json(summary.baseline),
        "deployed": summary.deployed and experiment_json(summary.deployed),
        "improvements": [improvement_json(each) for each in summary.improvements],
        "confirmed": confirmed_json(summary.confirmed),
        "confirm": None if not summary.top or summary.front else f"orchestrator confirm{flags}",
        "holdout_looks": looks_json(summary.looks),
        "insight": None if summary.insight is None else summary.insight.to_dict(),
        **(
            {FURTHER: {name: each.to_dict() for name, each in summary.further.items()}}
            if summary.further
            else {}
        ),
        "bounds": [
            {
                "name": b.name,
                "value": b.value,
                "side": b.side,
                "bound": b.bound,
                "exact": b.exact,
                "wider": b.wider,
            }
            for b in summary.bounds
        ],
        "failures": [
            {"outcome": f.outcome, "message": f.message, "count": f.count, "example": f.example}
            for f in summary.failures
        ],
        "excluded": [
            {"count": e.count, "differs": list(e.differs), "scored_on": provenance_json(e.provenance)}
            for e in summary.excluded
        ],
        **({} if summary.pruned is None else {"pruned": asdict(summary.pruned)}),
        "cost": {"experiments_s": summary.experiments_s, "wall_s": summary.wall_s},
        "apply": _apply_command(summary, flags),
    }
