"""The people followed from 1971 to 1992: the published file, or a sample of its format made from a seed."""

import csv
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["COLUMNS", "check_header", "main", "sample", "write_people"]

FILE = Path("causal_nhefs", "nhefs.csv")
"""Where the published file lies below the folder with the real data."""

_YES_NO = {
    "asthma": 0.05,
    "bronch": 0.09,
    "tb": 0.02,
    "hf": 0.01,
    "pepticulcer": 0.10,
    "colitis": 0.03,
    "hepatitis": 0.02,
    "chroniccough": 0.05,
    "hayfever": 0.09,
    "polio": 0.01,
    "tumor": 0.02,
    "nervousbreak": 0.03,
    "headache": 0.63,
    "otherpain": 0.25,
    "weakheart": 0.02,
    "allergies": 0.06,
    "nerves": 0.14,
    "lackpep": 0.05,
    "wtloss": 0.03,
    "infection": 0.15,
}
"""Columns of 0 and 1, with the share of 1."""

_HALF_ASKED = {"hbp": 0.16, "diabetes": 0.02, "pica": 0.01, "hbpmed": 0.07, "boweltrouble": 0.12}
"""The same where 2 stands for those who were not asked."""

COLUMNS = (
    *("seqn", "qsmk", "death", "yrdth", "modth", "dadth", "sbp", "dbp", "sex", "age", "race", "income"),
    *("marital", "school", "education", "ht", "wt71", "wt82", "wt82_71", "birthplace"),
    *("smokeintensity", "smkintensity82_71", "smokeyrs", "asthma", "bronch", "tb", "hf", "hbp"),
    *("pepticulcer", "colitis", "hepatitis", "chroniccough", "hayfever", "diabetes", "polio", "tumor"),
    *("nervousbreak", "alcoholpy", "alcoholfreq", "alcoholtype", "alcoholhowmuch", "pica", "headache"),
    *("otherpain", "weakheart", "allergies", "nerves", "lackpep", "hbpmed", "boweltrouble", "wtloss"),
    *("infection", "active", "exercise", "birthcontrol", "pregnancies", "cholesterol", "hightax82"),
    *("price71", "price82", "tax71", "tax82", "price71_82", "tax71_82", "id", "censored", "older"),
)
"""Those of the published file, in its order."""


def sample(n: int = 600, seed: int = 0) -> list[dict[str, Any]]:
    """Make up people: what was asked in 1971, their weight in 1982, and whether they were dead by 1992.

    Death hangs on age, smoking, sex and a few illnesses; the change of weight on age, weight, smoking that
    was given up, and on these together. What was measured later follows from the targets, as it does in the
    published file.

    Args:
        n: how many.
        seed: all that decides.
    """
    rng = np.random.default_rng(seed)
    people = []
    for i in range(n):
        row: dict[str, Any] = {"id": i + 1, "seqn": 233 + 15 * i + int(rng.integers(0, 15))}
        _asked(row, rng)
        _weighed(row, rng)
        _survived(row, rng)
        people.append({name: row[name] for name in COLUMNS})
    return people


def _asked(row: dict[str, Any], rng: np.random.Generator) -> None:
    """Fill in what was asked and measured in 1971."""
    age = int(np.clip(rng.gamma(9.0, 4.9), 25, 74))
    sex, intensity = int(rng.random() < 0.51), float(np.clip(rng.gamma(3.0, 7.0), 1, 80).round())
    row |= {"age": age, "older": int(age > 50), "sex": sex, "race": int(rng.random() < 0.13)}
    row |= {"smokeintensity": intensity, "smokeyrs": int(max(1, age - rng.normal(19, 5)))}
    row |= {name: int(rng.random() < share) for name, share in _YES_NO.items()}
    row |= {
        name: 2 if rng.random() < 0.48 else int(rng.random() < share) for name, share in _HALF_ASKED.items()
    }
    school = int(np.clip(rng.normal(11.2, 3.0), 0, 17))
    row |= {"school": school, "education": 1 + sum(school >= least for least in (9, 12, 13, 16))}
    row |= {"income": _or_missing(rng, 0.04, int(np.clip(rng.normal(18, 2.7), 11, 22)))}
    row |= {"marital": int(rng.choice([2, 3, 4, 5, 6], p=[0.79, 0.06, 0.06, 0.06, 0.03]))}
    height = rng.normal(176 - 13 * sex, 7)
    row |= {"ht": round(height, 3), "wt71": round(float(rng.normal(0.43 * height - 2 * sex, 13)), 2)}
    row |= {"birthplace": _or_missing(rng, 0.06, int(rng.integers(1, 57)))}
    row |= {"alcoholpy": int(rng.random() < 0.87), "alcoholfreq": int(rng.integers(0, 5))}
    row |= {"alcoholtype": int(rng.integers(1, 5))}
    row |= {"alcoholhowmuch": _or_missing(rng, 0.25, int(1 + rng.poisson(2.2)))}
    row |= {"active": int(rng.integers(0, 3)), "exercise": int(rng.integers(0, 3))}
    row |= {"birthcontrol": int(rng.random() < 0.2) if sex else 2}
    row |= {"pregnancies": int(1 + rng.poisson(2.5)) if sex and rng.random() < 0.85 else ""}
    row |= {"cholesterol": _or_missing(rng, 0.01, int(rng.normal(195 + 0.5 * age, 42)))}
    price, tax = rng.normal(2.14, 0.2), rng.normal(1.06, 0.2)
    later, later_tax = price - rng.normal(0.33, 0.15), tax - rng.normal(0.55, 0.15)
    row |= {"price71": price, "price82": later, "tax71": tax, "tax82": later_tax}
    row |= {"price71_82": price - later, "tax71_82": tax - later_tax, "hightax82": int(rng.random() < 0.17)}


