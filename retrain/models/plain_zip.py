"""What a zip file claims, looked at before anything in it is opened: a model's holds small plain files only.

We write models uncompressed, so whatever is compressed was not written by us; without compression nothing in
a file can be larger than the file, and a bomb (a small file that unpacks to a large one) cannot be.
"""

import stat
import zipfile
from pathlib import Path

__all__ = ["MAX_ENTRIES", "why_not_plain"]

MAX_ENTRIES = 65_534
"""As many as the end record of a plain zip can count. A forest has five entries for each of its trees."""

_END = b"PK\x05\x06"
_END_BYTES, _LOCATOR_BYTES = 22, 20
_ZIP64_LOCATOR = b"PK\x06\x07"
_ZIP64_FROM = 2**32 - 1
_BYTES_PER_ENTRY = 512


def why_not_plain(path: Path) -> str:
    """Say why a file is not what we would have written; "" where it is.

    Raises:
        OSError: it cannot be read.
    """
    return _fault_of_end(path) or _fault_of_entries(path)


def _fault_of_end(path: Path) -> str:
    """Looks at the last bytes alone: listing a million entries already costs memory."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - _END_BYTES - _LOCATOR_BYTES))
        tail = file.read()
    end = tail[-_END_BYTES:]
    if len(end) < _END_BYTES or not end.startswith(_END):
        return "it is not a plain zip file"
    if tail[:-_END_BYTES].startswith(_ZIP64_LOCATOR) and size < _ZIP64_FROM:
        return f"it has more than {MAX_ENTRIES} entries"
    n_entries, listing_bytes = int.from_bytes(end[10:12], "little"), int.from_bytes(end[12:16], "little")
    if n_entries > MAX_ENTRIES or listing_bytes > MAX_ENTRIES * _BYTES_PER_ENTRY:
        return f"it has more than {MAX_ENTRIES} entries"
    return ""


def _fault_of_entries(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (
        zipfile.BadZipFile,
        ValueError,
        RuntimeError,
    ):  # the last: of a version that zipfile does not read
        return "it is not a plain zip file"
    for entry in entries:
        if entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != entry.file_size:
            return f"its entry {entry.filename!r} is compressed"
        if stat.S_ISLNK(entry.external_attr >> 16):
            return f"its entry {entry.filename!r} is a symbolic link"
        if {"/", "\\", "\0"} & {*entry.filename} or entry.filename in ("", ".", ".."):
            return f"its entry {entry.filename!r} lies in a folder"
    if len({entry.filename for entry in entries}) < len(entries):
        return "it has two entries of one name"
    if sum(entry.file_size for entry in entries) > path.stat().st_size:
        return "its entries are larger than the file"
    return ""
