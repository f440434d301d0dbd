"""What is written is read again bit for bit, and transformers computes the same numbers with it."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from berthub.checkpoint import Checkpoint
from berthub.errors import InputError, UnsupportedModelError
from berthub.formats import read
from berthub.formats.huggingface.writer import write_huggingface
from berthub.formats.vocabularies import byte_bpe_vocabulary, sentencepiece_vocabulary
from berthub.head import Head, HiddenLayer
from berthub.tokenization.tokenizer import Tokenizer
from berthub.vocabulary import Vocabulary
from support.tiny import tiny_checkpoint
from support.transformers_models import POSITIONS, assert_close, inputs, loaded, ours, theirs, transformers

TABLE = "bert/embeddings/word_embeddings"
_V3 = {
    "position_embeddings": False,
    "type_embeddings": False,
    "shared_projections": True,
    "convolution": None,
}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "bert": ("bert", {"embedding_size": None, "lower_case": False, "strip_accents": True, "split_chinese": False}),
    "bert_unpooled": ("bert", {"embedding_size": None, "pooler": False, "activation": "relu", "hidden_dropout": 0.3}),
    "electra": ("bert", {"pooler": False, "activation": "gelu_erf"}),
    "electra_pooled": ("bert", {"activation": "gelu_erf", "layer_norm_eps": 1e-6}),
    "electra_wide": ("bert", {"embedding_size": 24, "pooler": False, "mlm": False}),
    "albert": ("albert", {}),
    "albert_wide": ("albert", {"embedding_size": 24, "num_groups": 1}),
    "distilbert": ("distilbert", {}),
    "roberta": ("roberta", {"first_position": 1, "activation": "gelu_erf", "layer_norm_eps": 1e-5}),
    "deberta_v2": ("deberta_v2", {}),
    "deberta_v3": ("deberta_v2", _V3),
    "mobilebert": ("mobilebert", {}),
    "mpnet": ("mpnet", {"activation": "gelu_erf", "layer_norm_eps": 1e-5}),
    "modernbert": ("modernbert", {"num_layers": 4}),
    "nomic_bert": ("nomic_bert", {"pooler": False, "rotary_theta": 50.0}),
    "gte": ("gte", {"pooler": False, "type_vocab_size": 1, "token_types": False}),
    "gte_typed": ("gte", {"pooler": False}),
    "mobilebert_norms": (
        "mobilebert",
        {"pooler": True, "normalization": "layer_norm", "layer_norm_eps": 1e-5, "num_feedforward": 1},
    ),
}


def _model(name: str, head: Head | None = None) -> Checkpoint:
    architecture, settings = CASES[name]
    return dataclasses.replace(tiny_checkpoint(architecture, **settings), head=head)


def _head(task: Any, labels: int, pooling: Any = "pooled") -> Head:
    draw = np.random.default_rng(2)
    return Head(
        task=task,
        labels=tuple(f"label {number}" for number in range(labels)),
        pooling=None if task == "tag" else pooling,
        max_length=12,
        kernel=draw.normal(size=(24, labels)).astype(np.float32),
        bias=draw.normal(size=labels).astype(np.float32),
    )


def _with_hidden(head: Head, activation: Any) -> Head:
    draw = np.random.default_rng(4)
    kernel, bias = (draw.normal(size=shape).astype(np.float32) for shape in ((24, 24), (24,)))
    return dataclasses.replace(head, hidden=(HiddenLayer(kernel=kernel, bias=bias, activation=activation),))


def _with_vocabulary(architecture: str, vocabulary: Vocabulary, **settings: Any) -> Checkpoint:
    tiny = tiny_checkpoint(architecture, mlm=False, **settings)
    table = np.random.default_rng(3).normal(size=(len(vocabulary), tiny.weights[TABLE].shape[1])).astype(np.float32)
    config = dataclasses.replace(tiny.config, vocab_size=len(vocabulary))
    weights = {**tiny.weights, TABLE: table}
    return Checkpoint(config=config, weights=weights, vocabulary=vocabulary, origin=tiny.origin)


def _assert_same(left: Checkpoint, right: Checkpoint) -> None:
    # Who reads the folder tokenizes as transformers does.
    assert dataclasses.replace(left.config, tokenization=right.config.tokenization) == right.config
    assert dataclasses.replace(left.vocabulary, added=()) == right.vocabulary
    assert left.weights.keys() == right.weights.keys()
    for name, weight in left.weights.items():
        np.testing.assert_array_equal(weight, right.weights[name])
    assert (left.head is None) == (right.head is None)
    if left.head is not None and right.head is not None:
        assert left.head.described() == right.head.described()
        assert left.head.weights.keys() == right.head.weights.keys()
        for name, weight in left.head.weights.items():
            np.testing.assert_array_equal(weight, right.head.weights[name])


@pytest.mark.parametrize("name", CASES)
def test_it_comes_back_bit_for_bit_and_transformers_computes_the_same(tmp_path: Path, name: str) -> None:
    checkpoint, folder = _model(name), tmp_path / "model"
    write_huggingface(checkpoint, folder)
    _assert_same(read(folder), checkpoint)
    assert not read(folder).origin.unused
    model, missing = loaded(folder)
    assert missing == ({"pooler.dense.weight", "pooler.dense.bias"} if name == "bert_unpooled" else set())
    found, expected = ours(checkpoint), theirs(model, checkpoint)
    inside = inputs(checkpoint)["input_mask"].astype(bool)
    assert_close(found["sequence_output"][inside], expected.last_hidden_state[inside])
    if "pooled_output" in found and "electra" not in name:
        assert_close(found["pooled_output"], expected.pooler_output)
    if checkpoint.config.mlm:
        model, missing = loaded(folder, "AutoModelForMaskedLM")
        assert not missing
        logits = np.take_along_axis(theirs(model, checkpoint).logits.numpy(), POSITIONS[:, :, None], axis=1)
        assert_close(found["mlm_logits"], logits)


@pytest.mark.parametrize("name", ["bert", "albert", "roberta", "mobilebert", "mobilebert_norms"])
@pytest.mark.parametrize(("task", "labels"), [("classify", 3), ("multi_label", 2), ("multi_label", 1), ("regress", 1)])
def test_classifiers_come_back_and_compute_the_same(tmp_path: Path, name: str, task: str, labels: int) -> None:
    checkpoint, folder = _model(name, _head(task, labels)), tmp_path / "model"
    write_huggingface(checkpoint, folder)
    _assert_same(read(folder), checkpoint)
    model, missing = loaded(folder, "AutoModelForSequenceClassification")
    assert not missing
    assert_close(ours(checkpoint)["head_logits"], theirs(model, checkpoint).logits)
    assert model.config.id2label[labels - 1] == f"label {labels - 1}"


@pytest.mark.parametrize("task", ["classify", "tag"])
def test_the_normed_layer_of_modernbert_computes_the_same(tmp_path: Path, task: str) -> None:
    config = CASES["modernbert"][1]
    head = _with_hidden(_head(task, 3, "mean"), "relu")
    norm = {"gamma": np.linspace(0.5, 2, 24, dtype=np.float32), "beta": np.zeros(24, np.float32), "eps": 1e-12}
    head = dataclasses.replace(head, hidden=(dataclasses.replace(head.hidden[0], **norm),))
    checkpoint = dataclasses.replace(tiny_checkpoint("modernbert", **config, mlm=False), head=head)
    write_huggingface(checkpoint, tmp_path / "model")
    _assert_same(read(tmp_path / "model"), checkpoint)
    kind = "AutoModelForSequenceClassification" if task == "classify" else "AutoModelForTokenClassification"
    model, missing = loaded(tmp_path / "model", kind)
    assert not missing
    inside = inputs(checkpoint)["input_mask"].astype(bool) if task == "tag" else slice(None)
    assert_close(ours(checkpoint)["head_logits"][inside], theirs(model, checkpoint).logits[inside])
    both = dataclasses.replace(tiny_checkpoint("modernbert", **config), head=head)
    with pytest.raises(UnsupportedModelError, match=r"has one layer for the head .* \(head\.dense\.weight"):
        write_huggingface(both, tmp_path / "both")
    shifted = dataclasses.replace(head.hidden[0], beta=np.ones(24, np.float32))
    with pytest.raises(UnsupportedModelError, match="norm of this model's head has a bias"):
        write_huggingface(
            dataclasses.replace(checkpoint, head=dataclasses.replace(head, hidden=(shifted,))), tmp_path / "other"
        )


@pytest.mark.parametrize(
    ("name", "activation"),
    [("electra", "gelu_erf"), ("distilbert", "relu"), ("mpnet", "tanh"), ("deberta_v3", "gelu_tanh")],
)
@pytest.mark.parametrize("labels", [3, 1])
def test_classifiers_with_a_hidden_layer_compute_the_same(
    tmp_path: Path, name: str, activation: Any, labels: int
) -> None:
    head = _with_hidden(_head("classify" if labels > 1 else "regress", labels, "cls"), activation)
    checkpoint, folder = _model(name, head), tmp_path / "model"
    write_huggingface(checkpoint, folder)
    _assert_same(read(folder), checkpoint)
    assert not read(folder).origin.unused
    model, missing = loaded(folder, "AutoModelForSequenceClassification")
    assert not missing
    assert_close(ours(checkpoint)["head_logits"], theirs(model, checkpoint).logits)


@pytest.mark.parametrize("name", ["bert_unpooled", "electra", "albert", "distilbert", "roberta", "mobilebert"])
def test_taggers_come_back_and_compute_the_same(tmp_path: Path, name: str) -> None:
    checkpoint, folder = _model(name, _head("tag", 3)), tmp_path / "model"
    write_huggingface(checkpoint, folder)
    _assert_same(read(folder), checkpoint)
    model, missing = loaded(folder, "AutoModelForTokenClassification")
    assert not missing
    inside = inputs(checkpoint)["input_mask"].astype(bool)
    assert_close(ours(checkpoint)["head_logits"][inside], theirs(model, checkpoint).logits[inside])


@pytest.mark.parametrize(
    ("checkpoint", "message"),
    [
        (tiny_checkpoint("talking_heads"), "no class for the architecture talking_heads.*onnx"),
        (tiny_checkpoint("distilbert", layer_norm_eps=1e-6), "layer_norm_eps = 1e-12, and this model has 1e-06"),
        (tiny_checkpoint("roberta", activation="gelu_erf"), r"the id of \[PAD\] plus 1, which is 1, and .* from 2"),
        (tiny_checkpoint("roberta", first_position=1), "computes gelu_erf, and this model's gelu_tanh"),
        (tiny_checkpoint("bert"), "ElectraForMaskedLM computes gelu_erf"),
        (tiny_checkpoint("mobilebert", shared_bottleneck=False), "neither shared_bottleneck nor bottleneck_attention"),
        (tiny_checkpoint("mobilebert", normalization="layer_norm"), "more than one epsilon"),
        (
            dataclasses.replace(
                tiny_checkpoint("mpnet", first_position=1, activation="gelu_erf"),
                vocabulary=tiny_checkpoint("bert").vocabulary,
            ),
            "MPNetModel counts positions from 2, and this model from 1",
        ),
        (tiny_checkpoint("mobilebert", mlm=True), "MobileBertForMaskedLM has weights that this model's does not"),
        (_model("bert", _head("classify", 2, pooling="mean")), "sees the mean vector of a text"),
        (_model("electra_pooled", _head("classify", 2)), "ElectraForSequenceClassification computes something else"),
        (_model("electra", _with_hidden(_head("classify", 2, "cls"), "relu")), "a hidden layer with relu, and"),
        (
            _model("bert", _with_hidden(_head("classify", 2, "cls"), "relu")),
            "through 1 hidden layer, and transformers'",
        ),
    ],
)
def test_what_transformers_cannot_compute_is_refused(tmp_path: Path, checkpoint: Checkpoint, message: str) -> None:
    with pytest.raises(UnsupportedModelError, match=message):
        write_huggingface(checkpoint, tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_the_encoder_can_be_written_alone(tmp_path: Path) -> None:
    checkpoint = dataclasses.replace(tiny_checkpoint("bert"), head=_head("classify", 2, pooling="mean"))
    write_huggingface(checkpoint, tmp_path / "model", encoder_only=True)
    found = read(tmp_path / "model")
    assert found.head is None
    assert found.config == dataclasses.replace(checkpoint.config, mlm=False, tokenization="transformers")
    assert not found.origin.unused


def test_a_folder_with_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "precious.txt").touch()
    with pytest.raises(InputError, match="not an empty folder"):
        write_huggingface(_model("bert"), tmp_path)


TEXTS = ["Naïve café, 中国 in 1969!", "unaffable [SEP] don't", "the  Quick\tbrown fox"]


@pytest.mark.parametrize("name", ["tf2_v4", "hf_bert_pretraining"])
def test_the_word_piece_tokenizer_is_the_same(models: Path, tmp_path: Path, name: str) -> None:
    checkpoint = read(models / name)
    for lower in (True, False):
        changed = dataclasses.replace(checkpoint, config=dataclasses.replace(checkpoint.config, lower_case=lower))
        folder = tmp_path / f"lower {lower}"
        write_huggingface(changed, folder)
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        own = Tokenizer.from_checkpoint(changed)
        for text in TEXTS:
            # Special pieces in a text are special to transformers, and text to us.
            text = text.replace("[SEP]", "")
            assert tokenizer(text)["input_ids"] == own(text)["input_ids"]
        assert tokenizer.model_max_length == changed.config.max_positions


def test_the_vocabulary_of_byte_pairs_is_the_same(tmp_path: Path) -> None:
    symbols = [chr(code) for code in range(33, 127)] + ["Ġ", "he", "Ġt", "Ġthe"]
    ids = {piece: index for index, piece in enumerate(["<s>", "<pad>", "</s>", "<unk>", "<mask>", *symbols])}
    vocabulary = byte_bpe_vocabulary(ids, ["h e", "Ġ t", "Ġt he"], source="here")
    checkpoint = _with_vocabulary("roberta", vocabulary, lower_case=False, strip_accents=False)
    folder = tmp_path / "model"
    write_huggingface(checkpoint, folder)
    _assert_same(read(folder), checkpoint)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    expected = ["<s>", "i", "n", "Ġthe", "Ġ", "he", "n", "</s>"]
    assert tokenizer.convert_ids_to_tokens(tokenizer("in the hen")["input_ids"]) == expected
    # As transformers saves it: tokenizer.json alone.
    tokenizer.save_pretrained(tmp_path / "saved")
    for name in ("vocab.json", "merges.txt", "tokenizer_config.json"):
        (folder / name).unlink()
    for path in (tmp_path / "saved").iterdir():
        path.rename(folder / path.name)
    assert not (folder / "vocab.json").exists()
    assert dataclasses.replace(read(folder).vocabulary, added=()) == vocabulary
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps({**settings, "add_prefix_space": True}))
    with pytest.raises(UnsupportedModelError, match="add_prefix_space"):
        read(folder)


def test_the_sentence_piece_model_is_the_same(models: Path, tmp_path: Path) -> None:
    path = models / "albert_v3" / "assets" / "30k-clean.model"
    vocabulary = sentencepiece_vocabulary(path.read_bytes(), source="here")
    checkpoint = _with_vocabulary("albert", vocabulary, strip_accents=True)
    folder = tmp_path / "model"
    write_huggingface(checkpoint, folder)
    _assert_same(read(folder), checkpoint)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    found = tokenizer("The quick brown fox")["input_ids"]
    assert [found[0], found[-1]] == [vocabulary.ids["[CLS]"], vocabulary.ids["[SEP]"]]
    assert found == Tokenizer.from_checkpoint(checkpoint)("The quick brown fox")["input_ids"]


def test_a_roberta_with_sentence_pieces_is_an_xlm_roberta(models: Path, tmp_path: Path) -> None:
    path = models / "albert_v3" / "assets" / "30k-clean.model"
    vocabulary = sentencepiece_vocabulary(path.read_bytes(), source="here")
    checkpoint = _with_vocabulary("roberta", vocabulary, first_position=1, strip_accents=True)
    write_huggingface(checkpoint, tmp_path / "model")
    _assert_same(read(tmp_path / "model"), checkpoint)
    model, missing = loaded(tmp_path / "model")
    assert type(model).__name__ == "XLMRobertaModel"
    assert not missing
    assert_close(ours(checkpoint)["pooled_output"], theirs(model, checkpoint).pooler_output)
