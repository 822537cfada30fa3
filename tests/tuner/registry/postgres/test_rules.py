"""The rules that the server itself keeps, whoever writes, and the views for people."""

import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.contracts.registry_cases import ON, SPEC, START, Clock, some
from tests.postgres_server import PostgresServer
from tuner.experiment import Confirmation, Evaluation, Failure, Outcome, Suggestion
from tuner.registry import HoldoutRead, open_registry
from tuner.registry.postgres.rules import COUNTED
from tuner.registry.postgres.rules import TRIGGERS as ON_POSTGRES
from tuner.registry.rules import TRIGGERS as ON_SQLITE
from tuner.registry.schema import metadata

ODD = {"a": 0.1 + 0.2, "b": 1, "c": 1.0, "d": True, "e": None, "f": 'q"\n', "g": 1e-300, "h": 2**80}


@pytest.fixture(scope="module")
def raw(postgres_server: PostgresServer) -> Iterator["psycopg.Connection[Any]"]:
    """A plain connection of the owner, to a registry that no test changes."""
    url = postgres_server.make_database("rules")
    with open_registry(url, create=True, clock=Clock()) as registry:
        study = registry.open_study(SPEC)
        registry.add(study, some(4))
        done, _, bad = registry.claim(study, 3)
        registry.complete(done, Evaluation(0.5, 0.1, {"f1": 0.25}), ON)
        registry.fail(bad, Failure(Outcome.CANCELLED, "x"))
        registry.add(study, [Suggestion(ODD, "odd")])
        version = registry.stage_version("credit", {}, manifest={})
        registry.activate(version, action="apply", who="ann", reason="")
        registry.stage_version("credit", {}, manifest={})
        registry.log("note", "x")
        [best] = registry.best(study)
        registry.add_confirmation(Confirmation(best.public_id, 1, 0.5, (0.25, 0.75), ON))
        registry.add_holdout_read(HoldoutRead("credit", {}, {"test_auc": 0.5}, ON, "retrain", ""))
        with psycopg.connect(url, autocommit=True) as connection:
            yield connection


def finish(changes: str) -> str:
    """A statement that ends the running experiment."""
    return f"UPDATE experiments SET owner_id=NULL, finished_at=1, {changes} WHERE id=2"


def copy(changes: str) -> str:
    """A statement that writes the waiting experiment once more, with these columns replaced."""
    columns = ["public_id", "study_id", "method", "shape_id", "params", "config_hash", "seed", "created_at"]
    replaced = {"id": "99"} | dict(change.split("=", 1) for change in changes.split(", "))
    values = ", ".join(replaced.get(column, column) for column in ["id", *columns])
    return f"INSERT INTO experiments (id, {', '.join(columns)}) SELECT {values} FROM experiments WHERE id=4"


COMPLETE = "state='complete', provenance_id=1, value="
ODD_NUMBERS = ("'NaN'", "'Infinity'", "'-Infinity'")

REFUSED = [
    *((finish(f"{COMPLETE}{number}"), "value_finite") for number in ODD_NUMBERS),
    *((finish(f"{COMPLETE}0.5, std_error={number}"), "std_error") for number in ODD_NUMBERS),
    *((f"INSERT INTO measurements VALUES (2, 'auc', 0, {number})", "value_finite") for number in ODD_NUMBERS),
    (finish(f"{COMPLETE}'high'"), "invalid input syntax"),
    (finish("state='complete', provenance_id=1"), "complete_has_value"),
    (finish("state='complete', value=0.5"), "value_has_provenance"),
    (finish(f"{COMPLETE}0.5, owner_id=1").replace("owner_id=NULL, ", ""), "running_has_owner"),
    (finish("state='failed'"), "failed_has_outcome"),
    (finish("state='failed', outcome='bored'"), "outcome_known"),
    ("UPDATE experiments SET std_error=-1 WHERE id=2", "std_error_positive"),
    ("UPDATE experiments SET metrics='{' WHERE id=2", "invalid input syntax for type json"),
    ("UPDATE experiments SET state='done', owner_id=NULL WHERE id=2", "state_known"),
    ("UPDATE experiments SET state='running', attempt=1 WHERE id=4", "running_has_owner"),
    ("UPDATE experiments SET state='running', owner_id=1 WHERE id=4", "rises by one with each claim"),
    ("UPDATE experiments SET attempt=5 WHERE id=2", "rises by one with each claim"),
    ("UPDATE experiments SET state='failed', outcome='error', finished_at=1 WHERE id=4", "only a running"),
    ("UPDATE experiments SET state='waiting', value=NULL WHERE id=1", "already finished"),
    ("UPDATE experiments SET error='x' WHERE id=3", "already finished"),
    ("UPDATE experiments SET params='[9,9]' WHERE id=4", "never changes"),
    ("DELETE FROM experiments WHERE id=4", "never deleted"),
    ("TRUNCATE experiments CASCADE", "never deleted"),
    ("UPDATE attempts SET ending='failed' WHERE experiment_id=1", "already closed"),
    ("DELETE FROM attempts", "never deleted"),
    ("INSERT INTO attempts VALUES (2, 2, 1, 1, NULL, NULL, NULL)", "uq_attempts_one_open"),
    (copy("public_id='new'"), "config_hash"),
    (copy("config_hash=sha256('x')"), "config_hash_length"),
    (copy("config_hash=uuid_send(md5('x')::uuid)"), "public_id"),
    (copy("config_hash=uuid_send(md5('x')::uuid), public_id='new', study_id=99"), "fk_experiments_study_id"),
    (copy("config_hash=uuid_send(md5('x')::uuid), public_id='new', params='{}'"), "params_array"),
    ("UPDATE studies SET direction='up'", "direction_known"),
    ("UPDATE model_versions SET state='active'", "uq_model_versions_one_active"),
    ("DELETE FROM model_versions WHERE number=1", "only a staged"),
    ("UPDATE deployments SET who='bob'", "append-only"),
    ("DELETE FROM deployments", "append-only"),
    ("UPDATE events SET message='y'", "append-only"),
    ("TRUNCATE events", "never deleted"),
    ("INSERT INTO events VALUES (9, 1, 'k', 'm', 'NaN', '{}')", "salience_range"),
    *(
        (f"INSERT INTO confirmations VALUES (9, 1, 1, 2, {n}, '[]', NULL, 1)", "value_finite")
        for n in ODD_NUMBERS
    ),
    ("INSERT INTO confirmations VALUES (9, 1, 1, 1, 0.5, '[]', NULL, 1)", "uq_confirmations"),
    ("UPDATE confirmations SET value=0.9", "append-only"),
    ("DELETE FROM confirmations", "append-only"),
    ("TRUNCATE confirmations", "never deleted"),
    ("UPDATE holdout_reads SET who='bob'", "append-only"),
    ("DELETE FROM holdout_reads", "append-only"),
    ("TRUNCATE holdout_reads", "never deleted"),
]


