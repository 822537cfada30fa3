"""The invariants I1 to I13 on stored rows, whatever calls led to them."""

import json
from collections import Counter
from typing import Any

from tests.tuner.registry.machine_model import FINISHED, Model, Row
from tests.tuner.registry.reading import miscounted
from tuner.registry import Limits, Registry

__all__ = ["Invariants"]

_EXPERIMENTS = """SELECT e.id, e.public_id, e.params ->> '$[0]' AS number, e.repeat, e.method, e.state,
    e.outcome, e.value, e.stop_value, e.stop_step, v.data AS "on", o.token AS owner, e.attempt, e.failures,
    e.deaths, e.interruptions,
    e.error, e.created_at, e.started_at, e.finished_at, e.config_hash FROM experiments AS e
    LEFT JOIN owners AS o ON o.id = e.owner_id LEFT JOIN provenances AS v ON v.id = e.provenance_id
    ORDER BY e.id"""
_ATTEMPTS = """SELECT a.experiment_id, a.number, o.token, a.ending FROM attempts AS a
    JOIN owners AS o ON o.id = a.owner_id ORDER BY a.experiment_id, a.number"""
_STEPS = "SELECT experiment_id, metric, step, value FROM measurements"
_OWNERS = "SELECT token, host, boot_id, heartbeat_at FROM owners"
_VERSIONS = "SELECT number, pipeline, state, params, manifest FROM model_versions ORDER BY number"
_LEDGER = "SELECT pipeline, from_version, to_version FROM deployments ORDER BY id"
_HISTORY = """SELECT v.data, h.best_value FROM hp_tuning_history AS h JOIN provenances AS v
    ON v.id = h.provenance_id ORDER BY h.provenance_id, h.iteration"""


