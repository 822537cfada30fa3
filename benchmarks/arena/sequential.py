"""The main question: how good is the best after 20 and after 50 experiments, alone and in batches."""

import random
from typing import Any

from benchmarks.arena import ranking
from benchmarks.arena.client import Proposer
from benchmarks.arena.job import Job, Options, Row, rows_of
from benchmarks.arena.plot import draw
from benchmarks.arena.problems import Measure, make
from benchmarks.peers.base import Config, Told
from benchmarks.peers.random_peer import draw as draw_config

__all__ = ["Search", "play", "random_results"]

_N = 50


def play(proposer: Proposer, measure: Measure, n: int, batch: int) -> list[float | None]:
    """Let a started method choose `n` experiments, `batch` at a time; the losses in their order.

    Fewer than `n`: the method found no more. None: it failed.
    """
    losses: list[float | None] = []
    while len(losses) < n:
        configs = proposer.ask(min(batch, n - len(losses)))
        if not configs:
            break
        results = []
        for config in configs:
            loss, measured = measure(config)
            results.append(Told(len(losses), measured, loss))
            losses.append(loss)
        proposer.tell(results)
    return losses


class Search:
    """Every method on every problem with every seed."""

    name = "search"

    def jobs(self, options: Options) -> list[Job]:
        problems = options.problems
        n = options.n or _N
        scales = [Job("scale", "random", p, n=_n_scale(p, options)) for p in problems if not _known(p)]
        return scales + [
            Job(self.name, method, problem, seed, n, batch)
            for seed in options.seeds
            for batch in options.batches
            for problem in problems
            for method in options.methods_or()
        ]

    def run(self, job: Job, proposer: Proposer, **settings: Any) -> dict[str, Any]:
        problem = make(job.problem)
        if job.section == "scale":
            return _scale(job)
        proposer.start(problem.space, job.seed, job.n, **settings)
        losses = play(proposer, problem.session(), job.n, job.batch)
        return {"losses": losses, "cpu_s": proposer.cpu_s, "wall_s": proposer.wall_s}

    def report(self, rows: list[Row], options: Options) -> str:
        runs = rows_of(rows, section=self.name)
        scales = ranking.scales(runs, rows_of(rows, section="scale"))
        text = ranking.report(runs, scales)
        if options.plot is not None and runs:
            draw(options.plot, rows_of(runs, batch=min(options.batches)), scales)
            text += f"\n\nThe plot is in {options.plot}."
        return text


def _known(problem: str) -> bool:
    return make(problem).known_scale is not None


def _n_scale(problem: str, options: Options) -> int:
    return options.scale or (200 if problem.startswith("sklearn:") else 5000)


def random_results(name: str, n: int) -> list[tuple[Config, float]]:
    """What `n` random configurations of a problem came to, in the order of their draws."""
    problem, rng = make(name), random.Random(0)
    drawn = (problem.session()(draw_config(problem.space, rng)) for _ in range(n))
    return [(config, loss) for loss, config in drawn]


def _scale(job: Job) -> dict[str, Any]:
    """Losses of random search: its best and its median."""
    losses = sorted(loss for _, loss in random_results(job.problem, job.n))
    return {"best": losses[0], "median": losses[len(losses) // 2]}
