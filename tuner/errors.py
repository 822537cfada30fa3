"""Every error this project raises on purpose, typed by what the caller does next.

    RetrainError                 exit 1   something failed
    ├── UsageError               exit 2   the user mends the command, the configuration or the data
    │   ├── ConfigError                   retrain.toml, a flag or an environment variable
    │   ├── SpaceError                    a search space that cannot exist
    │   ├── ParamsError                   a configuration that is not in its space (lists every fault)
    │   ├── DataError                     a data set that cannot be trained on
    │   ├── MismatchError                 a study, metric or space other than the stored one
    │   └── InvalidError                  what a scikit-learn search cannot use; a ValueError as well
    ├── GateError                exit 3   the gate was not met; nothing was deployed
    ├── StorageError             exit 4   the registry cannot be used now; the user looks at the file
    │   ├── BusyError                     another process holds the lock; trying again later is right
    │   ├── NotARegistryError             a foreign, damaged, empty or newer file; it was not touched
    │   ├── OutdatedError                 an older schema, opened for reading; opening for writing mends it
    │   └── PoolError                     the workers cannot be reached
    ├── NotFoundError            exit 6   no such study, experiment or version, or no result yet
    └── ClaimLostError                    a fenced write came too late: drop the result, go on

Every error is a sentence that says what must hold and what was given, and a remedy that says what to do.
Both travel in `args`, so an error survives pickling on its way through a worker.
"""

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = [
    "BusyError",
    "ClaimLostError",
    "ConfigError",
    "DataError",
    "GateError",
    "InvalidError",
    "MismatchError",
    "NotARegistryError",
    "NotFoundError",
    "OutdatedError",
    "ParamsError",
    "PoolError",
    "RetrainError",
    "SpaceError",
    "StorageError",
    "UsageError",
    "did_you_mean",
]


class RetrainError(Exception):
    """Root of the tree. `str(error)` is what went wrong; `error.remedy` is what to do about it (or "")."""

    exit_code = 1

    def __init__(self, what: str, remedy: str = "") -> None:
        super().__init__(what, remedy)
        if remedy:
            self.add_note(f"try: {remedy}")  # Python shows it under a traceback

    @property
    def remedy(self) -> str:
        """What the user can do, as a command or one sentence; empty where the message says it all."""
        return str(self.args[1])

    def __str__(self) -> str:
        return str(self.args[0])


class UsageError(RetrainError):
    """The command, the configuration or the data must change."""

    exit_code = 2


class ConfigError(UsageError):
    """`retrain.toml`, a flag or an environment variable does not make sense."""


class SpaceError(UsageError):
    """A search space that cannot exist: bounds, defaults, conditions or constraints contradict each other."""


class ParamsError(UsageError):
    """A configuration that is not in its space. `problems` lists every fault, one sentence each."""

    def __init__(self, what: str, remedy: str = "", problems: Iterable[str] = ()) -> None:
        super().__init__(what, remedy)
        self.args = (what, remedy, tuple(problems))

    @property
    def problems(self) -> tuple[str, ...]:
        """Every fault found, in the order of the space."""
        return tuple(self.args[2])


class DataError(UsageError):
    """A data set that cannot be trained on: missing target, one class, no rows."""


class MismatchError(UsageError):
    """What is stored under this name was defined differently."""


class InvalidError(UsageError, ValueError):
    """What a scikit-learn search was given cannot be used: a ValueError, too, as its callers expect."""


class GateError(RetrainError):
    """The gate was not met, or could not be evaluated. Nothing was deployed."""

    exit_code = 3


class StorageError(RetrainError):
    """The registry cannot be used at the moment."""

    exit_code = 4


class BusyError(StorageError):
    """Another process holds the lock for longer than the busy timeout."""


class NotARegistryError(StorageError):
    """The file is not a registry of ours, is damaged, or was made by a newer version. It was not touched."""


class OutdatedError(StorageError):
    """A registry of an older schema was opened for reading only, which brings nothing up to date."""


class PoolError(StorageError):
    """The worker pool cannot be started or was lost."""


class NotFoundError(RetrainError):
    """There is no such study, experiment, version, or no finished experiment yet."""

    exit_code = 6


class ClaimLostError(RetrainError):
    """A fenced write changed no row: somebody else owns the experiment now. Drop the result and go on."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return " Did you mean 'x'?" for the known name closest to `name`, or "" when none is close.

    Case, and how words are joined, count for nothing: 'ROC-AUC' is 'roc_auc'.
    """
    alike = {_plain(each): str(each) for each in known}
    close = get_close_matches(_plain(name), alike, n=1, cutoff=0.6)
    return f" Did you mean {alike[close[0]]!r}?" if close else ""


def _plain(name: str) -> str:
    return name.lower().replace("-", "_").replace(" ", "_")
