"""Hyperparameters as keys of a TOML table, comments kept. TOML has no null: for None there is no key."""

from collections.abc import Collection, MutableMapping
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from retrain.deploy.target import Target, same_value
from tuner.errors import did_you_mean
from tuner.experiment import Params, Value

__all__ = ["TomlTarget"]


class TomlTarget(Target):
    """A TOML file. Keys of the space that are not active, or None, are removed; new ones are added."""

    has_null = False

    def find(self, text: str, names: Collection[str]) -> dict[str, Value]:
        """Return the values of the table's keys."""
        table = self._table(self._parse(text)).unwrap()
        found: dict[str, Value] = {}
        for name in names:
            if name not in table:
                continue
            if not isinstance(table[name], bool | int | float | str):
                kind = type(table[name]).__name__
                raise self.refuse(f"must hold one plain value for {name!r}, but holds a {kind}")
            found[name] = table[name]
        return found

    def _render(self, text: str, params: Params, names: Collection[str]) -> str:
        document = self._parse(text)
        table = self._table(document)
        found = self.find(text, [*params, *names])
        for name, value in params.items():
            if value is None or (name in found and same_value(found[name], value)):
                continue
            item = tomlkit.item(value)
            if name not in found and "\r\n" in text:
                item.trivia.trail = "\r\n"
            table[name] = item
        for name in found:
            if params.get(name) is None:
                del table[name]
        return tomlkit.dumps(document)

    def create(self, values: Params) -> str:
        """Return a table, inside its section."""
        document = tomlkit.document()
        table: MutableMapping[str, Any] = document
        for part in self.section.split(".") if self.section else ():
            table[part] = tomlkit.table()
            table = table[part]
        for name, value in values.items():
            if value is not None:
                table[name] = value
        return tomlkit.dumps(document)

    def _parse(self, text: str) -> tomlkit.TOMLDocument:
        try:
            document = tomlkit.parse(text)
        except (TOMLKitError, RecursionError) as error:
            raise self.refuse(f"is not TOML: {error}".rstrip(".")) from error
        if tomlkit.dumps(document) != text:
            raise self.refuse("cannot be reproduced byte for byte")
        return document

    def _table(self, document: tomlkit.TOMLDocument) -> Any:
        table: Any = document
        seen = ""
        for part in self.section.split(".") if self.section else ():
            seen = f"{seen}.{part}".lstrip(".")
            inner = table.get(part)
            if not isinstance(inner, MutableMapping):
                tables = [key for key, value in table.items() if isinstance(value, MutableMapping)]
                raise self.refuse(
                    f"has no table [{seen}].{did_you_mean(part, tables)}".rstrip("."),
                    "Mend `section` under [deploy], or add the table to the file.",
                )
            table = inner
        return table
