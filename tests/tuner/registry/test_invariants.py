"""The checks of `retrain doctor --deep`: silent on what is sound, and each finds its own kind of damage."""

import re
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.contracts.registry_cases import ON, Connect, some
from tests.tuner.registry.test_schema import populate
from tuner.experiment import Confirmation, Evaluation, Failure, Outcome, Provenance
from tuner.registry import HoldoutRead, Lesson, invariants, open_registry
from tuner.registry.engine import connect as raw_connect
from tuner.registry.invariants import INVARIANTS, Held, check_invariants
from tuner.registry.rules import TRIGGERS

# What `busy` leaves: experiment 1 complete, 2 running, 3 failed, 4 waiting after a release, 5 and 6 complete
# after a death of their owner, 7 complete after a failure; version 1 retired, 2 staged, 3 active.
NEVER_SCORED = "state = 'waiting', value = NULL, provenance_id = NULL, finished_at = NULL"
DAMAGES = [
    ("I1", "UPDATE experiments SET state = 'lost' WHERE id = 4"),
    ("I1", "UPDATE experiments SET owner_id = 1 WHERE id = 4"),
    ("I1", "UPDATE experiments SET outcome = NULL WHERE id = 3"),
    ("I2", f"UPDATE experiments SET {NEVER_SCORED} WHERE id = 1"),
    ("I2", "UPDATE experiments SET finished_at = finished_at + 60 WHERE id = 1"),
    ("I2", "UPDATE attempts SET ending = 'complete' WHERE experiment_id = 7 AND number = 1"),
    ("I3", "UPDATE experiments SET value = NULL WHERE id = 1"),
    ("I3", "UPDATE experiments SET value = 9e999 WHERE id = 1"),
    ("I3", "UPDATE attempts SET ending = 'lost' WHERE experiment_id = 1"),
    ("I4", "DELETE FROM experiments WHERE id = 4"),
    ("I4", "DELETE FROM events WHERE id = 1"),
    ("I5", "DELETE FROM attempts WHERE experiment_id = 1"),
    ("I6", "DELETE FROM attempts WHERE experiment_id = 7 AND number = 1"),
    ("I6", "UPDATE attempts SET ended_at = NULL, ending = NULL WHERE experiment_id = 7 AND number = 1"),
    ("I6", "UPDATE experiments SET attempt = 3 WHERE id = 4"),
    ("I7", "UPDATE attempts SET owner_id = 2 WHERE experiment_id = 2"),
    ("I7", "UPDATE experiments SET owner_id = 77 WHERE id = 2; UPDATE attempts SET owner_id = 77"),
    ("I9", "UPDATE experiments SET config_hash = (SELECT config_hash FROM experiments WHERE id = 1)"),
    ("I9", "UPDATE experiments SET public_id = 'same'"),
    ("I9", "UPDATE counts SET waiting = waiting + 1"),
    ("I9", "UPDATE counts SET waiting = waiting + 1, failed = failed - 1"),
    ("I9", "UPDATE counts SET last_id = 6"),
    ("I9", "DELETE FROM counts"),
    ("I9", "INSERT INTO counts SELECT study_id, 77, 1, 1, 1, 0, 0, 0, 0 FROM counts"),
    ("I9", "UPDATE scored SET n_complete = 1"),
    ("I9", "DELETE FROM scored"),
    ("I9", "UPDATE efforts SET experiments_s = experiments_s + 1"),
    ("I10", "UPDATE experiments SET failures = 1 WHERE id = 4"),
    ("I10", "UPDATE experiments SET state = 'waiting', finished_at = NULL, outcome = NULL WHERE id = 3"),
    ("I10", "UPDATE experiments SET deaths = 4 WHERE id = 3"),
    ("I10", "UPDATE experiments SET interruptions = 0 WHERE id = 4"),
    ("I11", "UPDATE model_versions SET state = 'active'"),
    ("I11", "UPDATE model_versions SET state = 'retired' WHERE number = 3"),
    ("I11", "DELETE FROM deployments WHERE id = 2"),
    ("I12", "UPDATE deployments SET from_version = 2 WHERE id = 2"),
    ("I12", "UPDATE model_versions SET state = 'retired' WHERE number = 2"),
    ("I4", "DELETE FROM confirmations WHERE id = 1"),
    ("I4", "DELETE FROM holdout_reads WHERE id = 1"),
    ("I14", "PRAGMA user_version = 77"),
    ("I14", "PRAGMA application_id = 1"),
    ("I14", "UPDATE experiments SET study_id = 77 WHERE id = 4"),
    ("I18", "UPDATE confirmations SET seed = 1"),
    ("I18", "UPDATE confirmations SET value = 9e999 WHERE id = 1"),
    ("I18", "UPDATE confirmations SET experiment_id = 77 WHERE id = 1"),
    ("I18", "UPDATE confirmations SET provenance_id = 77 WHERE id = 1"),
    ("I18", "UPDATE experiments SET study_id = 77 WHERE id = 1"),
    ("I19", "UPDATE experiments SET ended_on_id = 77 WHERE id = 3"),
    ("I19", "UPDATE experiments SET ended_on_id = 1 WHERE id = 4"),
    ("I4", "DELETE FROM lessons WHERE id = 1"),
]


