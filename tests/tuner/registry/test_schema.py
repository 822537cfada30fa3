"""The rules that the database itself keeps, whoever writes; the views; and the migrations that lead here."""

import importlib
import json
import pkgutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.contracts.registry_cases import ON, SPEC, START, Clock, Connect, some
from tests.tuner.registry.reading import all_rows, objects
from tuner.experiment import (
    Confirmation,
    Direction,
    Evaluation,
    Failure,
    Outcome,
    Partial,
    Provenance,
    State,
    Study,
    Suggestion,
)
from tuner.registry import HoldoutRead, Lesson, Registry, StudySpec, open_registry
from tuner.registry.engine import Database
from tuner.registry.engine import connect as raw_connect
from tuner.registry.migrate import upgrade
from tuner.registry.migrations import versions
from tuner.registry.rules import create_schema
from tuner.registry.schema import APPLICATION_ID, SCHEMA_VERSION, metadata
from tuner.registry.signature import TABLES


def populate(registry: Registry) -> Study:
    """A study with one experiment complete (1), one running (2), one failed (3) and one waiting (4)."""
    study = registry.open_study(SPEC)
    registry.add(study, some(4))
    done, _, bad = registry.claim(study, 3)
    registry.complete(done, Evaluation(0.5, 0.1, {"f1": 0.25}), ON)
    registry.fail(bad, Failure(Outcome.CANCELLED, "x"))
    version = registry.stage_version("credit", {}, manifest={})
    registry.activate(version, action="apply", who="ann", reason="")
    registry.stage_version("credit", {}, manifest={})
    registry.log("note", "x")
    [best] = registry.best(study)
    registry.add_confirmation(Confirmation(best.public_id, 1, 0.5, (0.25, 0.75), ON, 1.5))
    registry.add_holdout_read(HoldoutRead("credit", {}, {"test_auc": 0.5}, ON, "retrain", ""))
    pattern = registry.add_pattern(best.public_id, {"model": "xgboost"})
    registry.add_lesson(Lesson(pattern.id, "used", study.name, 0.5))
    return study


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A plain connection, as a careless script would use it, to a database that no test changes."""
    path = tmp_path_factory.mktemp("schema") / "experiments.db"
    with open_registry(path, create=True, clock=Clock()) as registry:
        populate(registry)
        with closing(raw_connect(path, "rw")) as connection:
            yield connection


def finish(changes: str) -> str:
    """A statement that ends the running experiment."""
    return f"UPDATE experiments SET owner_id=NULL, finished_at=1, {changes} WHERE id=2"


def copy(changes: str) -> str:
    """A statement that writes the waiting experiment once more, with these columns replaced."""
    columns = ["public_id", "study_id", "method", "shape_id", "params", "config_hash", "seed", "created_at"]
    replaced = dict(change.split("=", 1) for change in changes.split(", "))
    columns += replaced.keys() - columns
    values = ", ".join(replaced.get(column, column) for column in columns)
    return f"INSERT INTO experiments ({', '.join(columns)}) SELECT {values} FROM experiments WHERE id=4"


CONFIRMED = "9, 1, 1, 1, 0.5, '[]', 7.0, 1"
LOOKED = (
    "INSERT INTO holdout_reads SELECT 9, pipeline, experiment_id, version, params, '{metrics}', intervals,"
    " {n_rows}, data, code, metric, why, who, at FROM holdout_reads"
)

REFUSED = [
    # values
    (finish("state='complete', provenance_id=1"), "complete_has_value"),
    (finish("state='complete', provenance_id=1, value=9e999"), "value_finite"),
    (finish("state='complete', provenance_id=1, value='high'"), "cannot store TEXT"),
    (finish("state='complete', value=0.5"), "value_has_provenance"),
    (finish("state='complete', provenance_id=1, value=0.5, finished_at=NULL"), "finished_has_time"),
    (finish("state='complete', provenance_id=1, value=0.5, owner_id=1"), "running_has_owner"),
    (finish("state='failed'"), "failed_has_outcome"),
    (finish("state='failed', outcome='bored'"), "outcome_known"),
    ("UPDATE experiments SET value=0.5, provenance_id=1 WHERE id=2", "complete_has_value"),
    ("UPDATE experiments SET std_error=-1 WHERE id=2", "std_error_positive"),
    ("UPDATE experiments SET metrics='{' WHERE id=2", "metrics_json"),
    ("INSERT INTO measurements VALUES (2, 'auc', 0, 9e999)", "value_finite"),
    ("INSERT INTO measurements VALUES (2, 'auc', -1, 0.5)", "step_positive"),
    # the protocol
    ("UPDATE experiments SET state='done' WHERE id=4", "state_known"),
    ("UPDATE experiments SET state='running', attempt=1 WHERE id=4", "running_has_owner"),
    ("UPDATE experiments SET state='running', owner_id=1 WHERE id=4", "rises by one with each claim"),
    ("UPDATE experiments SET attempt=5 WHERE id=2", "rises by one with each claim"),
    ("UPDATE experiments SET state='failed', outcome='error', finished_at=1 WHERE id=4", "only a running"),
    ("UPDATE experiments SET state='waiting', value=NULL WHERE id=1", "already finished"),
    ("UPDATE experiments SET value=0.9 WHERE id=1", "already finished"),
    ("UPDATE experiments SET error='x' WHERE id=3", "already finished"),
    ("UPDATE experiments SET params='[9,9]' WHERE id=4", "never changes"),
    ("UPDATE experiments SET id=9 WHERE id=4", "never changes"),
    ("DELETE FROM experiments WHERE id=4", "never deleted"),
    ("REPLACE INTO experiments SELECT * FROM experiments WHERE id=4", "never deleted"),
    ("UPDATE experiments SET run_id=1 WHERE id=4", "never changes"),
    (copy("config_hash=randomblob(16), public_id='new', attempt=1, state='running'"), "as waiting"),
    ("UPDATE attempts SET ending='failed' WHERE experiment_id=1", "already closed"),
    ("DELETE FROM attempts", "never deleted"),
    ("INSERT INTO attempts VALUES (2, 2, 1, 1, NULL, NULL, NULL)", "UNIQUE"),
    ("INSERT INTO attempts VALUES (2, 2, 1, 1, 1, 'gone', NULL)", "ending_known"),
    ("INSERT INTO attempts VALUES (2, 2, 1, 1, NULL, 'lost', NULL)", "ended_has_ending"),
    # identity
    (copy("public_id='new'"), "UNIQUE.*config_hash"),
    (copy("config_hash=randomblob(16)"), "UNIQUE.*public_id"),
    (copy("config_hash=randomblob(16), public_id='new', study_id=99"), "FOREIGN KEY"),
    (copy("config_hash=randomblob(16), public_id='new', params='{}'"), "params_array"),
    (copy("config_hash=randomblob(15), public_id='new'"), "config_hash_length"),
    (
        "INSERT INTO studies SELECT 9, name, space, metric, direction, baseline, seed, 1, NULL FROM studies",
        "UNIQ",
    ),
    ("UPDATE studies SET direction='up'", "direction_known"),
    # versions, ledger, events
    ("UPDATE model_versions SET state='active'", "UNIQUE"),
    ("UPDATE model_versions SET state='gone' WHERE number=2", "state_known"),
    ("DELETE FROM model_versions WHERE number=1", "only a staged"),
    ("UPDATE deployments SET who='bob'", "append-only"),
    ("DELETE FROM deployments", "append-only"),
    ("REPLACE INTO deployments SELECT * FROM deployments", "append-only"),
    ("INSERT INTO deployments VALUES (9, 'credit', 'magic', 1, 1, '', '', '[]', 1)", "action_known"),
    ("UPDATE events SET message='y'", "append-only"),
    ("DELETE FROM events", "append-only"),
    ("INSERT INTO events VALUES (9, 1, 'k', 'm', 2.0, '{}')", "salience_range"),
    # confirmations and looks at the holdout
    ("UPDATE confirmations SET value=0.9", "append-only"),
    ("DELETE FROM confirmations", "append-only"),
    ("REPLACE INTO confirmations SELECT * FROM confirmations", "append-only"),
    (f"INSERT INTO confirmations VALUES ({CONFIRMED})", "UNIQUE.*seed"),
    (f"INSERT INTO confirmations VALUES ({CONFIRMED.replace('0.5', '9e999')})", "value_finite"),
    (f"INSERT INTO confirmations VALUES ({CONFIRMED.replace('0.5', 'NULL')})", "NOT NULL"),
    (f"INSERT INTO confirmations VALUES ({CONFIRMED.replace('[]', '{}')})", "folds_array"),
    (f"INSERT INTO confirmations VALUES ({CONFIRMED.replace('7.0', '-1')})", "duration_s_positive"),
    (f"INSERT INTO confirmations VALUES ({CONFIRMED.replace('7.0', '9e999')})", "duration_s_finite"),
    (f"INSERT INTO confirmations VALUES ({CONFIRMED.replace('1, 1, 1', '99, 1, 1')})", "FOREIGN KEY"),
    ("UPDATE holdout_reads SET who='bob'", "append-only"),
    ("DELETE FROM holdout_reads", "append-only"),
    ("REPLACE INTO holdout_reads SELECT * FROM holdout_reads", "append-only"),
    (LOOKED.format(metrics="[]", n_rows=1), "metrics_object"),
    (LOOKED.format(metrics="{{", n_rows=1), "malformed JSON"),
    (LOOKED.format(metrics="{}", n_rows=-1), "n_rows_positive"),
    # what failed, and memory
    (finish("state='complete', provenance_id=1, value=0.5, ended_on_id=1"), "ended_on_without_value"),
    ("UPDATE patterns SET value=0.9", "append-only"),
    ("DELETE FROM patterns", "append-only"),
    ("REPLACE INTO patterns SELECT * FROM patterns", "append-only"),
    ("UPDATE lessons SET weight=0.9", "append-only"),
    ("DELETE FROM lessons", "append-only"),
    ("INSERT INTO lessons VALUES (9, 1, 1, 'used', 0.5, '', 1)", "UNIQUE"),
    ("INSERT INTO lessons VALUES (9, 1, 1, 'praised', 0.5, '', 1)", "kind_known"),
    ("INSERT INTO lessons VALUES (9, 1, 1, 'judged', 1.5, '', 1)", "weight_range"),
    ("INSERT INTO lessons VALUES (9, 1, NULL, 'judged', 0.5, '', 1)", "forgotten_of_no_study"),
    ("INSERT INTO lessons VALUES (9, 1, NULL, 'forgotten', 0.5, '', 1)", "forgotten_without_weight"),
    ("INSERT INTO lessons VALUES (9, 99, 1, 'judged', 0.5, '', 1)", "FOREIGN KEY"),
]


@pytest.mark.parametrize(("statement", "rule"), REFUSED)
def test_the_database_refuses(raw: Any, statement: str, rule: str) -> None:
    before = all_rows(raw)
    with pytest.raises(Exception, match=rule):
        raw.execute(statement)
    assert all_rows(raw) == before


def test_nan_cannot_become_a_value(raw: Any) -> None:
    """SQLite turns NaN into NULL, and COMPLETE without a value is refused."""
    with pytest.raises(Exception, match="complete_has_value"):
        raw.execute(
            "UPDATE experiments SET state='complete', owner_id=NULL, finished_at=1, value=? WHERE id=2",
            (float("nan"),),
        )
    with pytest.raises(Exception, match="NOT NULL"):
        raw.execute("INSERT INTO measurements VALUES (2, 'auc', 0, ?)", (float("nan"),))


def test_the_largest_float_is_a_value(registry: Registry) -> None:
    study = populate(registry)
    largest = 1.7976931348623157e308
    assert registry.complete(registry.claim(study)[0], Evaluation(-largest), ON).value == -largest


def test_every_table_is_strict(raw: Any) -> None:
    strict = {
        name
        for _, name, kind, _, _, strict in raw.execute("PRAGMA main.table_list")
        if kind == "table" and strict
    }
    assert strict == set(metadata.tables) == TABLES


def rows(raw: Any, view: str) -> list[dict[str, Any]]:
    cursor = raw.execute(f"SELECT * FROM {view}")
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor]


def test_hp_experiments_reads_like_a_sentence(raw: Any) -> None:
    done, running, failed, waiting = rows(raw, "hp_experiments")
    assert done == {
        "public_id": "random_20231114_221320_001",
        "study": "credit",
        "method": "random",
        "state": "complete",
        "outcome": None,
        "value": 0.5,
        "std_error": 0.1,
        "metric": "roc_auc",
        "params": '{"depth":0,"rate":0.0}',
        "metrics": '{"f1":0.25}',
        "feasible": 1,
        "attempt": 1,
        "error": None,
        "created_utc": "2023-11-14 22:13:20",
        "started_utc": "2023-11-14 22:13:20",
        "finished_utc": "2023-11-14 22:13:20",
        "duration_s": None,
        "data_fingerprint": "d1",
        "code_version": "c1",
        "metric_definition": "m1",
        "stop_step": None,
        "stop_value": None,
    }
    assert (running["state"], failed["state"], failed["outcome"], waiting["state"]) == (
        "running",
        "failed",
        "cancelled",
        "waiting",
    )


def test_hp_experiments_keeps_types_and_every_digit(registry: Registry, path: Path) -> None:
    study = registry.open_study(SPEC)
    params = {"a": 0.1 + 0.2, "b": 1, "c": 1.0, "d": True, "e": None, "f": 'q"\n', "g": 1e-300, "h": 2**80}
    registry.add(study, [Suggestion(params, "random")])
    with closing(raw_connect(path, "ro")) as raw:
        read = json.loads(rows(raw, "hp_experiments")[-1]["params"])
    assert read == params
    assert list(map(type, read.values())) == list(map(type, params.values()))


def test_hp_experiments_says_where_a_pruned_one_stood(registry: Registry, path: Path) -> None:
    registry.add(registry.open_study(SPEC), some(1))
    [claim] = registry.claim(registry.open_study(SPEC))
    registry.finish([(claim, Partial(0.625, 3, {}, (), 0.5))], ON)
    with closing(raw_connect(path, "ro")) as raw:
        [row] = rows(raw, "hp_experiments")
    assert (row["state"], row["value"], row["stop_step"], row["stop_value"]) == ("pruned", None, 3, 0.625)


@pytest.mark.parametrize(
    ("direction", "best"),
    [(Direction.MAXIMIZE, [3.0, 3.0, 7.0, 7.0]), (Direction.MINIMIZE, [3.0, 1.0, 1.0, 1.0])],
)
def test_the_history_and_the_best_follow_the_direction(
    registry: Registry, path: Path, direction: Direction, best: list[float]
) -> None:
    study = registry.open_study(StudySpec("s", {}, "m", direction, {}))
    registry.add(study, some(6))
    for value in (3.0, 1.0, 7.0, 7.0):
        registry.complete(registry.claim(study)[0], Evaluation(value), ON)
    newer = Provenance("d2")
    for value in (4.0, 5.0):
        registry.complete(registry.claim(study)[0], Evaluation(value), newer)
    with closing(raw_connect(path, "ro")) as raw:
        history = rows(raw, "hp_tuning_history")
        assert [(h["iteration"], h["best_value"]) for h in history[:4]] == list(enumerate(best, 1))
        of_newer = [4.0, 5.0] if direction is Direction.MAXIMIZE else [4.0, 4.0]
        assert [(h["iteration"], h["best_value"]) for h in history[4:]] == list(enumerate(of_newer, 1))
        found = {row["data_fingerprint"]: row for row in rows(raw, "v_best")}
    assert {data: row["is_latest_provenance"] for data, row in found.items()} == {"d1": 0, "d2": 1}
    for provenance in (ON, newer):
        assert found[provenance.data]["public_id"] == registry.best(study, 1, provenance)[0].public_id


# ---- migrations


@pytest.fixture
def databases(tmp_path: Path) -> Iterator[tuple[Database, Database]]:
    """One made by the present metadata, one that has come all the way by migrations."""
    with (
        closing(Database(tmp_path / "new.db", lambda: raw_connect(tmp_path / "new.db", "rwc"))) as new,
        closing(Database(tmp_path / "old.db", lambda: raw_connect(tmp_path / "old.db", "rwc"))) as old,
    ):
        with new.write() as connection:
            create_schema(connection)
        upgrade(old)
        yield new, old


def test_migrations_lead_to_what_the_metadata_says(databases: tuple[Database, Database]) -> None:
    new, old = databases
    assert objects(old.path) == objects(new.path)
    for pragma in ("user_version", "application_id"):
        with closing(raw_connect(new.path, "ro")) as one, closing(raw_connect(old.path, "ro")) as two:
            assert one.execute(f"PRAGMA {pragma}").fetchone() == two.execute(f"PRAGMA {pragma}").fetchone()
            stamp = "SELECT version_num FROM alembic_version"
            assert one.execute(stamp).fetchone() == two.execute(stamp).fetchone()


def test_there_is_one_migration_for_each_schema_version() -> None:
    names = sorted(module.name for module in pkgutil.iter_modules(versions.__path__))
    modules = [importlib.import_module(f"{versions.__name__}.{name}") for name in names]
    assert [module.revision for module in modules] == [f"{n:04d}" for n in range(1, SCHEMA_VERSION + 1)]
    assert [module.down_revision for module in modules[1:]] == [module.revision for module in modules[:-1]]


def make_older(path: Path) -> bytes:
    """A registry of a schema before the first: signed as ours, version 0, without tables."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("CREATE TABLE older (x)")
        connection.commit()
    return path.read_bytes()


