"""Memory: what a study taught is stored, found by a similar one, and judged by what it brought there."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tuner.direction import loss_of
from tuner.errors import UsageError
from tuner.experiment import Experiment, Provenance, State, Study
from tuner.memory import Earlier, carried
from tuner.patterns import THRESHOLD, Match, Traits, find_similar_patterns
from tuner.recall import NOT_THE_CONFIGURATION
from tuner.registry.base import Lesson, Pattern, Registry, RegistryReader
from tuner.space import SearchSpace

__all__ = ["Recollected", "adopt", "judge", "name_of", "recollect", "remember", "similar"]

_ENDED = (State.COMPLETE, State.PRUNED, State.FAILED)
_FEWEST_RESULTS = 10
"""A pattern is not judged by fewer: of three results any may be the best."""


@dataclass(frozen=True)
class Recollected:
    """What a study starts from: patterns, and the earlier studies behind them, each as it was then.

    `similarities` has one number for each of `patterns`, in [0, 1].
    """

    patterns: Sequence[Pattern] = ()
    similarities: Sequence[float] = ()
    earlier: Sequence[Earlier] = ()

    @property
    def stamp(self) -> dict[str, dict[str, int]]:
        """What the reason of a suggestion says that was made from them: the number of results of each."""
        return {"memory": {each.name: len(each.observations) for each in self.earlier}}

    def __str__(self) -> str:
        """In words, such as "2 similar studies taught: spring (0.93), summer (0.71)"."""
        n = len(self.patterns)
        pairs = zip(self.patterns, self.similarities, strict=True)
        named = ", ".join(f"{name_of(each)} ({alike:.2f})" for each, alike in pairs)
        return f"{n} similar {'study' if n == 1 else 'studies'} taught: {named}"


def name_of(pattern: Pattern) -> str:
    """How suggestions that come from a pattern call what is behind it: it may be the same study, before."""
    return f"{pattern.study} #{pattern.id}"


def remember(registry: Registry, study: Study, provenance: Provenance, traits: Traits) -> Pattern | None:
    """Store what worked best in the study so far; of several objectives, the best in its metric.

    Returns:
        The pattern, where it is new; None where it is stored already, or where nothing has succeeded.
    """
    best = next(iter(registry.best(study, 1, provenance)), None)
    if best is None or any(each.experiment == best.public_id for each in registry.patterns()):
        return None
    pattern = registry.add_pattern(best.public_id, traits.to_dict())
    value = f"{study.metric} {best.value:.6g}"
    registry.log(
        "pattern",
        f"Study {study.name!r} taught: {best.public_id} reaches {value} with {traits.model}.",
        salience=0.3,
        pattern=pattern.id,
        study=study.name,
        experiment=best.public_id,
    )
    return pattern


def similar(
    registry: RegistryReader,
    study: Study,
    provenance: Provenance,
    traits: Traits,
    *,
    threshold: float = THRESHOLD,
) -> list[Match]:
    """The patterns of this registry that are worth a trial here; never what the study itself has observed."""
    spaces = {each.name: SearchSpace.from_dict(each.space) for each in registry.studies() if each.space}
    foreign = [
        each for each in registry.patterns() if (each.study, each.provenance) != (study.name, provenance)
    ]
    return find_similar_patterns(
        foreign,
        registry.lessons(),
        traits,
        SearchSpace.from_dict(study.space),
        spaces,
        threshold=threshold,
    )


def adopt(
    registry: Registry,
    study: Study,
    provenance: Provenance,
    traits: Traits,
    *,
    threshold: float = THRESHOLD,
) -> Recollected:
    """What a study that uses the memory starts from, chosen at its first use and the same from then on.

    Each pattern that is chosen is recorded as used. Only what is forgotten meanwhile is left out afterwards.
    """
    if not _used(registry, study):
        space = SearchSpace.from_dict(study.space)
        for match in similar(registry, study, provenance, traits, threshold=threshold):
            if _can_be_carried(registry, match.pattern, space):
                why = f"similar {match.similarity:.2f}, trusted {match.trust:.2f}"
                lesson = Lesson(match.pattern.id, "used", study.name, min(1.0, match.similarity), why)
                registry.add_lesson(lesson)
    return recollect(registry, study)


def recollect(registry: RegistryReader, study: Study) -> Recollected:
    """What the study started from, as it was when it did; empty where it did not use the memory."""
    used = _used(registry, study)
    patterns = {each.id: each for each in registry.patterns()}
    return Recollected(
        [patterns[each.pattern] for each in used],
        [each.weight or 0.0 for each in used],
        [_earlier(registry, patterns[each.pattern], until=each.at) for each in used],
    )


def judge(registry: Registry, study: Study, provenance: Provenance) -> list[Lesson]:
    """Record whether what the study started from helped it, once it has ten results.

    A pattern helped as far as its best configuration that was tried here beats what else was: the weight of
    the lesson is the share of those others. What was pruned is beaten by all that was not. A pattern of which
    nothing was tried is not judged.

    Returns:
        The new lessons.
    """
    rows = [
        each
        for each in registry.experiments(study, states=[State.COMPLETE, State.PRUNED])
        if _is_of(each, provenance)
    ]
    known = {each.pattern for each in registry.lessons() if (each.study, each.kind) == (study.name, "judged")}
    patterns = {each.id: each for each in registry.patterns()}
    new = []
    for use in _used(registry, study):
        pattern = patterns[use.pattern]
        from_it = [each for each in rows if _is_from(each, name_of(pattern))]
        others = [each for each in rows if each.reason.get("design") != "earlier"]
        if use.pattern in known or not from_it or len(others) < _FEWEST_RESULTS:
            continue
        best = min(_loss(each, study) for each in from_it)
        beaten = sum(_loss(each, study) > best for each in others)
        why = f"its best of {len(from_it)} beats {beaten} of {len(others)} others"
        new.append(registry.add_lesson(Lesson(pattern.id, "judged", study.name, beaten / len(others), why)))
        registry.log(
            "pattern judged",
            f"What study {name_of(pattern)!r} taught {_verdict(new[-1])} study {study.name!r}: {why}.",
            salience=0.4,
            pattern=pattern.id,
            study=study.name,
        )
    return new


def _loss(row: Experiment, study: Study) -> float:
    return math.inf if row.value is None else loss_of(row.value, study.direction)


def _verdict(lesson: Lesson) -> str:
    return "helped" if (lesson.weight or 0.0) >= 0.5 else "did not help"


def _is_from(row: Experiment, name: str) -> bool:
    return row.reason.get("design") == "earlier" and row.reason.get("study") == name


def _used(registry: RegistryReader, study: Study) -> list[Lesson]:
    """What the study used, in the order of use, without what was forgotten since."""
    lessons = registry.lessons()
    forgotten = {each.pattern for each in lessons if each.kind == "forgotten"}
    return [
        each
        for each in lessons
        if (each.kind, each.study) == ("used", study.name) and each.pattern not in forgotten
    ]


def _earlier(registry: RegistryReader, pattern: Pattern, until: float = float("inf")) -> Earlier:
    """What the study of a pattern had observed until then, on what the pattern is of."""
    study = registry.find_study(pattern.study)
    assert study is not None  # studies are never deleted
    rows = [
        each
        for each in registry.experiments(study, states=_ENDED)
        if (each.finished_at or 0.0) <= until and _is_of(each, pattern.provenance)
    ]
    return Earlier(
        space=SearchSpace.from_dict(study.space),
        direction=study.direction,
        observations=[each.observation() for each in rows],
        name=name_of(pattern),
        ids=[each.public_id for each in rows],
    )


def _is_of(row: Experiment, provenance: Provenance) -> bool:
    if row.state is State.COMPLETE:
        return row.provenance == provenance
    return row.ended_on == provenance and row.outcome not in NOT_THE_CONFIGURATION


def _can_be_carried(registry: RegistryReader, pattern: Pattern, space: SearchSpace) -> bool:
    """Whether anything of it can be expressed in this space: the same names may have other choices."""
    try:
        return bool(carried(_earlier(registry, pattern), space).n_known)
    except UsageError:
        return False
