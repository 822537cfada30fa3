"""What is there after a death, and whether the next start can go on from it."""

from contextlib import closing
from pathlib import Path
from typing import Any

from tests.contracts.registry_cases import ON, SPEC, some
from tests.tuner.registry.crash.scenes import RESULT, Operation, open_in
from tests.tuner.registry.reading import broken
from tuner.experiment import State
from tuner.registry import Registry
from tuner.registry.engine import connect
from tuner.registry.schema import SCHEMA_VERSION

__all__ = ["look_after"]

_UNFINISHED = (State.WAITING, State.RUNNING)


def look_after(operation: Operation, folder: Path) -> dict[str, Any]:
    """Look at what is there, then start again and come to the end: what was seen, and what was wrong."""
    path = folder / "experiments.db"
    content = {file.name: _content(file) for file in [path, *(folder / name for name in operation.leaves)]}
    problems = _problems_of(path)
    problems += [f"{name}: {each}" for name in operation.leaves for each in _problems_of(folder / name)]

    finished = _finished(path)
    with open_in(folder) as registry:
        again = {name for name in operation.leaves if not (folder / name).exists()}
        _run_to_the_end(registry)
        if again and operation.act is not None:
            operation.act(registry, registry.open_study(SPEC), [])
        counts = [registry.counts(study) for study in registry.studies()]
    left = sum(count[state] for count in counts for state in _UNFINISHED)
    problems += [f"I1 {left} are not finished"] if left else []
    problems += _problems_of(path)
    if not finished.items() <= _finished(path).items():
        problems.append("I2 what was finished has changed")
    names = {entry.name for entry in folder.iterdir()}
    if names != {path.name, *operation.leaves}:
        problems.append(f"I14 beside the database: {sorted(names)}")
    return {"content": content, "problems": problems}


def _run_to_the_end(registry: Registry) -> None:
    registry.recover()
    registry.add(registry.open_study(SPEC), some(1, first=100))
    for study in registry.studies():
        while claims := registry.claim(study, 3):
            registry.finish([(claim, RESULT) for claim in claims], ON)


def _problems_of(path: Path) -> list[str]:
    if not path.exists():
        return []
    with closing(connect(path, "rw")) as raw:
        if raw.execute("PRAGMA user_version").fetchone()[0] != SCHEMA_VERSION:
            return [f"integrity: {row}" for row in raw.execute("PRAGMA integrity_check") if row[0] != "ok"]
    return [f"{rule} {', '.join(examples)}" for rule, examples in broken(path).items()]


def _finished(path: Path) -> dict[int, str]:
    """Every finished experiment, by id."""
    if not path.exists():
        return {}
    with closing(connect(path, "rw")) as raw:
        if not raw.execute("SELECT 1 FROM sqlite_schema WHERE name = 'experiments'").fetchone():
            return {}
        rows = raw.execute("SELECT * FROM experiments WHERE finished_at IS NOT NULL").fetchall()
    return {row[0]: repr(row[:29]) for row in rows}


def _content(path: Path) -> list[str] | None:
    """Everything in a file as another process sees it, but for process ids and the boot clock."""
    if not path.exists():
        return None
    with closing(connect(path, "rw")) as raw:
        [[version]] = raw.execute("PRAGMA user_version").fetchall()
        tables = [
            name
            for (name,) in raw.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
        ]
        lines = [str(version)]
        for table in tables:
            cursor = raw.execute(f"SELECT * FROM {table}")
            hidden = [column[0] in ("pid", "heartbeat_boot_s") for column in cursor.description]
            lines += [
                f"{table} {[value for value, hide in zip(row, hidden, strict=True) if not hide]}"
                for row in cursor
            ]
        return lines
