"""Prints what a run found: a table for people, JSON for programs; and returns the exit code."""

from retrain.tables import render, to_json
from tests.chaos.mutants import MUTANTS
from tests.chaos.run import Report

__all__ = ["print_mutants", "print_report"]

_MOST_SHOWN = 20


def print_report(report: Report, output: str) -> int:
    """Print one run; 1 where a rule was broken."""
    figures = report.figures()
    if output == "json":
        print(to_json(figures | {"violations": report.violations}))
    else:
        print(render([{"figure": k.replace("_", " "), "": v} for k, v in figures.items()], ["figure", ""]))
        for violation in report.violations[:_MOST_SHOWN]:
            print(f"violation: {violation}")
        if len(report.violations) > _MOST_SHOWN:
            print(f"... and {len(report.violations) - _MOST_SHOWN} more")
        print(f"{len(report.violations)} violations" if report.violations else "every invariant held")
    return 1 if report.violations else 0


def print_mutants(reports: dict[str, list[Report]], seconds: float, output: str) -> int:
    """Print one row per mutant; 1 where one was not caught, or where a run without any broke a rule.

    Each has its runs, of which only the last one may have caught it.
    """
    violations = [violation for report in reports["none"] for violation in report.violations]
    caught = {name: mutant.caught_by(reports[name][-1].violations) for name, mutant in MUTANTS.items()}
    verdict = "BROKEN" if violations else "clean"
    rows = [_row("none", "the same strikes, nothing broken", verdict, reports["none"])]
    rows += [
        _row(name, mutant.says, ", ".join(caught[name]) or "NOT CAUGHT", reports[name])
        for name, mutant in MUTANTS.items()
    ]
    n_caught = sum(map(bool, caught.values()))
    if output == "json":
        print(
            to_json({"mutants": rows, "caught": n_caught, "of": len(MUTANTS), "seconds": round(seconds, 1)})
        )
    else:
        print(render(rows, list(rows[0])))
        for violation in violations[:_MOST_SHOWN]:
            print(f"violation without a mutant: {violation}")
        print(f"{n_caught}/{len(MUTANTS)} mutants caught, {seconds:.0f} s")
    return 0 if n_caught == len(MUTANTS) and not violations else 1


def _row(name: str, says: str, verdict: str, reports: list[Report]) -> dict[str, object]:
    report = reports[-1]
    return {
        "mutant": name,
        "defect": says,
        "caught by": verdict,
        "seeds": len(reports),
        "violations": len(report.violations),
        "lost": report.verdict.lost,
        "duplicated": report.verdict.duplicated,
        "recovered": report.verdict.recovered,
        "fenced": report.verdict.fenced,
        "seconds": round(report.seconds, 1),
    }