def content(raw: "psycopg.Connection[Any]") -> dict[str, list[tuple[Any, ...]]]:
    return {name: raw.execute(f"SELECT * FROM {name} ORDER BY 1, 2").fetchall() for name in metadata.tables}


@pytest.mark.parametrize(("statement", "rule"), REFUSED)
def test_the_server_refuses(raw: "psycopg.Connection[Any]", statement: str, rule: str) -> None:
    before = content(raw)
    with pytest.raises(psycopg.Error, match=rule):
        raw.execute(statement.encode())
    assert content(raw) == before


def test_it_refuses_what_a_file_refuses() -> None:
    def refusing(statements: tuple[str, ...]) -> set[str]:
        refusals = (each for each in statements if "RAISE" in each or "refuse(" in each)
        return {each.split()[2] for each in refusals if "TRUNCATE" not in each}

    assert refusing(ON_POSTGRES) == refusing(ON_SQLITE)


def test_columns_keys_and_indexes_are_those_of_the_metadata(raw: "psycopg.Connection[Any]") -> None:
    def ask(question: str) -> set[str]:
        return {row[0] for row in raw.execute(question.encode())}

    tables = [table for table in metadata.tables.values() if table.name not in COUNTED]
    assert ask(
        "SELECT table_name || '.' || column_name FROM information_schema.columns"
        " JOIN information_schema.tables USING (table_schema, table_name)"
        " WHERE table_schema = 'public' AND table_type = 'BASE TABLE' AND table_name <> 'alembic_version'"
    ) == {f"{table.name}.{column.name}" for table in tables for column in table.columns}
    assert ask("SELECT indexname FROM pg_indexes WHERE schemaname = 'public'") >= {
        str(index.name) for table in tables for index in table.indexes
    }
    partial = {
        str(index.name)
        for table in tables
        for index in table.indexes
        if index.dialect_options["sqlite"]["where"] is not None
    }
    here = {"ix_experiments_waiting"}
    assert ask("SELECT indexname FROM pg_indexes WHERE indexdef LIKE '% WHERE %'") == partial | here
    collation = "SELECT collation_name FROM information_schema.columns WHERE column_name = 'public_id'"
    assert ask(collation) == {"C"}


def rows(raw: "psycopg.Connection[Any]", view: str) -> list[dict[str, Any]]:
    cursor = raw.execute(f"SELECT * FROM {view}".encode())
    assert cursor.description is not None
    return [dict(zip([column.name for column in cursor.description], row, strict=True)) for row in cursor]


def test_hp_experiments_reads_like_a_sentence(raw: "psycopg.Connection[Any]") -> None:
    done, *_, odd = rows(raw, "hp_experiments ORDER BY public_id DESC")[::-1][1:] + rows(
        raw, "hp_experiments WHERE method = 'odd'"
    )
    assert (done["public_id"], done["study"], done["value"]) == ("random_20231114_221320_001", "credit", 0.5)
    assert str(done["created_utc"]) == "2023-11-14 22:13:20"
    assert done["params"] == {"depth": 0, "rate": 0.0}
    assert done["metrics"] == {"f1": 0.25}
    [(text,)] = raw.execute("SELECT params::text FROM hp_experiments WHERE method = 'odd'").fetchall()
    read = json.loads(text)
    assert read == ODD
    assert list(map(type, read.values())) == list(map(type, ODD.values()))
    assert odd["state"] == "waiting"


def test_the_history_and_the_best_are_there(raw: "psycopg.Connection[Any]") -> None:
    [history], [best] = rows(raw, "hp_tuning_history"), rows(raw, "v_best")
    assert (history["iteration"], history["best_value"]) == (1, 0.5)
    assert (best["public_id"], best["is_latest_provenance"]) == ("random_20231114_221320_001", True)


def test_the_clock_gives_every_time(raw: "psycopg.Connection[Any]") -> None:
    question = "SELECT created_at FROM experiments UNION SELECT at FROM events"
    assert raw.execute(question).fetchall() == [(START,)]


def test_the_oldest_that_waits_is_found_without_sorting_all_that_do(raw: "psycopg.Connection[Any]") -> None:
    question = "SELECT id FROM experiments WHERE study_id = 1 AND state = 'waiting' AND value IS NULL"
    with raw.transaction():
        raw.execute("SET LOCAL enable_seqscan = off")  # these few rows would else be read one by one
        plan = "\n".join(row[0] for row in raw.execute(f"EXPLAIN {question} ORDER BY id LIMIT 4".encode()))
    assert "ix_experiments_waiting" in plan
    assert "Sort" not in plan
