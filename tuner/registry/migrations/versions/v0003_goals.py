"""Schema 3: what a study wants besides its metric, and which experiments keep its limits.

What `rules` and `schema` said on the day of schema 3 is spelled out, so that it never changes again.
"""

from alembic import op

revision = "0003"
down_revision = "0002"

_COLUMNS = (
    """ALTER TABLE studies ADD COLUMN goals TEXT
        CONSTRAINT ck_studies_goals_json CHECK (goals IS NULL OR json_valid(goals))""",
    """ALTER TABLE experiments ADD COLUMN feasible <integer> DEFAULT 1 NOT NULL
        CONSTRAINT ck_experiments_feasible_known CHECK (feasible = 0 OR feasible = 1)""",
)

_DROPPED = ("v_best", "hp_tuning_history", "hp_experiments")

_SQLITE_VIEWS = (
    """CREATE VIEW hp_experiments AS
        SELECT e.public_id, t.name AS study, e.method, e.state, e.outcome, e.value, e.std_error, t.metric,
               (SELECT json_group_object(n.value, json(e.params -> ('$[' || n.key || ']')))
                  FROM json_each(s.names) AS n) AS params, e.metrics, e.feasible, e.attempt, e.error,
               datetime(e.created_at, 'unixepoch') AS created_utc,
               datetime(e.started_at, 'unixepoch') AS started_utc,
               datetime(e.finished_at, 'unixepoch') AS finished_utc,
               e.duration_s, v.data AS data_fingerprint, v.code AS code_version, v.metric AS metric_definition
        FROM experiments AS e
        JOIN studies AS t ON t.id = e.study_id
        JOIN shapes AS s ON s.id = e.shape_id
        LEFT JOIN provenances AS v ON v.id = e.provenance_id""",
    """CREATE VIEW hp_tuning_history AS
        SELECT t.name AS study, e.provenance_id, row_number() OVER earlier AS iteration,
               e.public_id, e.method, e.value,
               CASE t.direction WHEN 'minimize' THEN min(e.value) FILTER (WHERE e.feasible = 1) OVER earlier
                   ELSE max(e.value) FILTER (WHERE e.feasible = 1) OVER earlier END AS best_value,
               datetime(e.finished_at, 'unixepoch') AS finished_utc
        FROM experiments AS e
        JOIN studies AS t ON t.id = e.study_id
        WHERE e.state = 'complete'
        WINDOW earlier AS (PARTITION BY e.study_id, e.provenance_id ORDER BY e.id)""",
    """CREATE VIEW v_best AS
        SELECT t.name AS study, t.metric, e.public_id, e.method, e.value, e.std_error,
            (SELECT json_group_object(n.value, json(e.params -> ('$[' || n.key || ']')))
                  FROM json_each(s.names) AS n) AS params,
               v.data AS data_fingerprint, v.code AS code_version, v.metric AS metric_definition,
               v.turn = (SELECT max(o.turn) FROM provenances AS o WHERE o.study_id = t.id)
                   AS is_latest_provenance
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
        JOIN shapes AS s ON s.id = e.shape_id""",
)

_POSTGRES_VIEWS = (
    """CREATE VIEW hp_experiments AS
        SELECT e.public_id, t.name AS study, e.method, e.state, e.outcome, e.value, e.std_error, t.metric,
               (SELECT json_object_agg(n.name, v.value ORDER BY n.place)
                  FROM json_array_elements_text(s.names::json) WITH ORDINALITY AS n(name, place)
                  JOIN json_array_elements(e.params::json) WITH ORDINALITY AS v(value, place)
                    USING (place)) AS params, e.metrics::json AS metrics, e.feasible, e.attempt, e.error,
               date_trunc('second', to_timestamp(e.created_at) AT TIME ZONE 'UTC') AS created_utc,
               date_trunc('second', to_timestamp(e.started_at) AT TIME ZONE 'UTC') AS started_utc,
               date_trunc('second', to_timestamp(e.finished_at) AT TIME ZONE 'UTC') AS finished_utc,
               e.duration_s, v.data AS data_fingerprint, v.code AS code_version, v.metric AS metric_definition
        FROM experiments AS e
        JOIN studies AS t ON t.id = e.study_id
        JOIN shapes AS s ON s.id = e.shape_id
        LEFT JOIN provenances AS v ON v.id = e.provenance_id""",
    """CREATE VIEW hp_tuning_history AS
        SELECT t.name AS study, e.provenance_id, row_number() OVER earlier AS iteration,
               e.public_id, e.method, e.value,
               CASE t.direction WHEN 'minimize' THEN min(e.value) FILTER (WHERE e.feasible = 1) OVER earlier
                   ELSE max(e.value) FILTER (WHERE e.feasible = 1) OVER earlier END AS best_value,
               date_trunc('second', to_timestamp(e.finished_at) AT TIME ZONE 'UTC') AS finished_utc
        FROM experiments AS e
        JOIN studies AS t ON t.id = e.study_id
        WHERE e.state = 'complete'
        WINDOW earlier AS (PARTITION BY e.study_id, e.provenance_id ORDER BY e.id)""",
    """CREATE VIEW v_best AS
        SELECT t.name AS study, t.metric, e.public_id, e.method, e.value, e.std_error,
            (SELECT json_object_agg(n.name, v.value ORDER BY n.place)
                  FROM json_array_elements_text(s.names::json) WITH ORDINALITY AS n(name, place)
                  JOIN json_array_elements(e.params::json) WITH ORDINALITY AS v(value, place)
                    USING (place)) AS params,
               v.data AS data_fingerprint, v.code AS code_version, v.metric AS metric_definition,
               v.turn = (SELECT max(o.turn) FROM provenances AS o WHERE o.study_id = t.id)
                   AS is_latest_provenance
        FROM provenances AS v
        JOIN studies AS t ON t.id = v.study_id
        CROSS JOIN LATERAL (
            SELECT c.* FROM experiments AS c
            WHERE c.study_id = v.study_id AND c.provenance_id = v.id AND c.value IS NOT NULL
                AND c.feasible = 1
            ORDER BY CASE t.direction WHEN 'minimize' THEN c.value ELSE -c.value END, c.id LIMIT 1) AS e
        JOIN shapes AS s ON s.id = e.shape_id""",
)


def upgrade() -> None:
    """From schema 2. No study had goals, so every experiment keeps them."""
    bind = op.get_bind()
    on_sqlite = bind.dialect.name == "sqlite"
    for name in _DROPPED:
        bind.exec_driver_sql(f"DROP VIEW {name}")
    for statement in _COLUMNS:
        bind.exec_driver_sql(statement.replace("<integer>", "INTEGER" if on_sqlite else "BIGINT"))
    for statement in _SQLITE_VIEWS if on_sqlite else _POSTGRES_VIEWS:
        bind.exec_driver_sql(statement)
