"""Where the configuration is, and what stands in the file. Light: no schema, nothing checked but the TOML."""

import stat
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tuner.errors import ConfigError

__all__ = ["FILE", "PREFIX", "absolute_url", "find_config", "read_document", "shown"]

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
        raise ConfigError(f"The configuration {str(path)!r} does not exist.", "retrain init") from None
    except (OSError, ValueError) as error:  # too long a name, a NUL in it, a folder that is closed to us
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(
            f"The configuration {str(path)!r} cannot be read: {reason}.", "Name another file with --config."
        ) from None


def read_document(source: Path) -> dict[str, Any]:
    """The content of a configuration; of a pyproject.toml, its `[tool.retrain]`.

    Raises:
        ConfigError: it cannot be read, is no TOML, or lacks that table.
    """
    document = _parse(source)
    if source.name != "pyproject.toml":
        return document
    if "retrain" not in _table(document, "tool"):
        raise ConfigError(f"{source} has no [tool.retrain].", f"Add one, or write a {FILE} (retrain init).")
    return _table(document["tool"], "retrain")


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
