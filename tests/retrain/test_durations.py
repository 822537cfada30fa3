"""Durations as typed on the command line."""

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrain.durations import parse_duration
from tuner.errors import UsageError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("90s", 90),
        ("10m", 600),
        ("1h", 3600),
        ("1.5h", 5400),
        ("2d", 172800),
        (" 5 M ", 300),
        ("0", 0),
    ],
)
def test_what_people_type(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "h", "-5", "1e3", "nan", "inf", "10 minutes", "1h30m", "٣", "9" * 400])
def test_what_is_no_duration_is_refused_by_name(text: str) -> None:
    with pytest.raises(UsageError, match="--timeout must be") as caught:
        parse_duration(text, "--timeout")
    assert "10m" in caught.value.remedy


@settings(deadline=None, max_examples=200)
@given(st.text(max_size=8))
def test_any_text_is_a_duration_or_a_usage_error(text: str) -> None:
    with suppress(UsageError):
        assert parse_duration(text) >= 0
