"""What must hold in every registry at every moment, asked of the stored rows alone.

Questions in SQL that SQLite and PostgreSQL both understand, each answered for many rows at once, and for at
most so many that no answer takes long: a reader must not keep the log of a busy registry from shrinking.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tuner.registry.base import Limits
from tuner.registry.rules import TRIGGERS
from tuner.registry.schema import APPLICATION_ID, SCHEMA_VERSION

__all__ = ["INVARIANTS", "Ask", "Held", "check_invariants", "file_problems"]

Ask = Callable[[str], Sequence[Sequence[Any]]]
"""Runs one statement and returns all its rows."""

INVARIANTS = {
    "I1": "every experiment is in exactly one state",
    "I2": "what is finished never changes",
    "I3": "complete means one finite value, by the last attempt; what was pruned has none",
    "I4": "nothing that was stored is missing",
    "I5": "every value has an attempt that made it",
    "I6": "attempts are numbered from 1 without a gap, the last alone may be open",
    "I7": "what runs has one owner, who opened its attempt",
    "I8": "the best of all values is the one that is reported",
    "I9": "no configuration is in a study twice, and all are counted right",
    "I10": "failures, deaths and interruptions are those of the attempts, within their limits",
    "I11": "at most one version of a pipeline is active, and the ledger says which",
    "I12": "versions change only with a line in the ledger",
    "I14": "the file is whole, ours, and keeps its rules",
    "I18": "what confirms an experiment is one finite value for each seed, of its own study",
    "I19": "what ended without a value ran on something of its own study",
}
"""I13 and I15 to I17 are about what happens, not about what is stored: the tests hold them."""

_OF_THE_FILE = ("I4", "I14")
_ROWS_AT_ONCE = 50_000
_N_NAMED = 5

_FINISHED = "state IN ('complete', 'pruned', 'failed')"
_LARGEST = "1.7976931348623157e308"

_EACH = """
    SELECT e.*,
           count(a.number) AS n_attempts,
           coalesce(min(a.number), 1) AS first,
           coalesce(max(a.number), 0) AS last,
           count(*) FILTER (WHERE a.number IS NOT NULL AND a.ending IS NULL) AS n_open,
           count(*) FILTER (WHERE a.ending IN ('complete', 'pruned')) AS n_final,
           count(*) FILTER (WHERE a.ending = 'failed') AS n_failed,
           count(*) FILTER (WHERE a.ending IN ('lost', 'released')) AS n_given_back,
           coalesce(max(CASE WHEN a.number = e.attempt THEN a.ending END), 'none') AS ending,
           max(CASE WHEN a.number = e.attempt THEN a.ended_at END) AS ended_at,
           max(CASE WHEN a.number = e.attempt THEN a.owner_id END) AS opened_by
    FROM experiments AS e LEFT JOIN attempts AS a ON a.experiment_id = e.id
    WHERE e.id BETWEEN {first} AND {last} GROUP BY e.id
