import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrain.sizes import LEAST_BYTES, parse_size, size_text
from tuner.errors import UsageError


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("500MB", 500_000_000),
        ("2GB", 2_000_000_000),
        ("2 gb", 2_000_000_000),
        ("1.5g", 1_500_000_000),
        ("2GiB", 2**31),
        ("1000000", 1_000_000),
    ],
)
def test_sizes_as_people_type_them(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "2", "999kb", "-2GB", "2 apples", "nan", "infGB", "2GBB", "1e9"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"^--experiment-memory must be an amount of memory") as raised:
        parse_size(text, "--experiment-memory")
    assert "500MB" in raised.value.remedy


def test_sizes_as_people_read_them() -> None:
    told = [size_text(size) for size in (1_000_000, 512_300_000, 999_600_000, 2_143_000_000)]
    assert told == ["1 MB", "512 MB", "1 GB", "2.14 GB"]


@given(st.integers(LEAST_BYTES, 10**14))
def test_what_is_read_can_be_typed(size: int) -> None:
    assert parse_size(size_text(size)) == pytest.approx(size, rel=0.01, abs=500_000)
