"""Schema 6: where pruned experiments stood, for people who read `hp_experiments`.

What `rules` said on the day of schema 6 is spelled out, so that it never changes again.
"""

from alembic import op

revision = "0006"
down_revision = "0005"

_ON_SQLITE = (
    "DROP VIEW hp_experiments",
    """CREATE VIEW hp_experiments AS
    SELECT e.public_id, t.name AS study, e.method, e.state, e.outcome, e.value, e.std_error, t.metric,
           (SELECT json_group_object(n.value, json(e.params -> ('$[' || n.key || ']')))
              FROM json_each(s.names) AS n) AS params, e.metrics, e.feasible, e.attempt, e.error,
           datetime(e.created_at, 'unixepoch') AS created_utc,
           datetime(e.started_at, 'unixepoch') AS started_utc,
           datetime(e.finished_at, 'unixepoch') AS finished_utc,
           e.duration_s, v.data AS data_fingerprint, v.code AS code_version, v.metric AS metric_definition,
           e.stop_step, e.stop_value
    FROM experiments AS e
    JOIN studies AS t ON t.id = e.study_id
    JOIN shapes AS s ON s.id = e.shape_id
    LEFT JOIN provenances AS v ON v.id = e.provenance_id""",
)

# New columns come last: so PostgreSQL can replace a view that others may stand on.
_ON_POSTGRES = (
    """CREATE OR REPLACE VIEW hp_experiments AS
    SELECT e.public_id, t.name AS study, e.method, e.state, e.outcome, e.value, e.std_error, t.metric,
           (SELECT json_object_agg(n.name, v.value ORDER BY n.place)
              FROM json_array_elements_text(s.names::json) WITH ORDINALITY AS n(name, place)
              JOIN json_array_elements(e.params::json) WITH ORDINALITY AS v(value, place)
                USING (place)) AS params, e.metrics::json AS metrics, e.feasible, e.attempt, e.error,
           date_trunc('second', to_timestamp(e.created_at) AT TIME ZONE 'UTC') AS created_utc,
           date_trunc('second', to_timestamp(e.started_at) AT TIME ZONE 'UTC') AS started_utc,
           date_trunc('second', to_timestamp(e.finished_at) AT TIME ZONE 'UTC') AS finished_utc,
           e.duration_s, v.data AS data_fingerprint, v.code AS code_version, v.metric AS metric_definition,
           e.stop_step, e.stop_value
    FROM experiments AS e
    JOIN studies AS t ON t.id = e.study_id
    JOIN shapes AS s ON s.id = e.shape_id
    LEFT JOIN provenances AS v ON v.id = e.provenance_id""",
)


def upgrade() -> None:
    """From schema 5. No row changes."""
    bind = op.get_bind()
    for statement in _ON_SQLITE if bind.dialect.name == "sqlite" else _ON_POSTGRES:
        bind.exec_driver_sql(statement)
