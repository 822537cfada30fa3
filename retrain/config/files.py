"""Where the configuration is, and what stands in the file. Light: no schema, nothing checked but the TOML."""

import os
import stat
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from retrain.config.naming import checked_name, default_name
from tuner.errors import ConfigError, did_you_mean

__all__ = [
    "FILE",
    "PREFIX",
    "absolute_url",
    "architectures_in",
    "find_config",
    "parted",
    "read_document",
    "shown",
]

FILE = "retrain.toml"
PREFIX = "RETRAIN_"


def find_config(path: Path | None = None) -> Path | None:
    """Return the file that holds the configuration: `retrain.toml`, else a pyproject.toml; None without one.

    Raises:
        ConfigError: `path` names a file that does not exist.
    """
    if path is not None and not _is_folder(path):
        return path
    folder = Path() if path is None else path
    if (folder / FILE).is_file():
        return folder / FILE
    project = folder / "pyproject.toml"
    if project.is_file() and "retrain" in _table(_parse(project), "tool"):
        return project
    return None


def _is_folder(path: Path) -> bool:
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except FileNotFoundError:
        near = did_you_mean(path.name, (each.name for each in path.parent.glob("*.toml")))
        raise ConfigError(
            f"The configuration {str(path)!r} does not exist.{near}",
            "Name the one that is there, or make one: retrain init",
        ) from None
    except (OSError, ValueError) as error:  # too long a name, a NUL in it, a folder that is closed to us
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(
            f"The configuration {str(path)!r} cannot be read: {reason}.", "Name another file with --config."
        ) from None


def parted(path: Path | None) -> tuple[Path | None, str | None]:
    """The path and the architecture that are meant by `retrain.toml#small`, or `#small` of the file here."""
    if path is None or "#" not in path.name or os.path.lexists(path):
        return path, None
    base, _, name = str(path).rpartition("#")
    return Path(base) if base else None, name


def read_document(source: Path, architecture: str | None = None) -> dict[str, Any]:
    """The content of a configuration; of a pyproject.toml, its `[tool.retrain]`.

    Args:
        source: the file.
        architecture: what `[architectures.NAME]` says is laid over the rest. Its pipeline and study are
            called `<name>-NAME`, unless it names them.

    Raises:
        ConfigError: it cannot be read, is no TOML, or lacks that table or architecture.
    """
    document = _own_table(source)
    known = _architectures(source, document)
    document = {key: value for key, value in document.items() if key != "architectures"}
    if architecture is None:
        return document
    if architecture not in known:
        raise ConfigError(
            f"{shown(source)} has no architecture {architecture!r}.{did_you_mean(architecture, known)}",
            f"It has: {', '.join(known) or 'none'}. Add [architectures.{architecture}].",
        )
    return _named_apart(
        _laid_over(document, known[architecture]), document, known[architecture], architecture
    )


def architectures_in(source: Path) -> tuple[str, ...]:
    """The names of the architectures that a configuration has.

    Raises:
        ConfigError: it cannot be read, or they are no tables, or have names that cannot be.
    """
    return tuple(_architectures(source, _own_table(source)))


def _own_table(source: Path) -> dict[str, Any]:
    document = _parse(source)
    if source.name != "pyproject.toml":
        return document
    if "retrain" not in _table(document, "tool"):
        raise ConfigError(f"{source} has no [tool.retrain].", f"Add one, or write a {FILE} (retrain init).")
    return _table(document["tool"], "retrain")


def _architectures(source: Path, document: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The `[architectures.NAME]`, by name."""
    given = document.get("architectures", {})
    try:
        if not isinstance(given, dict) or not all(isinstance(each, dict) for each in given.values()):
            raise ValueError("must be tables: [architectures.NAME], [architectures.NAME.pipeline] ...")
        for name in given:
            checked_name(name)
    except ValueError as error:
        raise ConfigError(f"{shown(source)}: `architectures` {error}", "Mend that table.") from None
    return given


def _laid_over(document: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Tables are joined, key by key; all else is replaced."""
    joined = dict(document)
    for key, value in given.items():
        below = joined.get(key)
        if isinstance(below, dict) and isinstance(value, dict):
            joined[key] = _laid_over(below, value)
        else:
            joined[key] = value
    return joined


def _named_apart(
    joined: dict[str, Any], document: Mapping[str, Any], given: Mapping[str, Any], architecture: str
) -> dict[str, Any]:
    """Two architectures of one file must not share a study, nor what is deployed."""
    try:
        base = document["name"] if "name" in document else default_name(joined["pipeline"])
    except (KeyError, TypeError, IndexError):  # the schema says what is wrong with it
        return joined
    if "name" not in given and isinstance(base, str):
        joined["name"] = f"{base}-{architecture}"
    study = _table(document, "study").get("name")
    if isinstance(study, str) and "name" not in _table(given, "study"):
        joined["study"] = {**joined["study"], "name": f"{study}-{architecture}"}
    return joined


def _parse(source: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(source.read_bytes().decode("utf-8-sig"))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{shown(source)} is not valid TOML: {error}.", "Mend that line.") from None
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{shown(source)} must be UTF-8 text, but byte {error.start} is not.", "Save it as UTF-8."
        ) from None
    except RecursionError:
        raise ConfigError(
            f"{shown(source)} is nested too deeply.", "Take out some of the brackets inside brackets."
        ) from None
    except OSError as error:
        raise ConfigError(
            f"{shown(source)} cannot be read: {error.strerror}.",
            "Make it readable, or name another file with --config.",
        ) from None


def _table(document: Mapping[str, Any], key: str) -> dict[str, Any]:
    table = document.get(key, {})
    return table if isinstance(table, dict) else {}


def shown(source: Path) -> str:
    """A configuration as the user knows it."""
    return source.name if source.parent in (Path(), Path.cwd()) else str(source)


def absolute_url(url: str, folder: Path) -> str:
    """Make a plain path, or the relative path of a SQLite URL, absolute; leave every other URL as it is."""
    scheme = "sqlite:///"
    if url.startswith(scheme):
        path = url.removeprefix(scheme)
    elif "://" in url or not url:
        return url
    else:
        path = url
    if path in ("", ":memory:"):
        return url
    return scheme + str(folder / path)
