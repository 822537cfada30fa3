"""What tables cannot say: triggers that refuse to rewrite history or keep count, and views for people."""

import re

from sqlalchemy import Connection

from tuner.registry.portable import EXPERIMENTS, HISTORY, REFUSALS, Refusal
from tuner.registry.schema import APPLICATION_ID, SCHEMA_VERSION, metadata

__all__ = ["ALEMBIC", "TRIGGERS", "VIEWS", "create_schema"]


def _refuse(refusal: Refusal) -> str:
    condition = f" WHEN {refusal.when.replace('<int>', '')}" if refusal.when else ""
    return (
        f"CREATE TRIGGER {refusal.name} BEFORE {refusal.event}{condition}"
        f" BEGIN SELECT RAISE(ABORT, '{refusal.message}'); END"
    )


TRIGGERS: tuple[str, ...] = (
    *map(_refuse, REFUSALS),
    """CREATE TRIGGER experiments_count_new AFTER INSERT ON experiments BEGIN
    INSERT INTO counts (study_id, run_id, first_id, last_id, waiting)
        VALUES (NEW.study_id, ifnull(NEW.run_id, 0), NEW.id, NEW.id, 1)
        ON CONFLICT DO UPDATE SET waiting = waiting + 1, first_id = min(first_id, NEW.id),
            last_id = max(last_id, NEW.id);
    END""",
    """CREATE TRIGGER experiments_count_moved AFTER UPDATE OF state ON experiments BEGIN
    UPDATE counts SET
            waiting = waiting + (NEW.state = 'waiting') - (OLD.state = 'waiting'),
            running = running + (NEW.state = 'running') - (OLD.state = 'running'),
            complete = complete + (NEW.state = 'complete'),
            pruned = pruned + (NEW.state = 'pruned'),
            failed = failed + (NEW.state = 'failed')
        WHERE study_id = NEW.study_id AND run_id = ifnull(NEW.run_id, 0);
    END""",
    """CREATE TRIGGER studies_begin AFTER INSERT ON studies BEGIN
    INSERT INTO efforts (study_id) VALUES (NEW.id);
    END""",
    """CREATE TRIGGER experiments_count_scored AFTER UPDATE OF state ON experiments
    WHEN NEW.state = 'complete' BEGIN
    INSERT INTO scored (provenance_id, n_complete) VALUES (NEW.provenance_id, 1)
        ON CONFLICT DO UPDATE SET n_complete = n_complete + 1;
    END""",
    # Time counts from the last end before this one, or from when something began to run after that.
    """CREATE TRIGGER experiments_sum_up AFTER UPDATE OF state ON experiments
    WHEN NEW.state IN ('complete', 'pruned', 'failed') BEGIN
    UPDATE efforts SET
            experiments_s = experiments_s + ifnull(NEW.duration_s, 0),
            wall_s = wall_s + max(0, NEW.finished_at - max(ended_at, min(
                ifnull(NEW.started_at, NEW.finished_at),
                ifnull((SELECT min(started_at) FROM experiments
                    WHERE study_id = NEW.study_id AND owner_id IS NOT NULL), NEW.finished_at)))),
            ended_at = NEW.finished_at
        WHERE study_id = NEW.study_id;
    END""",
)

# The arrow operator hands back the text of the stored value, so that no number is rounded on its way.
_PARAMS = """(SELECT json_group_object(n.value, json(e.params -> ('$[' || n.key || ']')))
              FROM json_each(s.names) AS n)"""

_BEST = """CREATE VIEW v_best AS
    SELECT t.name AS study, t.metric, e.public_id, e.method, e.value, e.std_error, <params> AS params,
           v.data AS data_fingerprint, v.code AS code_version, v.metric AS metric_definition,
           v.turn = (SELECT max(o.turn) FROM provenances AS o WHERE o.study_id = t.id) AS is_latest_provenance
    FROM provenances AS v
    JOIN studies AS t ON t.id = v.study_id
    JOIN experiments AS e ON e.id = (
        SELECT min(c.id) FROM experiments AS c
        WHERE c.study_id = v.study_id AND c.provenance_id = v.id AND c.feasible = 1
            AND c.value = CASE t.direction
            WHEN 'minimize' THEN (SELECT min(m.value) FROM experiments AS m
                WHERE m.study_id = v.study_id AND m.provenance_id = v.id AND m.value IS NOT NULL
                    AND m.feasible = 1)
            ELSE (SELECT max(m.value) FROM experiments AS m
                WHERE m.study_id = v.study_id AND m.provenance_id = v.id AND m.value IS NOT NULL
                    AND m.feasible = 1)
            END)
    JOIN shapes AS s ON s.id = e.shape_id"""


def _spelled(view: str) -> str:
    view = re.sub(r"<utc (\w+)>", r"datetime(e.\1, 'unixepoch')", view)
    return view.replace("<params>", _PARAMS).replace("<metrics>", "e.metrics")


VIEWS: tuple[str, ...] = tuple(map(_spelled, (EXPERIMENTS, HISTORY, _BEST)))

# What Alembic itself would write, had it come all the way from an empty database.
ALEMBIC = (
    "CREATE TABLE alembic_version"
    " (version_num VARCHAR(32) NOT NULL, CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
)


def create_schema(connection: Connection) -> None:
    """Write the whole present schema into an empty database, and sign it as ours."""
    metadata.create_all(connection, checkfirst=False)
    for statement in (*TRIGGERS, *VIEWS, ALEMBIC):
        connection.exec_driver_sql(statement)
    connection.exec_driver_sql("INSERT INTO alembic_version VALUES (?)", (f"{SCHEMA_VERSION:04d}",))
    connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.exec_driver_sql(f"PRAGMA user_version = {SCHEMA_VERSION}")
