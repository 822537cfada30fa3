"""A report as titled sections: plain text for a terminal, headings for markdown."""

from dataclasses import dataclass, field
from typing import Any

from retrain.tables import printable, render

__all__ = ["Page"]


@dataclass
class Page:
    """Collects sections and joins them into one text.

    Attributes:
        output: "table" (for people) or "markdown".
        colour: whether titles are set in bold; only for a terminal that wants it.
    """

    output: str = "table"
    colour: bool = False
    parts: list[str] = field(default_factory=list)

    def lines(self, title: str, *lines: str) -> None:
        """Add a section of sentences. Without any, nothing is added."""
        if not lines:
            return
        shown = [printable(line) for line in lines]
        if self.output == "markdown":
            self.parts.append("\n".join([self._title(title), "", *(f"- {_escaped(line)}" for line in shown)]))
        else:
            self.parts.append("\n".join([self._title(title), *(f"  {line}" for line in shown)]))

    def table(
        self, title: str, rows: list[dict[str, Any]], columns: list[str], keys: tuple[str, ...] = ()
    ) -> None:
        """Add a section that is a table. Without rows, nothing is added."""
        if rows:
            between = "\n\n" if self.output == "markdown" else "\n"
            self.parts.append(self._title(title) + between + render(rows, columns, self.output, keys=keys))

    def command(self, title: str, command: str) -> None:
        """Add a command to copy."""
        shown = printable(command)
        if self.output == "markdown":
            self.parts.append(f"{self._title(title)}\n\n    {shown}")
        else:
            self.parts.append(f"{self._title(title)}\n  {shown}")

    def text(self) -> str:
        """The whole page."""
        return "\n\n".join(self.parts)

    def _title(self, title: str) -> str:
        shown = printable(title)
        if self.output == "markdown":
            return f"## {_escaped(shown)}"
        return f"\x1b[1m{shown}\x1b[0m" if self.colour else shown


def _escaped(text: str) -> str:
    for active in ("\\", "`", "*", "<", "["):
        text = text.replace(active, "\\" + active)
    return text
