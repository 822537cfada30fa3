"""The few settings that reports need, without the schema, which takes longer to import than a report.

The file, the environment and the flags are read with the same precedence as by `load_config`. Whatever is
unusual or looks wrong is left to that, so that there is one place that judges and explains. What a report
does not need, such as gates, is not judged here: a report is no place to stumble over it.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retrain.config.files import PREFIX, absolute_url, find_config, parted, read_document
from retrain.config.naming import WITH_FOLDS, checked_name, default_name

if TYPE_CHECKING:
    from retrain.config.schema import Config

__all__ = ["KNOWN_KEYS", "Lookup", "look_up"]

KNOWN_KEYS: dict[str, frozenset[str]] = {
    "": frozenset(
        {
            "name",
            "db",
            "allow_network_fs",
            "pipeline",
            "splits",
            "space",
            "deploy",
            "objective",
            "limit",
            "gate",
            "study",
            "compare",
            "budget",
            "pruning",
            "stages",
        }
    ),
    "pipeline": frozenset(
        {
            "kind",
            "model",
            "data",
            "target",
            "metric",
            "direction",
            "drop",
            "trusted",
            "text",
            "about",
            "spans",
            "architecture",
            "early_stopping_rounds",
            "fixed",
            "command",
            "params_as",
            "items",
            "scorer",
            "user",
            "item",
            "held_out",
            "known",
        }
    ),
    "splits": frozenset({"folds", "repeats", "holdout", "group", "time", "seed", "tune_rows"}),
    "study": frozenset({"name", "seed", "warm_start", "memory"}),
}
"""The keys of the tables that are looked at, as the schema has them; "" is the file itself."""

_DEFAULT_DB = "sqlite:///experiments.db"
_VARIABLES = {f"{PREFIX}DB": "db", f"{PREFIX}STUDY_NAME": "study.name"}


@dataclass(frozen=True, slots=True)
class Lookup:
    """What a report needs of the configuration.

    Attributes:
        name: of the pipeline.
        study_name: of the study.
        db: URL of the registry, a relative SQLite path made absolute.
        allow_network_fs: whether it may be written on a network file system.
        is_tabular: whether the pipeline has the folds and the holdout of the configuration.
        folds: of one repeat of cross-validation; None for a pipeline that has its own.
        has_phases: whether there are later phases, which are deployed together with what was before.
        source: the file.
    """

    name: str
    study_name: str
    db: str
    allow_network_fs: bool
    is_tabular: bool
    folds: int | None
    has_phases: bool
    source: Path

    @staticmethod
    def of(config: "Config") -> "Lookup":
        """The same of a configuration that was loaded whole."""
        is_tabular = config.pipeline.kind in WITH_FOLDS
        folds = config.splits.folds if is_tabular else None
        return Lookup(
            name=config.name,
            study_name=config.study_name,
            db=config.db,
            allow_network_fs=config.allow_network_fs,
            is_tabular=is_tabular,
            folds=folds,
            has_phases=bool(config.space.phases),
            source=config.source,
        )


def look_up(
    path: Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
) -> Lookup:
    """Find the configuration and read what a report needs; arguments and errors as for `load_config`.

    A fault in what a report does not need goes unnoticed.
    """
    environ = os.environ if environ is None else environ
    try:
        found = _look_up(path, overrides or {}, environ)
    except _LeftToSchemaError:
        from retrain.config.load import load_config

        return Lookup.of(load_config(path, overrides, environ=environ))
    return found


class _LeftToSchemaError(Exception):
    """Something unusual, or wrong: only the schema can tell."""


def _look_up(path: Path | None, overrides: Mapping[str, Any], environ: Mapping[str, str]) -> Lookup:
    if path is None and environ.get(f"{PREFIX}CONFIG"):
        path = Path(environ[f"{PREFIX}CONFIG"])
    path, architecture = parted(path)
    source = find_config(path)
    if source is None:
        raise _LeftToSchemaError
    document = read_document(source, architecture)
    given = {_VARIABLES.get(name, ""): text for name, text in environ.items() if _is_ours(name)}
    given |= {key: value for key, value in overrides.items() if value is not None}
    _insist(given.keys() <= set(_VARIABLES.values()))
    tables = {table: _table(document, table) for table in KNOWN_KEYS}
    db = given.get("db", document.get("db", _DEFAULT_DB))
    name = document["name"] if "name" in document else _default_name(tables["pipeline"])
    study = given.get("study.name", tables["study"].get("name"))
    kind, folds = tables["pipeline"].get("kind", "tabular"), tables["splits"].get("folds", 5)
    allow_network_fs = document.get("allow_network_fs", False)
    _insist(type(db) is str and "\0" not in db and type(allow_network_fs) is bool)
    _insist(_is_kind(kind) and type(folds) is int and 2 <= folds <= 1000)
    is_tabular = kind in WITH_FOLDS
    return Lookup(
        name=_name(name),
        study_name=_name(name if study is None else study),
        db=absolute_url(db, Path.cwd() if "db" in given else source.resolve().parent),
        allow_network_fs=allow_network_fs,
        is_tabular=is_tabular,
        folds=folds if is_tabular else None,
        has_phases=_has_phases(document),
        source=source,
    )


def _has_phases(document: Mapping[str, Any]) -> bool:
    space = document.get("space", {})
    return isinstance(space, dict) and bool(space.get("phases"))


def _insist(usual: bool) -> None:
    if not usual:
        raise _LeftToSchemaError


def _is_ours(variable: str) -> bool:
    return variable.startswith(PREFIX) and variable != f"{PREFIX}CONFIG"


def _table(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    table = document if name == "" else document.get(name, {})
    _insist(isinstance(table, dict) and table.keys() <= KNOWN_KEYS[name])
    _insist(name != "pipeline" or name in document)
    return table


def _default_name(pipeline: Mapping[str, Any]) -> str:
    try:
        return default_name(pipeline)
    except (TypeError, IndexError):  # of a command that is none
        raise _LeftToSchemaError from None


def _is_kind(kind: Any) -> bool:
    if not isinstance(kind, str):
        return False
    module, _, attribute = kind.rpartition(":")
    return kind in (*WITH_FOLDS, "command") or bool(module and attribute.isidentifier())


def _name(name: Any) -> str:
    _insist(isinstance(name, str))
    try:
        return checked_name(name)
    except ValueError:
        raise _LeftToSchemaError from None
