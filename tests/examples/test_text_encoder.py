"""The recipe for encoders, on a model of a few thousand weights that is made here; nothing is downloaded."""

import shutil
from pathlib import Path

import pytest

import examples.text
from examples.text.data import prepare
from examples.text.encoder import CHECKPOINT, EncoderPipeline, batches
from retrain.config import load_config
from tuner.errors import DataError

FOLDER = Path(examples.text.__file__).parent


def test_rows_come_so_many_at_a_time() -> None:
    import numpy as np

    assert [each.tolist() for each in batches(np.arange(5), 2)] == [[0, 1], [2, 3], [4]]


@pytest.fixture
def pipeline(tmp_path: Path) -> EncoderPipeline:
    shutil.copy(FOLDER / "encoder.toml", tmp_path)
    prepare(tmp_path)
    return EncoderPipeline(load_config(tmp_path / "encoder.toml", environ={}))


def test_without_a_checkpoint_it_says_what_to_set(
    pipeline: EncoderPipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CHECKPOINT, str(tmp_path))
    with pytest.raises(DataError, match="must name the folder of a pretrained encoder"):
        pipeline.provenance()


def tiny_encoder(folder: Path, words: list[str]) -> None:
    """Write a BERT of one layer of 32 numbers that knows these words."""
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

    folder.mkdir()
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]
    (folder / "vocab.txt").write_text("\n".join(vocabulary), encoding="utf-8")
    BertTokenizerFast(vocab=str(folder / "vocab.txt")).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        hidden_dropout_prob=0.0,
    )
    BertForSequenceClassification(config).save_pretrained(folder)


def test_a_tiny_encoder_learns_and_reports_each_epoch(
    pipeline: EncoderPipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip(
        "torch", reason="torch is not installed: the recipe for encoders is an optional extra"
    )
    pytest.importorskip("transformers", reason="transformers is not installed: see above")
    pipeline.use(pipeline.load())
    words = sorted(
        {word.strip(".,").lower() for text in pipeline.data.table.features for word in text.split()}
    )
    tiny_encoder(tmp_path / "tiny", [*words, ".", ","])
    monkeypatch.setenv(CHECKPOINT, str(tmp_path / "tiny"))
    params = {"learning_rate": 5e-3, "batch_size": 16, "epochs": 3, "weight_decay": 0.0, "warmup": 0.1}
    reports: list[tuple[int, float]] = []
    evaluation = pipeline.evaluate(params, lambda epoch, said: reports.append((epoch, said["f1_macro"])), 0)
    assert [epoch for epoch, _ in reports] == [1, 2, 3]
    assert evaluation.value == reports[-1][1]
    assert evaluation.value > 0.6  # one class alone would have less than a half
    again = pipeline.evaluate(params, lambda *_: None, 0)
    assert again.value == evaluation.value
    assert "tiny" in pipeline.provenance().code
