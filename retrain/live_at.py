"""`retrain --history --at WHEN`: what was in production then, with its hyperparameters and its folder."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from retrain.config import Config, Lookup
from retrain.deploy.versions import VersionStore
from retrain.history import recorded
from retrain.opening import open_up_to_date
from retrain.page import Page
from retrain.tables import number, render, timestamp, to_json
from tuner.errors import NotFoundError, UsageError
from tuner.registry.base import Deployment, ModelVersion

__all__ = ["Period", "live_during", "live_on"]

_COLUMNS = ["version", "since", "until", "action", "who", "reason", "experiment", "metric", "value", "folder"]
_TO_THE_MINUTE = re.compile(r"^\S{8,10}[T ]\d\d(:?\d\d)?(?![:\d])")
_SUCH_AS = "Write it as 2026-11-01 or 2026-11-01T12:00, in UTC unless it says otherwise (+01:00)."


@dataclass(frozen=True, slots=True)
class Period:
    """What was named, from its start to its end: a day, a minute, a second. Unix seconds, both included."""

    start: float
    end: float

    @classmethod
    def parse(cls, text: str) -> "Period":
        """Read `2026-11-01`, the whole day in UTC, or a moment such as `2026-11-01T12:00`, the whole minute.

        Raises:
            UsageError: it is neither.
        """
        try:
            day = datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC)
        except ValueError:
            return cls._moment(text)
        return cls(day.timestamp(), (day + timedelta(days=1)).timestamp() - 1e-6)

    @classmethod
    def _moment(cls, text: str) -> "Period":
        try:
            moment = datetime.fromisoformat(text)
            seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            raise UsageError(f"--at must be a day or a moment, but got {text!r}.", _SUCH_AS) from None
        length = 60 if _TO_THE_MINUTE.search(text) else 0 if moment.microsecond else 1
        return cls(seconds, seconds + max(0.0, length - 1e-6))


def live_during(period: Period, ledger: Sequence[Deployment]) -> list[tuple[Deployment, Deployment | None]]:
    """The entries of a ledger whose versions were live at some time of a period, each with its successor."""
    successors: list[Deployment | None] = [*ledger[1:], None]
    return [
        (entry, later)
        for entry, later in zip(ledger, successors, strict=False)  # an empty ledger has one of them, too
        if entry.at <= period.end and (later is None or later.at > period.start)
    ]


def live_on(config: Config, when: str, output: str = "table", *, colour: bool = False) -> str:
    """Return what was live at a moment, or one after the other on a day, as text.

    Raises:
        UsageError: `when` is no moment.
        NotFoundError: nothing was deployed yet by then, or there is no registry.
    """
    period = Period.parse(when)
    with open_up_to_date(Lookup.of(config)) as registry:
        ledger = registry.deployments(config.name)
        versions = {each.number: each for each in registry.versions(config.name)}
    found = live_during(period, ledger)
    if not found:
        first = f"The ledger begins at {_minute(ledger[0].at)}." if ledger else "The ledger is empty."
        raise NotFoundError(
            f"Nothing was deployed for {config.name!r} by {when} yet. {first}", "retrain --history"
        )
    store = VersionStore.of(config)
    rows = [_row(entry, later, versions[entry.to_version], store) for entry, later in found]
    if output == "json":
        return to_json(rows)
    if output == "csv":
        return render(rows, _COLUMNS, "csv")
    page = Page(output, colour)
    for row in rows:
        _add(page, config.name, row)
    return page.text()


def _row(
    entry: Deployment, later: Deployment | None, version: ModelVersion, store: VersionStore
) -> dict[str, Any]:
    return {
        "version": version.number,
        "since": timestamp(entry.at),
        "until": None if later is None else timestamp(later.at),
        "action": entry.action,
        "who": entry.who,
        "reason": entry.reason,
        "experiment": version.experiment,
        **recorded(version.manifest),
        "folder": str(store.path(version.number)),
        "params": dict(version.params),
    }


def _add(page: Page, pipeline: str, row: dict[str, Any]) -> None:
    until = "now" if row["until"] is None else row["until"]
    facts = {
        "live": f"{row['since']} to {until}",
        "by": f"{row['action']} of {row['who']}" + (f": {row['reason']}" if row["reason"] else ""),
        "experiment": row["experiment"],
        str(row["metric"]): None if row["value"] is None else number(row["value"]),
        "folder": row["folder"],
    }
    known = {label: value for label, value in facts.items() if value is not None}
    width = max(map(len, known))
    lines = [f"{label:<{width}}  {value}" for label, value in known.items()]
    page.lines(f"{pipeline}: version {row['version']}", *lines)
    page.table(
        "Hyperparameters",
        [{"parameter": name, "value": value} for name, value in row["params"].items()],
        ["parameter", "value"],
    )


def _minute(unix_s: float) -> str:
    return f"{datetime.fromtimestamp(unix_s, UTC):%Y-%m-%d %H:%M} UTC"
