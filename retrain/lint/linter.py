"""What a few evaluations of a pipeline say against its scores.

The defaults are scored twice in this process and once in a fresh one: a score that differs at a fixed seed is
noise that nobody sees. Then each parameter alone is moved far, and where the score stays the same to the last
digit, moved twice more: one that changes nothing is searched for nothing, or its name is misspelt somewhere.
"""

import time
from collections.abc import Callable, Generator, Iterable

from retrain.config import Config
from retrain.doctor import Finding, Verdict
from retrain.lint.fresh import score_in_fresh_process
from retrain.lint.probe import Probe, Score
from retrain.lint.results import about_result
from retrain.lint.variations import active_in, others
from retrain.pipeline import Pipeline
from retrain.pipelines import ObjectivePipeline, load_pipeline
from tuner.experiment import Params
from tuner.space import config_key

__all__ = ["lint"]

_UNKNOWN = "retrain_lint_unknown"
_LAST_DIGITS = 1e-9


def lint(
    config: Config,
    *,
    runs: int | None = None,
    timeout_s: float | None = None,
    tell: Callable[[str], None] = lambda _: None,
    clock: Callable[[], float] = time.monotonic,
) -> list[Finding]:
    """Look at the pipeline of a configuration. Writes nothing.

    Args:
        config: names it; the study's seed is that of all evaluations.
        runs: at most so many evaluations.
        timeout_s: none is started that would end later, as far as can be foreseen.
        tell: hears of each evaluation.
        clock: seconds, rising.

    Raises:
        RetrainError: the pipeline cannot be built, or its data not be read.
    """
    pipeline = load_pipeline(config)
    pipeline.use(pipeline.load())
    probe = Probe(pipeline, config.study.seed, runs=runs, timeout_s=timeout_s, tell=tell, clock=clock)
    return _Linter(config, pipeline, probe).findings()


