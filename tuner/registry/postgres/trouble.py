"""The server's and the driver's errors in our words: what happened where, and what to do."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from sqlalchemy.exc import DBAPIError

from tuner.errors import BusyError, NotARegistryError, StorageError, UsageError
from tuner.registry.postgres.address import Address

__all__ = ["postgres_errors"]

_AGAIN = "Run the same command again when the server answers; `retrain doctor` tries it."

# The server refuses a connection without its SQLSTATE, in words (English whatever the locale of the client).
_REFUSALS = (
    ("does not exist", "database ", "its database does not exist", "Make it with: createdb {database}"),
    ("does not exist", "role ", "its user does not exist", "Name another user in the URL, or make this one."),
    ("authentication failed", "", "the password was refused", "Put it into ~/.pgpass or PGPASSWORD."),
    ("no password supplied", "", "a password is asked for", "Put it into ~/.pgpass or PGPASSWORD."),
    ("no pg_hba.conf entry", "", "the server lets nobody in from here", "Add this host to its pg_hba.conf."),
    ("too many clients", "", "it has no connection left", "Raise max_connections, or try again later."),
    ("remaining connection slots", "", "it has no connection left", "Raise max_connections, or try later."),
    ("starting up", "", "it is starting", _AGAIN),
    ("shutting down", "", "it is shutting down", _AGAIN),
    ("timeout expired", "", "nothing answers there", _AGAIN),
    ("could not translate host", "", "there is no such host", "Check the host in the URL."),
    ("failed to resolve host", "", "there is no such host", "Check the host in the URL."),
    ("Connection refused", "", "no server listens there", _AGAIN),
    ("No such file or directory", "", "no server listens there", _AGAIN),
)


@contextmanager
def postgres_errors(address: Address) -> Iterator[None]:
    """Turn what the driver raises inside the block, wrapped by SQLAlchemy or not, into errors of our tree."""
    try:
        yield
    except DBAPIError as error:
        raise _translate(error.orig or error, address) from error
    except psycopg.Error as error:
        raise _translate(error, address) from error
    except (OverflowError, UnicodeEncodeError) as error:  # by the driver, for what it is to store
        raise _unstorable(error) from error


def _translate(error: BaseException, address: Address) -> StorageError | UsageError:
    state = str(getattr(error, "sqlstate", None) or "")
    said = (str(error).splitlines() or [type(error).__name__])[0]
    for begin, (kind, what, remedy) in _BY_STATE.items():
        if state.startswith(begin):
            return kind(what.format(address=address, said=said), remedy)
    if state:
        return StorageError(f"{address} failed: {said} ({state}).", "Run `retrain doctor`.")
    if isinstance(error, psycopg.OperationalError):
        return _unreachable(str(error), address)
    if isinstance(error, psycopg.DataError):
        return _unstorable(error)
    return StorageError(f"{address} failed: {said}.", "Run `retrain doctor`.")


def _unreachable(text: str, address: Address) -> StorageError:
    for words, also, meaning, remedy in _REFUSALS:
        if words in text and also in text:
            return StorageError(
                f"{address} cannot be used: {meaning}.", remedy.format(database=address.url.database)
            )
    last = (text.strip().splitlines() or ["no reason was given"])[-1]
    return StorageError(f"{address} does not answer: {last.rstrip('.')}.", _AGAIN)


def _unstorable(error: BaseException) -> UsageError:
    return UsageError(
        "A registry stores integers of up to 64 bits and valid Unicode without NUL, but got something else:"
        f" {(str(error).splitlines() or [''])[0]}.",
        "Look for the value in what was given.",
    )


_Kind = type[StorageError] | type[UsageError]

_MET = (
    BusyError,
    "{address} took back a write, since it met another one ({said}); nothing of it was written.",
    "Run the same command again.",
)
_GONE = (StorageError, "{address} ended the connection ({said}); nothing of this step was written.", _AGAIN)
_FULL = (
    StorageError,
    "The server has run out of room: {address} says {said!r}; nothing of this step was written.",
    "Free some there, then run the same command again.",
)
_DAMAGED = (
    NotARegistryError,
    "{address} is damaged ({said}).",
    "Restore it from a backup made with pg_dump.",
)
_BROKEN_RULE = (
    StorageError,
    "{address} refused a write that breaks one of its rules: {said}.",
    "Nothing was written. This is a defect of the program: please report it.",
)

# By the first characters of an SQLSTATE, the longest first (postgresql.org/docs/current/errcodes-appendix).
_BY_STATE: dict[str, tuple[_Kind, str, str]] = {
    "55P03": (
        BusyError,
        "{address} is locked by another process for longer than the busy timeout ({said}).",
        "Try again when it is done; `retrain doctor` shows who uses the registry.",
    ),
    "40001": _MET,
    "40P01": _MET,
    "25006": (
        StorageError,
        "{address} cannot be written: it was opened for reading only, or is a standby ({said}).",
        "Use the URL of the primary server.",
    ),
    "42501": (
        StorageError,
        "{address} does not allow this user what a registry does: {said}.",
        "GRANT the user CREATE and USAGE on the schema, or let it own the database.",
    ),
    "53300": (
        StorageError,
        "{address} has no connection left ({said}).",
        "Raise max_connections, or try again later.",
    ),
    "22": (UsageError, "{address} cannot store this: {said}.", "Look for the value in what was given."),
    "23": _BROKEN_RULE,
    "P0001": _BROKEN_RULE,
    "25P03": _GONE,
    "57P": _GONE,
    "08": _GONE,
    "53": _FULL,
    "58": _FULL,
    "XX001": _DAMAGED,
    "XX002": _DAMAGED,
}
