"""A comparison for people (80 columns), and row by row for programs."""

import json
import shlex
from collections.abc import Sequence
from typing import Any

from orchestrator.comparison.job import ALL
from orchestrator.comparison.results import MEAN, Figure, Row
from orchestrator.comparison.run import Compared
from orchestrator.plan import StopReason
from retrain.tables import printable, render, seconds, to_json

__all__ = ["COLUMNS", "compared_text", "row_documents"]

COLUMNS = (
    "model",
    "size",
    "domain",
    "train_on",
    "test_on",
    "metric",
    "n_train",
    "n_test",
    "n_unknown_class",
    "default",
    "default_low",
    "default_high",
    "tuned",
    "tuned_low",
    "tuned_high",
    "gain",
    "gain_low",
    "gain_high",
    "experiments",
    "study",
    "experiment",
    "params",
    "why",
)
"""Of `results.csv`."""


def row_documents(compared: Compared) -> list[dict[str, Any]]:
    """One mapping with the keys `COLUMNS` for each row."""
    return [_document(compared, row) for row in compared.rows]


def _document(compared: Compared, row: Row) -> dict[str, Any]:
    training, tuning = row.job.training, row.tuning
    names = compared.design.sites.names
    on = {"all": "all", "others": f"all but {names[training.site or 0]}", "own": names[training.site or 0]}
    train_on = on[training.kind] if row.test != MEAN or training.kind == "all" else training.kind
    return {
        "model": row.job.model,
        "size": row.job.size,
        "domain": "in" if training.is_known else "out",
        "train_on": train_on,
        "test_on": row.test,
        "metric": row.metric,
        "n_train": row.n_train,
        "n_test": row.n_test,
        "n_unknown_class": row.n_unknown,
        **_flat("default", row.default),
        **_flat("tuned", row.tuned),
        **_flat("gain", row.gain),
        "experiments": None if tuning is None else tuning.n_experiments,
        "study": None if tuning is None else tuning.study,
        "experiment": None if tuning is None else tuning.experiment,
        "params": None if tuning is None or tuning.params is None else json.dumps(dict(tuning.params)),
        "why": row.why or None,
    }


def _flat(name: str, figure: Figure | None) -> dict[str, float | None]:
    if figure is None:
        return dict.fromkeys((name, f"{name}_low", f"{name}_high"))
    return {name: figure.value, f"{name}_low": figure.low, f"{name}_high": figure.high}


def compared_text(
    compared: Compared, output: str = "table", *, files: Sequence[str] = (), verbose: bool = False
) -> str:
    """Return the result as text without a final newline.

    Args:
        compared: the result.
        output: one of `retrain.tables.FORMATS`.
        files: what was written.
        verbose: show each site, too.
    """
    if output == "json":
        return to_json(
            {"rows": row_documents(compared), "failures": list(compared.failures), "files": list(files)}
        )
    if output != "table":
        return render(row_documents(compared), COLUMNS, output)
    lines = [_title(compared)]
    for kind, title in _KINDS.items():
        own = [row.test for row in compared.rows if row.job.training.kind == kind]
        sites = compared.design.sites.names
        tests = [ALL, MEAN, *sites] if verbose or MEAN not in own else [ALL, MEAN]
        for test in tests:
            rows = [row for row in compared.rows if row.job.training.kind == kind and row.test == test]
            rows = [row for row in rows if row.metric == compared.design.metrics[0]]
            if rows:
                lines += ["", _heading(title, compared, rows), _table(compared, rows)]
    return "\n".join([*lines, "", *_notes(compared, files)])


_KINDS = {
    "all": "Known sites: trained on all of them",
    "own": "Single sites: each trained alone",
    "others": "New sites: trained on the others",
}


def _title(compared: Compared) -> str:
    design = compared.design
    n_sites = len(design.sites.names)
    what = f"{n_sites} sites" if n_sites > 1 else f"site {printable(design.sites.names[0])}"
    return f"Comparison by {design.metrics[0]}: {what}, {len(design.sites.table.y)} rows"


def _heading(title: str, compared: Compared, rows: Sequence[Row]) -> str:
    row = rows[0]
    n = len(compared.design.sites.names)
    tested = {
        ALL: f"their {row.n_test} held-out rows together",
        MEAN: f"mean of {n} sites, {row.n_test} rows",
    }.get(row.test, f"{printable(row.test)}, {row.n_test} rows")
    return f"{title}; {tested}"


def _table(compared: Compared, rows: Sequence[Row]) -> str:
    columns = ["model", "size", "default", "tuned", "gain", "95 % interval"]
    if not compared.design.asked.tune:
        columns = ["model", "size", "default", "95 % interval"]
    return render([_cells(row, tuned="tuned" in columns) for row in rows], columns)


def _cells(row: Row, *, tuned: bool) -> dict[str, Any]:
    gain = row.gain
    shown = gain if tuned else row.default
    interval = ""
    if shown is not None and shown.low is not None and shown.high is not None:
        sign = "+" if tuned else ""
        interval = f"[{shown.low:{sign}.4f}, {shown.high:{sign}.4f}]"
    if tuned and row.kept:
        interval = "defaults kept"
    return {
        "model": row.job.model,
        "size": f"{row.job.size:g}",
        "default": "" if row.default is None else f"{row.default.value:.4f}",
        "tuned": "failed" if row.tuned is None else f"{row.tuned.value:.4f}",
        "gain": "" if gain is None else f"{gain.value:+.4f}",
        "95 % interval": interval,
    }


def _notes(compared: Compared, files: Sequence[str]) -> list[str]:
    design = compared.design
    if compared.reason is not StopReason.DONE:
        ended = "the time is over" if compared.reason is StopReason.TIMEOUT else "interrupted"
        return [
            f"{ended} after {seconds(compared.elapsed_s)}; what is finished is kept",
            f"continue with: {shlex.join(compared.command)}",
        ]
    unknown = [row for row in compared.rows if row.n_unknown and row.test not in (ALL, MEAN)]
    notes = []
    if unknown:
        worst = max(unknown, key=lambda row: row.n_unknown)
        notes.append(
            f"Rows of a class that the training rows lack count, and cannot be right: at most\n  "
            f"{worst.n_unknown} of {worst.n_test} ({printable(worst.test)})."
        )
    if design.asked.tune:
        notes.append(
            "Both are scored on the same test rows. The interval says how the gain would\n"
            "  differ on other such rows, not with other training rows or another search."
        )
    notes += [f"failed: {printable(each)}" for each in compared.failures]
    ran = f"{compared.n_tuned} tunings, {compared.n_fitted} fits"
    done = f"done after {seconds(compared.elapsed_s)}: {ran}"
    return [*notes, done, *(f"written: {printable(each)}" for each in files)]
