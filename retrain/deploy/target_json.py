"""Hyperparameters as members of a JSON object, at the top of the file or under a dotted section."""

import json
from collections.abc import Collection
from dataclasses import dataclass
from json import JSONDecodeError, JSONDecoder

from retrain.deploy.flow import Entry, add_entries, drop_entry
from retrain.deploy.target import Slot, SlotTarget
from tuner.errors import did_you_mean
from tuner.experiment import Params, Value

__all__ = ["JsonTarget"]

_SPACE = " \t\r\n"


@dataclass(frozen=True, slots=True)
class _Object:
    """An object in the text: where its brace opens, and its members."""

    start: int
    members: list[Entry]


class JsonTarget(SlotTarget):
    """A JSON file. Members of the space that are not active are removed, new ones are added at the end."""

    def slots(self, text: str, names: Collection[str]) -> dict[str, Slot]:
        """Return the place of each member's value."""
        slots: dict[str, Slot] = {}
        for member in self._object(text).members:
            if member.key not in names:
                continue
            line = member.line(text)
            if member.key in slots:
                raise self.refuse(f"must hold {member.key!r} once, but has it again on line {line}")
            if not (member.value is None or isinstance(member.value, bool | int | float | str)):
                raise self.refuse(f"must hold one plain value for {member.key!r}, but line {line} does not")
            slots[member.key] = Slot(member.value, member.start, member.end, line)
        return slots

    def literal(self, value: Value, old: str) -> str:  # noqa: ARG002 - JSON leaves no choice of manner
        """Spell a JSON scalar."""
        return json.dumps(value)

    def add(self, text: str, params: Params) -> str:
        """Return the text with new members at the end of the object."""
        found = self._object(text)
        literals = {json.dumps(name): self.literal(value, "") for name, value in params.items()}
        return add_entries(text, found.start, found.members, literals)

    def drop(self, text: str, names: Collection[str]) -> str:
        """Return the text without these members and their commas."""
        for name in names:
            members = self._object(text).members
            index = next(i for i, member in enumerate(members) if member.key == name)
            text = drop_entry(text, members, index)
        return text

    def create(self, values: Params) -> str:
        """Return an indented object, inside its section."""
        document: object = dict(values)
        for part in reversed(self.section.split(".") if self.section else []):
            document = {part: document}
        return json.dumps(document, indent=2) + "\n"

    def _object(self, text: str) -> _Object:
        """The object that holds the hyperparameters.

        Raises:
            ConfigError: no JSON, or there is no such section.
        """
        try:
            document = json.loads(text)
            found = _scan(text, _skip(text, 0)) if isinstance(document, dict) else None
            if found is None:
                raise self.refuse("must be a JSON object")
            seen = ""
            for part in self.section.split(".") if self.section else ():
                seen = f"{seen}.{part}".lstrip(".")
                inner = [member for member in found.members if member.key == part]
                if len(inner) != 1 or not isinstance(inner[0].value, dict):
                    objects = [member.key for member in found.members if isinstance(member.value, dict)]
                    raise self.refuse(
                        f"has no single object {seen!r}.{did_you_mean(part, objects)}".rstrip("."),
                        "Mend `section` under [deploy], or add the object to the file.",
                    )
                found = _scan(text, inner[0].start)
        except JSONDecodeError as error:
            where = f"line {error.lineno}, column {error.colno}"
            raise self.refuse(f"is not JSON: {error.msg} at {where}") from error
        except RecursionError as error:
            raise self.refuse("is nested too deeply") from error
        return found


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in _SPACE:
        at += 1
    return at


def _scan(text: str, start: int) -> _Object:
    """The members of the object whose brace opens at `start`, in a text that is known to be valid JSON."""
    members: list[Entry] = []
    at = _skip(text, start + 1)
    while text[at] != "}":
        key_start = at
        key, key_end = JSONDecoder().raw_decode(text, key_start)
        value_start = _skip(text, _skip(text, key_end) + 1)
        value, value_end = JSONDecoder().raw_decode(text, value_start)
        members.append(Entry(key, value, key_start, key_end, value_start, value_end))
        at = _skip(text, value_end)
        if text[at] == ",":
            at = _skip(text, at + 1)
    return _Object(start, members)
