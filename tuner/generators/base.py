"""The contract of every generator: `ask(n)` for suggestions, `tell(finished, pending)` what happened.

A generator is handed data, never a registry. It is a pure function of (space, seed, history): the i-th
suggestion of a study draws from a random stream of its own, seeded by `(seed, i)`, so that a resumed study
goes on exactly as an uninterrupted one would.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import ClassVar

import numpy as np

from tuner.errors import UsageError
from tuner.experiment import Direction, Observation, Params, Suggestion
from tuner.goals import NO_GOALS, Goals
from tuner.space import SearchSpace

__all__ = ["Generator"]


class Generator(ABC):
    """Proposes configurations.

    Args:
        space: where to search.
        seed: any integer >= 0; the same seed and history give the same suggestions in every process.
        direction: whether smaller or larger values are better.
        baseline: the configuration now in use; `space.defaults()` when not given. Local methods start there.
        n_asked: number of suggestions made before in this study, for a generator that resumes.
        goals: further objectives, and limits on metrics. Methods that do not learn have no use for them.

    Raises:
        UsageError: it learns, but not what the `goals` ask for; or a package that it `needs` cannot be
            imported.
        ParamsError: `baseline` is not in the space.
    """

    method: ClassVar[str]
    """The name under which users ask for it, and which its suggestions carry."""

    needs: ClassVar[tuple[str, ...]] = ()
    """Packages that must be importable for it, beyond those that every installation has."""

    takes_goals: ClassVar[bool] = True
    """Whether it may serve a study with goals: False for one that would learn past them."""

    def __init__(
        self,
        space: SearchSpace,
        *,
        seed: int = 0,
        direction: Direction | str = Direction.MINIMIZE,
        baseline: Params | None = None,
        n_asked: int = 0,
        goals: Goals = NO_GOALS,
    ) -> None:
        if goals and not self.takes_goals:
            raise UsageError(
                f"The method {self.method} learns from one metric alone, but the study has further objectives"
                " or limits on metrics.",
                "Use bayesian or tpe, or one that does not learn: random, sobol, lhs, grid.",
            )
        for package in self.needs:
            _check_importable(self.method, package)
        self.space = space
        self.seed = seed
        self.direction = Direction(direction)
        self.baseline: Params = space.validate(baseline) if baseline is not None else space.defaults()
        self.n_asked = n_asked
        self.goals = goals

    @abstractmethod
    def ask(self, n: int = 1) -> list[Suggestion]:
        """Return up to `n` distinct suggestions, distinct also from all finished and pending configurations.

        Fewer than `n`, down to none, means that the space (or the design) is exhausted. Each one is valid in
        the space and holds plain Python values only. What was asked counts as pending until it is told.

        Raises:
            UsageError: `n` is not a positive integer.
        """

    @abstractmethod
    def tell(self, finished: Iterable[Observation], pending: Sequence[Params] = ()) -> None:
        """Add finished observations, and replace what is known to be pending.

        The order of observations does not matter; configurations that were never asked are welcome; one that
        the space does not hold is ignored (it may stem from an older space). A failed one has `value=None`.

        Args:
            finished: observations not told before.
            pending: every configuration waiting or running elsewhere now. Those asked and not yet told may be
                left out.

        Raises:
            UsageError: one of the two is no such list. Nothing was added.
        """

    def default_n(self) -> int:
        """How many suggestions to ask for when nobody names a number."""
        return 20

    def rng(self) -> np.random.Generator:
        """The random stream of the next suggestion. Advance `n_asked` once a suggestion is made."""
        return np.random.default_rng([self.seed, self.n_asked])


def _check_importable(method: str, package: str) -> None:
    try:
        import_module(package)
    except ImportError as error:  # not installed, or in parts only
        raise UsageError(
            f"The method {method} needs {package}, which cannot be imported: {error}.",
            f"pip install {package}",
        ) from None
