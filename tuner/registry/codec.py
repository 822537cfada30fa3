"""Rows to values and back: the only place that knows how a column spells what `tuner.experiment` names."""

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from json.encoder import encode_basestring_ascii
from operator import itemgetter
from types import MappingProxyType
from typing import Any, TypeVar

from tuner.errors import NotARegistryError, UsageError
from tuner.experiment import (
    Confirmation,
    Direction,
    Experiment,
    Measurement,
    Outcome,
    Params,
    Provenance,
    State,
    Stop,
    Study,
    Value,
)
from tuner.goals import NO_GOALS, Goals
from tuner.registry.records import Attempt, Deployment, Event, HoldoutRead, Lesson, ModelVersion, Pattern, Run
from tuner.registry.sql import Row
from tuner.space.identity import config_key
from tuner.space.values import brief, plain

__all__ = [
    "clean_text",
    "dump",
    "encode_params",
    "finite",
    "plain_params",
    "read",
    "to_attempt",
    "to_confirmation",
    "to_deployment",
    "to_event",
    "to_experiment",
    "to_goals",
    "to_holdout_read",
    "to_lesson",
    "to_measurement",
    "to_model_version",
    "to_pattern",
    "to_run",
    "to_study",
]

_PLAIN_TYPES = frozenset({float, int, str, bool, type(None)})
_T = TypeVar("_T")


