"""Schema 5: what became of patterns, what failed experiments ran on, and where pruned ones stood.

What `rules` and `schema` said on the day of schema 5 is spelled out, so that it never changes again.
"""

from alembic import op

revision = "0005"
down_revision = "0004"

# In angle brackets stands what each dialect says in its own way.
_STATEMENTS = (
    """ALTER TABLE experiments ADD COLUMN ended_on_id <integer>
        CONSTRAINT ck_experiments_ended_on_without_value CHECK (ended_on_id IS NULL OR value IS NULL)""",
    """ALTER TABLE experiments ADD COLUMN stop_step <integer>
        CONSTRAINT ck_experiments_stop_step_positive CHECK (stop_step >= 0)""",
    """ALTER TABLE experiments ADD COLUMN stop_value <real>
        CONSTRAINT ck_experiments_stop_value_finite CHECK (abs(stop_value) <= 1.7976931348623157e308)""",
    """CREATE TABLE lessons (
        id <key> NOT NULL,
        pattern_id <integer> NOT NULL,
        study_id <integer>,
        kind <text> NOT NULL,
        weight <real>,
        why <text> NOT NULL,
        at <real> NOT NULL,
        CONSTRAINT pk_lessons PRIMARY KEY (id),
        CONSTRAINT uq_lessons_pattern_id_study_id_kind UNIQUE (pattern_id, study_id, kind),
        CONSTRAINT ck_lessons_kind_known CHECK (kind = 'used' OR kind = 'judged' OR kind = 'forgotten'),
        CONSTRAINT ck_lessons_weight_range CHECK (weight BETWEEN 0 AND 1),
        CONSTRAINT ck_lessons_forgotten_of_no_study CHECK ((kind = 'forgotten') = (study_id IS NULL)),
        CONSTRAINT ck_lessons_forgotten_without_weight CHECK ((kind = 'forgotten') = (weight IS NULL)),
        CONSTRAINT fk_lessons_pattern_id FOREIGN KEY(pattern_id) REFERENCES patterns (id),
        CONSTRAINT fk_lessons_study_id FOREIGN KEY(study_id) REFERENCES studies (id)
    )<strict>""",
    "CREATE INDEX ix_lessons_study_id ON lessons (study_id)",
)

# PostgreSQL keeps `c.*` as the columns that there were when a view was made.
_POSTGRES_BEST = """CREATE OR REPLACE VIEW v_best AS
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
        SELECT c.public_id, c.method, c.value, c.std_error, c.params, c.shape_id FROM experiments AS c
        WHERE c.study_id = v.study_id AND c.provenance_id = v.id AND c.value IS NOT NULL AND c.feasible = 1
        ORDER BY CASE t.direction WHEN 'minimize' THEN c.value ELSE -c.value END, c.id LIMIT 1) AS e
    JOIN shapes AS s ON s.id = e.shape_id"""

_ON_SQLITE = {
    "<key>": "INTEGER",
    "<integer>": "INTEGER",
    "<real>": "REAL",
    "<text>": "TEXT",
    "<strict>": "\n STRICT",
}
_ON_POSTGRES = {
    "<key>": "BIGSERIAL",
    "<integer>": "BIGINT",
    "<real>": "DOUBLE PRECISION",
    "<text>": 'TEXT COLLATE "C"',
    "<strict>": "",
}


def _on_sqlite(table: str) -> tuple[str, ...]:
    refuse = f"BEGIN SELECT RAISE(ABORT, '{table} are append-only'); END"
    return (
        f"CREATE TRIGGER {table}_stay BEFORE UPDATE ON {table} {refuse}",
        f"CREATE TRIGGER {table}_are_kept BEFORE DELETE ON {table} {refuse}",
    )


def _on_postgres(table: str) -> tuple[str, ...]:
    refuse = "FOR EACH {} EXECUTE FUNCTION refuse('{}')"
    row = refuse.format("ROW", f"{table} are append-only")
    emptied = refuse.format("STATEMENT", f"{table} are never deleted")
    return (
        f"CREATE TRIGGER {table}_stay BEFORE UPDATE ON {table} {row}",
        f"CREATE TRIGGER {table}_are_kept BEFORE DELETE ON {table} {row}",
        f"CREATE TRIGGER {table}_are_not_emptied BEFORE TRUNCATE ON {table} {emptied}",
    )


def upgrade() -> None:
    """From schema 4. Of what has failed so far nobody knows what it ran on; no pattern was used."""
    bind = op.get_bind()
    on_sqlite = bind.dialect.name == "sqlite"
    for template in _STATEMENTS:
        statement = template
        for what, spelled in (_ON_SQLITE if on_sqlite else _ON_POSTGRES).items():
            statement = statement.replace(what, spelled)
        bind.exec_driver_sql(statement)
    if not on_sqlite:
        bind.exec_driver_sql(_POSTGRES_BEST)
    for table in ("patterns", "lessons"):
        for trigger in (_on_sqlite if on_sqlite else _on_postgres)(table):
            bind.exec_driver_sql(trigger)
