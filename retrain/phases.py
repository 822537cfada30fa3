"""Phases: later spaces of the same pipeline, each of which starts from what is deployed.

A phase searches the parameters of its own space and holds all others at what is deployed: every experiment is
given them besides. So does `[space]` itself once a phase is deployed. What is held is part of the provenance:
after another deployment earlier scores are kept, and not compared. A version always holds both together.
"""

from retrain.config import Config
from retrain.opening import open_up_to_date
from retrain.pipelines import load_pipeline
from tuner.errors import NotFoundError, ParamsError
from tuner.experiment import Params
from tuner.registry.base import RegistryReader

__all__ = ["deploying", "of_another_phase", "phase_line", "phase_of", "searching"]


def searching(config: Config, registry: RegistryReader | None = None) -> Config:
    """The configuration as its phase searches: all that is deployed of other phases is held.

    Args:
        config: of a phase, or of `[space]` itself; without phases it is returned as it is.
        registry: the configured one where it is open already.

    Raises:
        NotFoundError: a phase has nothing to start from.
        StorageError: the registry cannot be used.
    """
    if not config.space.phases:
        return config
    deployed = _deployed(config, registry)
    others = {name for phase in config.space.phases for name in config.names_in(phase)}
    if config.phase is not None:
        first = config.names_in(None)
        others = {*others, *first} if first else {*deployed}  # a pipeline of one's own has its space itself
    own = config.own_names if config.has_space else load_pipeline(config).space.names
    others -= {*own, *config.pipeline.fixed}
    return config.holding({name: value for name, value in deployed.items() if name in others})


def deploying(config: Config) -> Config:
    """What is to be deployed of a configuration that searches: nothing is held, all is in the space."""
    if not config.space.phases:
        return config
    others = [
        phase
        for phase in config.space.phases
        if phase != config.phase and any(name in config.held for name in config.names_in(phase))
    ]
    return config.releasing([*([None] if config.phase is not None else []), *others])


def phase_of(config: Config, registry: RegistryReader, text: str) -> str | None:
    """The phase in whose study an experiment is, where `text` is its id; None for all other text."""
    if not config.space.phases:
        return None
    try:
        experiment = registry.get_experiment(text)
    except NotFoundError:
        return None
    study = next(each.name for each in registry.studies() if each.id == experiment.study_id)
    return next((name for name in config.space.phases if config.in_phase(name).study_name == study), None)


def of_another_phase(config: Config, error: ParamsError) -> ParamsError | None:
    """The same error with the flag to add, where a parameter that is unknown here is one of a later phase."""
    for phase in config.space.phases:
        for name in config.names_in(phase):
            if phase != config.phase and f"Unknown parameter {name!r}" in str(error):
                remedy = f"Parameter {name!r} is of a later phase: add --phase {phase}."
                return ParamsError(str(error), remedy, error.problems)
    return None


def phase_line(config: Config) -> str | None:
    """What is held, in words; None where there is nothing to say."""
    if not config.held:
        return None
    what = "[space]" if config.phase is None else f"phase {config.phase!r}"
    n = len(config.held)
    return f"{what} starts from what is deployed: {n} parameter{'s are' if n > 1 else ' is'} held at it"


def _deployed(config: Config, registry: RegistryReader | None) -> Params:
    """What is deployed, of all phases."""
    if registry is not None:
        active = registry.find_active(config.name)
    else:
        try:
            with open_up_to_date(config) as opened:
                active = opened.find_active(config.name)
        except NotFoundError:
            active = None
    if active is not None:
        return active.params
    if config.phase is None:
        return {}
    raise NotFoundError(
        f"Phase {config.phase!r} starts from what is deployed, but of {config.name!r} nothing is yet.",
        "Deploy the best of the search before it: retrain --apply-hp best. Or what is in place: retrain",
    )
