"""The gate: what decides whether hyperparameters may change. One file for each kind of rule."""

from retrain.deploy.gate.check import Comparison, load_checks
from retrain.deploy.gate.figures import Figures, std_error_of_difference
from retrain.deploy.gate.judging import judge
from retrain.deploy.gate.needs import Needs
from retrain.deploy.gate.overrides import NO_OVERRIDES, Overrides
from retrain.deploy.gate.shape import same_shape
from retrain.deploy.gate.standing import scored_on
from retrain.deploy.gate.verdict import Verdict, gate_error

__all__ = [
    "NO_OVERRIDES",
    "Comparison",
    "Figures",
    "Needs",
    "Overrides",
    "Verdict",
    "gate_error",
    "judge",
    "load_checks",
    "same_shape",
    "scored_on",
    "std_error_of_difference",
]
