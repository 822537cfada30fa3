"""Hyperparameters as keys of a YAML mapping. ruamel.yaml says where each value stands; only that changes."""

import json
import re
from collections.abc import Collection
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode

from retrain.deploy.flow import Entry, add_entries, drop_entry
from retrain.deploy.target import Slot, SlotTarget
from tuner.errors import did_you_mean
from tuner.experiment import Params, Value

__all__ = ["YamlTarget"]

# Words that YAML 1.1 or 1.2 reads as something else than a string.
_NOT_STRINGS = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}


class YamlTarget(SlotTarget):
    """A YAML file of one document. Keys of the space that are not active are removed, new ones are added."""

    def slots(self, text: str, names: Collection[str]) -> dict[str, Slot]:
        """Return the place of each key's value."""
        slots: dict[str, Slot] = {}
        for entry, node in self._entries(text):
            if entry.key not in names:
                continue
            line = entry.line(text)
            shared = node.anchor is not None or entry.start < entry.key_end
            if shared or text.startswith(("!", "&"), entry.start):
                raise self.refuse(
                    f"must hold the value of {entry.key!r} itself, without anchor, alias or tag (line {line})"
                )
            if not (entry.value is None or isinstance(entry.value, bool | int | float | str)):
                raise self.refuse(f"must hold one plain value for {entry.key!r}, but line {line} does not")
            slots[entry.key] = Slot(entry.value, entry.start, entry.end, line)
        return slots

    def literal(self, value: Value, old: str) -> str:
        """Spell a YAML scalar, in the manner that is in use."""
        gap = "" if old else " "  # an empty value stands right behind its colon
        if not isinstance(value, str):
            return gap + _spell(value)
        plain = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*", value) and value.lower() not in _NOT_STRINGS
        if plain and not old.startswith(('"', "'")):
            return gap + value
        if plain and old.startswith("'"):
            return f"'{value}'"
        return gap + '"' + "".join(map(_escaped, value)) + '"'

    def add(self, text: str, params: Params) -> str:
        """Return the text with new keys after the last one."""
        node = self._mapping(text)
        entries = [entry for entry, _ in self._entries(text)]
        spelled = {self.literal(name, " "): self.literal(value, " ") for name, value in params.items()}
        if node.flow_style:
            return add_entries(text, node.start_mark.index, entries, spelled)
        single = [entry for entry in entries if "\n" not in text[entry.key_start : entry.end]]
        if not single:
            raise self.refuse(f"has no line after which to add {', '.join(params)}", "Add them by hand.")
        newline = "\r\n" if "\r\n" in text else "\n"
        end = text.find("\n", single[-1].end)
        at = len(text) if end < 0 else end + 1
        indent = text[text.rfind("\n", 0, single[-1].key_start) + 1 : single[-1].key_start]
        rows = "".join(f"{indent}{key}: {value}{newline}" for key, value in spelled.items())
        return text[:at] + (newline if end < 0 else "") + rows + text[at:]

    def drop(self, text: str, names: Collection[str]) -> str:
        """Return the text without these keys."""
        for name in names:
            entries = [entry for entry, _ in self._entries(text)]
            index = next(i for i, entry in enumerate(entries) if entry.key == name)
            entry = entries[index]
            if self._mapping(text).flow_style:
                text = drop_entry(text, entries, index)
                continue
            start, end = text.rfind("\n", 0, entry.key_start) + 1, text.find("\n", entry.end)
            if text[start : entry.key_start].strip() or "\n" in text[entry.key_start : entry.end]:
                raise self.refuse(f"has {name!r} in a form that cannot be removed", "Remove it by hand.")
            text = text[:start] + ("" if end < 0 else text[end + 1 :])
        return text

    def create(self, values: Params) -> str:
        """Return a block mapping, inside its section."""
        parts = self.section.split(".") if self.section else []
        heads = "".join(f"{'  ' * depth}{part}:\n" for depth, part in enumerate(parts))
        indent = "  " * len(parts)
        spelled = ((self.literal(name, " "), self.literal(value, " ")) for name, value in values.items())
        return heads + "".join(f"{indent}{name}: {value}\n" for name, value in spelled)

    def _entries(self, text: str) -> list[tuple[Entry, Node]]:
        """The entries of the mapping that holds the hyperparameters, in the order of the file."""
        mapping = self._mapping(text)
        values: Any = self._load(text)
        for part in self.section.split(".") if self.section else ():
            values = values[part]
        entries = []
        for key, node in mapping.value:
            if not isinstance(key, ScalarNode) or key.value not in values:
                continue
            start, end = node.start_mark.index, node.end_mark.index
            if start == end:  # nothing is written there, and ruamel's mark is at whatever comes next
                colon = re.compile(r"[ \t]*:").match(text, key.end_mark.index)
                start = end = colon.end() if colon else key.start_mark.index
            spans = (key.start_mark.index, key.end_mark.index, start, end)
            entries.append((Entry(key.value, values[key.value], *spans), node))
        return entries

    def _mapping(self, text: str) -> MappingNode:
        self._load(text)  # explains whatever is no YAML
        node = _yaml().compose(text)
        if not isinstance(node, MappingNode):
            raise self.refuse("must be a YAML mapping")
        seen = ""
        for part in self.section.split(".") if self.section else ():
            seen = f"{seen}.{part}".lstrip(".")
            inner = {key.value: value for key, value in node.value if isinstance(value, MappingNode)}
            if part not in inner:
                raise self.refuse(
                    f"has no mapping {seen!r}.{did_you_mean(part, inner)}".rstrip("."),
                    "Mend `section` under [deploy], or add the mapping to the file.",
                )
            node = inner[part]
        return node

    def _load(self, text: str) -> Any:
        try:
            return _yaml().load(text)
        except (YAMLError, RecursionError, ValueError) as error:
            problem = getattr(error, "problem", None) or str(error).split("\n", 1)[0]
            mark = getattr(error, "problem_mark", None)
            where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
            raise self.refuse(f"is not one YAML document: {problem}{where}") from error


def _yaml() -> YAML:
    return YAML(typ="safe", pure=True)


def _spell(value: float | int | bool | None) -> str:
    """A value as every YAML reader takes it: readers of YAML 1.1 want a point in a float with an exponent."""
    spelled = json.dumps(value)
    if isinstance(value, float) and "e" in spelled and "." not in spelled:
        spelled = spelled.replace("e", ".0e")
    return spelled


def _escaped(character: str) -> str:
    """A character between double quotes. Unlike JSON, YAML has no surrogate pairs."""
    code = ord(character)
    if character in '"\\':
        return f"\\{character}"
    if " " <= character <= "~":
        return character
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
