"""The folder of a model of texts and spans.

schema.json      format, family, task, architecture, name of the column, classes, window, threshold, heads
features.json    what was learned of the texts
span/ label/     the heads, each as its family stores it
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from retrain.models import family_module
from retrain.pipelines.artifact import SCHEMA_FILE, read_json
from retrain.pipelines.text_artifact import read_features, write_features, write_json
from retrain.pipelines.text_heads import EvidenceModel, Head

__all__ = ["load_evidence_model", "save_evidence_model"]

FORMAT = 1


def save_evidence_model(model: EvidenceModel, folder: Path) -> Sequence[Path]:
    """Write a model into an existing folder and return the files."""
    heads = {"span": model.span} | ({} if model.label is None else {"label": model.label})
    schema = {
        "format": FORMAT,
        "family": model.family,
        "task": model.task,
        "architecture": model.architecture,
        "text": model.text,
        "classes": list(model.classes),
        "window": model.window,
        "threshold": model.threshold,
        "heads": {
            name: {"present": head.present.tolist(), "n_classes": head.n_classes}
            for name, head in heads.items()
        },
    }
    files = [
        write_json(folder / SCHEMA_FILE, schema),
        write_features(folder, model.features),
    ]
    for name, head in heads.items():
        (folder / name).mkdir()
        files.append(family_module(model.family).save(head.estimator, folder / name))
    return files


def load_evidence_model(folder: Path) -> EvidenceModel:
    """Read what `save_evidence_model` wrote. In the folder of a version, its hashes are checked before.

    Raises:
        StorageError: a file is missing, damaged, changed since it was deployed, of a newer format, or holds
            types that are not trusted.
    """
    from retrain.models.sealed import check_sealed

    check_sealed(folder)
    schema = read_json(folder / SCHEMA_FILE, FORMAT)
    heads = {
        name: Head(
            family_module(schema["family"]).load(folder / name, schema["task"]),
            np.asarray(about["present"]),
            about["n_classes"],
        )
        for name, about in schema["heads"].items()
    }
    return EvidenceModel(
        schema["family"],
        schema["task"],
        schema["architecture"],
        schema["text"],
        tuple(schema["classes"]),
        read_features(folder),
        schema["window"],
        schema["threshold"],
        heads["span"],
        heads.get("label"),
    )
