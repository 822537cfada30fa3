"""Names of pipelines and studies: what they may be, and what a pipeline is called where nothing was said."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["OF_TABLES", "WITH_FOLDS", "checked_name", "default_name"]

OF_TABLES = ("tabular", "text")
"""The kinds of pipeline that read a table, with the folds and the holdout of `[splits]`."""

WITH_FOLDS = (*OF_TABLES, "ranking")
"""The kinds of pipeline whose folds and holdout are those of `[splits]`."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def checked_name(name: str) -> str:
    """Return a name that can be shown, stored and typed everywhere.

    Raises:
        ValueError: it is none.
    """
    if _NAME.fullmatch(name) is None:
        raise ValueError(
            "must be 1 to 64 letters, digits, '.', '_' or '-', beginning with a letter or digit, "
            f"but got {name!r}."
        )
    return name


def default_name(pipeline: Mapping[str, Any]) -> str:
    """`<model>-<data>` (`models-<data>` of several), or the name of the program or object; always valid."""
    kind = str(pipeline.get("kind", "tabular"))
    if kind in OF_TABLES:
        model = pipeline.get("model")
        several = isinstance(model, list | tuple) and len(model) > 1
        one = model[0] if isinstance(model, list | tuple) and len(model) == 1 else model
        name = f"{'models' if several else one}-{Path(str(pipeline.get('data'))).stem}"
    elif kind == "ranking":
        scorer = str(pipeline.get("scorer")).rpartition(":")[2]
        name = f"{scorer}-{Path(str(pipeline.get('data'))).stem}"
    elif kind == "command":
        command = pipeline.get("command") or "command"
        words = command.split() if isinstance(command, str) else [str(word) for word in command]
        files = [word for word in words if Path(word).suffix and not word.startswith("-")]
        name = Path((files or words)[0]).stem
    else:
        name = kind.rpartition(":")[2]
    return re.sub(r"[^A-Za-z0-9._-]+", "_", name).lstrip("._-")[:64] or "pipeline"
