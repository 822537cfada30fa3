"""The registry on a PostgreSQL server, for orchestrators on several hosts."""

__all__ = ["KINDS", "is_postgres"]

KINDS = ("postgresql", "postgres")
"""How a URL may begin; a driver may follow after a plus."""


def is_postgres(url: str) -> bool:
    """Whether a URL names a PostgreSQL database, by whatever driver. Imports nothing."""
    kind, found, _ = url.partition("://")
    return bool(found) and kind.split("+")[0] in KINDS
