"""The tables. What the protocol of `base` promises is also a rule of the database wherever SQL can say it.

Written for size, since a study may hold a million rows: a configuration is a JSON array of its values, whose
names stand once in `shapes`; owners and provenances are integers; the hash is 16 bytes. The views put it all
in words. Times are Unix seconds (UTC), durations are seconds.
"""

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
    types,
)

from tuner.registry.signature import APPLICATION_ID, SCHEMA_VERSION

__all__ = [
    "APPLICATION_ID",
    "ENDINGS",
    "LESSONS",
    "SCHEMA_VERSION",
    "attempts",
    "confirmations",
    "counts",
    "deployments",
    "efforts",
    "events",
    "experiments",
    "holdout_reads",
    "lessons",
    "measurements",
    "metadata",
    "model_versions",
    "owners",
    "patterns",
    "provenances",
    "runs",
    "scored",
    "shapes",
    "studies",
]

ENDINGS = ("complete", "pruned", "failed", "released", "lost")
"""How an attempt ends."""

LESSONS = ("used", "judged", "forgotten")
"""What becomes of a pattern: a study starts from it, whether that helped is found, it is not to be used."""

# On PostgreSQL: 64 bits, as SQLite has them.
Integer = types.Integer().with_variant(types.BigInteger(), "postgresql")
REAL: types.TypeEngine[float] = types.REAL().with_variant(types.DOUBLE_PRECISION(), "postgresql")

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _finite(column: str) -> CheckConstraint:
    """Neither infinite nor NaN, which SQLite stores as NULL: other rules refuse that."""
    return CheckConstraint(f"abs({column}) <= 1.7976931348623157e308", name=f"{column}_finite")


def _json(column: str) -> CheckConstraint:
    """Old engines call NULL invalid."""
    return CheckConstraint(f"{column} IS NULL OR json_valid({column})", name=f"{column}_json")


def _is_one_of(column: str, values: tuple[str, ...]) -> str:
    """SQLite would sort the list of an IN anew for every row; an OR ends with the first that holds."""
    return " OR ".join(f"{column} = '{value}'" for value in values)


def _one_of(column: str, values: tuple[str, ...], *, nullable: bool = False) -> CheckConstraint:
    rule = _is_one_of(column, values)
    return CheckConstraint(f"{column} IS NULL OR {rule}" if nullable else rule, name=f"{column}_known")


studies = Table(
    "studies",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("space", Text, nullable=False),
    Column("metric", Text, nullable=False),
    Column("direction", Text, nullable=False),
    Column("baseline", Text, nullable=False),
    Column("seed", Integer, nullable=False),
    Column("created_at", REAL, nullable=False),
    # Further objectives and limits on metrics; NULL without any.
    Column("goals", Text, CheckConstraint("goals IS NULL OR json_valid(goals)", name="goals_json")),
    _one_of("direction", ("minimize", "maximize")),
    _json("space"),
    _json("baseline"),
    sqlite_strict=True,
)

