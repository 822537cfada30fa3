"""`retrain lint`: a few evaluations of a user's pipeline, and what they say against its scores."""

from retrain.lint.linter import lint

__all__ = ["lint"]
