"""The deaths: the published file of children, or a sample of the same format made from a seed."""

import csv
from pathlib import Path

import numpy as np

__all__ = ["LABELS", "SITES", "main", "sample", "write_deaths"]

FILE = Path("va_phmrc", "validated-child.csv")
"""Where the published file lies below the folder with the real data."""

LABELS = (
    "gs_code34",
    "gs_text34",
    "gs_code46",
    "gs_text46",
    "gs_code55",
    "gs_text55",
    "gs_comorbid1",
    "gs_comorbid2",
    "gs_level",
    "va34",
    "va46",
    "va55",
)
"""The columns that tell the cause, or come from who knew it. One is the target, and none is a feature."""

SITES = ("UP", "Dar", "AP", "Bohol", "Pemba", "Mexico")

_CAUSES = (
    ("J18", "Pneumonia", 0.30),
    ("A09", "Diarrhea/Dysentery", 0.22),
    ("A41", "Sepsis", 0.16),
    ("B54", "Malaria", 0.12),
    ("V89", "Road Traffic", 0.08),
    ("W74", "Drowning", 0.06),
    ("B05", "Measles", 0.04),
    ("X49", "Poisonings", 0.02),
)
_N_SYMPTOMS = 40


def sample(n: int = 480, seed: int = 0) -> list[dict[str, object]]:
    """Make up deaths at three sites, in the columns of the published file.

    A cause has a handful of symptoms that it mostly shows, as sparse as the real ones; each site reports some
    of them more or less often, and has causes in shares of its own, the rarest in a few rows.

    Args:
        n: how many.
        seed: all that decides.
    """
    rng = np.random.default_rng(seed)
    shares = np.array([share for *_, share in _CAUSES])
    shown = rng.beta(0.4, 2.5, size=(len(_CAUSES), _N_SYMPTOMS))
    for cause in range(len(_CAUSES)):
        shown[cause, rng.choice(_N_SYMPTOMS, 4, replace=False)] = rng.uniform(0.25, 0.6, 4)
    names = [f"s{10 * i + 7}" for i in range(_N_SYMPTOMS)]
    rows: list[dict[str, object]] = []
    for site in SITES[:3]:
        here = shares * rng.lognormal(0.0, 0.5, len(shares))
        told = np.clip(shown * rng.lognormal(0.0, 0.5, _N_SYMPTOMS), 0.0, 0.97)
        for i, cause in enumerate(rng.choice(len(shares), n // 3, p=here / here.sum())):
            code, text, _ = _CAUSES[cause]
            row: dict[str, object] = {"sid": f"{site}-{i:04}", "site": site}
            row |= {name: code if "code" in name else text for name in LABELS[:6]}
            row |= {"gs_comorbid1": "", "gs_comorbid2": "", "gs_level": 1}
            row |= dict.fromkeys(LABELS[-3:], int(cause) + 1)
            row |= {
                "age": float(rng.integers(0, 2)),
                "sex": "" if rng.random() < 0.01 else float(rng.integers(0, 2)),
            }
            row |= {name: int(rng.random() < p) for name, p in zip(names, told[cause], strict=True)}
            rows.append(row)
    return rows


def write_deaths(path: Path, data: Path | None, *, n: int = 480, seed: int = 0) -> Path:
    """Write the table that `retrain.toml` names, and return its path.

    Args:
        path: where to.
        data: the folder with the real data; None for a sample.
        n: rows of the sample.
        seed: of the sample.

    Raises:
        FileNotFoundError: the folder lacks the published file.
    """
    if data is not None:
        path.write_bytes((data / FILE).read_bytes())
        return path
    rows = sample(n, seed)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def main() -> None:
    """`python data.py [FOLDER]`: write deaths.csv here, from the folder with the real data or as a sample."""
    import sys

    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    print(f"written: {write_deaths(Path('deaths.csv'), folder)}")


if __name__ == "__main__":
    main()
