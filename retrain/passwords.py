"""Passwords in the URLs of databases are shown to nobody: not in a message, not in a suggested command."""

import re

__all__ = ["without_password"]

_IN_AUTHORITY = re.compile(r"(?<=://)([^/@\s:]*):\S*(?=@)")
_IN_QUERY = re.compile(r"([?&](?:ssl)?password=)[^&\s]*", re.IGNORECASE)


def without_password(text: str) -> str:
    """`text` with three stars in place of every password that stands in a URL."""
    return _IN_QUERY.sub(r"\1***", _IN_AUTHORITY.sub(r"\1:***", text))
