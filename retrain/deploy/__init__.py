"""Deployment: where hyperparameters live, the gate, the versions, the atomic switch, and the way back."""

from retrain.deploy.apply import Confirm, apply, retrain
from retrain.deploy.deployed import Deployed, check_place, find_deployed, found_in_place
from retrain.deploy.gate import Comparison, Figures, Overrides, Verdict, judge
from retrain.deploy.params_input import ParamsInput, parse_params_input
from retrain.deploy.pending import finish_pending
from retrain.deploy.report import ApplyOutcome, ApplyReport
from retrain.deploy.rollback import rollback

__all__ = [
    "ApplyOutcome",
    "ApplyReport",
    "Comparison",
    "Confirm",
    "Deployed",
    "Figures",
    "Overrides",
    "ParamsInput",
    "Verdict",
    "apply",
    "check_place",
    "find_deployed",
    "finish_pending",
    "found_in_place",
    "judge",
    "parse_params_input",
    "retrain",
    "rollback",
]
