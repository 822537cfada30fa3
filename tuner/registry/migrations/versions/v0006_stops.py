"""Schema 6: where pruned experiments stood, for people who read `hp_experiments`.

What `rules` said on the day of schema 6 is spelled out, so that it never changes again.
"""

from alembic import op

revision = "0006"
down_revision = "0005"

# In angle brackets stands what each dialect says in its own way.
_VIEW = """VIEW hp_experiments AS
    SELECT e.public_id, t.name AS study, e.method, e.state, e.outcome, e.value, e.std_error, t.metric,
           <params> AS params, <metrics>, e.feasible, e.attempt, e.error,
           <created> AS created_utc,
           <started> AS started_utc,
           <finished> AS finished_utc,
           e.duration_s, v.data AS data_fingerprint, v.code AS code_version, v.metric AS metric_definition,
           e.stop_step, e.stop_value
    FROM experiments AS e
    JOIN studies AS t ON t.id = e.study_id
    JOIN shapes AS s ON s.id = e.shape_id
    LEFT JOIN provenances AS v ON v.id = e.provenance_id"""

_ON_SQLITE = {
    "<params>": """(SELECT json_group_object(n.value, json(e.params -> ('$[' || n.key || ']')))
              FROM json_each(s.names) AS n)""",
    "<metrics>": "e.metrics",
}
_ON_POSTGRES = {
    "<params>": """(SELECT json_object_agg(n.name, v.value ORDER BY n.place)
              FROM json_array_elements_text(s.names::json) WITH ORDINALITY AS n(name, place)
              JOIN json_array_elements(e.params::json) WITH ORDINALITY AS v(value, place)
                USING (place))""",
    "<metrics>": "e.metrics::json AS metrics",
}
_TIMES = ("created", "started", "finished")
_UTC_ON_SQLITE = "datetime(e.{}_at, 'unixepoch')"
_UTC_ON_POSTGRES = "date_trunc('second', to_timestamp(e.{}_at) AT TIME ZONE 'UTC')"


def _statements(on_sqlite: bool) -> tuple[str, ...]:
    spelled, utc = (_ON_SQLITE, _UTC_ON_SQLITE) if on_sqlite else (_ON_POSTGRES, _UTC_ON_POSTGRES)
    view = _VIEW
    for what, own in {**spelled, **{f"<{when}>": utc.format(when) for when in _TIMES}}.items():
        view = view.replace(what, own)
    if on_sqlite:
        return ("DROP VIEW hp_experiments", f"CREATE {view}")
    return (f"CREATE OR REPLACE {view}",)  # new columns come last, which it asks for


def upgrade() -> None:
    """From schema 5. No row changes."""
    bind = op.get_bind()
    for statement in _statements(bind.dialect.name == "sqlite"):
        bind.exec_driver_sql(statement)