"""

_limits = Limits()
_BROKEN_IN_EACH = {
    "I1": f"""state NOT IN ('waiting', 'running', 'complete', 'pruned', 'failed')
        OR (state = 'running') <> (owner_id IS NOT NULL) OR ({_FINISHED}) <> (finished_at IS NOT NULL)
        OR (state = 'failed') <> (outcome IS NOT NULL)""",
    "I2": f"""CASE WHEN {_FINISHED} THEN ending <> state OR ended_at IS NULL OR ended_at <> finished_at
        OR n_final <> (CASE WHEN state = 'failed' THEN 0 ELSE 1 END) ELSE n_final > 0 END""",
    "I3": f"""(state = 'complete') <> (value IS NOT NULL) OR (value IS NOT NULL AND abs(value) > {_LARGEST})
        OR (value IS NOT NULL) <> (provenance_id IS NOT NULL) OR (state = 'complete' AND ending <> state)
        OR (stop_value IS NOT NULL) <> (stop_step IS NOT NULL)
        OR (stop_value IS NOT NULL
            AND (state <> 'pruned' OR ended_on_id IS NULL OR abs(stop_value) > {_LARGEST}))""",
    "I5": "value IS NOT NULL AND opened_by IS NULL",
    "I6": """n_attempts <> attempt OR last <> attempt OR first <> 1
        OR n_open <> (CASE WHEN state = 'running' THEN 1 ELSE 0 END) OR (n_open > 0 AND ending <> 'none')""",
    "I7": """state = 'running' AND (opened_by IS NULL OR owner_id IS NULL OR opened_by <> owner_id
        OR NOT EXISTS (SELECT 1 FROM owners WHERE owners.id = each.owner_id))""",
    "I10": f"""failures > {_limits.failures} OR deaths > {_limits.deaths} OR interruptions <> n_given_back
        OR failures + deaths <> n_failed - CASE WHEN outcome = 'cancelled' THEN 1 ELSE 0 END""",
}

_STATES = ("waiting", "running", "complete", "pruned", "failed")
_COUNTED = ", ".join(f"count(*) FILTER (WHERE state = '{state}') AS {state}" for state in _STATES)
_MISCOUNTED = " OR ".join(f"c.{state} <> r.{state}" for state in _STATES)
_ADDED = " + ".join(_STATES)

# Each gives what does not hold, in words. Adding 0 keeps a database from answering out of an index, which may
# be the very thing that is wrong.
_BROKEN_ANYWHERE = {
    "I8": (
        """SELECT 'study ' || t.name || ': best of provenance ' || s.provenance
        FROM (SELECT study_id + 0 AS study, provenance_id + 0 AS provenance,
                     min(value) AS least, max(value) AS most
              FROM experiments WHERE state = 'complete' AND feasible = 1
              GROUP BY study_id + 0, provenance_id + 0) AS s
        JOIN studies AS t ON t.id = s.study
        JOIN provenances AS v ON v.id = s.provenance
        LEFT JOIN v_best AS b ON b.study = t.name AND b.data_fingerprint = v.data
            AND b.code_version = v.code AND b.metric_definition = v.metric
        WHERE b.value IS NULL OR b.value <> CASE t.direction WHEN 'minimize' THEN s.least ELSE s.most END""",
    ),
    "I9": (
        """SELECT 'experiments ' || min(id) || ' and ' || max(id) FROM experiments
        GROUP BY study_id + 0, config_hash, repeat + 0 HAVING count(*) > 1""",
        "SELECT min(public_id) FROM experiments GROUP BY public_id || '' HAVING count(*) > 1",
        f"""SELECT 'the counts of study ' || r.study || ', run ' || r.run FROM (
            SELECT study_id + 0 AS study, coalesce(run_id, 0) AS run, {_COUNTED},
                   min(id) AS first, max(id) AS last
            FROM experiments GROUP BY study_id + 0, coalesce(run_id, 0)) AS r
        LEFT JOIN counts AS c ON c.study_id = r.study AND c.run_id = r.run
        WHERE c.run_id IS NULL OR c.first_id <> r.first OR c.last_id <> r.last OR {_MISCOUNTED}""",  # noqa: S608
        f"""SELECT 'the counts add up to ' || n FROM (SELECT coalesce(sum({_ADDED}), 0) AS n FROM counts) AS c
        WHERE n <> (SELECT count(*) FROM experiments)""",  # noqa: S608
        """SELECT 'the number of values of provenance ' || r.id FROM (
            SELECT v.id, count(e.id) AS n FROM provenances AS v
            LEFT JOIN experiments AS e ON e.provenance_id = v.id AND e.state = 'complete' GROUP BY v.id) AS r
        LEFT JOIN scored AS s ON s.provenance_id = r.id WHERE coalesce(s.n_complete, 0) <> r.n""",
        f"""SELECT 'the time spent on study ' || r.study FROM (
            SELECT study_id + 0 AS study, coalesce(sum(duration_s), 0) AS spent_s FROM experiments
            WHERE {_FINISHED} GROUP BY study_id + 0) AS r
        LEFT JOIN efforts AS f ON f.study_id = r.study
        WHERE f.study_id IS NULL OR abs(f.experiments_s - r.spent_s) > 1e-6 * (1 + r.spent_s)""",  # noqa: S608
    ),
    "I11": (
        """SELECT pipeline || ' has ' || count(*) || ' active versions' FROM model_versions
        WHERE state = 'active' GROUP BY pipeline || '', pipeline HAVING count(*) > 1""",
        """SELECT 'v' || m.number || ' of ' || m.pipeline FROM model_versions AS m
        WHERE (m.state = 'active') <> (m.number = coalesce((SELECT d.to_version FROM deployments AS d
            WHERE d.pipeline = m.pipeline ORDER BY d.id DESC LIMIT 1), 0))""",
    ),
    "I12": (
        """SELECT 'deployment ' || d.id FROM deployments AS d
        WHERE coalesce(d.from_version, 0) <> coalesce((SELECT p.to_version FROM deployments AS p
            WHERE p.pipeline = d.pipeline AND p.id < d.id ORDER BY p.id DESC LIMIT 1), 0)""",
        """SELECT 'v' || m.number FROM model_versions AS m
        WHERE (m.state = 'staged') = EXISTS (SELECT 1 FROM deployments AS d WHERE d.to_version = m.number)""",
    ),
    "I18": (
        """SELECT 'confirmation ' || max(c.id) FROM confirmations AS c
        GROUP BY c.experiment_id + 0, c.provenance_id + 0, c.seed + 0 HAVING count(*) > 1""",
        f"""SELECT 'confirmation ' || c.id FROM confirmations AS c
        LEFT JOIN experiments AS e ON e.id = c.experiment_id
        LEFT JOIN provenances AS v ON v.id = c.provenance_id
        WHERE e.id IS NULL OR v.id IS NULL OR e.study_id <> v.study_id OR abs(c.value) > {_LARGEST}""",  # noqa: S608
    ),
    "I19": (
        """SELECT e.public_id FROM experiments AS e LEFT JOIN provenances AS v ON v.id = e.ended_on_id
        WHERE e.ended_on_id IS NOT NULL AND (v.id IS NULL OR v.study_id <> e.study_id
            OR e.value IS NOT NULL OR e.state IN ('waiting', 'running'))""",
    ),
}

_NEVER_DELETED = (
    "studies",
    "runs",
    "owners",
    "provenances",
    "shapes",
    "experiments",
    "confirmations",
    "holdout_reads",
    "deployments",
    "patterns",
    "lessons",
    "events",
)


@dataclass(frozen=True, slots=True)
class Held:
    """How one invariant stands. `examples` are the first of the `n_broken` places where it is broken."""

    id: str
    n_broken: int
    examples: tuple[str, ...]

    @property
    def rule(self) -> str:
        """What must hold, in words."""
        return INVARIANTS[self.id]


def _say_nothing(_: str) -> None:
    """What takes no time needs no progress."""


def check_invariants(
    ask: Ask, tell: Callable[[str], None] = _say_nothing, *, is_file: bool = True
) -> list[Held]:
    """Check each invariant, as far as rows can say, in the order of `INVARIANTS`.

    Args:
        ask: runs a statement; every statement alone sees one moment of a registry that is in use.
        tell: takes a line now and then that says how far it is.
        is_file: whether this is SQLite. I4 and I14 are about its file, and left out elsewhere.
    """
    [[n, newest]] = ask("SELECT count(*), coalesce(max(id), 0) FROM experiments")
    if n <= _ROWS_AT_ONCE:
        tell = _say_nothing
    checks = (
        *_in_each(ask, newest, tell),
        *_anywhere(ask, tell),
        *(_in_the_file(ask, tell) if is_file else ()),
    )
    broken: dict[str, list[str]] = {id_: [] for id_ in INVARIANTS if is_file or id_ not in _OF_THE_FILE}
    for id_, example in checks:
        broken[id_].append(example)
    return [Held(id_, len(each), tuple(each[:_N_NAMED])) for id_, each in broken.items()]


def file_problems(ask: Ask) -> list[str]:
    """What SQLite's own checks of a whole file find; takes seconds for each GB."""
    found = [str(row[0]) for row in ask("PRAGMA integrity_check(10)") if row[0] != "ok"]
    return found + [
        f"{row[0]} row {row[1]} refers to a missing {row[2]}" for row in ask("PRAGMA foreign_key_check")
    ]


