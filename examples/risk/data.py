"""The clients: the published file, or a sample of its format made from a seed."""

import csv
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from tuner.errors import DataError

__all__ = ["COLUMNS", "TARGET", "sample", "write_clients"]

FILE = Path("risk_credit_default", "default_of_credit_card_clients.csv")
"""Where the published file lies below the folder with the real data."""

TARGET = "default payment next month"

_MONTHS = ("0", "2", "3", "4", "5", "6")

COLUMNS = (
    *("ID", "LIMIT_BAL", "SEX", "EDUCATION", "MARRIAGE", "AGE"),
    *(f"PAY_{month}" for month in _MONTHS),
    *(f"BILL_AMT{month}" for month in range(1, 7)),
    *(f"PAY_AMT{month}" for month in range(1, 7)),
    TARGET,
)
"""Those of the published file, in its order."""


def sample(n: int = 3_000, seed: int = 0) -> list[dict[str, Any]]:
    """Make up clients: how late they paid in six months, what they owed and paid, and whether they default.

    Late payment goes on from month to month, and default hangs on the latest, on the use of the limit, on the
    share that is paid back, and on these together.
    """
    rng = np.random.default_rng(seed)
    limit = np.round(np.exp(rng.normal(11.8, 0.8, n)) / 10_000).clip(1, 80) * 10_000
    strain = rng.normal(0.0, 1.0, n)
    late, bills, paid = [], [], []
    use = 1 / (1 + np.exp(-(strain + rng.normal(0.0, 0.7, n))))
    before = np.zeros(n)
    for _ in _MONTHS:
        before = np.round(0.7 * before + strain * 0.6 + rng.normal(-0.4, 0.7, n)).clip(-2, 8)
        late.append(before)
        bills.append(np.round(limit * use * rng.uniform(0.7, 1.1, n)))
        paid.append(np.round(bills[-1] * rng.beta(1.0, 6.0, n) * (before <= 0)))
    late.reverse()  # the latest month stands first
    share = np.array(paid).sum(axis=0) / (np.array(bills).sum(axis=0) + 1.0)
    risk = 1.1 * late[0].clip(0, 3) + 0.9 * (use > 0.8) * (late[1] > 0)
    risk -= 5.0 * share + 0.4 * np.log(limit / 1e5)
    defaults = rng.random(n) < 1 / (1 + np.exp(1.6 - risk))
    person = {
        "ID": range(1, n + 1),
        "LIMIT_BAL": limit,
        "SEX": rng.integers(1, 3, n),
        "EDUCATION": rng.choice([1, 2, 3, 4], n, p=[0.35, 0.47, 0.16, 0.02]),
        "MARRIAGE": rng.choice([1, 2, 3], n, p=[0.46, 0.53, 0.01]),
        "AGE": np.round(rng.gamma(9.0, 4.0, n)).clip(21, 79),
        **{f"PAY_{month}": column for month, column in zip(_MONTHS, late, strict=True)},
        **{f"BILL_AMT{i}": column for i, column in enumerate(bills, 1)},
        **{f"PAY_AMT{i}": column for i, column in enumerate(paid, 1)},
        TARGET: defaults,
    }
    columns = [[int(value) for value in person[name]] for name in COLUMNS]
    return [dict(zip(COLUMNS, row, strict=True)) for row in zip(*columns, strict=True)]


def write_clients(path: Path, data: Path | None, *, n: int = 3_000, seed: int = 0) -> Path:
    """Put the published file of the folder `data` at `path`, or a sample where that is None.

    Raises:
        DataError: the file is not there, or has other columns.
    """
    if data is None:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(sample(n, seed))
        return path
    source = data / FILE
    if not source.is_file():
        raise DataError(
            f"There is no file {FILE} in {data}.", "README.md of this example says how to get it."
        )
    with source.open(encoding="utf-8", newline="") as file:
        header = next(csv.reader(file), [])
    missing = [name for name in COLUMNS if name not in header]
    if missing:
        raise DataError(
            f"{source} must have the columns of the published file, but lacks {', '.join(missing)}.",
            "README.md of this example says which file is meant.",
        )
    shutil.copyfile(source, path)
    return path
