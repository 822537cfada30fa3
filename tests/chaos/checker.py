"""Compares what the logs promise with what the database holds. Pure: lines and rows in, verdict out.

The words are those of Jepsen's total-queue checker. An experiment is *lost* when something acknowledged is
not stored, or when it never came to an end; *duplicated* when its end was acknowledged twice, or its
configuration stands twice; *unexpected* when its result comes from no execution; *recovered* when its result
is stored though nobody lived to acknowledge it.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

from tests.chaos.history import Line
from tests.chaos.stored import Attempt, Row, Stored
from tuner.experiment import Outcome
from tuner.registry import Limits

__all__ = ["Verdict", "check"]

_FINISHED = ("complete", "pruned", "failed")
_DEATHS = tuple(outcome.value for outcome in Outcome if outcome.is_worker_death)


@dataclass(frozen=True)
class Verdict:
    """`violations`: each starts with the invariant that it breaks. Empty is good."""

    results: int
    lost: int
    duplicated: int
    unexpected: int
    recovered: int
    fenced: int
    extra_executions: int
    violations: list[str] = field(default_factory=list)


def check(lines: Iterable[Line], stored: Stored, n_experiments: int, busy_timeout_s: float) -> Verdict:
    """Check I1 to I6, I8 to I10 and I14, and that nobody was refused (B2) or crashed."""
    return _Check(list(lines), stored, n_experiments, busy_timeout_s).verdict()


class _Check:
    def __init__(self, lines: list[Line], stored: Stored, n_experiments: int, busy_timeout_s: float) -> None:
        self._stored = stored
        self._n_experiments = n_experiments
        self._busy_timeout_s = busy_timeout_s
        self._kinds: dict[str, list[Line]] = defaultdict(list)
        for line in lines:
            self._kinds[line["kind"]].append(line)
        self._rows = {row.id: row for row in stored.rows}
        self._ended = {(line["id"], line["attempt"]): line for line in self._kinds["ended"]}
        self._attempts: dict[str, list[Attempt]] = defaultdict(list)
        for attempt in stored.attempts:
            self._attempts[attempt.id].append(attempt)
        self._lost: set[str] = set()
        self._duplicated: set[str] = set()
        self._unexpected: set[str] = set()

    def verdict(self) -> Verdict:
        violations = [
            *self._all_ended(),
            *self._seen_by_the_watcher(),
            *self._results_come_from_their_attempt(),
            *self._acknowledged_is_stored(),
            *self._ended_once(),
            *self._attempts_are_whole(),
            *self._best_is_the_best(),
            *self._nothing_twice(),
            *self._within_limits(),
            *self._file_is_sound(),
            *self._nobody_was_refused(),
        ]
        told = {line["id"] for line in self._ends_told}
        finished = {row.id for row in self._stored.rows if row.state in _FINISHED}
        counted = sum(attempt.ending in _FINISHED for attempt in self._stored.attempts)
        return Verdict(
            results=len(finished),
            lost=len(self._lost),
            duplicated=len(self._duplicated),
            unexpected=len(self._unexpected),
            recovered=len(finished - told),
            fenced=len(self._kinds["fenced"]),
            extra_executions=len(self._kinds["began"]) - counted,
            violations=violations,
        )

    @cached_property
    def _ends_told(self) -> list[Line]:
        return [line for line in self._kinds["acked"] if line["state"] in _FINISHED]

    def _all_ended(self) -> Iterator[str]:
        for row in self._stored.rows:
            if row.state not in _FINISHED:
                self._lost.add(row.id)
                yield f"I1 {row.id} is still {row.state}"

    def _seen_by_the_watcher(self) -> Iterator[str]:
        for line in self._kinds["changed"]:
            yield f"{line['rule']} {line['what']}"

    def _results_come_from_their_attempt(self) -> Iterator[str]:
        values = {line["value"]: line for line in self._ended.values() if "value" in line}
        for row in self._stored.rows:
            end = self._ended.get((row.id, row.attempt))
            if row.state == "pruned" and (end is None or end.get("stop") != row.stop):
                self._unexpected.add(row.id)
                yield f"I5 {row.id} was pruned at {row.stop}, as attempt {row.attempt} never was"
            elif row.state == "pruned" and end is not None:
                yield from self._not_its_steps(row, end)
            elif row.state == "complete" and (end is None or end.get("value") != row.value):
                yield from self._not_its_own(row, values.get(row.value))
            elif row.state == "complete" and end is not None:
                yield from self._not_its_steps(row, end)
            elif row.state == "failed" and (end is None or _outcome(end) != row.outcome):
                self._unexpected.add(row.id)
                yield f"I5 {row.id} failed with {row.outcome}, as attempt {row.attempt} never did"

    def _not_its_steps(self, row: Row, end: Line) -> Iterator[str]:
        if self._stored.steps.get(row.id, {}) != dict(end["steps"]):
            yield f"I3 {row.id}: its measurements are not those of attempt {row.attempt}"

    def _not_its_own(self, row: Row, source: Line | None) -> Iterator[str]:
        if source is None or source["id"] != row.id:
            self._unexpected.add(row.id)
            yield f"I5 {row.id}: {row.value} comes from no execution of it"
        else:
            yield f"I3 {row.id}: stored for attempt {row.attempt}, but attempt {source['attempt']} scored it"

    def _acknowledged_is_stored(self) -> Iterator[str]:
        endings = {(attempt.id, attempt.number): attempt.ending for attempt in self._stored.attempts}
        for line in self._kinds["added"]:
            if line["id"] not in self._rows:
                self._lost.add(line["id"])
                yield f"I4 {line['id']} was added, but is not there"
        for line in self._kinds["acked"]:
            row = self._rows.get(line["id"])
            if row is None or not _holds(line, row):
                self._lost.add(line["id"])
                now = "is not there" if row is None else f"is {row.state} {row.value} (attempt {row.attempt})"
                told = f"{line['state']} {line.get('value')} (attempt {line['attempt']})"
                yield f"I4 {line['id']} was acknowledged as {told}, but {now}"
        for line in (*self._kinds["acked"], *self._kinds["released"]):
            ending = endings.get((line["id"], line["attempt"]))
            told = line.get("state", "released")
            wanted = told if told in ("complete", "pruned", "released") else "failed"
            if ending != wanted:
                yield f"I4 {line['id']}: attempt {line['attempt']} was acknowledged as {wanted}, not {ending}"

    def _ended_once(self) -> Iterator[str]:
        for id_, n in Counter(line["id"] for line in self._ends_told).items():
            if n > 1:
                self._duplicated.add(id_)
                yield f"I3 {id_}: its end was acknowledged {n} times"

    def _attempts_are_whole(self) -> Iterator[str]:
        for row in self._stored.rows:
            numbers = [attempt.number for attempt in self._attempts[row.id]]
            if numbers != list(range(1, row.attempt + 1)):
                yield f"I6 {row.id} has the attempts {numbers}, but counts {row.attempt}"
            endings = [attempt.ending for attempt in self._attempts[row.id]]
            if {"complete", "pruned"} & set(endings[:-1]):
                yield f"I6 {row.id} was executed again after a complete attempt: {endings}"
            if row.state in _FINISHED and endings[-1:] not in ([row.state], [None]):
                yield f"I6 {row.id} is {row.state}, but its last attempt ended as {endings[-1:]}"
            open_ = [attempt.number for attempt in self._attempts[row.id] if attempt.ending is None]
            if open_ and (row.state in _FINISHED or len(open_) > 1):
                yield f"I6 {row.id} is {row.state}, but its attempts {open_} are open"
        owners = {(attempt.id, attempt.number): attempt.owner for attempt in self._stored.attempts}
        began = Counter((line["id"], line["attempt"]) for line in self._kinds["began"])
        for (id_, attempt), n in began.items():
            if n > 1:
                yield f"I6 {id_}: attempt {attempt} was executed {n} times"
        for line in self._kinds["began"]:
            if owners.get((line["id"], line["attempt"])) != line["owner"]:
                yield f"I7 {line['id']}: attempt {line['attempt']} was executed by one who does not own it"

    def _best_is_the_best(self) -> Iterator[str]:
        scored = [(row.value, place, row.id) for place, row in enumerate(self._stored.rows)]
        scored = [one for one in scored if one[0] is not None]
        best = min(scored) if scored else None
        wanted = (best[2], best[0]) if best else None
        if self._stored.best != wanted or self._stored.best_of_views != wanted:
            yield f"I8 the best is {wanted}, not {self._stored.best} or {self._stored.best_of_views}"
        history = self._stored.history
        if list(history) != sorted(history, reverse=True) or len(history) != len(scored):
            yield "I8 the best value so far became worse"

    def _nothing_twice(self) -> Iterator[str]:
        if len(self._stored.rows) != self._n_experiments:
            yield f"I9 {self._n_experiments} configurations were written as {len(self._stored.rows)} rows"
        for number, n in Counter(row.number for row in self._stored.rows).items():
            if n > 1:
                self._duplicated |= {row.id for row in self._stored.rows if row.number == number}
                yield f"I9 configuration {number} stands {n} times"

    def _within_limits(self) -> Iterator[str]:
        limits = Limits()
        for row in self._stored.rows:
            ends = [
                self._ended.get((row.id, a.number)) for a in self._attempts[row.id] if a.ending == "failed"
            ]
            deaths = sum(end is not None and _outcome(end) in _DEATHS for end in ends)
            counted = (row.failures, row.deaths)
            if counted != (len(ends) - deaths, deaths):
                yield f"I10 {row.id} counts {counted}, but had {(len(ends) - deaths, deaths)}"
            if row.failures > limits.failures or row.deaths > limits.deaths:
                yield f"I10 {row.id} was tried again after {counted}"
            interrupted = sum(a.ending in ("lost", "released") for a in self._attempts[row.id])
            if row.interruptions != interrupted:
                yield f"I10 {row.id} counts {row.interruptions} interruptions, but had {interrupted}"

    def _file_is_sound(self) -> Iterator[str]:
        for fault in self._stored.faults:
            yield f"I14 {fault}"
        if self._stored.left:
            yield f"I14 left behind: {', '.join(self._stored.left)}"

    def _nobody_was_refused(self) -> Iterator[str]:
        for line in self._kinds["refused"]:
            waited = line["waited_s"]
            if waited < 0.9 * self._busy_timeout_s or not line["error"].startswith("BusyError"):
                yield f"B2 refused after {waited:.2f} s: {line['error']}"
        for line in self._kinds["crashed"]:
            yield f"crashed: {line['error'].strip().splitlines()[-1]}"


def _outcome(end: Line) -> str | None:
    """How an execution that the registry counts as failed had ended; a value that it refused was NaN."""
    outcome: str | None = end.get("outcome")
    value = end.get("value")
    return "non_finite" if value is not None and value != value else outcome


def _holds(line: Line, row: Row) -> bool:
    """Whether an acknowledged end is what is stored. A failed attempt may have been followed by others."""
    if line["state"] == "waiting":
        return bool(row.attempt >= line["attempt"])
    stored = {"state": row.state, "attempt": row.attempt, "value": row.value, "outcome": row.outcome}
    stored["stop"] = row.stop
    return all(line.get(name) == value for name, value in stored.items())
