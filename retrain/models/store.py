"""Estimators as files without pickle: the format of skops, read with a pinned list of types."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

from tuner.errors import StorageError

__all__ = ["dump", "read"]


def dump(estimator: Any, path: Path) -> Path:
    """Write an estimator of scikit-learn."""
    from skops.io import dump as dump_skops

    dump_skops(estimator, path)
    return path


def read(path: Path, trusted: Sequence[str] = ()) -> Any:
    """Read an estimator.

    Args:
        path: what `dump` wrote.
        trusted: full names of the types it may hold besides those that skops itself trusts.

    Raises:
        StorageError: the file is damaged, or holds a type that is not trusted; nothing of it was built.
    """
    from skops.io import load
    from skops.io.exceptions import UntrustedTypesFoundException

    try:
        return load(path, trusted=list(trusted))
    except UntrustedTypesFoundException as error:
        raise StorageError(f"The model file {str(path)!r} holds what is not trusted: {error}.") from None
    except (BadZipFile, KeyError, ValueError, OSError) as error:
        raise StorageError(f"The model file {str(path)!r} cannot be read: {error}.") from None
