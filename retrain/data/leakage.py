"""Leakage: what makes a score better than the model will be, because what is scored is known otherwise.

Looked for are copies of rows on both sides of a split, rows of one owner on both sides, features that give
the target away, and times that a random split ignores. What is found is a suspicion, said with the column,
the figure it rests on, and what to do; `trusted` under [pipeline] names the columns that were looked into.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from retrain.data.entities import Entity, Period, find_entities, find_period
from retrain.data.predictors import Predictor, find_predictors
from retrain.data.table import Table, row_names
from retrain.data.twins import Twins, find_twins
from retrain.splits import Split

__all__ = ["Leak", "Roles", "find_leaks"]

_MOST_NAMED = 10


@dataclass(frozen=True, slots=True)
class Roles:
    """What the columns of a table are by its configuration: target, group or time column, trusted ones."""

    target: str
    group: str | None = None
    time: str | None = None
    trusted: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Leak:
    """One suspicion.

    Attributes:
        columns: the columns it is about; none where it is about whole rows.
        what: the figure it rests on, in a sentence.
        remedy: what to do.
    """

    columns: tuple[str, ...]
    what: str
    remedy: str

    def __str__(self) -> str:
        return f"possible leakage: {self.what} {self.remedy}"


def find_leaks(
    frame: pd.DataFrame,
    table: Table,
    sides: Split,
    folds: Sequence[Split],
    roles: Roles,
) -> list[Leak]:
    """Look for leakage. Targets of held-out rows are only compared with those of their copies.

    Args:
        frame: the raw rows of the table (`known_rows`), columns that are no features included.
        table: the same as arrays.
        sides: rows to train on, and rows held out.
        folds: of the rows to train on, as row numbers of the table.
        roles: what the columns are.
    """
    leaks = [_of_twins(twins, kind, frame, roles) for kind, twins in _twins(frame, table, [sides, *folds])]
    skip = [name for name in (*roles.trusted, roles.group, roles.time) if name is not None]
    entities: list[Entity] = []
    if roles.time is None:
        entities = find_entities(frame, table, sides, roles.target, skip)
        leaks += [_of_entity(each, roles) for each in entities]
    known = {*skip, *(each.column for each in entities)}
    predictors = [each for each in find_predictors(table, sides[0], roles.target) if each.column not in known]
    if predictors:
        leaks.append(_of_predictors(predictors, roles))
    if roles.time is None and roles.group is None:
        period = find_period(frame, sides, roles.target, skip)
        leaks += [] if period is None else [_of_period(period)]
    return leaks


def _twins(frame: pd.DataFrame, table: Table, splits: Sequence[Split]) -> list[tuple[str, Twins]]:
    """Copies, whatever number or code of its own each of them bears."""
    own = set(row_names(frame, table.columns))
    telling = [i for i, name in enumerate(table.columns.names) if name not in own]
    features = table.features[:, telling] if 0 < len(telling) < len(table.columns.names) else table.features
    found = find_twins(features, table.y, splits)
    return [(kind, twins) for kind, twins in zip(("copy", "contradiction"), found, strict=True) if twins]


def _of_twins(twins: Twins, kind: str, frame: pd.DataFrame, roles: Roles) -> Leak:
    place = "held-out rows" if twins.in_holdout else "rows scored in the folds"
    rows = " and ".join(str(_number(frame, row)) for row in twins.example)
    many = f"{twins.n} of {twins.n_scored} {place}"
    if kind == "copy":
        return Leak(
            (),
            f"{many} are copies of rows learned from, target {roles.target!r} included, such as rows {rows}.",
            "Take copies out of the file, or name a column that they share as `group` under [splits].",
        )
    return Leak(
        (),
        f"{many} have the features of rows learned from, but another target {roles.target!r}, "
        f"such as rows {rows}.",
        "Name the column that says what they share as `group` under [splits], or mend the file.",
    )


def _number(frame: pd.DataFrame, row: int) -> int:
    """The number of a row in the file, from 1, rows without a target included."""
    label = frame.index[row]
    return int(label) + 1 if isinstance(label, int | np.integer) else row + 1


def _of_entity(entity: Entity, roles: Roles) -> Leak:
    instead = f" instead of {roles.group!r}" if roles.group is not None else ""
    return Leak(
        (entity.column,),
        f"the column {entity.column!r} has {entity.n_values} values that recur: {100 * entity.shared:.0f} % "
        f"of the held-out rows share theirs with rows learned from, and rows of one value are alike "
        f"({100 * entity.between:.0f} % of the variance of {entity.alike!r} is between them).",
        f'Keep them together with group = "{entity.column}" under [splits]{instead}; '
        f"or {_trust([entity.column])} if predictions are for known ones.",
    )


def _of_predictors(found: Sequence[Predictor], roles: Roles) -> Leak:
    names = [each.column for each in found]
    shown = ", ".join(f"{each.column!r} ({each.figure})" for each in found[:_MOST_NAMED])
    more = f" and {len(found) - _MOST_NAMED} more" if len(found) > _MOST_NAMED else ""
    one = len(found) == 1
    listed = ", ".join(f'"{name}"' for name in names)
    return Leak(
        tuple(names),
        f"the column{'' if one else 's'} {shown}{more} alone predict{'s' if one else ''} the target "
        f"{roles.target!r}.",
        f"If {'it is' if one else 'they are'} not known when predicting, drop = [{listed}] under [pipeline]; "
        f"else {_trust(names)}.",
    )


def _of_period(period: Period) -> Leak:
    return Leak(
        (period.column,),
        f"the column {period.column!r} holds times, {period.first} to {period.last}, but the split is "
        f"random: {100 * period.later:.0f} % of the rows learned from are later than "
        "the middle one of those held out.",
        f'If the model is to predict what comes, time = "{period.column}" under [splits]; '
        f"else {_trust([period.column])}.",
    )


def _trust(names: Sequence[str]) -> str:
    listed = ", ".join(f'"{name}"' for name in names)
    return f"trusted = [{listed}] under [pipeline]"