@pytest.fixture
def busy(connect: Connect, path: Path) -> Path:
    """A registry in use, with every kind of ending in it."""
    registry, dead, other = connect(), connect(), connect()
    study = populate(registry)
    [four] = other.claim(study)
    registry.add(study, some(3, first=10))
    assert len(dead.claim(study, 2)) == 2
    dead.close()
    assert len(other.recover()) == 2
    five, six = other.claim(study, 2)
    other.complete(five, Evaluation(0.6), ON)
    other.complete(six, Evaluation(0.9), Provenance("d2", "c1", "m1"))
    [seven] = other.claim(study)
    other.fail(seven, Failure(Outcome.ERROR, "x"))
    [seven] = other.claim(study)
    other.complete(seven, Evaluation(0.65), ON)
    other.release([four])
    version = registry.stage_version("credit", {"depth": 2}, manifest={})
    registry.activate(version, action="apply", who="ann", reason="", expect_active=1)
    registry.log("note", "y")
    for seed in (1, 2):
        registry.add_confirmation(Confirmation(registry.best(study)[0].public_id, seed, 0.8, (0.8,), ON))
        registry.add_holdout_read(HoldoutRead("credit", {}, {"test_auc": 0.5}, ON, "retrain", ""))
    registry.add_lesson(Lesson(1, "judged", study.name, 0.5))
    return path


def checked(path: Path) -> dict[str, Held]:
    with closing(raw_connect(path, "ro")) as raw:

        def ask(question: str) -> list[Any]:
            return list(raw.execute(question).fetchall())

        return {held.id: held for held in check_invariants(ask)}


def damage(path: Path, statements: str) -> None:
    """As a careless script, a broken disk or a defect of ours would: with none of the rules in the way."""
    with closing(raw_connect(path, "rw")) as raw:
        raw.execute("PRAGMA foreign_keys = OFF")
        raw.execute("PRAGMA ignore_check_constraints = ON")
        for trigger in TRIGGERS:
            raw.execute(f"DROP TRIGGER {trigger.split()[2]}")
        for unique in ("uq_attempts_one_open", "uq_model_versions_one_active"):
            raw.execute(f"DROP INDEX {unique}")
        for table in ("experiments", "confirmations"):
            _unconstrained(raw, table)
        for statement in statements.split("; "):
            raw.execute(statement)
        for trigger in TRIGGERS:
            raw.execute(trigger)