def dump(value: Any) -> str:
    """JSON for a column: compact, ASCII, and without NaN or infinity.

    Raises:
        UsageError: the value is not JSON-ready.
    """
    try:
        return _encoder.encode(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(
            f"What is stored must be JSON with finite numbers, but got {brief(value)}: {error}."
        ) from None


def _mapping(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is not JSON")


_encoder = json.JSONEncoder(separators=(",", ":"), allow_nan=False, default=_mapping)


def plain_params(params: Params) -> dict[str, Value]:
    """The configuration as plain Python scalars, numpy's unpacked, in its own order.

    Raises:
        UsageError: a value is no JSON scalar, or not finite.
    """
    copied = params.copy() if isinstance(params, MappingProxyType) else dict(params)  # many times quicker
    if not _PLAIN_TYPES.issuperset(map(type, copied.values())):
        return {name: _unpack(name, value) for name, value in copied.items()}
    return copied


def _unpack(name: str, value: object) -> Value:
    unpacked: Value = plain(value)
    if type(unpacked) not in _PLAIN_TYPES:
        raise UsageError(f"{name!r} must be a number, string, bool or None, but got {value!r}.")
    return unpacked


def encode_params(params: dict[str, Value]) -> tuple[str, bytes]:
    """The JSON array of the values, and the 16 bytes that tell this configuration from any other.

    The bytes are the first of `config_key`. Writing a float takes longer than all else here, so each is
    written once for both.

    Raises:
        UsageError: a value is not finite.
        ParamsError: a value is no JSON scalar.
    """
    try:
        # Floats are most of it, and told apart first since looking up how to write one takes as long as that.
        texts = [
            repr(value) if value.__class__ is float else _TEXTS[value.__class__](value)
            for value in params.values()
        ]
    except (KeyError, ValueError):
        texts = []
    if len(texts) != len(params) or not _ODD.isdisjoint(texts):
        return dump(list(params.values())), bytes.fromhex(config_key(params))[:_HASH_BYTES]
    pattern, in_order = _canonical(tuple(params))
    canonical = pattern % in_order(texts)
    digest = hashlib.sha256(canonical.encode("ascii")).digest()
    return "[" + ",".join(texts) + "]", digest[:_HASH_BYTES]


_HASH_BYTES = 16
_ODD = frozenset({"-0.0", "nan", "inf", "-inf"})
"""What `config_key` writes otherwise, or refuses."""

_TEXTS: dict[type, Callable[[Any], str]] = {
    int: int.__repr__,
    str: encode_basestring_ascii,
    bool: {True: "true", False: "false"}.__getitem__,
    type(None): lambda _: "null",
}


@lru_cache(maxsize=256)
def _canonical(names: tuple[str, ...]) -> tuple[str, Callable[[Sequence[str]], tuple[str, ...]]]:
    """JSON with sorted keys and a %s for each value, and what brings values of `names` into that order."""
    keys = (encode_basestring_ascii(name).replace("%", "%%") for name in sorted(names))
    places = [names.index(name) for name in sorted(names)]
    pattern = "{" + ",".join(f"{key}:%s" for key in keys) + "}"
    return pattern, itemgetter(*places) if len(places) > 1 else tuple


def finite(name: str, value: object) -> float:
    """`value` as a finite float.

    Raises:
        UsageError: it is no number, NaN or infinite.
    """
    try:
        number = math.nan if isinstance(value, bool | str | bytes) else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise UsageError(f"{name} must be a finite number, but got {value!r}.")
    return number


def clean_text(text: str, limit: int = 16_384) -> str:
    """Text that any database takes: valid Unicode without NUL, and only the last `limit` characters of it."""
    kept = text if len(text) <= limit else "..." + text[-limit:]
    return kept.encode("utf-8", "replace").decode("utf-8").replace("\0", "\N{REPLACEMENT CHARACTER}")


def read(convert: Callable[[Any], _T], row: Row) -> _T:
    """Convert a row; one that no version of ours could have written means that the file is damaged."""
    try:
        return convert(row)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise NotARegistryError(
            f"The registry is damaged: a stored row cannot be read ({error}).",
            "Run `retrain doctor`, and restore the registry from a backup.",
        ) from error


@lru_cache(maxsize=256)
def _names(text: str) -> tuple[str, ...]:
    return tuple(json.loads(text))


def to_study(row: Row) -> Study:
    """A row of `studies`."""
    return Study(
        id=row["id"],
        name=row["name"],
        space=json.loads(row["space"]),
        metric=row["metric"],
        direction=Direction(row["direction"]),
        baseline=json.loads(row["baseline"]),
        seed=row["seed"],
        created_at=row["created_at"],
        goals=to_goals(row["goals"]),
    )


def to_goals(text: str | None) -> Goals:
    """The column `goals` of `studies`."""
    return NO_GOALS if text is None else Goals.from_dict(json.loads(text))


def to_run(row: Row) -> Run:
    """A row of `runs` with its owner's `token`."""
    return Run(
        id=row["id"],
        study_id=row["study_id"],
        method=row["method"],
        n_wanted=row["n_wanted"],
        seed=row["seed"],
        owner=row["token"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        info=json.loads(row["info"]),
    )


def to_experiment(row: Row) -> Experiment:
    """A row of `experiments` with what it refers to."""
    values = json.loads(row["params"])
    return Experiment(
        id=row["id"],
        public_id=row["public_id"],
        study_id=row["study_id"],
        params=dict(zip(_names(row["names"]), values, strict=True)),
        method=row["method"],
        state=State(row["state"]),
        attempt=row["attempt"],
        created_at=row["created_at"],
        outcome=None if row["outcome"] is None else Outcome(row["outcome"]),
        value=row["value"],
        std_error=row["std_error"],
        metrics=json.loads(row["metrics"]) if row["metrics"] else {},
        reason=json.loads(row["reason"]) if row["reason"] else {},
        parent=row["parent"],
        run_id=row["run_id"],
        owner=row["token"],
        seed=row["seed"],
        repeat=row["repeat"],
        error=row["error"],
        traceback=row["traceback"],
        failures=row["failures"],
        deaths=row["deaths"],
        interruptions=row["interruptions"],
        provenance=None if row["provenance_id"] is None else _scored_on(row),
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        duration_s=row["duration_s"],
        feasible=bool(row["feasible"]),
        ended_on=None if row["ended_on_id"] is None else _scored_on(row),
        stop=None if row["stop_value"] is None else Stop(row["stop_value"], row["stop_step"]),
    )


def _scored_on(row: Row) -> Provenance:
    return Provenance(row["on_data"], row["on_code"], row["on_metric"])


def to_measurement(row: Row) -> Measurement:
    """A row of `measurements`."""
    return Measurement(row["step"], row["metric"], row["value"])


def to_attempt(row: Row) -> Attempt:
    """A row of `attempts` with its owner's `token`."""
    return Attempt(
        row["number"], row["token"], row["started_at"], row["ended_at"], row["ending"], row["message"]
    )


def to_confirmation(row: Row) -> Confirmation:
    """A row of `confirmations` with the `public_id` of its experiment and what it was scored on."""
    return Confirmation(
        experiment=row["public_id"],
        seed=row["seed"],
        value=row["value"],
        folds=tuple(json.loads(row["folds"])),
        provenance=_scored_on(row),
        duration_s=row["duration_s"],
    )


def to_model_version(row: Row) -> ModelVersion:
    """A row of `model_versions` with the `public_id` of its experiment."""
    return ModelVersion(
        number=row["number"],
        pipeline=row["pipeline"],
        state=row["state"],
        params=json.loads(row["params"]),
        manifest=json.loads(row["manifest"]),
        created_at=row["created_at"],
        experiment=row["public_id"],
    )


def to_deployment(row: Row) -> Deployment:
    """A row of `deployments` with the `public_id` of its version's experiment."""
    return Deployment(
        id=row["id"],
        pipeline=row["pipeline"],
        action=row["action"],
        from_version=row["from_version"],
        to_version=row["to_version"],
        who=row["who"],
        reason=row["reason"],
        at=row["at"],
        gates=json.loads(row["gates"]),
        experiment=row["public_id"],
    )


def to_holdout_read(row: Row) -> HoldoutRead:
    """A row of `holdout_reads` with the `public_id` of its experiment."""
    return HoldoutRead(
        pipeline=row["pipeline"],
        params=json.loads(row["params"]),
        metrics=json.loads(row["metrics"]),
        provenance=Provenance(row["data"], row["code"], row["metric"]),
        why=row["why"],
        who=row["who"],
        experiment=row["public_id"],
        version=row["version"],
        n_rows=row["n_rows"],
        intervals={name: (low, high) for name, (low, high) in json.loads(row["intervals"]).items()},
        at=row["at"],
    )


def to_pattern(row: Row) -> Pattern:
    """A row of `patterns` with its `study`, the `public_id` of its experiment and what that was scored on."""
    return Pattern(
        id=row["id"],
        study=row["study"],
        experiment=row["public_id"],
        traits=json.loads(row["traits"]),
        params=json.loads(row["params"]),
        value=row["value"],
        provenance=_scored_on(row),
        created_at=row["created_at"],
    )


def to_lesson(row: Row) -> Lesson:
    """A row of `lessons` with the name of its `study`."""
    return Lesson(row["pattern_id"], row["kind"], row["study"], row["weight"], row["why"], row["at"])


def to_event(row: Row) -> Event:
    """A row of `events`."""
    return Event(row["at"], row["kind"], row["message"], row["salience"], json.loads(row["data"]))
