"""Results that the registry would not take are kept beside it, and offered to it again at the next start.

One line of JSON for each, on the disk before anything else happens. A result is still its claim's: where that
claim is no longer the present one, its experiment has been run again or will be, and the result is dropped.
"""

import fcntl
import json
import math
import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import IO, Any

from tuner.errors import ClaimLostError, NotFoundError, StorageError
from tuner.experiment import Evaluation, Failure, Measurement, Outcome, Partial, Provenance
from tuner.registry.base import Claim, Registry

__all__ = ["Spill"]

Result = tuple[Claim, Evaluation | Failure | Partial]

_KINDS = {"evaluation": Evaluation, "failure": Failure, "partial": Partial}


class Spill:
    """The file of one registry, `<registry>.spill.jsonl`. It is there only while it holds something."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @staticmethod
    def of(db: str, root: Path) -> "Spill":
        """The one that belongs to a registry; in `root` where the registry is no file."""
        place = db.removeprefix("sqlite:///")
        return Spill(root / "registry.spill.jsonl" if "://" in place else Path(f"{place}.spill.jsonl"))

    def keep(self, results: Sequence[Result], provenance: Provenance) -> None:
        """Append results; they are on the disk when this returns.

        Raises:
            OSError: they could not be written; what was kept before is as it was.
        """
        lines = [json.dumps(_to_line(held, result, provenance)) for held, result in results]
        with self._locked(os.O_RDWR | os.O_CREAT) as file:
            size = file.seek(0, os.SEEK_END)
            try:
                # A first line of its own, so that one which a death tore off before does not spoil ours.
                file.write("".join(f"{line}\n" for line in (["", *lines] if size else lines)).encode())
                file.flush()
                os.fsync(file.fileno())
            except OSError:
                with suppress(OSError):
                    os.ftruncate(file.fileno(), size)
                    if not size:
                        self.path.unlink()
                raise
            _sync_folder(self.path)

    def bring_in(self, registry: Registry, tell: Callable[[str], None]) -> None:
        """Store what is kept where its claim is still the present one, say so, and remove it from the file.

        Results of another registry, as when the right one was moved away, stay until that is back. To be
        called before `Registry.recover`, which ends the claims of the dead.

        Raises:
            StorageError: the registry still refuses, or the file cannot be read or written; it stays.
        """
        try:
            with suppress(FileNotFoundError), self._locked(os.O_RDWR) as file:
                left = self._store(file.read(), registry, tell)
                self._leave(left)
        except OSError as error:
            raise StorageError(
                f"{self.path} holds results that the registry had refused, and cannot be read or written"
                f" ({error.strerror or error}).",
                "Make it a file that can be, or move it away to go on without these results.",
            ) from error

    def _store(self, content: bytes, registry: Registry, tell: Callable[[str], None]) -> list[bytes]:
        """Offer every line to the registry; returns those that belong to another one."""
        left: list[bytes] = []
        waiting: dict[Provenance, list[Result]] = defaultdict(list)
        for line in filter(bytes.strip, content.split(b"\n")):
            try:
                provenance, kept = _of_line(json.loads(line), registry)
            except NotFoundError:
                left.append(line)
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                tell(f"dropped a line of {self.path.name} that is not whole")
            else:
                waiting[provenance].append(kept)
        n_stored = 0
        for provenance, results in waiting.items():
            stored = registry.finish(results, provenance)
            for (held, result), experiment in zip(results, stored, strict=True):
                if isinstance(experiment, ClaimLostError):
                    tell(_dropped(held, result, experiment))
                else:
                    n_stored += 1
        if n_stored:
            tell(f"stored {_count(n_stored)} kept in {self.path.name}, which the registry had refused")
        if left:
            tell(f"left {_count(len(left))} in {self.path.name}: not of this registry")
        return left

    def _leave(self, lines: Sequence[bytes]) -> None:
        """Replace the file by one of these lines, at once; by none where there are none."""
        if not lines:
            self.path.unlink()
            return
        fresh = self.path.with_name(f".{self.path.name}.new")
        with fresh.open("wb") as file:
            file.write(b"".join(line + b"\n" for line in lines))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self.path)
        _sync_folder(self.path)

    @contextmanager
    def _locked(self, flags: int) -> Iterator[IO[bytes]]:
        """The file, opened, for us alone; another one that removes it meanwhile makes us open a new one.

        Raises:
            OSError: it is not there (FileNotFoundError), or is no file that can be read and written.
        """
        while True:
            # Not to wait for a writer, where it is a pipe.
            descriptor = os.open(self.path, flags | os.O_CLOEXEC | os.O_NONBLOCK, 0o644)
            with os.fdopen(descriptor, "r+b") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                if _is_at(descriptor, self.path):
                    yield file
                    return


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _sync_folder(path: Path) -> None:
    folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _to_line(held: Claim, result: Evaluation | Failure | Partial, provenance: Provenance) -> dict[str, Any]:
    return {
        "experiment": held.experiment.public_id,
        "attempt": held.attempt,
        "owner": held.owner,
        "provenance": asdict(provenance),
        next(kind for kind, made in _KINDS.items() if isinstance(result, made)): asdict(result),
    }


def _of_line(line: dict[str, Any], registry: Registry) -> tuple[Provenance, Result]:
    [kind] = _KINDS.keys() & line.keys()
    given = line[kind]
    given["measurements"] = tuple(
        Measurement(each["step"], each["metric"], _finite(each["value"])) for each in given["measurements"]
    )
    provenance = Provenance(**line["provenance"])
    if kind == "failure":
        given["outcome"] = Outcome(given["outcome"])
    else:
        given["metrics"] = {name: _finite(value) for name, value in given["metrics"].items()}
        given["value"] = _finite(given["value"])
    result: Evaluation | Failure | Partial = _KINDS[kind](**given)
    experiment = registry.get_experiment(line["experiment"])
    if experiment.public_id != line["experiment"]:
        raise NotFoundError(f"There is no experiment {line['experiment']}.")
    return provenance, (Claim(replace(experiment, attempt=line["attempt"]), line["owner"]), result)


def _finite(value: object) -> float:
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"A kept number must be finite, but got {value!r}.")
    return value


def _dropped(held: Claim, result: Evaluation | Failure | Partial, why: ClaimLostError) -> str:
    what = f"failure {result.message!r}" if isinstance(result, Failure) else f"value {result.value!r}"
    return f"dropped the {what} kept for {held.experiment.public_id}: fenced: {why}"


def _count(n: int) -> str:
    return f"{n} result{'' if n == 1 else 's'}"
