"""Where hyperparameters live in the user's project: the contract of a file format, and what formats share.

A format finds the values in a text and renders the text with other values. Everything but the values that
change stays as it is, byte for byte; where that cannot be promised the file is refused, never guessed at.
Formats work on text and touch no file: `target_file` reads and writes.

    PythonTarget   a module of constants, or a dictionary constant in it   target_python.py
    JsonTarget     an object, at the top or under a dotted section         target_json.py
    TomlTarget     a table, comments kept                                  target_toml.py
    YamlTarget     a mapping, comments kept                                target_yaml.py
"""

import difflib
import io
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import ClassVar

from tuner.errors import ConfigError, RetrainError
from tuner.experiment import Params, Value

__all__ = ["Slot", "SlotTarget", "Target", "same_value", "splice", "unified_diff"]


@dataclass(frozen=True, slots=True)
class Slot:
    """Where one value stands: `text[start:end]` is its literal, on `line` (from 1)."""

    value: Value
    start: int
    end: int
    line: int


class Target(ABC):
    """One file format.

    Attributes:
        keeps_inactive: whether parameters that are not active keep their place in the file.
        has_null: whether None can be written; where not, it means that the name is absent.

    Args:
        file: the file's name, for messages.
        section: where in the file the hyperparameters stand; None for its top level.
        prefix: what the names of constants begin with. Only in a Python module.
    """

    keeps_inactive: ClassVar[bool] = False
    has_null: ClassVar[bool] = True

    def __init__(self, file: str, section: str | None = None, prefix: str = "") -> None:
        self.file = file
        self.section = section
        self.prefix = prefix

    def encoding(self, data: bytes) -> str:
        """Codec of the file's bytes; one that also reproduces a byte order mark."""
        return "utf-8-sig" if data.startswith(b"\xef\xbb\xbf") else "utf-8"

    def decode(self, data: bytes) -> str:
        """The text of the file, line ends as they are.

        Raises:
            ConfigError: the bytes are not in the encoding the file claims.
        """
        codec = self.encoding(data)
        try:
            text = data.decode(codec)
        except UnicodeDecodeError as error:
            raise self.refuse(f"must be {codec} text, but byte {error.start} is not") from error
        if text.encode(codec) != data:
            raise self.refuse(f"cannot be reproduced byte for byte from its encoding ({codec})")
        return text

    @abstractmethod
    def find(self, text: str, names: Collection[str]) -> dict[str, Value]:
        """Return the values of those `names` that the text holds.

        Raises:
            ConfigError: the text does not parse, or holds something other than one plain value for a name.
        """

    def render(self, text: str, params: Params, names: Collection[str]) -> str:
        """Return the text with `params` in it. A value that is already there keeps its spelling.

        Args:
            text: the present content.
            params: what it must hold.
            names: every name of the search space; those that are not in `params` are inactive.

        Raises:
            ConfigError: the text has no place for a parameter; lists all of them.
        """
        rendered = self._render(text, params, names)
        found = self.find(rendered, params.keys())
        wrong = [name for name, value in params.items() if not same_value(found.get(name), value)]
        if wrong:
            raise RetrainError(
                f"{self.file!r} would not read back what was written for {', '.join(map(repr, wrong))}; "
                "nothing was changed.",
                "Write these values by hand in their plainest form, then try again.",
            )
        return rendered

    @abstractmethod
    def _render(self, text: str, params: Params, names: Collection[str]) -> str: ...

    @abstractmethod
    def create(self, values: Params) -> str:
        """Return the text of a new file that holds `values`."""

    def refuse(self, why: str, remedy: str = "") -> ConfigError:
        """An error about this file; `why` continues the sentence that its name begins."""
        remedy = remedy or f"Mend {self.file}, or name another file as `target` under [deploy]."
        return ConfigError(f"The deploy target {self.file!r} {why}.", remedy)


class SlotTarget(Target):
    """A format in which every value has a place of its own, so that exactly this place can be replaced."""

    @abstractmethod
    def slots(self, text: str, names: Collection[str]) -> dict[str, Slot]:
        """Return the place of each of `names` that the text holds."""

    @abstractmethod
    def literal(self, value: Value, old: str) -> str:
        """Spell `value`, in the manner of the literal `old` where there is a choice."""

    @abstractmethod
    def add(self, text: str, params: Params) -> str:
        """Return the text with names it does not hold yet.

        Raises:
            ConfigError: names cannot be added to this file.
        """

    @abstractmethod
    def drop(self, text: str, names: Collection[str]) -> str:
        """Return the text without these names; unchanged where the format `keeps_inactive`."""

    def find(self, text: str, names: Collection[str]) -> dict[str, Value]:
        """Return the values at the slots."""
        return {name: slot.value for name, slot in self.slots(text, names).items()}

    def _render(self, text: str, params: Params, names: Collection[str]) -> str:
        slots = self.slots(text, [*params, *names])
        edits = []
        for name, value in params.items():
            slot = slots.get(name)
            if slot is not None and not same_value(slot.value, value):
                edits.append((slot.start, slot.end, self.literal(value, text[slot.start : slot.end])))
        inactive = [name for name in slots if name not in params]
        missing = {name: value for name, value in params.items() if name not in slots}
        text = splice(text, edits)
        if missing:
            text = self.add(text, missing)
        return self.drop(text, inactive) if inactive else text


def same_value(one: Value, other: Value) -> bool:
    """Whether two values are the same, type included: 1, 1.0 and True are three."""
    return type(one) is type(other) and one == other


def splice(text: str, edits: Iterable[tuple[int, int, str]]) -> str:
    """Replace every `text[start:end]` of the given (start, end, new) by `new`."""
    for start, end, new in sorted(edits, reverse=True):
        text = text[:start] + new + text[end:]
    return text


def unified_diff(old: bytes | None, new: bytes | None, name: str) -> str:
    """The change of one file as a unified diff; "" where there is none. None stands for no file."""
    before, after = (
        "/dev/null" if data is None else f"{side}/{name}" for side, data in (("a", old), ("b", new))
    )
    lines = difflib.unified_diff(_lines(old), _lines(new), before, after)
    return "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines
    )


def _lines(data: bytes | None) -> list[str]:
    return io.StringIO((data or b"").decode("utf-8", "backslashreplace"), newline="\n").readlines()
