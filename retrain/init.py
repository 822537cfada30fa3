"""`retrain init`: the files a new project starts with. Nothing that exists is ever overwritten."""

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from retrain.page import Page
from retrain.tables import render, to_json
from tuner.errors import UsageError, did_you_mean

__all__ = ["EXAMPLES", "Started", "init", "started_text"]

EXAMPLES = ("breast_cancer", "digits", "diabetes")
"""Projects on data that scikit-learn carries, ready to run."""

_CONFIGURATION = "retrain.toml"
_TARGET = "model.py"
_IGNORED = ("/experiments.db*", "/versions/")


@dataclass(frozen=True, slots=True)
class Started:
    """What `init` did: the files it wrote, those it added lines to, and the commands to go on with."""

    written: tuple[str, ...]
    extended: tuple[str, ...]
    next_commands: tuple[str, ...]


def init(folder: Path, example: str | None = None) -> Started:
    """Write `retrain.toml`, lines of `.gitignore` and, for an example, its deploy target into `folder`.

    Args:
        folder: where; it exists.
        example: one of `EXAMPLES`; a commented template for data of one's own when not given.

    Raises:
        UsageError: no such example, or a file to write exists already (all of them are named).
    """
    if example is not None and example not in EXAMPLES:
        raise UsageError(
            f"There is no example {example!r}.{did_you_mean(example, EXAMPLES)}",
            f"retrain init --example {'|'.join(EXAMPLES)}",
        )
    names = [_CONFIGURATION] if example is None else [_CONFIGURATION, _TARGET]
    existing = [name for name in names if (folder / name).exists() or (folder / name).is_symlink()]
    if existing:
        raise UsageError(
            f"`retrain init` overwrites nothing, but {' and '.join(existing)} already "
            f"{'exists' if len(existing) == 1 else 'exist'} in {folder.resolve()}.",
            "Run it in an empty folder, or move them away first.",
        )
    template = files("retrain.templates").joinpath(f"{example or 'own'}.toml").read_text("utf-8")
    _write_new(folder / _CONFIGURATION, template)
    if example is not None:
        _write_target(folder)
    ignore = folder / ".gitignore"
    is_new, missing = not ignore.exists(), _missing_lines(ignore)
    if missing:
        with ignore.open("a", encoding="utf-8") as file:
            file.write("\n".join(["", *missing, ""]).removeprefix("\n" if is_new else ""))
    return Started(
        written=(*names, ".gitignore") if is_new else tuple(names),
        extended=(".gitignore",) if missing and not is_new else (),
        next_commands=_next_commands(example),
    )


def _next_commands(example: str | None) -> tuple[str, ...]:
    if example is None:
        return ("retrain doctor", "orchestrator --method bayesian --configs 20", "orchestrator --summary")
    return (
        "orchestrator --method bayesian --configs 20",
        "orchestrator --summary",
        "retrain --apply-hp best --dry-run",
    )


def _write_new(path: Path, text: str) -> None:
    with path.open("x", encoding="utf-8") as file:  # "x": also where it came into being a moment ago
        file.write(text)


def _write_target(folder: Path) -> None:
    """Write the defaults as what is in production, in the form that apply keeps up."""
    from retrain.config import load_config
    from retrain.deploy.target_file import TargetFile

    config = load_config(folder / _CONFIGURATION, environ={})
    target = TargetFile.of(config)
    assert target is not None
    space = config.search_space()
    defaults = space.defaults()
    inactive = {name: each.default for name, each in space.params.items() if name not in defaults}
    _write_new(folder / _TARGET, target.rendered(None, defaults, inactive).decode())


def _missing_lines(ignore: Path) -> list[str]:
    lines = ignore.read_text("utf-8").splitlines() if ignore.exists() else []
    return [line for line in _IGNORED if line not in lines]


def started_text(started: Started, output: str = "table") -> str:
    """Return what was written and the commands to go on with."""
    match output:
        case "json":
            return to_json(
                {
                    "written": list(started.written),
                    "extended": list(started.extended),
                    "next": list(started.next_commands),
                }
            )
        case "csv":
            return render([{"file": name} for name in (*started.written, *started.extended)], ["file"], "csv")
    page = Page(output)
    page.lines("Written", ", ".join(started.written))
    page.lines("Lines added to", *started.extended)
    page.verbatim("Next", *started.next_commands)
    return page.text()
