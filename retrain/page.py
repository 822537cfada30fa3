"""A report as titled sections: plain text for a terminal, headings for markdown."""

import textwrap
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from retrain.tables import printable, render, terminal_width

__all__ = ["Page", "hanging"]


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
        if self.output == "markdown":
            shown = [f"- {_escaped(printable(line).strip())}" for line in lines]
            self.parts.append("\n".join([self._title(title), "", *shown]))
        else:
            self.parts.append("\n".join([self._title(title), *_wrapped(lines)]))

    def table(
        self,
        title: str,
        rows: list[dict[str, Any]],
        columns: list[str],
        keys: tuple[str, ...] = (),
        digits: int = 5,
        note: str = "",
    ) -> None:
        """Add a table, as `retrain.tables.render` makes it, and a note under it. Without rows, nothing."""
        if rows:
            markdown = self.output == "markdown"
            between = "\n\n" if markdown else "\n"
            text = render(rows, columns, self.output, keys=keys, digits=digits)
            below = printable(note) if markdown or not note else "\n".join(hanging("", note))
            self.parts.append(self._title(title) + between + text + (between + below if note else ""))

    def verbatim(self, title: str, *lines: str) -> None:
        """Add a section of commands to copy, or of lines that must stay as they are."""
        if not lines:
            return
        markdown = self.output == "markdown"
        indent = "    " if markdown else "  "
        title_lines = [self._title(title), ""] if markdown else [self._title(title)]
        self.parts.append("\n".join([*title_lines, *(indent + printable(line) for line in lines)]))

    def diff(self, title: str, diff: str) -> None:
        """Add a unified diff, in colour where titles are bold."""
        if not self.colour:
            self.verbatim(title, *diff.splitlines())
            return
        codes = {"+": "32", "-": "31", "@": "36"}
        shown = [
            f"  \x1b[{codes[line[0]]}m{printable(line)}\x1b[0m"
            if line[:1] in codes
            else f"  {printable(line)}"
            for line in diff.splitlines()
        ]
        self.parts.append("\n".join([self._title(title), *shown]))

    def text(self) -> str:
        """The whole page."""
        return "\n\n".join(self.parts)

    def _title(self, title: str) -> str:
        shown = printable(title)
        if self.output == "markdown":
            return f"## {_escaped(shown)}"
        return f"\x1b[1m{shown}\x1b[0m" if self.colour else shown


def hanging(head: str, text: str, indent: int | None = None) -> list[str]:
    """Lines of `head` and `text`, wrapped at the terminal's width; further lines start below the text."""
    return textwrap.wrap(
        printable(text),
        terminal_width(),
        initial_indent=head,
        subsequent_indent=" " * (len(head) if indent is None else indent),
        break_long_words=False,
        break_on_hyphens=False,
    ) or [head.rstrip()]


def _wrapped(lines: Iterable[str]) -> Iterable[str]:
    """Lines indented by two and wrapped at the terminal's width; what follows a break hangs a bit deeper."""
    for line in lines:
        indent = "  " + " " * (len(line) - len(line.lstrip()))
        yield from hanging(indent, line.strip(), len(indent) + 2)


def _escaped(text: str) -> str:
    for active in ("\\", "`", "*", "<", "["):
        text = text.replace(active, "\\" + active)
    return text