def _weighed(row: dict[str, Any], rng: np.random.Generator) -> None:
    """Fill in 1982: who had given up smoking, and who had gained weight; who was not found again has none."""
    quit_smoking = int(rng.random() < 0.22 + 0.004 * (row["age"] - 44))
    gained = 3.0 - 0.22 * (row["age"] - 44) - 0.14 * (row["wt71"] - 71) + 3.4 * quit_smoking
    gained += 0.06 * quit_smoking * row["smokeintensity"] - 2.5 * (row["age"] > 60) + rng.normal(0, 6)
    censored = int(rng.random() < 0.04)
    row |= {"qsmk": quit_smoking, "censored": censored}
    row |= {"wt82_71": "" if censored else round(gained, 4)}
    row |= {"wt82": "" if censored else round(row["wt71"] + gained, 2)}
    row |= {"smkintensity82_71": -row["smokeintensity"] if quit_smoking else int(rng.normal(0, 10))}
    row |= {"sbp": _or_missing(rng, 0.05, int(rng.normal(100 + 0.65 * row["age"], 16)))}
    row |= {"dbp": _or_missing(rng, 0.05, int(rng.normal(78, 10)))}


def _survived(row: dict[str, Any], rng: np.random.Generator) -> None:
    """Fill in 1992: who had died, and when."""
    risk = -2.1 + 0.105 * (row["age"] - 44) + 0.022 * (row["smokeintensity"] - 20) - 0.5 * row["sex"]
    risk += 0.9 * row["hf"] + 0.8 * (row["diabetes"] == 1) + 0.5 * row["chroniccough"]
    risk += 0.5 * (row["wt71"] < 52) - 0.3 * row["qsmk"] + 0.25 * row["active"]
    death = int(rng.random() < 1 / (1 + np.exp(-risk)))
    row |= {"death": death, "yrdth": int(rng.integers(83, 93)) if death else ""}
    row |= {
        "modth": int(rng.integers(1, 13)) if death else "",
        "dadth": int(rng.integers(1, 32)) if death else "",
    }


def _or_missing(rng: np.random.Generator, share: float, value: Any) -> Any:
    return "" if rng.random() < share else value


def check_header(names: list[str]) -> None:
    """Refuse a file of another format.

    Raises:
        ValueError: names the columns that are missing.
    """
    missing = [name for name in COLUMNS if name not in names]
    if missing:
        raise ValueError(f"the file must have the columns of NHEFS, but lacks: {', '.join(missing)}")


def write_people(path: Path, data: Path | None, *, share: float = 1.0, n: int = 600, seed: int = 0) -> Path:
    """Write the table that the configurations name, and return its path.

    Args:
        path: where to.
        data: the folder with the real data; None for a sample.
        share: of the people, the first of them: what an earlier run had.
        n: people of the sample.
        seed: of the sample.

    Raises:
        FileNotFoundError: the folder lacks the published file.
        ValueError: the file is of another format.
    """
    if data is None:
        rows = sample(n, seed)
    else:
        with (data / FILE).open(encoding="utf-8", newline="") as published:
            reader = csv.DictReader(published)
            check_header(list(reader.fieldnames or ()))
            rows = list(reader)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows[: round(share * len(rows))])
    return path


def main() -> None:
    """`python data.py [FOLDER]`: write nhefs.csv here, from the folder with the real data or as a sample."""
    import sys

    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    print(f"written: {write_people(Path('nhefs.csv'), folder)}")


if __name__ == "__main__":
    main()
