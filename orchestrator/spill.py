"""Results that the registry would not take are kept beside it, and offered to it again at the next start.

One line of JSON for each, on the disk before anything else happens. A result is still its claim's: where that
claim is no longer the present one, its experiment has been run again or will be, and the result is dropped.
"""

import fcntl
import json
import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import IO, Any

from tuner.errors import ClaimLostError, NotFoundError
from tuner.experiment import Evaluation, Failure, Measurement, Outcome, Provenance
from tuner.registry.base import Claim, Registry

__all__ = ["Spill"]

Result = tuple[Claim, Evaluation | Failure]


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
            OSError: they could not be written.
        """
        lines = [_to_line(held, result, provenance) for held, result in results]
        with self._locked("a") as file:
            file.write("".join(f"{json.dumps(line)}\n" for line in lines))
            file.flush()
            os.fsync(file.fileno())
            folder = os.open(self.path.parent, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def bring_in(self, registry: Registry, tell: Callable[[str], None]) -> None:
        """Store what is kept where its claim is still the present one, say so, and remove the file.

        To be called before `Registry.recover`, which ends the claims of the dead.

        Raises:
            StorageError: the registry still refuses; the file stays.
        """
        if not self.path.exists():
            return
        with self._locked("r+") as file:
            waiting: dict[Provenance, list[Result]] = defaultdict(list)
            for line in file:
                try:
                    entry = json.loads(line)
                    provenance, kept = _of_line(entry, registry)
                except (ValueError, KeyError, TypeError):
                    tell(f"dropped a line of {self.path.name} that is not whole")
                except NotFoundError:
                    tell(_dropped(entry, "it is not in this registry"))
                else:
                    waiting[provenance].append(kept)
            n_stored = 0
            for provenance, results in waiting.items():
                stored = registry.finish(results, provenance)
                for (held, result), experiment in zip(results, stored, strict=True):
                    if isinstance(experiment, ClaimLostError):
                        tell(_dropped(_to_line(held, result, provenance), f"fenced: {experiment}"))
                    else:
                        n_stored += 1
            if n_stored:
                many = "result" if n_stored == 1 else "results"
                tell(f"stored {n_stored} {many} kept in {self.path.name}, which the registry had refused")
            self.path.unlink()

    @contextmanager
    def _locked(self, mode: str) -> Iterator[IO[str]]:
        """The file, opened, for us alone; another one that removes it meanwhile makes us open a new one."""
        while True:
            with self.path.open(mode, encoding="utf-8") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                if self.path.exists() and os.path.samestat(os.fstat(file.fileno()), self.path.stat()):
                    yield file
                    return


def _to_line(held: Claim, result: Evaluation | Failure, provenance: Provenance) -> dict[str, Any]:
    return {
        "experiment": held.experiment.public_id,
        "attempt": held.attempt,
        "owner": held.owner,
        "provenance": asdict(provenance),
        "evaluation" if isinstance(result, Evaluation) else "failure": asdict(result),
    }


def _of_line(line: dict[str, Any], registry: Registry) -> tuple[Provenance, Result]:
    kind, given = (Evaluation, line["evaluation"]) if "evaluation" in line else (Failure, line["failure"])
    given["measurements"] = tuple(Measurement(**each) for each in given["measurements"])
    if kind is Failure:
        given["outcome"] = Outcome(given["outcome"])
    provenance, result = Provenance(**line["provenance"]), kind(**given)
    experiment = registry.get_experiment(line["experiment"])
    if experiment.public_id != line["experiment"]:
        raise NotFoundError(f"There is no experiment {line['experiment']}.")
    return provenance, (Claim(replace(experiment, attempt=line["attempt"]), line["owner"]), result)


def _dropped(line: dict[str, Any], why: str) -> str:
    evaluation = line.get("evaluation")
    what = f"value {evaluation['value']!r}" if evaluation else f"failure {line['failure']['message']!r}"
    return f"dropped the {what} kept for {line['experiment']}: {why}"
