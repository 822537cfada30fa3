"""Schema 4: experiments scored once more on fresh folds, and every look at the holdout.

What `rules` and `schema` said on the day of schema 4 is spelled out, so that it never changes again.
"""

from alembic import op

revision = "0004"
down_revision = "0003"

# In angle brackets stands what each dialect says in its own way.
_TABLES = (
    """CREATE TABLE confirmations (
        id <key> NOT NULL,
        experiment_id <integer> NOT NULL,
        provenance_id <integer> NOT NULL,
        seed <integer> NOT NULL,
        value <real> NOT NULL,
        folds <text> NOT NULL,
        duration_s <real>,
        at <real> NOT NULL,
        CONSTRAINT pk_confirmations PRIMARY KEY (id),
        CONSTRAINT uq_confirmations_experiment_id_provenance_id_seed UNIQUE (experiment_id,
            provenance_id, seed),
        CONSTRAINT ck_confirmations_duration_s_positive CHECK (duration_s >= 0),
        CONSTRAINT ck_confirmations_folds_array CHECK (json_type(folds) = 'array'),
        CONSTRAINT ck_confirmations_value_finite CHECK (abs(value) <= 1.7976931348623157e308),
        CONSTRAINT ck_confirmations_duration_s_finite CHECK (abs(duration_s) <= 1.7976931348623157e308),
        CONSTRAINT fk_confirmations_experiment_id FOREIGN KEY(experiment_id) REFERENCES experiments (id),
        CONSTRAINT fk_confirmations_provenance_id FOREIGN KEY(provenance_id) REFERENCES provenances (id)
    )<strict>""",
    "CREATE INDEX ix_confirmations_provenance_id ON confirmations (provenance_id)",
    """CREATE TABLE holdout_reads (
        id <key> NOT NULL,
        pipeline <text> NOT NULL,
        experiment_id <integer>,
        version <integer>,
        params <text> NOT NULL,
        metrics <text> NOT NULL,
        intervals <text> NOT NULL,
        n_rows <integer>,
        data <text> NOT NULL,
        code <text> NOT NULL,
        metric <text> NOT NULL,
        why <text> NOT NULL,
        who <text> NOT NULL,
        at <real> NOT NULL,
        CONSTRAINT pk_holdout_reads PRIMARY KEY (id),
        CONSTRAINT ck_holdout_reads_n_rows_positive CHECK (n_rows >= 0),
        CONSTRAINT ck_holdout_reads_params_object CHECK (json_type(params) = 'object'),
        CONSTRAINT ck_holdout_reads_metrics_object CHECK (json_type(metrics) = 'object'),
        CONSTRAINT ck_holdout_reads_intervals_object CHECK (json_type(intervals) = 'object'),
        CONSTRAINT fk_holdout_reads_experiment_id FOREIGN KEY(experiment_id) REFERENCES experiments (id)
    )<strict>""",
    "CREATE INDEX ix_holdout_reads_pipeline ON holdout_reads (pipeline)",
)

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

_REFUSED = (
    ("confirmations", "confirmations are append-only"),
    ("holdout_reads", "looks at the holdout are append-only"),
)


def _on_sqlite(table: str, message: str) -> tuple[str, ...]:
    refuse = f"BEGIN SELECT RAISE(ABORT, '{message}'); END"
    return (
        f"CREATE TRIGGER {table}_stay BEFORE UPDATE ON {table} {refuse}",
        f"CREATE TRIGGER {table}_are_kept BEFORE DELETE ON {table} {refuse}",
    )


def _on_postgres(table: str, message: str) -> tuple[str, ...]:
    refuse = "FOR EACH {} EXECUTE FUNCTION refuse('{}')"
    row = refuse.format("ROW", message)
    emptied = refuse.format("STATEMENT", f"{table} are never deleted")
    return (
        f"CREATE TRIGGER {table}_stay BEFORE UPDATE ON {table} {row}",
        f"CREATE TRIGGER {table}_are_kept BEFORE DELETE ON {table} {row}",
        f"CREATE TRIGGER {table}_are_not_emptied BEFORE TRUNCATE ON {table} {emptied}",
    )


def upgrade() -> None:
    """From schema 3. Nothing was confirmed, and no look at the holdout was counted."""
    bind = op.get_bind()
    on_sqlite = bind.dialect.name == "sqlite"
    for table in _TABLES:
        statement = table
        for what, spelled in (_ON_SQLITE if on_sqlite else _ON_POSTGRES).items():
            statement = statement.replace(what, spelled)
        bind.exec_driver_sql(statement)
    for table, message in _REFUSED:
        for trigger in (_on_sqlite if on_sqlite else _on_postgres)(table, message):
            bind.exec_driver_sql(trigger)
