"""The user's own files that a Python file is made of: itself, and what it imports from the same project.

The files are read, not run: what a function imports only when it is called counts as well, and every process
finds the same ones, whatever it has imported so far.
"""

import ast
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

__all__ = ["imported_files", "sources_digest"]

_OURS = ("retrain", "tuner", "orchestrator")
_INSTALLED = ("site-packages", "dist-packages")


def sources_digest(file: Path, root: Path, contents: Mapping[Path, bytes] | None = None) -> str:
    """Return a hash (hex) of a file and of the files under `root` that it imports.

    Args:
        file: read and parsed, never run.
        root: folder of the project.
        contents: what counts as the content of some files, by their resolved paths.

    Raises:
        OSError: the file itself cannot be read.
    """
    known = contents or {}

    def content(path: Path) -> bytes:
        return known[path] if path in known else path.read_bytes()

    digest = hashlib.sha256(content(file.resolve()))
    for path in imported_files(file, root):
        digest.update(f"\0{path.relative_to(root.resolve())}\0".encode() + content(path))
    return digest.hexdigest()


def imported_files(file: Path, root: Path) -> list[Path]:
    """The files under `root` that a file imports, directly or by way of others, by their relative path.

    Modules are looked for in `root` and beside the file, which is where Python finds the user's own.
    """
    file, root = file.resolve(), root.resolve()
    folders = list(dict.fromkeys((root, file.parent)))
    found: set[Path] = set()
    waiting = [file]
    while waiting:
        for path in _imports(waiting.pop(), folders):
            known = path in found or path == file
            if not known and path.is_relative_to(root) and not set(path.parts) & {*_INSTALLED}:
                found.add(path)
                waiting.append(path)
    return sorted(found)


def _imports(file: Path, folders: Sequence[Path]) -> Iterable[Path]:
    """The files that one file imports; none where it does not parse, which running it will say."""
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _files(alias.name.split("."), folders)
        elif isinstance(node, ast.ImportFrom):
            words = node.module.split(".") if node.module else []
            start = [file.parents[node.level - 1]] if 0 < node.level <= len(file.parents) else folders
            for alias in node.names:  # each may be a module of the package, or a name in it
                yield from _files([*words, alias.name], start)


def _files(words: Sequence[str], folders: Sequence[Path]) -> Iterable[Path]:
    """Every file that importing `a.b.c` runs: the packages on the way, and the module."""
    if words[0] in _OURS:
        return
    for folder in folders:
        place = folder
        for word in words:
            place = place / word
            for path in (place / "__init__.py", place.with_name(f"{word}.py")):
                if path.is_file():
                    yield path.resolve()
