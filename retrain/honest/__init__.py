"""The honest score: what repeats on fresh folds and the holdout say of the best of many, and how surely.

Pure functions of scores. They know neither registry nor pool; candidates are ids. Read `estimate` first.
"""

from retrain.honest.estimate import LEVEL, Basis, Estimate, Repeat, Spread, confirmed, interval, spread_of
from retrain.honest.finding import Finding, Shown, compare, finding_text
from retrain.honest.holdout import HoldoutScore, holdout_gain, holdout_score, left_out_error
from retrain.honest.optimism import Optimism, confirmed_optimism, validation_optimism
from retrain.honest.pairs import Difference, gain_over, paired_repeats
from retrain.honest.race import Race, Standing, Stopped, find_winner, next_runs, standing

__all__ = [
    "LEVEL",
    "Basis",
    "Difference",
    "Estimate",
    "Finding",
    "HoldoutScore",
    "Optimism",
    "Race",
    "Repeat",
    "Shown",
    "Spread",
    "Standing",
    "Stopped",
    "compare",
    "confirmed",
    "confirmed_optimism",
    "find_winner",
    "finding_text",
    "gain_over",
    "holdout_gain",
    "holdout_score",
    "interval",
    "left_out_error",
    "next_runs",
    "paired_repeats",
    "spread_of",
    "standing",
    "validation_optimism",
]
