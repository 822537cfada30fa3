"""One model family, or a choice among several: one space in which the family is a parameter like any other.

A parameter of a family that is one of several is called `<family>_<name>`, and exists only where the
parameter `model` has chosen that family.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from retrain.models.base import ModelFamily, check_params
from tuner.errors import ConfigError, did_you_mean
from tuner.experiment import Params, Value

__all__ = ["MODEL", "Choice", "joined", "renamed"]

MODEL = "model"
"""The parameter that says which family."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The model families of a study, the default one first.

    Attributes:
        families: one, whose parameters have their own names; or several.
    """

    families: tuple[ModelFamily, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(family.name for family in self.families)

    def chosen(self, params: Params) -> tuple[ModelFamily, dict[str, Value]]:
        """Return the family that a configuration stands for, and its hyperparameters by their own names.

        Raises:
            ConfigError: it does not say which of several, or says another.
        """
        if len(self.families) == 1:
            return self.families[0], dict(params)
        said = params.get(MODEL)
        for family in self.families:
            if family.name == said:
                prefix = f"{family.name}_"
                own = {
                    name.removeprefix(prefix): value
                    for name, value in params.items()
                    if name.startswith(prefix)
                }
                return family, own
        raise ConfigError(
            f"The parameter {MODEL!r} must be one of {', '.join(self.names)}, but is {said!r}.",
            "Name one of them.",
        )

    def check(self, names: Iterable[str]) -> None:
        """Refuse hyperparameters that none of the families takes.

        Raises:
            ConfigError: names them, and the closest that exist.
        """
        if len(self.families) == 1:
            check_params(self.families[0], names)
            return
        left = [name for name in names if name != MODEL]
        for family in self.families:
            prefix = f"{family.name}_"
            check_params(family, [name.removeprefix(prefix) for name in left if name.startswith(prefix)])
            left = [name for name in left if not name.startswith(prefix)]
        if left:
            known = [f"{family.name}_{name}" for family in self.families for name in sorted(family.params)]
            raise ConfigError(
                f"A parameter of one model among several must begin with its name, but {left[0]!r} does not."
                + did_you_mean(left[0], known),
                f"Write it as {self.families[0].name}_{left[0]}, say. The models: {', '.join(self.names)}",
            )


def joined(
    spaces: Mapping[str, tuple[Mapping[str, Any], Sequence[Any]]],
) -> tuple[dict[str, Any], list[Any]]:
    """Join the tables of several families' spaces into those of one.

    Args:
        spaces: by family, the default one first: its parameters as tables by name, and its constraints.

    Returns:
        The parameters, `model` first, each other one conditional on it; and the constraints, renamed.
    """
    params: dict[str, Any] = {MODEL: {"type": "categorical", "choices": list(spaces)}}
    constraints: list[Any] = []
    for family, (tables, its) in spaces.items():
        for name, table in tables.items():
            when = {f"{family}_{parent}": values for parent, values in (table.get("when") or {}).items()}
            params[f"{family}_{name}"] = {**table, "when": {MODEL: [family], **when}}
        constraints += [renamed(constraint, family) for constraint in its]
    return params, constraints


def renamed(constraint: Mapping[str, Any], family: str) -> dict[str, Any]:
    """Say a constraint on parameters of a family in their names among several."""
    said: dict[str, Any] = {}
    for key, value in constraint.items():
        if isinstance(value, Mapping):
            said[key] = {f"{family}_{name}": values for name, values in value.items()}
        elif key in ("sum", "increasing"):
            said[key] = [f"{family}_{name}" for name in value]
        else:
            said[key] = value
    return said
