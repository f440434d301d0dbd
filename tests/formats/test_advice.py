"""Files that people bring and that are almost a model: they are read, or the message says what to do."""

import contextlib
import json
import shutil
from pathlib import Path

import pytest

import berthub as hub
from berthub.errors import CorruptFileError, InputError, UnsupportedModelError
from berthub.formats import read
from support.transformers_models import randomize, transformers

torch = pytest.importorskip("torch")

_SIZES = {
    "vocab_size": 40,
    "hidden_size": 24,
    "num_hidden_layers": 1,
    "num_attention_heads": 3,
    "intermediate_size": 36,
    "max_position_embeddings": 20,
}
_DISTIL = {"vocab_size": 40, "dim": 24, "n_layers": 1, "n_heads": 3, "hidden_dim": 36, "max_position_embeddings": 20}
_POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"


def _save(folder: Path, title: str, kind: str, **settings: object) -> None:
    config = getattr(transformers, f"{title}Config")(**(_DISTIL if title == "DistilBert" else _SIZES), **settings)
    randomize(getattr(transformers, f"{title}{kind}")(config)).save_pretrained(folder)
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{number}" for number in range(35))]
    (folder / "vocab.txt").write_text("\n".join(pieces))


@pytest.mark.parametrize(
    ("title", "kind", "weight"),
    [
        ("DistilBert", "ForQuestionAnswering", "qa_outputs.bias"),
        ("Electra", "ForMultipleChoice", "sequence_summary.summary.bias"),
        ("Electra", "ForPreTraining", "discriminator_predictions.dense.bias"),
        ("Bert", "ForQuestionAnswering", "qa_outputs.bias"),
        ("Bert", "ForMultipleChoice", "classifier.bias"),
        ("Bert", "ForNextSentencePrediction", "cls.seq_relationship.bias"),
    ],
)
def test_a_head_that_is_not_read_is_named(tmp_path: Path, title: str, kind: str, weight: str) -> None:
    _save(tmp_path, title, kind)
    encoder = hub.load(tmp_path, engine="numpy")
    assert encoder.head is None
    assert weight in encoder.checkpoint.origin.unread_head
    for call in (encoder.predict, encoder.predict_proba):
        with pytest.raises(InputError, match=f"hold a head that is not read .*{weight}"):
            call(["w1 w2"])


def test_a_model_without_a_head_was_not_fine_tuned(tmp_path: Path) -> None:
    _save(tmp_path, "Bert", "Model")
    with pytest.raises(InputError, match="was not fine-tuned"):
        hub.load(tmp_path, engine="numpy").predict(["w1"])


def test_the_advice_for_a_pickled_model_keeps_the_head(tmp_path: Path) -> None:
    _save(tmp_path, "Bert", "ForSequenceClassification", id2label={0: "bad", 1: "good"}, label2id={"bad": 0, "good": 1})
    expected = hub.load(tmp_path, engine="numpy").predict_proba(["w1 w2"])
    model = transformers.BertForSequenceClassification.from_pretrained(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    path = tmp_path / "pytorch_model.bin"
    torch.save(model, path)
    with pytest.raises(UnsupportedModelError, match=r"asks for 'transformers\..*Nothing of it was run.*state_dict\(\)"):
        read(tmp_path)
    torch.save(torch.load(path, weights_only=False).state_dict(), path)
    assert hub.load(tmp_path, engine="numpy").predict_proba(["w1 w2"]).tolist() == expected.tolist()


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("hf_bert", "model.safetensors"),
        ("hf_bert", "config.json"),
        ("hf_bert", "vocab.txt"),
        ("tf2_v4", "saved_model.pb"),
        ("tf2_v4", "variables/variables.index"),
        ("tf2_v4", "assets/vocab.txt"),
        ("google_checkpoint", "bert_model.ckpt.data-00000-of-00001"),
    ],
)
def test_pointers_of_git_lfs_are_named(models: Path, tmp_path: Path, model: str, name: str) -> None:
    folder = Path(shutil.copytree(models / model, tmp_path / "model"))
    (folder / name).write_text(_POINTER)
    with pytest.raises(CorruptFileError, match=f"{name} is a pointer of Git LFS.*git lfs pull"):
        read(folder)


def test_a_byte_order_mark_is_no_part_of_the_first_piece(models: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(models / "google_checkpoint", tmp_path / "model"))
    expected = read(folder)
    for name in ("vocab.txt", "bert_config.json"):
        (folder / name).write_bytes(b"\xef\xbb\xbf" + (folder / name).read_bytes())
    found = read(folder)
    assert found.vocabulary == expected.vocabulary
    assert found.config == expected.config
    path = folder / "vocab.txt"
    path.write_bytes(path.read_text(encoding="utf-8-sig").encode("utf-16"))
    with pytest.raises(CorruptFileError, match="UTF-16 text, and a vocabulary is UTF-8"):
        read(folder)


@pytest.mark.parametrize("title", ["Bert", "Electra", "DistilBert"])
def test_a_configuration_without_model_type_is_told_by_its_class(tmp_path: Path, title: str) -> None:
    _save(tmp_path, title, "Model")
    expected = read(tmp_path).config
    path = tmp_path / "config.json"
    stored = json.loads(path.read_text())
    del stored["model_type"]
    path.write_text(json.dumps(stored))
    assert read(tmp_path).config == expected
    path.write_text(json.dumps({**stored, "architectures": ["Bertweet"]}))
    with pytest.raises(UnsupportedModelError, match="model_type to None"):
        read(tmp_path)


def test_labels_that_nobody_named_follow_the_weights(tmp_path: Path) -> None:
    _save(tmp_path, "Bert", "ForSequenceClassification", num_labels=3)
    path = tmp_path / "config.json"
    stored = json.loads(path.read_text())
    path.write_text(json.dumps({**stored, "num_labels": 3, "id2label": {"0": "LABEL_0", "1": "LABEL_1"}}))
    head = read(tmp_path).head
    assert head is not None
    assert head.labels == ("LABEL_0", "LABEL_1", "LABEL_2")
    with contextlib.suppress(KeyError):
        del stored["id2label"], stored["label2id"]
    path.write_text(json.dumps(stored))
    head = read(tmp_path).head
    assert head is not None
    assert head.labels == ("LABEL_0", "LABEL_1", "LABEL_2")
