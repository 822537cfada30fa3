"""Sentences of clinical reports: one CSV file, the real one or a sample of its form, made from a seed."""

from pathlib import Path

import numpy as np
import pandas as pd

from tuner.errors import DataError

__all__ = ["COLUMNS", "FILE", "load", "make_sample", "prepare"]

FILE = "sentences.csv"
REAL = "negex_sentences.csv"
COLUMNS = ["post_id", "sentence_id", "sentence_text", "symptom", "status", "span_start", "span_end"]

_KINDS = ["", "", "mild", "severe", "acute", "chronic", "left", "right", "new", "recurrent"]
_PLACES = [
    "chest",
    "abdominal",
    "back",
    "knee",
    "ankle",
    "pleural",
    "renal",
    "cardiac",
    "hip",
    "jaw",
    "lung",
    "neck",
]
_SIGNS = [
    "pain",
    "swelling",
    "effusion",
    "infection",
    "mass",
    "stenosis",
    "edema",
    "lesion",
    "failure",
    "spasm",
]
_ACTS = ["repair", "surgery", "imaging", "biopsy", "removal", "care"]
_WORDS = [
    "fever",
    "chills",
    "nausea",
    "wheezing",
    "headache",
    "dizziness",
    "cough",
    "pneumonia",
    "fatigue",
    "rash",
]
_PRESENT = [
    *("The patient complains of {}.", "She reports {} since {day}.", "History of {} on {day}."),
    *("He was admitted for {}.", "There is {} in this study.", "Exam shows {} as in the prior study."),
    *("No change in {} since {day}.", "She cannot sleep without medication because of {}."),
]
_ABSENT = [
    *("The patient denies {}.", "No {} since {day}.", "There is no evidence of {} in this study."),
    *("She is without {}.", "Negative for {} on {day}.", "We see no sign of {} as in the prior study."),
    *("Exam was negative for {}.", "Free of {} for days."),
]
_PAIRS = [
    *(("She denies {}, but reports {}.", (0, 1)), ("No {} or {} on {day}.", (0, 0))),
    *(("He has {} without {}.", (1, 0)), ("Apart from {}, no {} was seen.", (1, 0))),
    *(("Not only {} but also {} since {day}.", (1, 1)), ("No change in {}, and no {}.", (1, 0))),
]
_OTHERS = ["Her mother had {}.", "His brother was treated for {}.", "She was told of {} by a neighbor."]
"""What is said of somebody else is neither asked about nor evidence."""
_DAYS = [
    "Monday",
    "Friday",
    "the last visit",
    "admission",
    "the chest film",
    "renal surgery",
    "left hip repair",
]


def prepare(folder: Path, source: Path | None = None) -> pd.DataFrame:
    """Write the table of the project into `folder` and return it.

    Args:
        folder: of the project.
        source: the folder that holds `negex_sentences.csv`; None for the sample.

    Raises:
        DataError: the file is not there, or is another one.
    """
    if source is None:
        make_sample(folder / FILE)
    else:
        load(source / REAL).to_csv(folder / FILE, index=False)
    return load(folder / FILE)


def load(path: Path) -> pd.DataFrame:
    """Read a file of sentences.

    Raises:
        DataError: it is not there, or lacks a column; says which.
    """
    try:
        frame = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise DataError(
            f"The sentences {str(path)!r} cannot be read: {error}.", "See README.md for how to get them."
        ) from None
    absent = [name for name in COLUMNS if name not in frame]
    if absent:
        raise DataError(
            f"The sentences {str(path)!r} must have the columns {', '.join(absent)}, but lack them.",
            f"Its columns: {', '.join(COLUMNS)}",
        )
    return frame


def make_sample(path: Path, n_documents: int = 60, seed: int = 0) -> None:
    """Write sentences of reports that nobody wrote: the words around a symptom say what of it holds.

    Cues overlap ("no change in", "not only"), end before the sentence does ("but", "apart from"), and stand
    beside symptoms of others. One in fourteen is labelled the contrary of what it says, as annotators err,
    and of one span in eight the first word is left out.
    """
    rng = np.random.default_rng(seed)
    rows = []
    for document in range(n_documents):
        for number in range(int(rng.integers(4, 9))):
            name = f"s{document:03}"
            rows += [(name, f"{name}_{number}", *each) for each in _sentence(rng)]
    frame = pd.DataFrame(rows, columns=COLUMNS)
    wrong = rng.random(len(frame)) < 1 / 14
    frame["status"] = frame["status"].where(~wrong, 1 - frame["status"])
    frame.to_csv(path, index=False)


def _sentence(rng: np.random.Generator) -> list[tuple[str, str, int, int, int]]:
    """The rows of one sentence: text, symptom, status, first character, the one after the last."""
    first, second = _symptom(rng), _symptom(rng)
    while second in first or first in second:
        second = _symptom(rng)
    kind = rng.random()
    if kind < 0.35:
        pattern, statuses = _PAIRS[int(rng.integers(len(_PAIRS)))]
    elif kind < 0.8:
        pattern, statuses = str(rng.choice(_PRESENT)), (1, 1)
    else:
        pattern, statuses = str(rng.choice(_ABSENT)), (0, 0)
    pattern = pattern.replace("{day}", str(rng.choice(_DAYS)))
    if rng.random() < 0.6:  # words of symptoms that are none here
        aside = f"{rng.choice(_PLACES)} {rng.choice(_SIGNS)} {rng.choice(_ACTS)}"
        pattern = f"After {aside}, {pattern}" if rng.random() < 0.5 else f"{pattern[:-1]} before {aside}."
    asked = [first, second][: pattern.count("{}")]
    text = pattern.format(*asked)
    starts = [text.index(symptom, pattern.index("{")) for symptom in asked]
    if rng.random() < 0.3:
        text = f"{text} {str(rng.choice(_OTHERS)).format(_symptom(rng))}"
    for i, symptom in enumerate(asked):
        if " " in symptom and rng.random() < 1 / 8:
            asked[i] = symptom.partition(" ")[2]
            starts[i] += len(symptom) - len(asked[i])
    return [
        (text, symptom, status, start, start + len(symptom))
        for symptom, status, start in zip(asked, statuses, starts, strict=False)
    ]


def _symptom(rng: np.random.Generator) -> str:
    """One to three words, most of which stand elsewhere, too."""
    if rng.random() < 0.3:
        return str(rng.choice(_WORDS))
    words = [str(rng.choice(each)) for each in (_KINDS, _PLACES, _SIGNS)]
    return " ".join(word for word in words if word)
