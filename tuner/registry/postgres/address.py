"""Which server and database a URL names, and how it is spoken of: never with a password."""

from dataclasses import dataclass

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from tuner.errors import UsageError
from tuner.registry.postgres import KINDS

__all__ = ["Address"]

_EXAMPLE = "Use for example: --db postgresql://user@host/database"


@dataclass(frozen=True, slots=True)
class Address:
    """Where a registry on a server is. `str` gives what may be shown and logged.

    Attributes:
        url: what SQLAlchemy is given, password and all.
    """

    url: URL

    @staticmethod
    def of(url: str) -> "Address":
        """Read a URL.

        Raises:
            UsageError: another driver than psycopg, no database name, or no URL at all.
        """
        try:
            parsed = make_url(url)
        except (ArgumentError, ValueError):  # the second for a port that is no number
            raise UsageError(
                "A registry's URL must be complete, but its port is no number.", _EXAMPLE
            ) from None
        if parsed.drivername not in (*KINDS, "postgresql+psycopg"):
            raise UsageError(
                f"A registry on PostgreSQL is reached by the driver psycopg, but got {parsed.drivername!r}.",
                _EXAMPLE,
            )
        if not parsed.database:
            raise UsageError("A registry's URL names a database, but got one without.", _EXAMPLE)
        return Address(parsed.set(drivername="postgresql+psycopg"))

    def __str__(self) -> str:
        host = self.url.query.get("host") or self.url.host or ""
        place = host if isinstance(host, str) else ",".join(host)
        user = f"{self.url.username}@" if self.url.username else ""
        port = f":{self.url.port}" if self.url.port else ""
        if place.startswith("/"):  # the folder of a socket
            return f"postgresql://{user}{port}/{self.url.database}?host={place}"
        return f"postgresql://{user}{place}{port}/{self.url.database}"
