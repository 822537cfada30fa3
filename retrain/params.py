"""The whole of a configuration, of what several have said about it."""

from collections.abc import Mapping

from tuner.experiment import Params, Value
from tuner.space import SearchSpace

__all__ = ["best_params"]


def best_params(
    space: SearchSpace, found: Params, fixed: Mapping[str, Value], *, strict: bool = True
) -> dict[str, Value]:
    """Defaults, what was found, and what is fixed, each stronger than the one before.

    Args:
        space: what was searched; its defaults stand where nothing was found, if they are in use.
        found: by the search, or by hand: some or all of the parameters.
        fixed: given to every experiment, whatever was found.
        strict: whether `found` must lie in the space. What is in production is scored although it does not.

    Raises:
        ParamsError: `found` names what is no parameter, or has a value of another type or out of range; lists
            every fault.
    """
    own = {name: value for name, value in found.items() if name not in fixed}
    if strict:
        return {**space.complete(own), **fixed}
    defaults = {name: param.default for name, param in space.params.items()}
    return {**space.active({**defaults, **own}), **own, **fixed}