# One opening of the registry that has claimed something or started a run.
owners = Table(
    "owners",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("token", Text, nullable=False, unique=True),
    Column("host", Text, nullable=False),
    Column("boot_id", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("opened_at", REAL, nullable=False),
    Column("heartbeat_at", REAL, nullable=False),
    # The same moment in seconds since the boot of the owner's host, which no change of its clock moves.
    Column("heartbeat_boot_s", REAL),
    sqlite_strict=True,
)

runs = Table(
    "runs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("study_id", Integer, ForeignKey("studies.id"), nullable=False, index=True),
    Column("method", Text),
    Column("n_wanted", Integer, nullable=False),
    Column("seed", Integer, nullable=False),
    Column("owner_id", Integer, ForeignKey("owners.id"), nullable=False),
    Column("started_at", REAL, nullable=False),
    Column("ended_at", REAL),
    Column("info", Text, nullable=False),
    CheckConstraint("n_wanted >= 0", name="n_wanted_positive"),
    _json("info"),
    sqlite_strict=True,
)

# The names that a configuration's values belong to: one row per distinct set of active parameters.
shapes = Table(
    "shapes",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("names", Text, nullable=False, unique=True),
    CheckConstraint("json_type(names) = 'array'", name="names_array"),
    sqlite_strict=True,
)

# What experiments ran on. The highest `turn` of a study is where its latest value came from, by no clock; 0
# is of confirmations alone, -1 of what only ended without a value.
provenances = Table(
    "provenances",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("study_id", Integer, ForeignKey("studies.id"), nullable=False),
    Column("data", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("metric", Text, nullable=False),
    Column("turn", Integer, nullable=False),
    UniqueConstraint("study_id", "data", "code", "metric"),
    sqlite_strict=True,
)

experiments = Table(
    "experiments",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("public_id", Text, nullable=False, unique=True),
    Column("study_id", Integer, ForeignKey("studies.id"), nullable=False),
    Column("run_id", Integer, ForeignKey("runs.id")),
    Column("parent_id", Integer, ForeignKey("experiments.id")),
    Column("method", Text, nullable=False),
    Column("shape_id", Integer, ForeignKey("shapes.id"), nullable=False),
    Column("params", Text, nullable=False),
    Column("config_hash", LargeBinary, nullable=False),
    Column("repeat", Integer, nullable=False, server_default=text("0")),
    Column("seed", Integer, nullable=False),
    Column("reason", Text),
    Column("state", Text, nullable=False, server_default=text("'waiting'")),
    Column("outcome", Text),
    Column("value", REAL),
    Column("std_error", REAL),
    Column("metrics", Text),
    Column("provenance_id", Integer, ForeignKey("provenances.id")),
    Column("error", Text),
    Column("traceback", Text),
    Column("owner_id", Integer, ForeignKey("owners.id")),
    Column("attempt", Integer, nullable=False, server_default=text("0")),
    Column("failures", Integer, nullable=False, server_default=text("0")),
    Column("deaths", Integer, nullable=False, server_default=text("0")),
    Column("interruptions", Integer, nullable=False, server_default=text("0")),
    Column("created_at", REAL, nullable=False),
    Column("started_at", REAL),
    Column("finished_at", REAL),
    Column("duration_s", REAL),
    # Whether its metrics keep the limits of the study, judged once, with the result.
    Column(
        "feasible",
        Integer,
        CheckConstraint("feasible = 0 OR feasible = 1", name="feasible_known"),
        nullable=False,
        server_default=text("1"),
    ),
    # Of `provenances`: what it ran on where it ended without a value. No foreign key, which no column can be
    # given afterwards in the same words.
    Column(
        "ended_on_id",
        Integer,
        CheckConstraint("ended_on_id IS NULL OR value IS NULL", name="ended_on_without_value"),
    ),
    # Where it stood when it was pruned: less than a whole evaluation, so no `value`.
    Column("stop_step", Integer, CheckConstraint("stop_step >= 0", name="stop_step_positive")),
    Column(
        "stop_value",
        REAL,
        CheckConstraint("abs(stop_value) <= 1.7976931348623157e308", name="stop_value_finite"),
    ),
    UniqueConstraint("study_id", "config_hash", "repeat"),
    _one_of("state", ("waiting", "running", "complete", "pruned", "failed")),
    _one_of(
        "outcome",
        ("error", "timeout", "out_of_memory", "worker_lost", "non_finite", "bad_result", "cancelled"),
        nullable=True,
    ),
    CheckConstraint("(state = 'failed') = (outcome IS NOT NULL)", name="failed_has_outcome"),
    CheckConstraint("(state = 'complete') = (value IS NOT NULL)", name="complete_has_value"),
    CheckConstraint("(value IS NOT NULL) = (provenance_id IS NOT NULL)", name="value_has_provenance"),
    CheckConstraint("(state = 'running') = (owner_id IS NOT NULL)", name="running_has_owner"),
    CheckConstraint(
        f"({_is_one_of('state', ('complete', 'pruned', 'failed'))}) = (finished_at IS NOT NULL)",
        name="finished_has_time",
    ),
    CheckConstraint("state = 'waiting' OR attempt > 0", name="attempt_counted"),
    CheckConstraint("std_error >= 0", name="std_error_positive"),
    CheckConstraint("length(config_hash) = 16", name="config_hash_length"),
    _finite("value"),
    _finite("std_error"),
    CheckConstraint("json_type(params) = 'array'", name="params_array"),
    _json("metrics"),
    _json("reason"),
    # All in the order of id in the end, since SQLite appends the rowid. In the end most rows are complete, so
    # what is looked for by state has an index of the others: those without a value. The rows of a study or a
    # run need none: they lie together, and `counts` says where.
    Index(None, "study_id", "state", "value", sqlite_where=text("value IS NULL")),
    Index(None, "study_id", "started_at", sqlite_where=text("owner_id IS NOT NULL")),
    Index(None, "owner_id", sqlite_where=text("owner_id IS NOT NULL")),
    Index(None, "study_id", "provenance_id", "value", sqlite_where=text("value IS NOT NULL")),
    sqlite_strict=True,
)

# The next three are kept by triggers, since counting a million rows takes 50 ms and is asked at every turn of
# a driver. On PostgreSQL, where those who write at once would wait for each other there, they are views.

# How many experiments of a run (0: of none) are in each state, and the first and last of their ids.
counts = Table(
    "counts",
    metadata,
    Column("study_id", Integer, ForeignKey("studies.id"), primary_key=True),
    Column("run_id", Integer, primary_key=True),
    Column("first_id", Integer, nullable=False),
    Column("last_id", Integer, nullable=False),
    *(
        Column(state, Integer, nullable=False, server_default=text("0"))
        for state in ("waiting", "running", "complete", "pruned", "failed")
    ),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

# How many values were scored on what; no row for none.
scored = Table(
    "scored",
    metadata,
    Column("provenance_id", Integer, ForeignKey("provenances.id"), primary_key=True),
    Column("n_complete", Integer, nullable=False),
    sqlite_strict=True,
)

# What the finished experiments of a study took, up to the last end at `ended_at`.
efforts = Table(
    "efforts",
    metadata,
    Column("study_id", Integer, ForeignKey("studies.id"), primary_key=True),
    Column("experiments_s", REAL, nullable=False, server_default=text("0")),
    Column("wall_s", REAL, nullable=False, server_default=text("0")),
    Column("ended_at", REAL, nullable=False, server_default=text("0")),
    sqlite_strict=True,
)

attempts = Table(
    "attempts",
    metadata,
    Column("experiment_id", Integer, ForeignKey("experiments.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("owner_id", Integer, ForeignKey("owners.id"), nullable=False),
    Column("started_at", REAL, nullable=False),
    Column("ended_at", REAL),
    Column("ending", Text),
    Column("message", Text),
    CheckConstraint("number > 0", name="number_positive"),
    CheckConstraint("(ended_at IS NULL) = (ending IS NULL)", name="ended_has_ending"),
    _one_of("ending", ENDINGS, nullable=True),
    Index("uq_attempts_one_open", "experiment_id", unique=True, sqlite_where=text("ended_at IS NULL")),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

measurements = Table(
    "measurements",
    metadata,
    Column("experiment_id", Integer, ForeignKey("experiments.id"), primary_key=True),
    Column("metric", Text, primary_key=True),
    Column("step", Integer, primary_key=True),
    Column("value", REAL, nullable=False),
    CheckConstraint("step >= 0", name="step_positive"),
    _finite("value"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

# Experiments scored once more, on the fresh folds of a seed.
confirmations = Table(
    "confirmations",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("experiment_id", Integer, ForeignKey("experiments.id"), nullable=False),
    Column("provenance_id", Integer, ForeignKey("provenances.id"), nullable=False, index=True),
    Column("seed", Integer, nullable=False),
    Column("value", REAL, nullable=False),
    Column("folds", Text, nullable=False),
    Column("duration_s", REAL),
    Column("at", REAL, nullable=False),
    UniqueConstraint("experiment_id", "provenance_id", "seed"),
    CheckConstraint("duration_s >= 0", name="duration_s_positive"),
    CheckConstraint("json_type(folds) = 'array'", name="folds_array"),
    _finite("value"),
    _finite("duration_s"),
    sqlite_strict=True,
)

# The number is the version: it names a directory, so it is never used twice (AUTOINCREMENT).
model_versions = Table(
    "model_versions",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("pipeline", Text, nullable=False, index=True),
    Column("state", Text, nullable=False),
    Column("params", Text, nullable=False),
    Column("manifest", Text, nullable=False),
    Column("experiment_id", Integer, ForeignKey("experiments.id")),
    Column("created_at", REAL, nullable=False),
    _one_of("state", ("staged", "active", "retired")),
    _json("params"),
    _json("manifest"),
    Index("uq_model_versions_one_active", "pipeline", unique=True, sqlite_where=text("state = 'active'")),
    sqlite_strict=True,
    sqlite_autoincrement=True,
)

deployments = Table(
    "deployments",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("pipeline", Text, nullable=False, index=True),
    Column("action", Text, nullable=False),
    Column("from_version", Integer, ForeignKey("model_versions.number")),
    Column("to_version", Integer, ForeignKey("model_versions.number"), nullable=False),
    Column("who", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("gates", Text, nullable=False),
    Column("at", REAL, nullable=False),
    _one_of("action", ("apply", "retrain", "rollback", "found")),
    _json("gates"),
    sqlite_strict=True,
)

# Every look at a holdout. A version that was tested may have been discarded since: its number stands alone.
holdout_reads = Table(
    "holdout_reads",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("pipeline", Text, nullable=False, index=True),
    Column("experiment_id", Integer, ForeignKey("experiments.id")),
    Column("version", Integer),
    Column("params", Text, nullable=False),
    Column("metrics", Text, nullable=False),
    Column("intervals", Text, nullable=False),
    Column("n_rows", Integer),
    Column("data", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("metric", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("who", Text, nullable=False),
    Column("at", REAL, nullable=False),
    CheckConstraint("n_rows >= 0", name="n_rows_positive"),
    *(
        CheckConstraint(f"json_type({column}) = 'object'", name=f"{column}_object")
        for column in ("params", "metrics", "intervals")
    ),
    sqlite_strict=True,
)

events = Table(
    "events",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", REAL, nullable=False),
    Column("kind", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("salience", REAL, nullable=False),
    Column("data", Text, nullable=False),
    CheckConstraint("salience BETWEEN 0 AND 1", name="salience_range"),
    _json("data"),
    sqlite_strict=True,
)

# What worked on which kind of data: `traits` describes model and data, `value` what `params` reached there.
patterns = Table(
    "patterns",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("experiment_id", Integer, ForeignKey("experiments.id"), nullable=False, unique=True),
    Column("traits", Text, nullable=False),
    Column("params", Text, nullable=False),
    Column("value", REAL, nullable=False),
    Column("created_at", REAL, nullable=False),
    _json("traits"),
    _json("params"),
    _finite("value"),
    sqlite_strict=True,
)

# What became of patterns, one line for each event. `weight`: of a use, how similar the data were; of a
# judgement, what share of the other results its best configuration beat.
lessons = Table(
    "lessons",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("pattern_id", Integer, ForeignKey("patterns.id"), nullable=False),
    Column("study_id", Integer, ForeignKey("studies.id"), index=True),
    Column("kind", Text, nullable=False),
    Column("weight", REAL),
    Column("why", Text, nullable=False),
    Column("at", REAL, nullable=False),
    UniqueConstraint("pattern_id", "study_id", "kind"),
    _one_of("kind", LESSONS),
    CheckConstraint("weight BETWEEN 0 AND 1", name="weight_range"),
    CheckConstraint("(kind = 'forgotten') = (study_id IS NULL)", name="forgotten_of_no_study"),
    CheckConstraint("(kind = 'forgotten') = (weight IS NULL)", name="forgotten_without_weight"),
    sqlite_strict=True,
)
