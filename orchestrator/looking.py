"""What the reporting commands do: open the configured registry for reading, and have a report made of it."""

from collections.abc import Collection
from pathlib import Path

from orchestrator import report
from retrain.best import find_named
from retrain.config import Lookup
from retrain.improvement import get_study
from tuner.experiment import Params, State, Study
from tuner.registry import open_registry
from tuner.registry.base import RegistryReader

__all__ = ["back_up", "compare", "describe", "draw", "list_experiments", "summarize_study", "trace"]


def summarize_study(config: Lookup, output: str, *, top: int, flags: str, colour: bool) -> str:
    """Was the tuning of the configured study worth it."""
    with _reading(config) as registry:
        study = get_study(registry, config.study_name)
        return report.summary(
            registry,
            study,
            top=top,
            deployed=_deployed(registry, config, study),
            folds=config.folds,
            pipeline=config.name,
            holdout=config.is_tabular,
            output=output,
            flags=flags,
            colour=colour,
        )


def _deployed(registry: RegistryReader, config: Lookup, study: Study) -> Params | None:
    """What is deployed of the parameters of this study; a version holds those of all phases together."""
    active = registry.find_active(config.name)
    if active is None or not config.has_phases:
        return None if active is None else active.params
    own = {spec["name"] for spec in study.space["params"]}
    return {name: value for name, value in active.params.items() if name in own}


def list_experiments(
    config: Lookup, output: str, *, states: Collection[str], method: str | None, limit: int | None
) -> str:
    """One line per experiment of the configured study."""
    with _reading(config) as registry:
        return report.listing(
            registry,
            get_study(registry, config.study_name),
            states=[State(state) for state in states],
            method=method,
            limit=limit,
            output=output,
        )


def describe(config: Lookup, prefix: str, output: str, *, colour: bool) -> str:
    """All there is to know about one experiment."""
    with _reading(config) as registry:
        public_id = find_named(registry, config.study_name, prefix).public_id
        return report.show(registry, public_id, output=output, colour=colour)


def trace(config: Lookup, prefix: str, output: str, *, colour: bool) -> str:
    """Where one experiment came from, and what became of it."""
    with _reading(config) as registry:
        public_id = find_named(registry, config.study_name, prefix).public_id
        return report.lineage(registry, config.name, public_id, output=output, colour=colour)


def compare(config: Lookup, first: str, second: str, output: str, *, colour: bool) -> str:
    """In what two experiments differ, and how much that was worth."""
    with _reading(config) as registry:
        ids = [find_named(registry, config.study_name, each).public_id for each in (first, second)]
        return report.diff(registry, *ids, folds=config.folds, output=output, colour=colour)


def draw(config: Lookup, kind: str, path: Path) -> str:
    """Draw one picture of the configured study; return where it is."""
    from orchestrator.plots import check_kind, plot
    from orchestrator.plots.canvas import check_file

    check_kind(kind)
    check_file(path)
    with _reading(config) as registry:
        study = get_study(registry, config.study_name)
        deployed = _deployed(registry, config, study)
        made = plot(registry, study, kind, path, pipeline=config.name, folds=config.folds, deployed=deployed)
        return str(made)


def back_up(config: Lookup, path: Path) -> str:
    """Write a copy of the registry to a new file; return where it is."""
    from tuner.registry.backup import backup

    with _reading(config) as registry:
        return str(backup(registry, path))


def _reading(config: Lookup) -> RegistryReader:
    return open_registry(config.db, create=False, read_only=True)