def test_an_older_schema_is_migrated_and_kept_beside(path: Path, connect: Connect) -> None:
    make_older(path)
    registry = connect()
    study = registry.open_study(SPEC)
    assert registry.counts(study)[State.WAITING] == 0
    kept = path.with_name("experiments.db.schema0.backup")
    assert "older" in objects(kept)
    assert "experiments" not in objects(kept)
    kept.unlink()
    connect()
    assert not kept.exists(), "a second opening has nothing to migrate"


def test_a_migration_that_fails_leaves_the_old_schema(
    path: Path, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_older(path)
    before = objects(path)
    first = importlib.import_module(f"{versions.__name__}.v0001_first_schema")
    broken = Path(str(first.__file__)).read_text().replace("CREATE VIEW v_best", "CREATE VIEW experiments")
    folder = path.parent / "migrations"
    (folder / "versions").mkdir(parents=True)
    (folder / "versions" / "v0001_first_schema.py").write_text(broken)
    (folder / "env.py").write_text((Path(str(first.__file__)).parent.parent / "env.py").read_text())
    monkeypatch.setattr("tuner.registry.migrate.SCRIPTS", str(folder))
    with pytest.raises(Exception, match="experiments already exists"):
        connect()
    assert objects(path) == before


def test_an_up_to_date_registry_opens_without_alembic(path: Path, connect: Connect) -> None:
    import subprocess
    import sys

    connect().close()
    code = (
        "import sys; from tuner.registry import open_registry;"
        f" open_registry({str(path)!r}, create=False).close(); print('alembic' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_the_clock_gives_every_time(raw: Any) -> None:
    times = {row[0] for row in raw.execute("SELECT created_at FROM experiments UNION SELECT at FROM events")}
    assert times == {START}
