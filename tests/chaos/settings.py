"""What one chaos run is told."""

from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Settings"]


@dataclass(frozen=True)
class Settings:
    """A run in `folder`: how much work, how much harm.

    Attributes:
        kills: SIGKILLs of orchestrators; one pause (SIGSTOP, later SIGCONT) is added for every three.
        n_hosts: among how many hosts the orchestrators pretend to be spread. Those of one host see each other
            die by the kernel's lock; the others go by the lease.
        lease_s: seconds without a heartbeat after which an owner on another host counts as dead.
        engine: "bundled" (the `pysqlite3` wheel where installed) or "python" (the standard library's SQLite).
        mutant: name of the defect to build in, or None.
        points: where orchestrators strike themselves: point -> "stop" (the first one) or "kill" (the second).
        patience_s: a run that takes longer is a violation.
    """

    folder: Path
    seed: int = 0
    experiments: int = 300
    kills: int = 50
    orchestrators: int = 3
    n_hosts: int = 2
    lease_s: float = 0.5
    engine: str = "bundled"
    mutant: str | None = None
    points: dict[str, str] = field(default_factory=dict)
    patience_s: float = 600.0

    @property
    def pauses(self) -> int:
        """A quarter of all strikes."""
        return round(self.kills / 3)

    @property
    def database(self) -> Path:
        return self.folder / "store" / "experiments.db"

    @property
    def logs(self) -> Path:
        return self.folder / "logs"
