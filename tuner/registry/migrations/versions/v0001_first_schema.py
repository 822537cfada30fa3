"""Schema 1: studies, experiments with their attempts and measurements, versions, the ledger, events.

What `schema` and `rules` said on the day of the first release, spelled out so that it never changes again.
"""

from alembic import op

revision = "0001"
down_revision = None

_APPLICATION_ID = 0x52545231

_STATEMENTS = (
    """CREATE TABLE events (
        id INTEGER NOT NULL,
        at REAL NOT NULL,
        kind TEXT NOT NULL,
        message TEXT NOT NULL,
        salience REAL NOT NULL,
        data TEXT NOT NULL,
        CONSTRAINT pk_events PRIMARY KEY (id),
        CONSTRAINT ck_events_salience_range CHECK (salience BETWEEN 0 AND 1),
        CONSTRAINT ck_events_data_json CHECK (data IS NULL OR json_valid(data))
    )
     STRICT""",
    """CREATE TABLE owners (
        id INTEGER NOT NULL,
        token TEXT NOT NULL,
        host TEXT NOT NULL,
        boot_id TEXT NOT NULL,
        pid INTEGER NOT NULL,
        opened_at REAL NOT NULL,
        heartbeat_at REAL NOT NULL,
        CONSTRAINT pk_owners PRIMARY KEY (id),
        CONSTRAINT uq_owners_token UNIQUE (token)
    )
     STRICT""",
    """CREATE TABLE shapes (
        id INTEGER NOT NULL,
        names TEXT NOT NULL,
        CONSTRAINT pk_shapes PRIMARY KEY (id),
        CONSTRAINT ck_shapes_names_array CHECK (json_type(names) = 'array'),
        CONSTRAINT uq_shapes_names UNIQUE (names)
    )
     STRICT""",
    """CREATE TABLE studies (
        id INTEGER NOT NULL,
        name TEXT NOT NULL,
        space TEXT NOT NULL,
        metric TEXT NOT NULL,
        direction TEXT NOT NULL,
        baseline TEXT NOT NULL,
        seed INTEGER NOT NULL,
        created_at REAL NOT NULL,
        CONSTRAINT pk_studies PRIMARY KEY (id),
        CONSTRAINT ck_studies_direction_known CHECK (direction IN ('minimize', 'maximize')),
        CONSTRAINT ck_studies_space_json CHECK (space IS NULL OR json_valid(space)),
        CONSTRAINT ck_studies_baseline_json CHECK (baseline IS NULL OR json_valid(baseline)),
        CONSTRAINT uq_studies_name UNIQUE (name)
    )
     STRICT""",
    """CREATE TABLE provenances (
        id INTEGER NOT NULL,
        study_id INTEGER NOT NULL,
        data TEXT NOT NULL,
        code TEXT NOT NULL,
        metric TEXT NOT NULL,
        turn INTEGER NOT NULL,
        CONSTRAINT pk_provenances PRIMARY KEY (id),
        CONSTRAINT uq_provenances_study_id_data_code_metric UNIQUE (study_id, data, code, metric),
        CONSTRAINT fk_provenances_study_id FOREIGN KEY(study_id) REFERENCES studies (id)
    )
     STRICT""",
    """CREATE TABLE runs (
        id INTEGER NOT NULL,
        study_id INTEGER NOT NULL,
        method TEXT,
        n_wanted INTEGER NOT NULL,
        seed INTEGER NOT NULL,
        owner_id INTEGER NOT NULL,
        started_at REAL NOT NULL,
        ended_at REAL,
        info TEXT NOT NULL,
        CONSTRAINT pk_runs PRIMARY KEY (id),
        CONSTRAINT ck_runs_n_wanted_positive CHECK (n_wanted >= 0),
        CONSTRAINT ck_runs_info_json CHECK (info IS NULL OR json_valid(info)),
        CONSTRAINT fk_runs_study_id FOREIGN KEY(study_id) REFERENCES studies (id),
        CONSTRAINT fk_runs_owner_id FOREIGN KEY(owner_id) REFERENCES owners (id)
    )
     STRICT""",
    "CREATE INDEX ix_runs_study_id ON runs (study_id)",
    """CREATE TABLE experiments (
        id INTEGER NOT NULL,
        public_id TEXT NOT NULL,
        study_id INTEGER NOT NULL,
        run_id INTEGER,
        parent_id INTEGER,
        method TEXT NOT NULL,
        shape_id INTEGER NOT NULL,
        params TEXT NOT NULL,
        config_hash BLOB NOT NULL,
        repeat INTEGER DEFAULT 0 NOT NULL,
        seed INTEGER NOT NULL,
        reason TEXT,
        state TEXT DEFAULT 'waiting' NOT NULL,
        outcome TEXT,
        value REAL,
        std_error REAL,
        metrics TEXT,
        provenance_id INTEGER,
        error TEXT,
        traceback TEXT,
        owner_id INTEGER,
        attempt INTEGER DEFAULT 0 NOT NULL,
        failures INTEGER DEFAULT 0 NOT NULL,
        deaths INTEGER DEFAULT 0 NOT NULL,
        interruptions INTEGER DEFAULT 0 NOT NULL,
        created_at REAL NOT NULL,
        started_at REAL,
        finished_at REAL,
        duration_s REAL,
        CONSTRAINT pk_experiments PRIMARY KEY (id),
        CONSTRAINT uq_experiments_study_id_config_hash_repeat UNIQUE (study_id, config_hash, repeat),
        CONSTRAINT ck_experiments_state_known CHECK (state IN ('waiting', 'running', 'complete',
            'pruned', 'failed')),
        CONSTRAINT ck_experiments_outcome_known CHECK (outcome IN ('error', 'timeout',
            'out_of_memory', 'worker_lost', 'non_finite', 'bad_result', 'cancelled')),
        CONSTRAINT ck_experiments_failed_has_outcome CHECK ((state = 'failed') = (outcome IS NOT NULL)),
        CONSTRAINT ck_experiments_complete_has_value CHECK ((state = 'complete') = (value IS NOT NULL)),
        CONSTRAINT ck_experiments_value_has_provenance CHECK ((value IS NOT NULL) = (provenance_id
            IS NOT NULL)),
        CONSTRAINT ck_experiments_running_has_owner CHECK ((state = 'running') = (owner_id IS NOT
            NULL)),
        CONSTRAINT ck_experiments_finished_has_time CHECK ((state IN ('complete', 'pruned',
            'failed')) = (finished_at IS NOT NULL)),
        CONSTRAINT ck_experiments_attempt_counted CHECK (state = 'waiting' OR attempt > 0),
        CONSTRAINT ck_experiments_std_error_positive CHECK (std_error >= 0),
        CONSTRAINT ck_experiments_config_hash_length CHECK (length(config_hash) = 16),
        CONSTRAINT ck_experiments_value_finite CHECK (abs(value) <= 1.7976931348623157e308),
        CONSTRAINT ck_experiments_std_error_finite CHECK (abs(std_error) <= 1.7976931348623157e308),
        CONSTRAINT ck_experiments_params_array CHECK (json_type(params) = 'array'),
        CONSTRAINT ck_experiments_metrics_json CHECK (metrics IS NULL OR json_valid(metrics)),
        CONSTRAINT ck_experiments_reason_json CHECK (reason IS NULL OR json_valid(reason)),
        CONSTRAINT uq_experiments_public_id UNIQUE (public_id),
        CONSTRAINT fk_experiments_study_id FOREIGN KEY(study_id) REFERENCES studies (id),
        CONSTRAINT fk_experiments_run_id FOREIGN KEY(run_id) REFERENCES runs (id),
        CONSTRAINT fk_experiments_parent_id FOREIGN KEY(parent_id) REFERENCES experiments (id),
        CONSTRAINT fk_experiments_shape_id FOREIGN KEY(shape_id) REFERENCES shapes (id),
        CONSTRAINT fk_experiments_provenance_id FOREIGN KEY(provenance_id) REFERENCES provenances (id),
        CONSTRAINT fk_experiments_owner_id FOREIGN KEY(owner_id) REFERENCES owners (id)
    )
     STRICT""",
    """CREATE INDEX ix_experiments_owner_id ON experiments (owner_id)
        WHERE owner_id IS NOT NULL""",
    """CREATE INDEX ix_experiments_run_id ON experiments (run_id)
        WHERE run_id IS NOT NULL""",
    """CREATE INDEX ix_experiments_run_id_state_value ON experiments (run_id, state, value)
        WHERE value IS NULL""",
    "CREATE INDEX ix_experiments_study_id ON experiments (study_id)",
    """CREATE INDEX ix_experiments_study_id_provenance_id_value ON experiments (study_id,
        provenance_id, value)
        WHERE value IS NOT NULL""",
    """CREATE INDEX ix_experiments_study_id_state_value ON experiments (study_id, state, value)
        WHERE value IS NULL""",
    """CREATE TABLE attempts (
        experiment_id INTEGER NOT NULL,
        number INTEGER NOT NULL,
        owner_id INTEGER NOT NULL,
        started_at REAL NOT NULL,
        ended_at REAL,
        ending TEXT,
        message TEXT,
        CONSTRAINT pk_attempts PRIMARY KEY (experiment_id, number),
        CONSTRAINT ck_attempts_number_positive CHECK (number > 0),
        CONSTRAINT ck_attempts_ended_has_ending CHECK ((ended_at IS NULL) = (ending IS NULL)),
        CONSTRAINT ck_attempts_ending_known CHECK (ending IN ('complete', 'pruned', 'failed',
            'released', 'lost')),
        CONSTRAINT fk_attempts_experiment_id FOREIGN KEY(experiment_id) REFERENCES experiments (id),
        CONSTRAINT fk_attempts_owner_id FOREIGN KEY(owner_id) REFERENCES owners (id)
    )
     WITHOUT ROWID,
     STRICT""",
    """CREATE UNIQUE INDEX uq_attempts_one_open ON attempts (experiment_id)
        WHERE ended_at IS NULL""",
    """CREATE TABLE measurements (
        experiment_id INTEGER NOT NULL,
        metric TEXT NOT NULL,
        step INTEGER NOT NULL,
        value REAL NOT NULL,
        CONSTRAINT pk_measurements PRIMARY KEY (experiment_id, metric, step),
        CONSTRAINT ck_measurements_step_positive CHECK (step >= 0),
        CONSTRAINT ck_measurements_value_finite CHECK (abs(value) <= 1.7976931348623157e308),
        CONSTRAINT fk_measurements_experiment_id FOREIGN KEY(experiment_id) REFERENCES experiments (id)
    )
     WITHOUT ROWID,
     STRICT""",
    """CREATE TABLE model_versions (
        number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
        pipeline TEXT NOT NULL,
        state TEXT NOT NULL,
        params TEXT NOT NULL,
        manifest TEXT NOT NULL,
        experiment_id INTEGER,
        created_at REAL NOT NULL,
        CONSTRAINT ck_model_versions_state_known CHECK (state IN ('staged', 'active', 'retired')),
        CONSTRAINT ck_model_versions_params_json CHECK (params IS NULL OR json_valid(params)),
        CONSTRAINT ck_model_versions_manifest_json CHECK (manifest IS NULL OR json_valid(manifest)),
        CONSTRAINT fk_model_versions_experiment_id FOREIGN KEY(experiment_id) REFERENCES
            experiments (id)
    )
     STRICT""",
    "CREATE INDEX ix_model_versions_pipeline ON model_versions (pipeline)",
    """CREATE UNIQUE INDEX uq_model_versions_one_active ON model_versions (pipeline)
        WHERE state = 'active'""",
    """CREATE TABLE patterns (
        id INTEGER NOT NULL,
        experiment_id INTEGER NOT NULL,
        traits TEXT NOT NULL,
        params TEXT NOT NULL,
        value REAL NOT NULL,
        created_at REAL NOT NULL,
        CONSTRAINT pk_patterns PRIMARY KEY (id),
        CONSTRAINT ck_patterns_traits_json CHECK (traits IS NULL OR json_valid(traits)),
        CONSTRAINT ck_patterns_params_json CHECK (params IS NULL OR json_valid(params)),
        CONSTRAINT ck_patterns_value_finite CHECK (abs(value) <= 1.7976931348623157e308),
        CONSTRAINT uq_patterns_experiment_id UNIQUE (experiment_id),
        CONSTRAINT fk_patterns_experiment_id FOREIGN KEY(experiment_id) REFERENCES experiments (id)
    )
     STRICT""",
    """CREATE TABLE deployments (
        id INTEGER NOT NULL,
        pipeline TEXT NOT NULL,
        action TEXT NOT NULL,
        from_version INTEGER,
        to_version INTEGER NOT NULL,
        who TEXT NOT NULL,
        reason TEXT NOT NULL,
        gates TEXT NOT NULL,
        at REAL NOT NULL,
        CONSTRAINT pk_deployments PRIMARY KEY (id),
        CONSTRAINT ck_deployments_action_known CHECK (action IN ('apply', 'retrain', 'rollback',
            'found')),
        CONSTRAINT ck_deployments_gates_json CHECK (gates IS NULL OR json_valid(gates)),
        CONSTRAINT fk_deployments_from_version FOREIGN KEY(from_version) REFERENCES model_versions
            (number),
        CONSTRAINT fk_deployments_to_version FOREIGN KEY(to_version) REFERENCES model_versions (number)
    )
     STRICT""",
    "CREATE INDEX ix_deployments_pipeline ON deployments (pipeline)",
    """CREATE TRIGGER experiments_finished_stay BEFORE UPDATE ON experiments
        WHEN OLD.state IN ('complete', 'pruned', 'failed')
        BEGIN SELECT RAISE(ABORT, 'this experiment is already finished'); END""",
    """CREATE TRIGGER experiments_finish_from_running BEFORE UPDATE ON experiments
        WHEN NEW.state IN ('complete', 'pruned', 'failed') AND OLD.state = 'waiting'
        BEGIN SELECT RAISE(ABORT, 'only a running experiment can finish'); END""",
    """CREATE TRIGGER experiments_attempt_rises BEFORE UPDATE ON experiments
        WHEN NEW.attempt <> OLD.attempt + (NEW.state = 'running' AND OLD.state = 'waiting')
        BEGIN SELECT RAISE(ABORT, 'the attempt of an experiment rises by one with each claim, and
            only then'); END""",
    """CREATE TRIGGER experiments_keep_identity BEFORE UPDATE OF id, public_id, study_id, method,
        shape_id, params, config_hash, repeat, seed, created_at ON experiments
        BEGIN SELECT RAISE(ABORT, 'what an experiment is never changes'); END""",
    """CREATE TRIGGER experiments_are_kept BEFORE DELETE ON experiments
        BEGIN SELECT RAISE(ABORT, 'experiments are never deleted'); END""",
    """CREATE TRIGGER attempts_closed_stay BEFORE UPDATE ON attempts
        WHEN OLD.ended_at IS NOT NULL
        BEGIN SELECT RAISE(ABORT, 'this attempt is already closed'); END""",
    """CREATE TRIGGER attempts_are_kept BEFORE DELETE ON attempts
        BEGIN SELECT RAISE(ABORT, 'attempts are never deleted'); END""",
    """CREATE TRIGGER deployments_stay BEFORE UPDATE ON deployments
        BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END""",
    """CREATE TRIGGER deployments_are_kept BEFORE DELETE ON deployments
        BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END""",
    """CREATE TRIGGER events_stay BEFORE UPDATE ON events
        BEGIN SELECT RAISE(ABORT, 'events are append-only'); END""",
    """CREATE TRIGGER events_are_kept BEFORE DELETE ON events
        BEGIN SELECT RAISE(ABORT, 'events are append-only'); END""",
    """CREATE TRIGGER model_versions_are_kept BEFORE DELETE ON model_versions
        WHEN OLD.state <> 'staged'
        BEGIN SELECT RAISE(ABORT, 'only a staged version can be discarded'); END""",
    """CREATE VIEW hp_experiments AS
        SELECT e.public_id, t.name AS study, e.method, e.state, e.outcome, e.value, e.std_error,
            t.metric,
               (SELECT json_group_object(n.value, json(e.params -> ('$[' || n.key || ']')))
                  FROM json_each(s.names) AS n) AS params, e.metrics, e.attempt, e.error,
               datetime(e.created_at, 'unixepoch') AS created_utc,
               datetime(e.started_at, 'unixepoch') AS started_utc,
               datetime(e.finished_at, 'unixepoch') AS finished_utc,
               e.duration_s, v.data AS data_fingerprint, v.code AS code_version, v.metric AS
                   metric_definition
        FROM experiments AS e
        JOIN studies AS t ON t.id = e.study_id
        JOIN shapes AS s ON s.id = e.shape_id
        LEFT JOIN provenances AS v ON v.id = e.provenance_id""",
    """CREATE VIEW hp_tuning_history AS
        SELECT t.name AS study, e.provenance_id, row_number() OVER earlier AS iteration,
               e.public_id, e.method, e.value,
               CASE t.direction WHEN 'minimize' THEN min(e.value) OVER earlier ELSE max(e.value) OVER
                   earlier END
                   AS best_value,
               datetime(e.finished_at, 'unixepoch') AS finished_utc
        FROM experiments AS e
        JOIN studies AS t ON t.id = e.study_id
        WHERE e.state = 'complete'
        WINDOW earlier AS (PARTITION BY e.study_id, e.provenance_id ORDER BY e.id)""",
    """CREATE VIEW v_best AS
        SELECT t.name AS study, t.metric, e.public_id, e.method, e.value, e.std_error, (SELECT
            json_group_object(n.value, json(e.params -> ('$[' || n.key || ']')))
                  FROM json_each(s.names) AS n) AS params,
               v.data AS data_fingerprint, v.code AS code_version, v.metric AS metric_definition,
               v.turn = (SELECT max(o.turn) FROM provenances AS o WHERE o.study_id = t.id) AS
                   is_latest_provenance
        FROM provenances AS v
        JOIN studies AS t ON t.id = v.study_id
        JOIN experiments AS e ON e.id = (
            SELECT min(c.id) FROM experiments AS c
            WHERE c.study_id = v.study_id AND c.provenance_id = v.id AND c.value = CASE t.direction
                WHEN 'minimize' THEN (SELECT min(m.value) FROM experiments AS m
                    WHERE m.study_id = v.study_id AND m.provenance_id = v.id AND m.value IS NOT NULL)
                ELSE (SELECT max(m.value) FROM experiments AS m
                    WHERE m.study_id = v.study_id AND m.provenance_id = v.id AND m.value IS NOT NULL)
                END)
        JOIN shapes AS s ON s.id = e.shape_id""",
)


def upgrade() -> None:
    """From nothing."""
    for statement in _STATEMENTS:
        op.get_bind().exec_driver_sql(statement)
    op.get_bind().exec_driver_sql(f"PRAGMA application_id = {_APPLICATION_ID}")
