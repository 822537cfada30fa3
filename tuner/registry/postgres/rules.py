"""What the tables cannot say, for PostgreSQL: triggers that refuse to rewrite history, functions, and views.

The tables themselves are those of `schema`, which names the two functions that SQLite brings along.
"""

import re

from sqlalchemy import Connection, Table, Text

from tuner.registry.portable import EXPERIMENTS, HISTORY, REFUSALS, Refusal
from tuner.registry.rules import ALEMBIC
from tuner.registry.schema import SCHEMA_VERSION, metadata

__all__ = ["COUNTED", "TRIGGERS", "VIEWS", "create_schema"]

# Text that is no JSON is an error of the cast.
_FUNCTIONS = (
    """CREATE FUNCTION json_valid(text) RETURNS boolean LANGUAGE sql IMMUTABLE
       AS 'SELECT $1::json IS NOT NULL'""",
    "CREATE FUNCTION json_type(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT json_typeof($1::json)'",
    """CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql
       AS $$ BEGIN RAISE EXCEPTION USING MESSAGE = TG_ARGV[0]; END $$""",
)


def _refuse(refusal: Refusal) -> str:
    condition = f" WHEN ({refusal.when.replace('<int>', '::int')})" if refusal.when else ""
    return (
        f"CREATE TRIGGER {refusal.name} BEFORE {refusal.event} FOR EACH ROW{condition}"
        f" EXECUTE FUNCTION refuse('{refusal.message}')"
    )


def _refuse_truncate(table: str) -> str:
    return (
        f"CREATE TRIGGER {table}_are_not_emptied BEFORE TRUNCATE ON {table} FOR EACH STATEMENT"
        f" EXECUTE FUNCTION refuse('{table} are never deleted')"
    )


_KEPT = (
    "experiments",
    "attempts",
    "confirmations",
    "holdout_reads",
    "deployments",
    "events",
    "patterns",
    "lessons",
    "model_versions",
)

TRIGGERS: tuple[str, ...] = (
    *map(_refuse, REFUSALS),
    *map(_refuse_truncate, _KEPT),
)

# Of the type json, not jsonb, so that no number is rounded on its way.
_PARAMS = """(SELECT json_object_agg(n.name, v.value ORDER BY n.place)
              FROM json_array_elements_text(s.names::json) WITH ORDINALITY AS n(name, place)
              JOIN json_array_elements(e.params::json) WITH ORDINALITY AS v(value, place) USING (place))"""

_BEST = """CREATE VIEW v_best AS
    SELECT t.name AS study, t.metric, e.public_id, e.method, e.value, e.std_error, <params> AS params,
           v.data AS data_fingerprint, v.code AS code_version, v.metric AS metric_definition,
           v.turn = (SELECT max(o.turn) FROM provenances AS o WHERE o.study_id = t.id) AS is_latest_provenance
    FROM provenances AS v
    JOIN studies AS t ON t.id = v.study_id
    CROSS JOIN LATERAL (
        SELECT c.public_id, c.method, c.value, c.std_error, c.params, c.shape_id FROM experiments AS c
        WHERE c.study_id = v.study_id AND c.provenance_id = v.id AND c.value IS NOT NULL AND c.feasible = 1
        ORDER BY CASE t.direction WHEN 'minimize' THEN c.value ELSE -c.value END, c.id LIMIT 1) AS e
    JOIN shapes AS s ON s.id = e.shape_id"""


# Tables on SQLite, kept by triggers; here rows that all who write share would have to be waited for.
_N = "(count(*) FILTER (WHERE state = '{0}'))::int AS {0}"  # a sum of bigint would be numeric
COUNTED = {
    "counts": f"""CREATE VIEW counts AS
        SELECT study_id, coalesce(run_id, 0) AS run_id, min(id) AS first_id, max(id) AS last_id,
               {", ".join(map(_N.format, ("waiting", "running", "complete", "pruned", "failed")))}
        FROM experiments GROUP BY 1, 2""",  # noqa: S608
    "scored": """CREATE VIEW scored AS
        SELECT provenance_id, count(*) AS n_complete FROM experiments
        WHERE value IS NOT NULL GROUP BY provenance_id""",
    "efforts": """CREATE VIEW efforts AS
        WITH spans AS (
            SELECT study_id, started_at, finished_at, duration_s, max(finished_at) OVER (
                PARTITION BY study_id ORDER BY started_at
                ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS covered
            FROM experiments WHERE finished_at IS NOT NULL)
        SELECT t.id AS study_id, coalesce(sum(duration_s), 0) AS experiments_s,
            coalesce(sum(greatest(0, finished_at - greatest(started_at, covered))), 0) AS wall_s,
            coalesce(max(finished_at), 0) AS ended_at
        FROM studies AS t LEFT JOIN spans ON spans.study_id = t.id GROUP BY t.id""",
}

# SQLite ends every index with the id; here the oldest that waits would have to be sorted out at each claim.
_WAITING = """CREATE INDEX ix_experiments_waiting ON experiments (study_id, id)
    WHERE state = 'waiting' AND value IS NULL"""


def _spelled(view: str) -> str:
    view = re.sub(r"<utc (\w+)>", r"date_trunc('second', to_timestamp(e.\1) AT TIME ZONE 'UTC')", view)
    return view.replace("<params>", _PARAMS).replace("<metrics>", "e.metrics::json AS metrics")


VIEWS: tuple[str, ...] = (*COUNTED.values(), *map(_spelled, (EXPERIMENTS, HISTORY, _BEST)))


def create_schema(connection: Connection) -> None:
    """Write the whole present schema into an empty schema of the server, and sign it as ours."""
    for statement in _FUNCTIONS:
        connection.exec_driver_sql(statement)
    tables = [table for table in metadata.tables.values() if table.name not in COUNTED]
    for index in (index for table in tables for index in table.indexes):
        index.dialect_options["postgresql"]["where"] = index.dialect_options["sqlite"]["where"]
    metadata.create_all(connection, tables, checkfirst=False)
    for statement in (*map(_order_by_character, tables), _WAITING, *TRIGGERS, *VIEWS, ALEMBIC):
        connection.exec_driver_sql(statement)
    connection.exec_driver_sql("INSERT INTO alembic_version VALUES (%s)", (f"{SCHEMA_VERSION:04d}",))


def _order_by_character(table: Table) -> str:
    """Sort the texts of a table as SQLite does, not as a language would: the search for a prefix needs it."""
    texts = [column.name for column in table.columns if isinstance(column.type, Text)]
    return f"ALTER TABLE {table.name} " + ", ".join(
        f'ALTER COLUMN "{name}" TYPE text COLLATE "C"' for name in texts
    )
