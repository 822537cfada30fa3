"""Writing what worked, and what became of it. Functions of an open connection."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, insert, select

from tuner.errors import NotFoundError, UsageError
from tuner.registry import codec
from tuner.registry.base import Lesson, Pattern
from tuner.registry.lookups import find_study, lessons_of, patterns_of
from tuner.registry.queries import get_experiment
from tuner.registry.schema import lessons, patterns
from tuner.registry.sql import reading

__all__ = ["add_lesson", "add_pattern"]


def add_pattern(connection: Connection, experiment: str, traits: Mapping[str, Any], now: float) -> Pattern:
    """See `Registry.add_pattern`. Other writers must be locked out."""
    read = reading(connection)
    best = get_experiment(read, experiment)
    if best.value is None:
        raise UsageError(
            f"Only an experiment with a value can be remembered, but {best.public_id} is {best.state}."
        )
    known = connection.execute(select(patterns.c.id).where(patterns.c.experiment_id == best.id)).one_or_none()
    if known is None:
        connection.execute(
            insert(patterns).values(
                experiment_id=best.id,
                traits=codec.dump(traits),
                params=codec.dump(codec.plain_params(best.params)),
                value=best.value,
                created_at=now,
            )
        )
    [stands] = [each for each in patterns_of(read) if each.experiment == best.public_id]
    return stands


def add_lesson(connection: Connection, given: Lesson, now: float) -> Lesson:
    """See `Registry.add_lesson`. Other writers must be locked out."""
    read = reading(connection)
    for stands in lessons_of(read):
        if (stands.pattern, stands.study, stands.kind) == (given.pattern, given.study, given.kind):
            return stands
    if given.pattern not in [each.id for each in patterns_of(read)]:
        raise NotFoundError(f"There is no pattern {given.pattern}.", "List them with: orchestrator memory")
    study = None if given.study is None else find_study(read, given.study)
    if given.study is not None and study is None:
        raise NotFoundError(f"There is no study {given.study!r}.", "List them with: orchestrator memory")
    stored = replace(
        given,
        why=codec.clean_text(given.why),
        weight=None if given.weight is None else codec.finite("The weight of a lesson", given.weight),
        at=now,
    )
    connection.execute(
        insert(lessons).values(
            pattern_id=stored.pattern,
            study_id=None if study is None else study.id,
            kind=stored.kind,
            weight=stored.weight,
            why=stored.why,
            at=now,
        )
    )
    return stored
