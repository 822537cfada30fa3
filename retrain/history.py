"""`retrain --history`: the ledger of what was deployed, when and by whom."""

from collections.abc import Mapping, Sequence
from typing import Any

from retrain.config import Lookup
from retrain.opening import open_up_to_date
from retrain.page import hanging
from retrain.tables import render, timestamp
from tuner.errors import NotFoundError
from tuner.registry.base import RegistryReader

__all__ = ["history", "history_on", "history_text", "recorded"]

_LEDGER = [
    "id",
    "at",
    "action",
    "from",
    "to",
    "active",
    "metric",
    "value",
    "who",
    "experiment",
    "reason",
    "gates",
    "overridden",
]
_TOLD = ("who", "reason", "overridden", "gates")


def history_on(config: Lookup, output: str = "table", *, verbose: bool = False) -> str:
    """Return the ledger of the configured pipeline as text.

    A registry of an older schema is brought up to date: errors of other reports point here.

    Raises:
        NotFoundError: nothing was deployed yet, or there is no registry.
    """
    with open_up_to_date(config) as registry:
        rows = history(registry, config.name)
    if not rows:
        raise NotFoundError(
            f"Nothing was deployed for {config.name!r} yet.", "retrain --apply-hp best --dry-run"
        )
    return history_text(rows, output, verbose=verbose)


def history(registry: RegistryReader, pipeline: str) -> list[dict[str, Any]]:
    """The ledger of a pipeline as rows for a table, oldest first.

    `at`: Unix seconds, UTC. `active`: "*" where the active version became it. `metric` and `value`: the
    study's metric, as recorded for the version in `to`.
    """
    manifests = {version.number: version.manifest for version in registry.versions(pipeline)}
    entries = list(registry.deployments(pipeline))
    return [
        {
            "id": entry.id,
            "at": entry.at,
            "action": entry.action,
            "from": entry.from_version,
            "to": entry.to_version,
            "active": "*" if entry is entries[-1] else "",
            **recorded(manifests.get(entry.to_version, {})),
            "who": entry.who,
            "reason": entry.reason,
            "experiment": entry.experiment,
            "overridden": "; ".join(_overridden(entry.gates)),
            "gates": "; ".join(str(gate.get("why", "")) for gate in entry.gates),
        }
        for entry in entries
    ]


def _overridden(gates: Sequence[Mapping[str, Any]]) -> list[str]:
    """The gates that a person let it through, with the reason; also those where that was not needed."""
    found = {}
    for gate in gates:
        override, name = gate.get("override"), gate.get("name")
        if override and (override == "needed" or name not in found):
            unneeded = "" if override == "needed" else " (not needed)"
            found[name] = f"{name}{unneeded}: {gate.get('reason')}"
    return list(found.values())


def recorded(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The study's `metric` and its `value`, as recorded for a version; None where they were not."""
    name = manifest.get("metric")
    return {"metric": name, "value": (manifest.get("metrics") or {}).get(name)}


def history_text(rows: Sequence[Mapping[str, Any]], output: str = "table", *, verbose: bool = False) -> str:
    """Return the ledger, the newest last. CSV and JSON hold every column.

    A table fits into 80 columns: `*` marks the active version, and times are UTC minutes. With `verbose`
    what each entry has to say follows: by whom and why, and what the gate said.
    """
    shown = [{**row, "at": timestamp(row["at"])} for row in rows]
    if output in ("csv", "json"):
        return render(shown, _LEDGER, output)
    brief = ["to", "at (UTC)", "action", "from", "value", "experiment"]
    short = [
        {
            **row,
            "to": f"{row['to']}{row['active']}",
            "at (UTC)": row["at"].replace("T", " ")[: len("2026-11-21 09:01")],
        }
        for row in shown
    ]
    if not verbose:
        return render(short, brief, output, keys=("to",))
    if output == "markdown":
        return render(short, [*brief, *_TOLD], output)
    return "\n".join([render(short, brief, output, keys=("to",)), *(_told(row) for row in short)])


def _told(row: Mapping[str, Any]) -> str:
    """By whom and why, whole: what people wrote for others to read is not cut at the edge of the terminal."""
    width = max(map(len, _TOLD)) + 2
    lines = [f"\nversion {row['to']}"]
    for name in _TOLD:
        if row[name]:
            lines += hanging(f"  {name:<{width}}", str(row[name]))
    return "\n".join(lines)
