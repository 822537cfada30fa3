"""What opens on a server and what does not: each refusal is one sentence, and touches nothing."""

import shutil
import sys
from pathlib import Path
from urllib.parse import quote

import psycopg.errors
import pytest
from sqlalchemy import text

from tests.contracts.registry_cases import SPEC, some
from tests.postgres_server import GUARDED, PostgresServer
from tests.tuner.registry.together import run_together
from tuner.errors import BusyError, NotARegistryError, NotFoundError, RetrainError, StorageError, UsageError
from tuner.registry import Registry, migrations, open_registry
from tuner.registry.backup import backup
from tuner.registry.base import writable
from tuner.registry.doctor import deep_check
from tuner.registry.postgres.address import Address
from tuner.registry.postgres.doctor import server_info
from tuner.registry.postgres.engine import PostgresDatabase
from tuner.registry.postgres.trouble import postgres_errors
from tuner.registry.schema import SCHEMA_VERSION
from tuner.registry.sql_registry import SqlRegistry


def relations(server: PostgresServer, database: str) -> list[tuple[object, ...]]:
    return server.execute(
        "SELECT relname, relkind FROM pg_class WHERE relname !~ '^pg_' ORDER BY 1", database
    )


def refused(url: str, kind: type[RetrainError], *, create: bool = True, read_only: bool = False) -> str:
    with pytest.raises(kind) as caught:
        open_registry(url, create=create, read_only=read_only)
    assert caught.value.remedy
    return str(caught.value)


def test_nothing_is_made_unless_asked(postgres_server: PostgresServer) -> None:
    url = postgres_server.make_database("nothing")
    before = relations(postgres_server, "nothing")
    for create, read_only in ((False, False), (False, True), (True, True)):
        assert "the database is empty" in refused(url, NotFoundError, create=create, read_only=read_only)
    assert relations(postgres_server, "nothing") == before
    open_registry(url, create=True).close()
    assert relations(postgres_server, "nothing") != before


def test_tables_of_another_program_are_not_touched(postgres_server: PostgresServer) -> None:
    url = postgres_server.make_database("foreign")
    for statement in ("CREATE TABLE studies (x int)", "CREATE TABLE alembic_version (version_num text)"):
        postgres_server.execute(statement, "foreign")
        before = relations(postgres_server, "foreign")
        assert "another program" in refused(url, NotARegistryError)
        assert relations(postgres_server, "foreign") == before


def test_tables_of_others_may_lie_in_another_schema(postgres_server: PostgresServer) -> None:
    url = postgres_server.make_database("shared")
    postgres_server.execute("CREATE TABLE studies (x int); CREATE SCHEMA tuning", "shared")
    with open_registry(f"{url}&options=-csearch_path%3Dtuning", create=True) as registry:
        registry.open_study(SPEC)
    assert postgres_server.execute("SELECT name FROM tuning.studies", "shared") == [("credit",)]


def test_a_newer_or_incomplete_registry_is_refused(postgres_server: PostgresServer) -> None:
    url = postgres_server.make_database("odd")
    open_registry(url, create=True).close()
    postgres_server.execute("DROP TABLE lessons", "odd")
    assert "damaged (without its table lessons)" in refused(url, NotARegistryError)
    postgres_server.execute(f"UPDATE alembic_version SET version_num = '{SCHEMA_VERSION + 1:04d}'", "odd")
    assert f"schema {SCHEMA_VERSION + 1}, made by a newer version" in refused(url, NotARegistryError)


def test_one_who_reads_cannot_write(url: str, postgres_server: PostgresServer) -> None:
    with open_registry(url, create=False) as registry:
        study = registry.open_study(SPEC)
    with open_registry(url, create=False, read_only=True) as reader:
        assert reader.studies() == [study]
        with pytest.raises(StorageError, match="for reading only"):
            writable(reader).log("note", "x")
        with database_of(reader).read() as connection, pytest.raises(Exception, match="read-only"):
            connection.execute(text("DELETE FROM measurements"))


def database_of(registry: object) -> PostgresDatabase:
    assert isinstance(registry, SqlRegistry)
    assert isinstance(registry.database, PostgresDatabase)
    return registry.database


