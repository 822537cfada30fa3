"""Which of the patterns of earlier studies are like the study at hand, and which of them are worth a trial.

A pattern is what worked best in a study on one kind of data. Only its description is judged here; what the
study observed is read by `tuner.recollect`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from tuner.experiment import Provenance
from tuner.registry.records import Lesson, Pattern
from tuner.space import SearchSpace

__all__ = ["THRESHOLD", "Match", "Traits", "find_similar_patterns", "similarity", "trust"]

THRESHOLD = 0.5
"""How similar a pattern must be, times how far it is trusted, to be used."""

_MOST = 5
"""More earlier studies than these were not measured, and each costs time."""

_FACTOR = 4.0
_SHARE = 0.35
"""What halves the similarity alone: a count of so many times, or a share so much larger."""


@dataclass(frozen=True)
class Traits:
    """What a pattern is found by.

    Attributes:
        model: what is tuned: a model family, or a pipeline by its name. Patterns of others are never similar.
        kind: of problem, such as "binary"; "" where the pipeline does not say. The same holds for it.
        features: of the data. Those called `n_...` are counts (> 0) and compared by their ratio, all others
            are shares in [0, 1] and compared by their difference.
    """

    model: str
    kind: str = ""
    features: Mapping[str, float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The same, JSON-ready."""
        return {"model": self.model, "kind": self.kind, "features": dict(self.features)}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """Read what `to_dict` wrote; what is missing was not known."""
        given = document.get("features", {})
        features = {str(name): float(value) for name, value in given.items()}
        return cls(str(document.get("model", "")), str(document.get("kind", "")), features)


@dataclass(frozen=True)
class Match:
    """A pattern that may be worth a trial.

    Attributes:
        pattern: it.
        similarity: of data and space, in [0, 1].
        trust: by what earlier uses of it brought, in (0, 1].
        n_helped, n_judged: how many of its uses helped, of those that were judged.
    """

    pattern: Pattern
    similarity: float
    trust: float
    n_helped: int
    n_judged: int

    @property
    def weight(self) -> float:
        """What is compared with the threshold."""
        return self.similarity * self.trust


def similarity(traits: Traits, other: Traits) -> float:
    """How alike two descriptions are: 1 for the same, 0 where model or kind differ.

    2 to the power of minus the Euclidean distance between the features that both have, counts on a log
    scale: with all else equal it is a half where one has four times the rows, or a share is larger by 0.35.
    """
    if (traits.model, traits.kind) != (other.model, other.kind):
        return 0.0
    shared = traits.features.keys() & other.features.keys()
    distances = [_distance(name, traits.features[name], other.features[name]) for name in sorted(shared)]
    return math.pow(2.0, -math.hypot(*distances))


def _distance(name: str, one: float, other: float) -> float:
    if not name.startswith("n_"):
        return abs(one - other) / _SHARE
    return abs(math.log(max(one, 1.0) / max(other, 1.0), _FACTOR))


def trust(lessons: Sequence[Lesson]) -> tuple[float, int, int]:
    """How far a pattern with these lessons is trusted; how many of its uses helped; how many were judged.

    A use helped where the best configuration from it beat at least half of what else the study tried. None is
    judged yet: 1. Each that hurt takes some away, two of two a half.
    """
    judged = [each.weight for each in lessons if each.kind == "judged" and each.weight is not None]
    n_helped = sum(weight >= 0.5 for weight in judged)
    return (2 + n_helped) / (2 + len(judged)), n_helped, len(judged)


def find_similar_patterns(
    patterns: Sequence[Pattern],
    lessons: Sequence[Lesson],
    traits: Traits,
    space: SearchSpace,
    spaces: Mapping[str, SearchSpace],
    *,
    threshold: float = THRESHOLD,
) -> list[Match]:
    """The patterns that are worth a trial, the most promising first, at most five.

    Patterns of one study and provenance are one that grew: the latest counts, with the lessons of all; where
    one of them was forgotten, none does.

    Args:
        patterns: all of a registry, oldest first.
        lessons: what became of them.
        traits: of the study at hand.
        space: of the study at hand.
        spaces: of the studies of the patterns, by name. Which share of all their parameters the two have in
            common weighs like the similarity of the data.
        threshold: similarity times trust must reach it, in (0, 1].
    """
    matches = []
    keys = {each.id: _key(each) for each in patterns}
    for pattern in {_key(each): each for each in patterns}.values():
        of_it = [each for each in lessons if keys.get(each.pattern) == _key(pattern)]
        if pattern.study not in spaces or any(each.kind == "forgotten" for each in of_it):
            continue
        alike = similarity(traits, Traits.from_dict(pattern.traits)) * _overlap(space, spaces[pattern.study])
        match = Match(pattern, alike, *trust(of_it))
        if match.weight >= threshold:
            matches.append(match)
    return sorted(matches, key=lambda one: (-one.weight, -one.pattern.id))[:_MOST]


def _key(pattern: Pattern) -> tuple[str, Provenance]:
    return pattern.study, pattern.provenance


def _overlap(space: SearchSpace, other: SearchSpace) -> float:
    """The share of the parameters of both that both have, by name and type."""
    one, two = ({(name, type(p)) for name, p in each.params.items()} for each in (space, other))
    return len(one & two) / len(one | two)
