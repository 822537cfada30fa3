"""The identity of a configuration is for ever: studies compare by it across versions and machines."""

import math
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from tuner.errors import ParamsError
from tuner.space import config_key

CONFIG: dict[str, Any] = {"lr": 0.1, "depth": 6, "booster": "gbtree", "on": True, "limit": None, "é": -0.0}
KEY = "f10006e1a990581d4c85e6deb895549186661157fc076ad65a7f8f38140738a0"


def test_the_key_of_a_configuration_never_changes() -> None:
    assert config_key(CONFIG) == KEY


def test_the_key_is_the_same_in_another_process() -> None:
    code = f"from tuner.space import config_key; print(config_key({CONFIG!r}))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == KEY


def test_order_and_the_sign_of_zero_do_not_matter() -> None:
    assert config_key(dict(reversed(CONFIG.items()))) == KEY
    assert config_key({**CONFIG, "é": 0.0}) == KEY


def test_numpy_scalars_are_the_values_they_hold() -> None:
    scalars: dict[str, Any] = {"lr": np.float64(0.1), "depth": np.int64(6), "on": np.True_}
    assert config_key({**CONFIG, **scalars}) == KEY


def test_types_and_values_and_names_do() -> None:
    values: list[Any] = [
        0,
        1,
        1.0,
        True,
        False,
        "1",
        "true",
        None,
        "None",
        0.1,
        math.nextafter(0.1, 1),
        2**63,
        1e300,
    ]
    keys = {config_key({"x": value}) for value in values} | {config_key({"y": 1}), config_key({})}
    assert len(keys) == len(values) + 2


@pytest.mark.parametrize("value", [math.nan, math.inf, [1], {"a": 1}, b"x"])
def test_only_plain_finite_values_have_a_key(value: Any) -> None:
    with pytest.raises(ParamsError, match="must hold plain finite values"):
        config_key({"x": value})
