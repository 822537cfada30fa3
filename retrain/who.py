"""Who is at the keyboard, for the ledger and the log."""

import getpass
import platform

__all__ = ["who"]


def who() -> str:
    """Return `user@host`."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # no name for this user id, as in many containers
        user = "unknown"
    return f"{user}@{platform.node()}"
