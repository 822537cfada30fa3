"""What every database is told alike: which writes are refused, and two of the views.

In angle brackets stands what each dialect says in its own way.
"""

from dataclasses import dataclass

__all__ = ["EXPERIMENTS", "HISTORY", "REFUSALS", "Refusal"]


@dataclass(frozen=True, slots=True)
class Refusal:
    """A trigger that keeps history from being rewritten.

    Attributes:
        name: of the trigger.
        event: before what it looks, such as "UPDATE ON attempts".
        message: of the error.
        when: which rows it refuses, in SQL with OLD and NEW; all where empty.
            `<int>` makes a number of a truth.
    """

    name: str
    event: str
    message: str
    when: str = ""


REFUSALS: tuple[Refusal, ...] = (
    Refusal(
        "experiments_start_waiting",
        "INSERT ON experiments",
        "an experiment is written as waiting",
        "NEW.state <> 'waiting'",
    ),
    Refusal(
        "experiments_finished_stay",
        "UPDATE ON experiments",
        "this experiment is already finished",
        "OLD.state IN ('complete', 'pruned', 'failed')",
    ),
    Refusal(
        "experiments_finish_from_running",
        "UPDATE ON experiments",
        "only a running experiment can finish",
        "NEW.state IN ('complete', 'pruned', 'failed') AND OLD.state = 'waiting'",
    ),
    Refusal(
        "experiments_attempt_rises",
        "UPDATE ON experiments",
        "the attempt of an experiment rises by one with each claim, and only then",
        "NEW.attempt <> OLD.attempt + (NEW.state = 'running' AND OLD.state = 'waiting')<int>",
    ),
    Refusal(
        "experiments_keep_identity",
        "UPDATE OF id, public_id, study_id, run_id, method, shape_id, params, config_hash, repeat, seed,"
        " created_at ON experiments",
        "what an experiment is never changes",
    ),
    Refusal(
        "experiments_are_kept",
        "DELETE ON experiments",
        "experiments are never deleted",
    ),
    Refusal(
        "attempts_closed_stay",
        "UPDATE ON attempts",
        "this attempt is already closed",
        "OLD.ended_at IS NOT NULL",
    ),
    Refusal("attempts_are_kept", "DELETE ON attempts", "attempts are never deleted"),
    Refusal("deployments_stay", "UPDATE ON deployments", "the ledger is append-only"),
    Refusal("deployments_are_kept", "DELETE ON deployments", "the ledger is append-only"),
    Refusal("confirmations_stay", "UPDATE ON confirmations", "confirmations are append-only"),
    Refusal("confirmations_are_kept", "DELETE ON confirmations", "confirmations are append-only"),
    Refusal("holdout_reads_stay", "UPDATE ON holdout_reads", "looks at the holdout are append-only"),
    Refusal("holdout_reads_are_kept", "DELETE ON holdout_reads", "looks at the holdout are append-only"),
    Refusal("patterns_stay", "UPDATE ON patterns", "patterns are append-only"),
    Refusal("patterns_are_kept", "DELETE ON patterns", "patterns are append-only"),
    Refusal("lessons_stay", "UPDATE ON lessons", "lessons are append-only"),
    Refusal("lessons_are_kept", "DELETE ON lessons", "lessons are append-only"),
    Refusal("events_stay", "UPDATE ON events", "events are append-only"),
    Refusal("events_are_kept", "DELETE ON events", "events are append-only"),
    Refusal(
        "model_versions_are_kept",
        "DELETE ON model_versions",
        "only a staged version can be discarded",
        "OLD.state <> 'staged'",
    ),
)

EXPERIMENTS = """CREATE VIEW hp_experiments AS
    SELECT e.public_id, t.name AS study, e.method, e.state, e.outcome, e.value, e.std_error, t.metric,
           <params> AS params, <metrics>, e.feasible, e.attempt, e.error,
           <utc created_at> AS created_utc,
           <utc started_at> AS started_utc,
           <utc finished_at> AS finished_utc,
           e.duration_s, v.data AS data_fingerprint, v.code AS code_version, v.metric AS metric_definition,
           e.stop_step, e.stop_value
    FROM experiments AS e
    JOIN studies AS t ON t.id = e.study_id
    JOIN shapes AS s ON s.id = e.shape_id
    LEFT JOIN provenances AS v ON v.id = e.provenance_id"""

HISTORY = """CREATE VIEW hp_tuning_history AS
    SELECT t.name AS study, e.provenance_id, row_number() OVER earlier AS iteration,
           e.public_id, e.method, e.value,
           CASE t.direction WHEN 'minimize' THEN min(e.value) FILTER (WHERE e.feasible = 1) OVER earlier
               ELSE max(e.value) FILTER (WHERE e.feasible = 1) OVER earlier END AS best_value,
           <utc finished_at> AS finished_utc
    FROM experiments AS e
    JOIN studies AS t ON t.id = e.study_id
    WHERE e.state = 'complete'
    WINDOW earlier AS (PARTITION BY e.study_id, e.provenance_id ORDER BY e.id)"""