class Invariants:
    """Made once per database: remembers what must not change.

    Args:
        raw: a connection to the database, outside any registry.
    """

    def __init__(self, raw: Any) -> None:
        self._raw = raw
        self._finished: dict[int, Row] = {}
        self._best: dict[str, float] = {}
        self._ledger: list[tuple[Any, ...]] = []

    def _rows(self, query: str) -> list[Row]:
        cursor = self._raw.execute(query)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor]

    def check(self, model: Model, reader: Registry) -> None:
        """Compare everything with the model, then check the rows alone."""
        rows = {row["id"]: row for row in self._rows(_EXPERIMENTS)}
        for row in rows.values():
            row["attempts"] = []
            row["steps"] = {}
        for attempt in self._rows(_ATTEMPTS):
            kept = rows[attempt["experiment_id"]]["attempts"]
            assert attempt["number"] == len(kept) + 1, "I6: attempts are numbered without a gap"
            kept.append([attempt["token"], attempt["ending"]])
        for step in self._rows(_STEPS):
            rows[step["experiment_id"]]["steps"][step["metric"], step["step"]] = step["value"]

        self._compare(rows, model)
        for row in rows.values():
            self._of_one(row)
        self._of_all(rows, model, reader)
        self._best_so_far(rows, model, reader)
        self._deployments(model, reader)

    def _compare(self, rows: dict[int, Row], model: Model) -> None:
        """I4, I5, I7: all that was promised is stored, and nothing else; the stale have changed nothing."""
        hidden = ("id", "public_id", "config_hash")
        stored = {id_: {k: v for k, v in row.items() if k not in hidden} for id_, row in rows.items()}
        wanted = {
            id_: row | {"on": None if row["on"] is None else row["on"].data}
            for id_, row in model.experiments.items()
        }
        assert stored == wanted
        assert {
            (row["token"], row["host"], row["boot_id"], row["heartbeat_at"]) for row in self._rows(_OWNERS)
        } == {
            (token, row["machine"].host, row["machine"].boot_id, row["heartbeat_at"])
            for token, row in model.owners.items()
        }

    def _of_one(self, row: Row) -> None:
        endings = [ending for _, ending in row["attempts"]]
        is_finished = row["state"] in FINISHED
        assert row["state"] in ("waiting", "running", *FINISHED), "I1"
        if is_finished:
            assert self._finished.setdefault(row["id"], row) == row, "I2: finished rows never change"
        else:
            assert row["id"] not in self._finished, "I2: finished is for good"
        assert (row["state"] == "complete") == isinstance(row["value"], float), "I3"
        assert (row["state"] == "complete") == ("complete" in endings), "I3: scored by its last attempt"
        assert row["attempt"] == len(endings), "I6"
        assert endings.count(None) == (row["state"] == "running"), "I6"
        assert None not in endings[:-1], "I6: only the last attempt is open"
        if is_finished:
            assert endings[-1] == row["state"], "I3"
        assert (row["owner"] is not None) == (row["state"] == "running"), "I7"
        if row["owner"] is not None:
            assert row["attempts"][-1][0] == row["owner"], "I7"
        limits = Limits()
        assert row["failures"] <= limits.failures, "I10"
        assert row["deaths"] <= limits.deaths, "I10"
        assert row["failures"] + row["deaths"] <= endings.count("failed"), "I10"
        assert row["interruptions"] == endings.count("lost") + endings.count("released"), "I10"

    def _of_all(self, rows: dict[int, Row], model: Model, reader: Registry) -> None:
        [study] = reader.studies()
        states = Counter(row["state"] for row in rows.values())
        counts = {state.value: n for state, n in reader.counts(study).items() if n}
        assert counts == states, "I9"
        assert sum(counts.values()) == len(model.experiments), "I9"
        configs = Counter((row["config_hash"], row["repeat"]) for row in rows.values())
        assert set(configs.values()) <= {1}, "I9: no configuration twice"
        assert miscounted(self._raw) == [], "I9: what triggers count is what is there"
        assert len({row["public_id"] for row in rows.values()}) == len(rows), "I9"

    def _best_so_far(self, rows: dict[int, Row], model: Model, reader: Registry) -> None:
        """I8; the study is maximised."""
        [study] = reader.studies()
        for provenance in model.turns:
            on = provenance.data
            scored = [row for row in rows.values() if row["on"] == on]
            wanted = sorted(scored, key=lambda row: (-row["value"], row["id"]))
            best = reader.best(study, len(rows), provenance)
            assert [one.id for one in best] == [row["id"] for row in wanted], "I8"
            highest = max(row["value"] for row in scored)
            assert highest >= self._best.get(on, highest), "I8: the best never becomes worse"
            self._best[on] = highest
            history = [row["best_value"] for row in self._rows(_HISTORY) if row["data"] == on]
            assert history == sorted(history), "I8"
            assert history[-1] == highest, "I8"
        latest = {one.provenance for one in reader.best(study)}
        assert latest == set(model.turns[-1:]), "I8: only what was scored where the latest result was"

    def _deployments(self, model: Model, reader: Registry) -> None:
        versions = {row.pop("number"): row for row in self._rows(_VERSIONS)}
        for row in versions.values():
            row["params"], row["manifest"] = json.loads(row["params"]), json.loads(row["manifest"])
        assert versions == model.versions
        ledger = [tuple(row.values()) for row in self._rows(_LEDGER)]
        assert ledger == model.ledger
        assert ledger[: len(self._ledger)] == self._ledger, "I12: the ledger only grows"
        self._ledger = ledger
        for pipeline in {row["pipeline"] for row in versions.values()}:
            chain = [(before, after) for name, before, after in ledger if name == pipeline]
            active = [
                n for n, row in versions.items() if (row["pipeline"], row["state"]) == (pipeline, "active")
            ]
            assert active == [after for _, after in chain[-1:]], "I11: one is active, and the ledger says so"
            assert [before for before, _ in chain] == [None, *(after for _, after in chain)][:-1], "I12"
            found = reader.find_active(pipeline)
            assert ([] if found is None else [found.number]) == active, "I11"