@pytest.mark.parametrize(
    ("change", "meaning"),
    [
        ({"database": "absent"}, "its database does not exist"),
        ({"user": "stranger"}, "its user does not exist"),
        ({"user": f"{GUARDED}:secret"}, "the password was refused"),
        ({"user": GUARDED}, "a password is asked for"),
    ],
)
def test_who_is_not_let_in_hears_why(
    postgres_server: PostgresServer, change: dict[str, str], meaning: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSFILE", "/dev/null")
    postgres_server.execute(f"DROP ROLE IF EXISTS {GUARDED}")
    postgres_server.execute(f"CREATE ROLE {GUARDED} LOGIN PASSWORD 'right'")
    said = refused(postgres_server.url(**change), StorageError)
    assert meaning in said
    assert "secret" not in said


@pytest.mark.parametrize(
    ("url", "meaning"),
    [
        ("postgresql://me:secret@/db?host=/nowhere", "no server listens there"),
        ("postgresql://me:secret@127.0.0.1:1/db", "no server listens there"),
        ("postgresql://me:secret@no.such.host.invalid/db", "there is no such host"),
    ],
)
def test_where_nobody_answers_it_is_said_without_the_password(url: str, meaning: str) -> None:
    said = refused(url, StorageError)
    assert meaning in said
    assert "secret" not in said


def test_a_user_who_may_not_make_tables_is_told(postgres_server: PostgresServer) -> None:
    postgres_server.make_database("closed")
    postgres_server.execute("DROP ROLE IF EXISTS visitor")
    postgres_server.execute("CREATE ROLE visitor LOGIN")
    postgres_server.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC", "closed")
    assert "permission denied" in refused(postgres_server.url("closed", user="visitor"), StorageError)


def test_a_missing_driver_is_named_with_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(UsageError) as caught:
        open_registry("postgresql://host/db", create=True)
    assert "pip install 'retrain[postgres]'" in caught.value.remedy


def test_a_lock_that_is_held_too_long_is_busy(url: str, postgres_server: PostgresServer) -> None:
    with (
        open_registry(url, create=False) as first,
        open_registry(url, create=False, busy_timeout_s=0.05) as second,
        database_of(first).write(),
    ):
        assert second.studies() == [], "reads do not wait"
        second.log("note", "nor does what touches nobody's rows")
        with pytest.raises(BusyError, match="busy timeout"):
            second.open_study(SPEC)
        assert [event.kind for event in second.events()] == ["note"]


def test_one_who_stops_in_the_middle_of_a_write_does_not_hold_up_the_others(url: str) -> None:
    impatient = f"{url}&options=-c%20idle_in_transaction_session_timeout%3D50"
    with open_registry(impatient, create=False) as stopped, open_registry(url, create=False) as other:

        def write_and_stop() -> None:
            with database_of(stopped).write() as connection:
                other.open_study(SPEC)  # waits until the server has ended the session of the stopped one
                connection.execute(text("SELECT 1"))

        with pytest.raises(StorageError, match="nothing of this step was written"):
            write_and_stop()


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (psycopg.errors.DeadlockDetected, BusyError),
        (psycopg.errors.SerializationFailure, BusyError),
        (psycopg.errors.DiskFull, StorageError),
        (psycopg.errors.AdminShutdown, StorageError),
        (psycopg.errors.IdleInTransactionSessionTimeout, StorageError),
        (psycopg.errors.TooManyConnections, StorageError),
        (psycopg.errors.DataCorrupted, NotARegistryError),
        (psycopg.errors.CheckViolation, StorageError),
        (psycopg.errors.NumericValueOutOfRange, UsageError),
        (psycopg.errors.UndefinedTable, StorageError),
        (psycopg.OperationalError, StorageError),
        (psycopg.DataError, UsageError),
    ],
)
def test_errors_are_typed_by_what_to_do_next(error: type[psycopg.Error], kind: type[RetrainError]) -> None:
    with pytest.raises(kind) as caught, postgres_errors(Address.of("postgresql://me:secret@host/db")):
        raise error("said so")
    assert type(caught.value) is kind
    assert caught.value.remedy
    assert "secret" not in str(caught.value)


ABOUT_NEW_TABLES = (
    """SELECT table_name, column_name, data_type, is_nullable, collation_name, column_default
    FROM information_schema.columns WHERE table_name IN ('confirmations', 'holdout_reads', 'lessons')
    ORDER BY table_name, ordinal_position""",
    """SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint
    WHERE conrelid IN ('confirmations'::regclass, 'holdout_reads'::regclass, 'lessons'::regclass,
        'experiments'::regclass) ORDER BY conname""",
    """SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
    AND tgrelid IN ('confirmations'::regclass, 'holdout_reads'::regclass, 'lessons'::regclass,
        'patterns'::regclass) ORDER BY tgname""",
    """SELECT indexdef FROM pg_indexes WHERE tablename IN ('confirmations', 'holdout_reads', 'lessons')
    ORDER BY indexdef""",
)


def test_schema_2_is_brought_up_to_date(postgres_server: PostgresServer) -> None:
    """What later versions added is taken away by hand; the views of version 2 need only be there."""
    url = postgres_server.make_database("second")
    with open_registry(url, create=True) as registry:
        registry.add(registry.open_study(SPEC), some(2))
    views = ("v_best", "hp_tuning_history", "hp_experiments")
    for view in views:
        postgres_server.execute(f"DROP VIEW {view}; CREATE VIEW {view} AS SELECT 1 AS x", "second")
    postgres_server.execute("ALTER TABLE studies DROP COLUMN goals", "second")
    drop = ", ".join(f"DROP COLUMN {name}" for name in ("feasible", "ended_on_id", "stop_step", "stop_value"))
    postgres_server.execute(f"ALTER TABLE experiments {drop}", "second")
    postgres_server.execute("DROP TABLE confirmations, holdout_reads, lessons", "second")
    for trigger in ("patterns_stay", "patterns_are_kept", "patterns_are_not_emptied"):
        postgres_server.execute(f"DROP TRIGGER {trigger} ON patterns", "second")
    postgres_server.execute("UPDATE alembic_version SET version_num = '0002'", "second")
    with open_registry(url, create=False) as registry:
        [study] = registry.studies()
        assert not study.goals
        assert [each.feasible for each in registry.experiments(study)] == [True, True]
    fresh = postgres_server.make_database("third")
    open_registry(fresh, create=True).close()
    for view in views:
        ask = f"SELECT pg_get_viewdef('{view}')"
        assert postgres_server.execute(ask, "second") == postgres_server.execute(ask, "third")
    for ask in ABOUT_NEW_TABLES:
        found = postgres_server.execute(ask, "second")
        assert found == postgres_server.execute(ask, "third")
        assert found