def _unconstrained(raw: Any, table: str) -> None:
    """Take the UNIQUE rules out of a table."""
    [[sql]] = raw.execute("SELECT sql FROM sqlite_schema WHERE name = ?", (table,)).fetchall()
    bare = re.sub(r",\s*CONSTRAINT \S+ UNIQUE \([^)]*\)", "", sql)
    assert bare != sql
    indexes = [
        row[0]
        for row in raw.execute(
            "SELECT sql FROM sqlite_schema WHERE type = 'index' AND tbl_name = ? AND sql > ''",
            (table,),
        )
    ]
    views = raw.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'view'").fetchall()
    for name, _ in views:
        raw.execute(f"DROP VIEW {name}")
    raw.execute("PRAGMA legacy_alter_table = ON")
    raw.execute(f"ALTER TABLE {table} RENAME TO old")
    raw.execute(bare)
    raw.execute(f"INSERT INTO {table} SELECT * FROM old")
    raw.execute("DROP TABLE old")
    for statement in (*indexes, *(sql for _, sql in views)):
        raw.execute(statement)


def test_a_sound_registry_breaks_nothing(busy: Path) -> None:
    found = checked(busy)
    assert list(found) == list(INVARIANTS)
    assert [held for held in found.values() if held.n_broken] == []


@pytest.mark.parametrize(("id_", "statements"), DAMAGES)
def test_damage_is_found(busy: Path, id_: str, statements: str) -> None:
    damage(busy, statements)
    held = checked(busy)[id_]
    assert held.n_broken > 0
    assert len(held.examples) == min(held.n_broken, 5)


def test_the_damage_alone_is_what_is_found(busy: Path) -> None:
    """Taking the rules away and putting them back, as `damage` does, breaks nothing by itself."""
    damage(busy, "SELECT 1")
    assert [held for held in checked(busy).values() if held.n_broken] == []


def test_an_index_that_hides_the_best_is_found(busy: Path) -> None:
    with closing(raw_connect(busy, "rw")) as raw:
        for trigger in TRIGGERS:
            raw.execute(f"DROP TRIGGER {trigger.split()[2]}")
        name = "ix_experiments_study_id_provenance_id_value"
        [[sql]] = raw.execute("SELECT sql FROM sqlite_schema WHERE name = ?", (name,)).fetchall()
        raw.execute("PRAGMA writable_schema = ON")
        change = "UPDATE sqlite_schema SET sql = ? WHERE name = ?"
        raw.execute(change, (sql.replace("value IS NOT NULL", "value > 99"), name))
        raw.execute("PRAGMA writable_schema = RESET")
        raw.execute("UPDATE experiments SET value = 0.7 WHERE id = 5")  # unseen by the index
        raw.execute("PRAGMA writable_schema = ON")
        raw.execute(change, (sql, name))
        raw.execute("PRAGMA writable_schema = RESET")
    found = checked(busy)
    assert found["I8"].examples == ("study credit: best of provenance 1",)
    assert found["I14"].n_broken


def test_examples_name_the_experiment(busy: Path) -> None:
    damage(busy, "UPDATE experiments SET failures = 1 WHERE id = 4")
    with open_registry(busy, create=False, read_only=True) as registry:
        [four] = [each for each in registry.experiments() if each.id == 4]
    assert checked(busy)["I10"].examples == (four.public_id,)


def test_a_rule_that_was_taken_away_is_found(busy: Path) -> None:
    with closing(raw_connect(busy, "rw")) as raw:
        raw.execute("DROP TRIGGER experiments_finished_stay")
    assert checked(busy)["I14"].examples == ("without its trigger experiments_finished_stay",)


def test_many_rows_are_looked_at_in_parts_and_that_is_said(
    busy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    damage(busy, "UPDATE experiments SET failures = 1 WHERE id IN (2, 4, 7)")
    monkeypatch.setattr(invariants, "_ROWS_AT_ONCE", 2)
    told: list[str] = []
    with closing(raw_connect(busy, "ro")) as raw:
        found = check_invariants(lambda question: raw.execute(question).fetchall(), told.append)
    assert {held.id: held.n_broken for held in found}["I10"] == 2, "the failure of 7 is a real one"
    assert told[:2] == ["checking experiments: 0 of 7", "checking experiments: 2 of 7"]
