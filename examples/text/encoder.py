"""A recipe for transformer encoders: the same sentences and splits, a pretrained model with a new head.

It is no part of the tool: `pip install 'retrain[encoders]'` first, then name it as the pipeline, in the place
of TF-IDF and its models (encoder.toml). `checkpoint` is a folder with a model and its tokenizer, such as one
that `huggingface-cli download distilbert-base-uncased` has made: nothing is downloaded here.

Of each fold the encoder is fine-tuned on the training sentences, and after each epoch scored on the others,
so that a pruner may stop it. One fold alone (`n_folds`) is the plain split of 80, 10 and 10 %.
"""

import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from retrain.metrics import Predictions, get_metric, score
from retrain.pipeline import Pipeline, Report
from retrain.pipelines.folds import LoadedTable, rows_of
from retrain.splits import make_folds, split_holdout
from tuner.experiment import Direction, Evaluation, Params, Provenance

if TYPE_CHECKING:
    from retrain.config import Config

__all__ = ["CHECKPOINT", "EncoderPipeline", "batches", "fine_tune", "load_encoder", "probabilities"]

CHECKPOINT = "ENCODER_CHECKPOINT"
"""The variable of the environment that names the folder of the pretrained model."""

_FILE, _TEXT, _TARGET, _GROUP = "sentences.csv", "sentence_text", "status", "post_id"
_FOLDS, _HOLDOUT = 9, 0.1
_MAX_TOKENS = 128


class EncoderPipeline(Pipeline):
    """Fine-tunes a pretrained encoder with the searched learning rate, batch size, epochs and so on."""

    name = "encoder"
    metric = "f1_macro"
    direction = Direction.MAXIMIZE

    def __init__(self, config: "Config", n_folds: int = 1) -> None:
        self.space = config.search_space()
        self._root = config.root
        self._n_folds = n_folds
        self._data: LoadedTable | None = None

    def load(self) -> LoadedTable:
        """Read the sentences and set those of a tenth of the reports aside."""
        from retrain.data import make_texts, read_table

        table = make_texts(
            read_table(_FILE, self._root), _TEXT, _TARGET, get_metric(self.metric), group=_GROUP
        )
        return LoadedTable(table, *split_holdout(rows_of(table), _HOLDOUT, 0))

    def use(self, data: object) -> None:
        """Take what `load` returned."""
        assert isinstance(data, LoadedTable)
        self._data = data

    @property
    def data(self) -> LoadedTable:
        """What `use` was given."""
        if self._data is None:
            self.use(self.load())
        assert self._data is not None
        return self._data

    def provenance(self) -> Provenance:
        """The sentences, the checkpoint, and how many folds count."""
        return Provenance(
            data=self.data.table.fingerprint,
            code=f"encoder {_checkpoint().name}",
            metric=f"{self.metric}, maximize; {self._n_folds} of {_FOLDS} folds, holdout {_HOLDOUT}",
        )

    def evaluate(self, params: Params, report: Report, seed: int) -> Evaluation:
        """Fine-tune on each fold that counts; report after each epoch of the first."""
        start, data = time.perf_counter(), self.data
        table = data.table
        folds = make_folds(rows_of(table).take(data.train), _FOLDS, 1, seed)[: self._n_folds]
        values = []
        for i, (learned, scored) in enumerate(folds):
            train, valid = data.train[learned], data.train[scored]
            value = 0.0
            model, tokenizer = load_encoder(_checkpoint(), table.n_classes, seed)
            for epoch in fine_tune(model, tokenizer, table.features[train], table.y[train], params, seed):
                found = probabilities(model, tokenizer, table.features[valid])
                said = Predictions(found.argmax(axis=1), found)
                value = score(get_metric(self.metric), table.y[valid], said, table.n_classes)
                if i == 0:
                    report(epoch, {self.metric: value})
            values.append(value)
        return Evaluation(float(np.mean(values)), duration_s=time.perf_counter() - start)


def _checkpoint() -> Path:
    """The folder of the pretrained model.

    Raises:
        DataError: the variable does not name one.
    """
    from tuner.errors import DataError

    folder = Path(os.environ.get(CHECKPOINT, ""))
    if not (folder / "config.json").is_file():
        raise DataError(
            f"{CHECKPOINT} must name the folder of a pretrained encoder, but {str(folder)!r} holds no"
            " config.json.",
            f"export {CHECKPOINT}=path/to/distilbert-base-uncased",
        )
    return folder


def load_encoder(checkpoint: Path, n_classes: int, seed: int) -> tuple[Any, Any]:
    """Load a pretrained encoder with a fresh head, and its tokenizer, from files alone."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    torch.manual_seed(seed)
    torch.set_num_threads(1)
    tokenizer = AutoTokenizer.from_pretrained(checkpoint, local_files_only=True)
    model = AutoModelForSequenceClassification.from_pretrained(
        checkpoint, num_labels=n_classes, local_files_only=True, use_safetensors=True
    )
    return model, tokenizer


def fine_tune(
    model: Any, tokenizer: Any, texts: np.ndarray, y: np.ndarray, params: Params, seed: int
) -> Iterator[int]:
    """Learn (n,) class codes of (n,) texts, and yield after each epoch, from 1."""
    import torch

    given = {name: float(str(value)) for name, value in params.items()}
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=given["learning_rate"], weight_decay=given.get("weight_decay", 0.01)
    )
    n_epochs, size = int(given["epochs"]), int(given["batch_size"])
    rng = np.random.default_rng(seed)
    total = n_epochs * -(-len(texts) // size)
    warm = max(1, round(given.get("warmup", 0.1) * total))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warm, max(0.0, (total - step) / max(1, total - warm)))
    )
    for epoch in range(1, n_epochs + 1):
        model.train()
        for rows in batches(rng.permutation(len(texts)), size):
            labels = torch.as_tensor(y[rows])
            loss = model(**_encoded(tokenizer, texts[rows]), labels=labels).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
        yield epoch


def probabilities(model: Any, tokenizer: Any, texts: np.ndarray) -> np.ndarray:
    """What the model says of (n,) texts: (n, n_classes)."""
    import torch

    model.eval()
    found = []
    with torch.no_grad():
        for rows in batches(np.arange(len(texts)), 64):
            logits = model(**_encoded(tokenizer, texts[rows])).logits
            found += [torch.softmax(logits, dim=1).numpy()]
    return np.concatenate(found).astype(float)


def batches(rows: np.ndarray, size: int) -> Sequence[np.ndarray]:
    """Rows, so many at a time."""
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def _encoded(tokenizer: Any, texts: np.ndarray) -> Any:
    return tokenizer(
        [str(text) for text in texts],
        padding=True,
        truncation=True,
        max_length=_MAX_TOKENS,
        return_tensors="pt",
    )
