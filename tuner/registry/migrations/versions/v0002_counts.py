"""Schema 2: states and efforts are counted as they change; fewer indexes; heartbeats that no clock moves.

And rules that are quicker to check: `a = 'x' OR a = 'y'` for `a IN ('x', 'y')`, which says the same.
What `rules` and `schema` said on the day of schema 2 is spelled out, so that it never changes again.
"""

import re

from alembic import op

revision = "0002"
down_revision = "0001"

_TABLES = (
    "ALTER TABLE owners ADD COLUMN heartbeat_boot_s REAL",
    """CREATE TABLE counts (
        study_id INTEGER NOT NULL,
        run_id INTEGER NOT NULL,
        first_id INTEGER NOT NULL,
        last_id INTEGER NOT NULL,
        waiting INTEGER DEFAULT 0 NOT NULL,
        running INTEGER DEFAULT 0 NOT NULL,
        complete INTEGER DEFAULT 0 NOT NULL,
        pruned INTEGER DEFAULT 0 NOT NULL,
        failed INTEGER DEFAULT 0 NOT NULL,
        CONSTRAINT pk_counts PRIMARY KEY (study_id, run_id),
        CONSTRAINT fk_counts_study_id FOREIGN KEY(study_id) REFERENCES studies (id)
    )
     WITHOUT ROWID,
     STRICT""",
    """CREATE TABLE scored (
        provenance_id INTEGER NOT NULL,
        n_complete INTEGER NOT NULL,
        CONSTRAINT pk_scored PRIMARY KEY (provenance_id),
        CONSTRAINT fk_scored_provenance_id FOREIGN KEY(provenance_id) REFERENCES provenances (id)
    )
     STRICT""",
    """CREATE TABLE efforts (
        study_id INTEGER NOT NULL,
        experiments_s REAL DEFAULT 0 NOT NULL,
        wall_s REAL DEFAULT 0 NOT NULL,
        ended_at REAL DEFAULT 0 NOT NULL,
        CONSTRAINT pk_efforts PRIMARY KEY (study_id),
        CONSTRAINT fk_efforts_study_id FOREIGN KEY(study_id) REFERENCES studies (id)
    )
     STRICT""",
)

# What the triggers would have counted, had they been there from the first row on.
_ROWS = (
    """INSERT INTO counts
        SELECT study_id, ifnull(run_id, 0), min(id), max(id), sum(state = 'waiting'),
            sum(state = 'running'), sum(state = 'complete'), sum(state = 'pruned'), sum(state = 'failed')
        FROM experiments GROUP BY 1, 2""",
    """INSERT INTO scored SELECT provenance_id, count(*) FROM experiments
        WHERE value IS NOT NULL GROUP BY provenance_id""",
    # Of each span, what no earlier one covers.
    """INSERT INTO efforts
        WITH spans AS (
            SELECT study_id, ifnull(started_at, finished_at) AS started_at, finished_at, duration_s,
                max(finished_at) OVER (PARTITION BY study_id ORDER BY started_at
                    ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS covered
            FROM experiments WHERE finished_at IS NOT NULL)
        SELECT studies.id, total(duration_s),
            total(max(0, finished_at - max(started_at, ifnull(covered, started_at)))),
            ifnull(max(finished_at), 0)
        FROM studies LEFT JOIN spans ON spans.study_id = studies.id GROUP BY studies.id""",
)

_INDEXES = (
    "DROP INDEX ix_experiments_study_id",
    "DROP INDEX ix_experiments_run_id",
    "DROP INDEX ix_experiments_run_id_state_value",
    """CREATE INDEX ix_experiments_study_id_started_at ON experiments (study_id, started_at)
        WHERE owner_id IS NOT NULL""",
)

_TRIGGERS = (
    """CREATE TRIGGER experiments_start_waiting BEFORE INSERT ON experiments
        WHEN NEW.state <> 'waiting'
        BEGIN SELECT RAISE(ABORT, 'an experiment is written as waiting'); END""",
    "DROP TRIGGER experiments_keep_identity",
    """CREATE TRIGGER experiments_keep_identity BEFORE UPDATE OF id, public_id, study_id, run_id, method,
        shape_id, params, config_hash, repeat, seed, created_at ON experiments
        BEGIN SELECT RAISE(ABORT, 'what an experiment is never changes'); END""",
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
    """CREATE TRIGGER studies_begin AFTER INSERT ON studies
        BEGIN INSERT INTO efforts (study_id) VALUES (NEW.id); END""",
    """CREATE TRIGGER experiments_count_scored AFTER UPDATE OF state ON experiments
        WHEN NEW.state = 'complete' BEGIN
        INSERT INTO scored (provenance_id, n_complete) VALUES (NEW.provenance_id, 1)
            ON CONFLICT DO UPDATE SET n_complete = n_complete + 1;
        END""",
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


_IN = re.compile(r"(\w+) IN \(([^)]*)\)")
_NULLABLE = ("outcome", "ending")


def _as_or(rule: re.Match[str]) -> str:
    column, values = rule.groups()
    spelt = " OR ".join(f"{column} = {value}" for value in re.split(r",\s*", values))
    return f"{column} IS NULL OR {spelt}" if column in _NULLABLE else spelt


def _spell_rules() -> None:
    """Rewrite the CHECKs of all tables where they stand: sqlite.org/lang_altertable.html, "other changes"."""
    bind = op.get_bind()
    tables = bind.exec_driver_sql(
        "SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND sql LIKE '%CHECK (%'"
    ).all()
    version = bind.exec_driver_sql("PRAGMA schema_version").scalar_one()
    bind.exec_driver_sql("PRAGMA writable_schema = ON")
    for name, sql in tables:
        bind.exec_driver_sql(
            "UPDATE sqlite_schema SET sql = ? WHERE type = 'table' AND name = ?", (_IN.sub(_as_or, sql), name)
        )
    bind.exec_driver_sql(f"PRAGMA schema_version = {version + 1}")
    bind.exec_driver_sql("PRAGMA writable_schema = OFF")


def upgrade() -> None:
    """From schema 1. Counts what is there before the triggers count on."""
    for statement in (*_TABLES, *_ROWS, *_INDEXES, *_TRIGGERS):
        op.get_bind().exec_driver_sql(statement)
    _spell_rules()
