"""`retrain --tune`: write candidates for the orchestrator to run.

Models are not loaded, and data only where the memory is asked for studies on similar ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from retrain.config import Config
from retrain.deploy.deployed import Deployed, find_deployed, found_in_place
from retrain.opening import open_or_make, open_up_to_date
from retrain.phases import phase_line, searching
from retrain.pipeline import Pipeline
from retrain.tables import render, to_json
from tuner.errors import UsageError, did_you_mean
from tuner.experiment import Experiment, Params, State, Study
from tuner.generators import METHODS, learns_from_earlier, make_generator
from tuner.propose import Queued, complete_guesses, open_study, propose, queue_guesses
from tuner.recall import recall
from tuner.recollect import Recollected, adopt
from tuner.registry.base import Registry, StudySpec
from tuner.space.share import check_share

__all__ = [
    "DEFAULT_CONFIGS",
    "DEFAULT_METHOD",
    "Written",
    "check_method",
    "open_configured_study",
    "write_candidates",
    "written_text",
]

DEFAULT_METHOD = "bayesian"
DEFAULT_CONFIGS = 20


@dataclass(frozen=True, slots=True)
class Written:
    """What was written.

    Attributes:
        method: of the candidates; None where only guesses were wanted.
        candidates: of the method.
        n_wanted: how many of those were asked for; None for as many as the method's design has.
        n_waiting: all that waits in the study, its reference rows included.
        guesses: what became of the user's own.
        held: what is deployed of other phases and held, in words; None where nothing is.
        memory: what similar studies taught, in words; None where the memory is off, "" where there is none.
    """

    study: Study
    method: str | None
    candidates: tuple[Experiment, ...]
    n_wanted: int | None
    n_waiting: int
    guesses: Queued
    held: str | None = None
    memory: str | None = None


def open_configured_study(
    config: Config, registry: Registry, pipeline: Pipeline, *, seed: int | None = None
) -> Study:
    """Create or find the configured study, its first rows being the defaults and what is deployed.

    Args:
        config: names the study, its seed, and where the deployed hyperparameters are.
        registry: writable.
        pipeline: gives space, metric and direction; its data are not needed.
        seed: of a new study, instead of the configured one.

    Raises:
        MismatchError: the study is stored with another space, metric or direction.
    """
    found = find_deployed(config, registry, pipeline.space)
    known = found.source != "defaults" and pipeline.space.contains(found.params)
    deployed = found.params if known else None
    spec = StudySpec(
        name=config.study_name,
        space=pipeline.space.to_dict(),
        metric=pipeline.metric,
        direction=pipeline.direction,
        baseline=deployed or pipeline.space.defaults(),
        seed=config.study.seed if seed is None else seed,
        goals=pipeline.goals,
    )
    return open_study(registry, spec, deployed)


def check_method(config: Config, pipeline: Pipeline, method: str) -> None:
    """Insist that the method can propose for this pipeline, before anything is written or started.

    Raises:
        NotFoundError: of the configured earlier studies one is not there, or has no result.
        UsageError: the method's package is not installed, it cannot serve the study's objectives and limits,
            or it learns nothing from earlier studies; one of these has nothing in common with this, or is it.
        SpaceError: hardly anything of the space is allowed.
    """
    options: dict[str, Any] = {}
    if config.study.warm_start:
        with open_up_to_date(config) as registry:
            recalled = recall(registry, config.study.warm_start, own=config.study_name)
        options["earlier"] = recalled.earlier
    make_generator(method, pipeline.space, goals=pipeline.goals, **options)


def write_candidates(
    config: Config, *, method: str | None = None, n: int | None = None, guesses: Sequence[Params] = ()
) -> Written:
    """Write guesses and `n` new candidates of `method` into the study, after its reference rows if it is new.

    Args:
        config: names pipeline, study and registry; the registry is made if there is none.
        method: a generator's name; bayesian when not given.
        n: how many (>= 1); 20 when not given, and for grid as many as its design has. With guesses, and
            neither method nor number, none.
        guesses: the user's own configurations, which run first; the study's baseline completes them.

    Raises:
        UsageError: an unknown method or one whose package is missing, a number below 1, a study that was
            defined otherwise, or an earlier one that has nothing in common with it.
        SpaceError: hardly anything of the space is allowed.
        NotFoundError: an earlier study is not there, or has no result; or a phase has nothing to start from.
        ParamsError: a guess that is not in the space. Nothing was written.
        StorageError: the registry cannot be used.
    """
    from retrain.pipelines import load_pipeline

    if method is None and (n is not None or not guesses):
        method = DEFAULT_METHOD
    if method is not None and method not in METHODS:
        raise UsageError(
            f"Unknown method {method!r}.{did_you_mean(method, METHODS)}", f"There are: {', '.join(METHODS)}."
        )
    if n is not None and n < 1:
        raise UsageError(
            f"--tune-configs must be at least 1, but got {n}.", "Leave it out for the method's own number."
        )
    n_wanted = 0 if method is None else DEFAULT_CONFIGS if n is None and method != "grid" else n
    config = searching(config)
    pipeline = load_pipeline(config)
    if method is not None:
        check_method(config, pipeline, method)
    else:
        check_share(pipeline.space)

    def check(deployed: Deployed, known: Study | None = None) -> None:
        base = deployed.params if pipeline.space.contains(deployed.params) else {}
        complete_guesses(pipeline.space, guesses, known.baseline if known is not None else base)

    uses_memory = method is not None and config.study.similarity is not None
    if uses_memory:
        pipeline.use(pipeline.load())  # whether a study is similar is a question of the data
    with open_or_make(config, lambda: check(found_in_place(config, pipeline.space))) as registry:
        check(find_deployed(config, registry, pipeline.space), registry.find_study(config.study_name))
        study = open_configured_study(config, registry, pipeline)
        queued = queue_guesses(registry, study, guesses)
        found = _from_memory(config, registry, study, pipeline, method) if uses_memory else None
        candidates = (
            []
            if method is None
            else propose(registry, study, method, n_wanted, warm_start=config.study.warm_start, memory=found)
        )
        n_waiting = registry.counts(study)[State.WAITING]
        return Written(
            study,
            method,
            tuple(candidates),
            n_wanted,
            n_waiting,
            queued,
            phase_line(config),
            None if found is None else str(found) if found.patterns else "",
        )


def _from_memory(
    config: Config, registry: Registry, study: Study, pipeline: Pipeline, method: str | None
) -> Recollected | None:
    """What similar studies taught; None for a method that would not learn from it."""
    if method is None or config.study.similarity is None or not learns_from_earlier(method, pipeline.goals):
        return None
    return adopt(registry, study, pipeline.provenance(), pipeline.traits(), threshold=config.study.similarity)


def written_text(written: Written, output: str = "table", *, flags: str = "") -> str:
    """Return what was written and the command that runs it; `flags` are common options to repeat in it."""
    command = f"orchestrator{flags}"
    guesses = [each.public_id for each in written.guesses.written]
    known = [each.public_id for each in written.guesses.known]
    ids = [each.public_id for each in written.candidates]
    match output:
        case "json":
            return to_json(
                {
                    "study": written.study.name,
                    "method": written.method,
                    "wanted": written.n_wanted,
                    "written": ids,
                    "guesses": guesses,
                    "known_guesses": known,
                    "n_waiting": written.n_waiting,
                    "run": command,
                }
            )
        case "csv" | "markdown":
            return render([{"id": each} for each in guesses + ids], ["id"], output)
    n = len(ids)
    lines = _guess_lines(written, known)
    if written.method is not None:
        what = f"{written.method} candidate{'' if n == 1 else 's'}"
        lines.append(f"{n} {what} written into study {written.study.name!r}.")
    lines += [
        f"{written.n_waiting} experiment{'' if written.n_waiting == 1 else 's'} waiting in all.",
    ]
    radii = [float(str(each.reason["radius"])) for each in written.candidates if "radius" in each.reason]
    if radii:
        lines.append(f"grid: within {100 * max(radii):.0f} % of the baseline.")
    used = {name for each in written.candidates for name in each.reason.get("earlier", {})}
    if used:
        lines.append(f"warm start: {', '.join(sorted(used))}.")
    if written.memory is not None:
        lines.append(
            f"starts from what {written.memory}." if written.memory else "no similar study is remembered."
        )
    if written.held is not None:
        lines.append(f"{written.held}.")
    if written.n_wanted is not None and n < written.n_wanted:
        lines.append(f"{written.n_wanted} were wanted, but {written.method} has no more that are new.")
    return "\n".join([*lines, f"run them: {command}"])


def _guess_lines(written: Written, known: Sequence[str]) -> list[str]:
    n = len(written.guesses.written)
    lines = []
    if n:
        lines.append(
            f"{n} guess{'' if n == 1 else 'es'} written into study {written.study.name!r}, to run first."
        )
    if known:
        lines.append(
            f"{len(known)} guess{'' if len(known) == 1 else 'es'} known already: {', '.join(known)}."
        )
    return lines
