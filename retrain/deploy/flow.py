"""Adding to and removing from `{key: value, ...}` in a text, in the manner of what stands there already."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Entry", "add_entries", "drop_entry"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One `key: value`: where the key and the value stand, in characters."""

    key: str
    value: Any
    key_start: int
    key_end: int
    start: int
    end: int

    def line(self, text: str) -> int:
        """Line of the value, from 1."""
        return text.count("\n", 0, self.start) + 1


def add_entries(text: str, brace: int, entries: Sequence[Entry], new: Mapping[str, str]) -> str:
    """Return the text with `new` (spelled key to spelled value) after the last entry.

    Args:
        text: the whole text.
        brace: where the opening brace stands.
        entries: what the braces hold now.
        new: what to add; not empty.
    """
    if entries:
        last = entries[-1]
        before = entries[-2].end if len(entries) > 1 else brace + 1
        gap = re.search(r"\s*$", text[before : last.key_start])
        space = gap.group() if gap else ""
        if len(entries) == 1 and not space:
            space = " "
        colon = text[last.key_end : last.start]
        added = "".join(f",{space}{key}{colon}{value}" for key, value in new.items())
        return text[: last.end] + added + text[last.end :]
    closing = text.index("}", brace)
    line = text[text.rfind("\n", 0, brace) + 1 : brace]
    indent = line[: len(line) - len(line.lstrip())]
    newline = "\r\n" if "\r\n" in text else "\n"
    rows = f",{newline}".join(f"{indent}  {key}: {value}" for key, value in new.items())
    return f"{text[: brace + 1]}{newline}{rows}{newline}{indent}{text[closing:]}"


def drop_entry(text: str, entries: Sequence[Entry], index: int) -> str:
    """Return the text without the entry at `index`, its comma included."""
    if index + 1 < len(entries):
        return text[: entries[index].key_start] + text[entries[index + 1].key_start :]
    start = entries[index - 1].end if index else entries[index].key_start
    return text[:start] + text[entries[index].end :]