class _Linter:
    """One look at one pipeline."""

    def __init__(self, config: Config, pipeline: Pipeline, probe: Probe) -> None:
        self.config, self.pipeline, self.probe = config, pipeline, probe
        self.scores: dict[str, Score] = {}

    def findings(self) -> list[Finding]:
        base = self.pipeline.space.defaults()
        first = self._score("the defaults", base)
        assert first is not None, "the budget is one run at least"
        if first.failure is not None:
            return [
                Finding(
                    "defaults",
                    Verdict.PROBLEM,
                    f"they cannot be scored: {first.failure.message}",
                    "Mend the pipeline, or the defaults in [space.params].",
                )
            ]
        found = list(about_result(self.pipeline, first))
        is_steady, steadiness = self._same_seed(base, first)
        found += steadiness
        found += self._other_seed(base, first)
        if is_steady:
            found += self._parameters()
        if self.probe.refused:
            found.append(
                Finding(
                    "budget",
                    Verdict.WARNING,
                    f"it ended after {self.probe.n_runs} evaluations: not everything was looked at",
                    "retrain lint --timeout 1h",
                )
            )
        return found

    def _score(self, what: str, params: Params) -> Score | None:
        """Score a configuration once; None where the budget is over."""
        key = config_key(params)
        if key not in self.scores:
            found = self.probe.run(what, params)
            if found is None:
                return None
            self.scores[key] = found
        return self.scores[key]

    # ---- seeds

    def _same_seed(self, base: Params, first: Score) -> tuple[bool, Iterable[Finding]]:
        """Whether the defaults keep their score, and what is to be said of it."""
        again = self.probe.run("the defaults again", base)
        if again is not None and not again.equals(first):
            return self._differs(
                first, again, "again in the same process", "what is left of the run before it"
            )
        seed, left_s = self.probe.seed, self.probe.left_s
        fresh = self.probe.count(
            "the defaults in a fresh process",
            lambda: score_in_fresh_process(self.config, base, seed, left_s),
        )
        if fresh is not None and not fresh.equals(first):
            return self._differs(
                first, fresh, "in a fresh process", "the order of a set, which each process draws"
            )
        if again is None or fresh is None:
            return True, []
        return True, [Finding("same seed", Verdict.OK, "the defaults score the same, in a fresh process too")]

    def _differs(self, first: Score, other: Score, where: str, cause: str) -> tuple[bool, Iterable[Finding]]:
        if other.failure is not None or other.value is None or first.value is None:
            why = "" if other.failure is None else f": {other.failure.message}"
            what = f"the defaults cannot be scored {where}{why}"
            return False, [Finding("same seed", Verdict.PROBLEM, what, f"Look for {cause}, and for files.")]
        gap = abs(other.value - first.value)
        if gap <= _LAST_DIGITS * max(1.0, abs(first.value)):
            what = f"the last digits differ {where}, as where numbers are added up in another order"
            return False, [Finding("same seed", Verdict.OK, what)]
        return False, [
            Finding(
                "same seed",
                Verdict.WARNING,
                f"{self.pipeline.metric} is {first.value:.6g}, and {where} {other.value:.6g}, with the same "
                "parameters and seed; so nobody can see whether a parameter changes anything",
                f"Give every random generator a seed, and look for {cause}.",
            )
        ]

    def _other_seed(self, base: Params, first: Score) -> Iterable[Finding]:
        """Confirmed scores are repeats with other seeds, which must be other folds."""
        if isinstance(self.pipeline, ObjectivePipeline) and not self.pipeline.splits_follow_seed:
            what = "the function takes none, so that repeats of it confirm nothing"
            remedy = "Give it an argument `seed`, and draw the folds from it."
            yield Finding("other seed", Verdict.OK, what, remedy)
            return
        if not self.pipeline.splits_follow_seed:
            return  # of time there is one order
        other = self.probe.run("the defaults with another seed", base, seed=self.probe.seed + 1)
        if other is not None and other.equals(first):
            yield Finding(
                "other seed",
                Verdict.WARNING,
                "another seed gives the same score, so that repeats confirm nothing",
                "Draw folds from the seed: the argument `seed`, or RETRAIN_SEED of a program.",
            )

    # ---- parameters

    def _parameters(self) -> Iterable[Finding]:
        space = self.pipeline.space
        waiting: dict[str, tuple[Params, list[Params]]] = {}
        for name in space.names:
            base = active_in(space, name)
            if base is not None and (found := list(others(space, base, name))):
                waiting[name] = (base, found)
        same: dict[str, list[Params]] = {name: [] for name in waiting}
        for turn in range(max((len(found) for _, found in waiting.values()), default=0)):
            for name in list(same):
                base, found = waiting[name]
                if turn >= len(found) or len(same[name]) < turn:
                    continue
                verdict = yield from self._turn(name, base, found[turn])
                if verdict is None:
                    continue  # the budget is over
                if verdict:
                    same[name].append(found[turn])
                else:
                    del same[name]
        settled = {
            name: tried for name, tried in same.items() if tried and len(tried) == len(waiting[name][1])
        }
        yield from self._of_no_effect(settled, n_looked_at=len(waiting))

    def _turn(self, name: str, base: Params, other: Params) -> Generator[Finding, None, bool | None]:
        """Move one parameter; return whether the score stays, None where the budget is over."""
        before = self._score(f"where {name!r} is active", base)
        after = self._score(f"{name} = {other[name]!r}", other)
        if before is None or after is None:
            return None
        if after.failure is not None and before.failure is None:
            yield Finding(
                "failure",
                Verdict.WARNING,
                f"{name} = {other[name]!r} has no score: {after.failure.message}",
                "Mend the pipeline, or narrow the space: each such experiment is lost.",
            )
        return after.equals(before, echoed=[name])

    def _of_no_effect(self, same: dict[str, list[Params]], n_looked_at: int) -> Iterable[Finding]:
        if not same:
            if n_looked_at and not self.probe.refused:
                yield Finding("parameters", Verdict.OK, f"each of {n_looked_at} changes the score")
            return
        hint = self._takes_anything()
        metric = self.pipeline.metric
        if len(same) == n_looked_at > 1:
            yield Finding(
                "parameters",
                Verdict.PROBLEM,
                f"none of {', '.join(map(repr, same))} changes {metric}: what is given is ignored",
                f"Read them in the pipeline, by these names.{hint}",
            )
            return
        for name, tried in same.items():
            base = active_in(self.pipeline.space, name) or {}
            values = ", ".join(repr(each[name]) for each in (base, *tried))
            echo = self.scores[config_key(tried[0])].metrics.get(name)
            told = ", though the result repeats it" if echo is not None and echo == tried[0][name] else ""
            yield Finding(
                "parameters",
                Verdict.WARNING,
                f"{name!r} changes nothing: {values} give the same {metric} to the last digit{told}",
                f"Use it in the pipeline by this name, or take it out of the space.{hint}",
            )

    def _takes_anything(self) -> str:
        """A hint where names that do not exist are accepted, so that a misspelt one goes unnoticed."""
        params = {**self.pipeline.space.defaults(), _UNKNOWN: 1}
        found = self._score("a parameter that does not exist", params)
        if found is None or found.failure is not None:
            return ""
        return " It takes names that do not exist, so one may be misspelt in it."