def _in_the_file(ask: Ask, tell: Callable[[str], None]) -> Iterator[tuple[str, str]]:
    for table in _NEVER_DELETED:  # and numbered without a gap
        [[n, newest]] = ask(f"SELECT count(*), coalesce(max(id), 0) FROM {table}")  # noqa: S608
        if n != newest:
            yield "I4", f"{newest - n} of {newest} {table}"
    tell("checking the file from end to end")
    yield from (("I14", problem) for problem in file_problems(ask))
    for name, wanted in (("application_id", APPLICATION_ID), ("user_version", SCHEMA_VERSION)):
        if (given := ask(f"PRAGMA {name}")[0][0]) != wanted:
            yield "I14", f"{name} is {given} and not {wanted}"
    stored = {_words(row[0]) for row in ask("SELECT sql FROM sqlite_schema WHERE type = 'trigger'")}
    for trigger in TRIGGERS:
        if _words(trigger) not in stored:
            yield "I14", f"without its trigger {trigger.split()[2]}"


def _in_each(ask: Ask, newest: int, tell: Callable[[str], None]) -> Iterator[tuple[str, str]]:
    """Which experiment breaks which invariant."""
    flags = ", ".join(
        f'CASE WHEN {broken} THEN 1 ELSE 0 END AS "{id_}"' for id_, broken in _BROKEN_IN_EACH.items()
    )
    anything = " OR ".join(f"({broken})" for broken in _BROKEN_IN_EACH.values())
    for first in range(1, newest + 1, _ROWS_AT_ONCE):
        tell(f"checking experiments: {first - 1:,} of {newest:,}")
        each = _EACH.format(first=first, last=first + _ROWS_AT_ONCE - 1)
        question = f"SELECT public_id, {flags} FROM ({each}) AS each WHERE {anything}"  # noqa: S608
        for public_id, *broken in ask(question):
            yield from ((id_, public_id) for id_, flag in zip(_BROKEN_IN_EACH, broken, strict=True) if flag)


def _anywhere(ask: Ask, tell: Callable[[str], None]) -> Iterator[tuple[str, str]]:
    for id_, questions in _BROKEN_ANYWHERE.items():
        tell(f"checking {id_}: {INVARIANTS[id_]}")
        for question in questions:
            yield from ((id_, str(row[0])) for row in ask(question))


def _words(sql: object) -> str:
    """A statement without its line ends: a migration breaks its lines elsewhere."""
    return " ".join(str(sql).split())