def test_an_older_schema_is_migrated_once_by_whoever_comes_first(
    postgres_server: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = postgres_server.make_database("older")
    open_registry(url, create=True).close()
    scripts = tmp_path / "migrations"
    shutil.copytree(str(Path(str(migrations.__file__)).parent), scripts)
    following = f"{SCHEMA_VERSION + 1:04d}"
    (scripts / "versions" / "later.py").write_text(
        f"from alembic import op\nrevision = '{following}'\ndown_revision = '{SCHEMA_VERSION:04d}'\n"
        "def upgrade():\n    op.get_bind().exec_driver_sql('CREATE TABLE later (x int)')\n"
    )
    first = (
        "import tuner.registry.schema as schema, tuner.registry.migrate\n"
        f"schema.SCHEMA_VERSION = {SCHEMA_VERSION + 1}\n"
        f"tuner.registry.migrate.SCRIPTS = {str(scripts)!r}"
    )
    said = run_together(
        3, "with open_registry(path, create=False) as r:\n    said = len(r.studies())", url, first
    )
    assert said == [0, 0, 0]
    assert postgres_server.execute("SELECT version_num FROM alembic_version", "older") == [(following,)]


def test_backup_names_the_tool_that_does_it(url: str, tmp_path: Path) -> None:
    with open_registry(url, create=False) as registry, pytest.raises(UsageError) as caught:
        backup(registry, tmp_path / "copy")
    assert caught.value.remedy.startswith("pg_dump ")
    assert not (tmp_path / "copy").exists()


# ---- what the doctor sees


def test_the_doctor_sees_the_server_and_who_works(url: str, postgres_server: PostgresServer) -> None:
    with open_registry(url, create=False) as registry, open_registry(url, create=False) as gone:
        study = registry.open_study(SPEC)
        registry.add(study, some(3))
        registry.claim(study)
        gone.claim(study, 2)
        gone.close()
        info = server_info(registry)
    assert (info.owners_alive, info.owners_dead, info.n_held_by_dead) == (1, 1, 2)
    assert (info.schema_version, info.lifted, info.is_standby) == (SCHEMA_VERSION, (), False)
    assert info.not_durable == ("fsync", "full_page_writes"), "the server of the tests runs without"
    assert info.version == postgres_server.execute("SHOW server_version")[0][0]


def test_the_doctor_sees_rules_that_were_switched_off(postgres_server: PostgresServer) -> None:
    url = postgres_server.make_database("lifted")
    with open_registry(url, create=True) as registry:
        postgres_server.execute("ALTER TABLE experiments DISABLE TRIGGER experiments_finished_stay", "lifted")
        assert server_info(registry).lifted == ("experiments_finished_stay",)


def test_every_invariant_can_be_asked_of_a_server(url: str) -> None:
    with open_registry(url, create=False) as registry:
        populate(registry)
        assert [held.id for held in deep_check(registry) if held.n_broken] == []


def populate(registry: Registry) -> None:
    study = registry.open_study(SPEC)
    registry.add(study, some(3))
    registry.claim(study)


def test_settings_in_the_url_win(url: str) -> None:
    with (
        open_registry(
            f"{url}&application_name=mine&options=-c%20lock_timeout%3D77", create=False
        ) as registry,
        database_of(registry).read() as connection,
    ):
        shown = [
            connection.exec_driver_sql(f"SHOW {name}").scalar()
            for name in ("application_name", "lock_timeout")
        ]
    assert shown == ["mine", "77ms"]


def test_a_database_and_a_password_may_have_odd_characters(
    postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For the pool of connections, and for the one that holds the owner's lock."""
    name, password = "o dd/na%me+", "p@ss w/o:rd%+"
    monkeypatch.setenv("PGPASSFILE", "/dev/null")
    postgres_server.execute(f"DROP ROLE IF EXISTS {GUARDED}")
    postgres_server.execute(f"CREATE ROLE {GUARDED} LOGIN SUPERUSER PASSWORD '{password}'")
    postgres_server.execute(f'CREATE DATABASE "{name}"')
    url = postgres_server.url(quote(name, safe=""), user=f"{GUARDED}:{quote(password, safe='')}")
    with open_registry(url, create=True) as registry:
        study = registry.open_study(SPEC)
        registry.add(study, some(1))
        assert len(registry.claim(study)) == 1
