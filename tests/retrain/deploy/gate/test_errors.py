"""How often the gate errs, on 200 seeded promotions. benchmarks/gate_errors.py has the long table.

The data sets are fixed by their seeds, so these tests pass always or never. Of other seeds: were the gate to
let exactly 5 % of the promotions of no worth pass, more than 10 of 200 would pass in 42 % of the cases; the
corrected standard error lets about 1 % pass, so that it is less than 1 in 10,000. Of 200 improvements of 2 %
in the table, 200 were found; fewer than 32 of 40 would be found less often than once in 10,000 even if the
gate missed one of 25.
"""

import pytest

from benchmarks.gate_errors import Scenario, rates


@pytest.fixture(scope="module")
def no_better() -> dict[str, int]:
    return {rate.gate: rate.n_passed for rate in rates(Scenario("regression", 300), 200)}


def test_of_200_promotions_without_any_worth_at_most_alpha_pass(no_better: dict[str, int]) -> None:
    assert no_better["surely better"] <= 10


def test_the_test_itself_can_tell(no_better: dict[str, int]) -> None:
    """Half of them look better, so that it is the confidence that refuses them."""
    assert 70 <= no_better["better"] <= 130
    assert no_better["default"] > 150


def test_a_real_improvement_of_two_percent_is_found() -> None:
    found = {rate.gate: rate.share for rate in rates(Scenario("regression", 2000, planted=True), 40)}
    assert found["surely better"] >= 0.8
