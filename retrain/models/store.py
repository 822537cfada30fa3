"""Models as files without pickle: the format of skops, read with a pinned list of types, and UBJSON."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from retrain.models.plain_zip import why_not_plain
from tuner.errors import StorageError

__all__ = ["FILE", "dump", "load", "load_trees", "read", "refuse_pickle", "save"]

FILE = "model.skops"

_PICKLES = {b"\x80": "a pickle", b"\x1f\x8b": "compressed", b"BZh": "compressed", b"\xfd7zXZ": "compressed"}


def save(estimator: Any, folder: Path) -> Path:
    """Write an estimator of scikit-learn into a folder, in the format of skops, which holds no code."""
    return dump(estimator, folder / FILE)


def load(folder: Path, task: str) -> Any:  # noqa: ARG001 - one signature for all families
    """Read what `save` wrote, of nothing but numbers and what skops itself trusts. Errors as of `read`."""
    return read(folder / FILE)


def load_trees(folder: Path, task: str) -> Any:  # noqa: ARG001
    """Read what `save` wrote, where it holds the trees of scikit-learn. Errors as of `read`."""
    return read(folder / FILE, ("sklearn.tree._tree.Tree",))


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
        StorageError: the file is damaged, is none that `dump` writes, or holds a type that is not trusted;
            nothing of it was built.
    """
    from skops.io import load
    from skops.io.exceptions import UntrustedTypesFoundException

    refuse_pickle(path)
    try:
        fault = why_not_plain(path)
        if fault:
            raise StorageError(f"The model file {str(path)!r} cannot be read: {fault}.")
        return load(path, trusted=list(trusted))
    except UntrustedTypesFoundException as error:
        raise StorageError(f"The model file {str(path)!r} holds what is not trusted: {error}.") from None
    except StorageError:
        raise
    except Exception as error:  # noqa: BLE001 - a damaged document fails wherever it does not fit
        raise StorageError(
            f"The model file {str(path)!r} cannot be read: {type(error).__name__}: {error}."
        ) from None


def refuse_pickle(path: Path) -> None:
    """Refuse what is a pickle by its first bytes, whatever the file is called, before a library sees it.

    Raises:
        StorageError: it is one, or is missing.
    """
    try:
        with path.open("rb") as file:
            head = file.read(8)
    except OSError as error:
        raise StorageError(f"The model file {str(path)!r} cannot be read: {error.strerror}.") from None
    for start, what in _PICKLES.items():
        if head.startswith(start):
            raise StorageError(
                f"The model file {str(path)!r} must be UBJSON or skops, but it is {what}: loading a pickle"
                " runs what its writer put into it.",
                "Retrain, or roll back to a version that is as it was written: retrain --rollback VERSION",
            )
