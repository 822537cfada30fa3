"""The gate `shape`: a retrain that nobody looks at needs the columns of before, and half the rows."""

from collections.abc import Mapping, Sequence
from typing import Any

from retrain.config.gate import SHAPE_GATE
from retrain.deploy.gate.verdict import Verdict

__all__ = ["same_shape"]

_FEWEST = 0.5
"""The share of the rows of before that is enough: a window that moves, or a cleaning, leaves more."""
_MOST_NAMED = 10


def same_shape(
    version: int, before: Mapping[str, Any] | None, now: Mapping[str, Any] | None
) -> Verdict | None:
    """Refuse a table of other columns, or of less than half the rows to train on.

    Args:
        version: what is deployed.
        before: how that was fitted (`Pipeline.fit_rule`), from its manifest.
        now: how what would be deployed was.

    Returns:
        None where there is nothing to say: also where one of the two does not know these figures.
    """
    found = _differences(before, now)
    if not found:
        return None
    why = f"the table is not as it was when version {version} was fitted: {', '.join(found)}"
    remedy = (
        "See whether the table is whole. If it is meant to be so, deploy it all the same:"
        f" --override-gate {SHAPE_GATE} --reason TEXT; or choose hyperparameters for it and deploy them with"
        " retrain --apply-hp, where this is only a warning."
    )
    return Verdict("shape", "shape", None, None, None, None, None, False, why, remedy, SHAPE_GATE)


def _differences(before: Mapping[str, Any] | None, now: Mapping[str, Any] | None) -> list[str]:
    """The columns that went and came, and both numbers of rows; empty where the shape is the same."""
    then, present = _columns(before), _columns(now)
    found = []
    if then and present:
        gone = [name for name in then if name not in set(present)]
        new = [name for name in present if name not in set(then)]
        found += [f"without the {_named(gone)}"] if gone else []
        found += [f"with the new {_named(new)}"] if new else []
    n_then, n_now = _n_rows(before), _n_rows(now)
    if n_then is not None and n_now is not None:
        is_short = n_now < _FEWEST * n_then
        if found or is_short:
            short = ", less than half" if is_short else ""
            found.append(f"{n_now} rows to train on ({n_then} then){short}")
    return found


def _columns(fit: Mapping[str, Any] | None) -> Sequence[str]:
    """The columns that a fit names; none where it is of an older version, or of a pipeline that does not."""
    columns = None if fit is None else fit.get("columns")
    return [str(name) for name in columns] if isinstance(columns, list | tuple) else []


def _n_rows(fit: Mapping[str, Any] | None) -> int | None:
    n_rows = None if fit is None else fit.get("n_rows")
    return n_rows if isinstance(n_rows, int) and not isinstance(n_rows, bool) else None


def _named(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:_MOST_NAMED])
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return f"column{'' if len(names) == 1 else 's'} {shown}{more}"
