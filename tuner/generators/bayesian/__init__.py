"""Bayesian search: a Gaussian process learns from what is finished and says where to look next."""

from tuner.generators.bayesian.generator import BayesianGenerator

__all__ = ["BayesianGenerator"]
