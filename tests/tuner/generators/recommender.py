"""The search space of a weighted recommender: 21 parameters, two sums and three orders."""

from tuner.space import FloatParam, Increasing, IntParam, SearchSpace, Sum

__all__ = ["RECOMMENDER", "WEIGHTS"]

WEIGHTS = {"genre": 0.40, "cast": 0.15, "franchise": 0.05, "rating": 0.30, "popularity": 0.10}

_UNIT = {
    "cast_first": 1.0,
    "cast_middle": 0.7,
    "cast_rest": 0.3,
    "votes_share": 0.7,
    "buzz_share": 0.3,
    "threshold_low": 0.3,
    "threshold_medium": 0.5,
    "threshold_high": 0.7,
    "accuracy_threshold": 0.65,
    "neutral": 0.5,
    "half_life": 0.25,
}

RECOMMENDER = SearchSpace(
    [
        *(FloatParam(f"{name}_weight", 0.0, 1.0, default=value) for name, value in WEIGHTS.items()),
        *(FloatParam(name, 0.0, 1.0, default=value) for name, value in _UNIT.items()),
        FloatParam("boost_high", 0.0, 0.5, default=0.15),
        FloatParam("boost_medium", 0.0, 0.5, default=0.10),
        FloatParam("penalty_low", -0.5, 0.0, default=-0.20),
        IntParam("cast_top", 1, 12, default=5),
        IntParam("cast_wide", 2, 40, default=15),
    ],
    [
        Sum([f"{name}_weight" for name in WEIGHTS], 1.0),
        Sum(["votes_share", "buzz_share"], 1.0),
        Increasing(["threshold_low", "threshold_medium", "threshold_high"]),
        Increasing(["cast_rest", "cast_middle", "cast_first"]),
        Increasing(["cast_top", "cast_wide"]),
    ],
)
