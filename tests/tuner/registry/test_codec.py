"""What is stored of a configuration: its values as JSON, and the hash that tells it from any other."""

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuner.errors import RetrainError
from tuner.experiment import Value
from tuner.registry.codec import encode_params
from tuner.space import config_key

VALUES = (
    st.floats(allow_nan=False, allow_infinity=False) | st.integers() | st.booleans() | st.none() | st.text()
)


@settings(deadline=None, max_examples=300)
@given(st.dictionaries(st.text(), VALUES, max_size=8))
def test_values_and_hash_are_those_of_json_and_of_the_configurations_key(params: dict[str, Value]) -> None:
    values, key = encode_params(params)
    assert values == json.dumps(list(params.values()), separators=(",", ":"))
    assert key.hex() == config_key(params)[:32]


@pytest.mark.parametrize("value", [-0.0, 0.0, True, 1, 1.0, "1", None, 1e-320, 2**70])
def test_every_kind_of_value_keeps_its_spelling_and_its_key(value: Value) -> None:
    values, key = encode_params({"b": value, "a": 2})
    assert values == f"[{json.dumps(value)},2]"
    assert key.hex() == config_key({"b": value, "a": 2})[:32]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, [1], 10**5000], ids=type)
def test_what_is_no_finite_scalar_is_refused(value: Value) -> None:
    with pytest.raises(RetrainError):
        encode_params({"a": value})
