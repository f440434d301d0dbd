"""Cross-encoders that sentence-transformers saved give its scores, in its order."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import berthub as hub
from berthub.errors import InputError, UnsupportedModelError
from support.transformers_models import randomize, torch, transformers

sentence_transformers = pytest.importorskip("sentence_transformers", reason="pip install sentence-transformers")

_SIZES = {
    "vocab_size": 40,
    "hidden_size": 24,
    "num_hidden_layers": 1,
    "num_attention_heads": 3,
    "intermediate_size": 36,
    "max_position_embeddings": 40,
}
_DISTIL = {"vocab_size": 40, "dim": 24, "n_layers": 1, "n_heads": 3, "hidden_dim": 36, "max_position_embeddings": 40}
_QUERY = "w1 w2"
_DOCUMENTS = ["w3 w4", "w9", "", "w3 " * 30, "w20 w21 w22", "🙂 w7"]
_PAIRS = [(_QUERY, document) for document in _DOCUMENTS] + [("w5 " * 30, "w6 " * 40)]
_SETTINGS = "config_sentence_transformers.json"


def _plain(folder: Path, title: str = "Bert", **settings: Any) -> Path:
    sizes = _DISTIL if title == "DistilBert" else _SIZES
    config = getattr(transformers, f"{title}Config")(**sizes, **{"num_labels": 1, **settings})
    randomize(getattr(transformers, f"{title}ForSequenceClassification")(config)).save_pretrained(folder)
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{number}" for number in range(35))]
    (folder / "vocab.txt").write_text("\n".join(pieces))
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "BertTokenizer"}))
    return folder


def _saved(folder: Path, title: str = "Bert", *, options: dict[str, Any] | None = None, **settings: Any) -> Any:
    model = sentence_transformers.CrossEncoder(str(_plain(folder / "plain", title, **settings)), **(options or {}))
    model.save_pretrained(str(folder / "model"))
    return model


def _change(path: Path, **values: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def _assert_close(found: Any, expected: Any) -> None:
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * max(1.0, float(np.abs(expected).max())))


def _assert_ranked(found: list[Any], expected: list[Any]) -> None:
    assert [sorted(each) for each in found] == [sorted(each) for each in expected]
    assert [each["corpus_id"] for each in found] == [each["corpus_id"] for each in expected]
    assert [each.get("text") for each in found] == [each.get("text") for each in expected]
    _assert_close([each["score"] for each in found], [each["score"] for each in expected])


@pytest.mark.parametrize(
    ("title", "activation"), [("Bert", None), ("DistilBert", "Identity"), ("Electra", "Tanh"), ("Albert", "Identity")]
)
@pytest.mark.filterwarnings("ignore::berthub.TruncationWarning")
def test_scores_and_ranks_are_those_of_sentence_transformers(
    tmp_path: Path, title: str, activation: str | None
) -> None:
    options = {"max_length": 24} if activation is None else {"activation_fn": getattr(torch.nn, activation)()}
    model = _saved(tmp_path, title, options=options)
    expected = model.predict(_PAIRS)
    for engine in ("numpy", "openvino") if activation is None else ("numpy",):
        encoder = hub.load(tmp_path / "model", engine=engine, precision="float32")
        _assert_close(encoder.predict(_PAIRS), expected)
        _assert_ranked(encoder.rank(_QUERY, _DOCUMENTS), model.rank(_QUERY, _DOCUMENTS))
        found = encoder.rank(_QUERY, _DOCUMENTS, 3, return_documents=True)
        _assert_ranked(found, model.rank(_QUERY, _DOCUMENTS, top_k=3, return_documents=True))
    encoder.save(tmp_path / "native")
    _assert_close(hub.load(tmp_path / "native", engine="numpy").predict(_PAIRS), expected)
    hub.export(encoder, tmp_path / "written", to="huggingface")
    assert hub.load(tmp_path / "written", engine="numpy").checkpoint.embedding == encoder.checkpoint.embedding
    written = sentence_transformers.CrossEncoder(str(tmp_path / "written"))
    _assert_close(written.predict(_PAIRS), expected)


@pytest.mark.filterwarnings("ignore::berthub.TruncationWarning")
@pytest.mark.parametrize(
    "stored",
    [
        {"sentence_transformers": {"activation_fn": "torch.nn.modules.linear.Identity", "version": "4.0.1"}},
        {"sentence_transformers": {"version": "5.1.0"}},
        {"sbert_ce_default_activation_function": "torch.nn.modules.linear.Identity"},
        {"sbert_ce_default_activation_function": "somewhere.of.its.own.Activation"},
    ],
)
def test_older_versions_say_it_in_the_configuration(tmp_path: Path, stored: dict[str, Any]) -> None:
    _change(_plain(tmp_path / "plain") / "config.json", **stored)
    expected = sentence_transformers.CrossEncoder(str(tmp_path / "plain"))
    encoder = hub.load(tmp_path / "plain", engine="numpy")
    _assert_close(encoder.predict(_PAIRS), expected.predict(_PAIRS))
    _assert_ranked(encoder.rank(_QUERY, _DOCUMENTS), expected.rank(_QUERY, _DOCUMENTS))


def test_one_output_of_which_no_file_says_anything(tmp_path: Path) -> None:
    encoder = hub.load(_plain(tmp_path / "plain"), engine="numpy")
    assert encoder.head is not None
    assert encoder.head.activation is None
    np.testing.assert_array_equal(encoder.predict(_PAIRS[:3]), encoder.logits(_PAIRS[:3]).values[:, 0])
    expected = sentence_transformers.CrossEncoder(str(tmp_path / "plain"))
    _assert_ranked(encoder.rank(_QUERY, _DOCUMENTS[:3]), expected.rank(_QUERY, _DOCUMENTS[:3]))
    encoder.save(tmp_path / "native")
    assert hub.load(tmp_path / "native", engine="numpy").head.activation is None  # type: ignore[union-attr]
    # What transformers trained as a regression is a number.
    _change(tmp_path / "plain" / "config.json", problem_type="regression")
    trained = hub.load(tmp_path / "plain", engine="numpy")
    assert trained.rank(_QUERY, ["w3"])[0]["score"] == trained.predict([(_QUERY, "w3")])[0]


@pytest.mark.parametrize(("activation", "task"), [("Identity", "classify"), ("Sigmoid", "multi_label")])
def test_several_outputs_are_labels(tmp_path: Path, activation: str, task: str) -> None:
    model = _saved(tmp_path, options={"activation_fn": getattr(torch.nn, activation)()}, num_labels=3)
    encoder = hub.load(tmp_path / "model", engine="numpy")
    assert encoder.head is not None
    assert encoder.head.task == task
    found = encoder.predict_proba(_PAIRS[:3]) if task == "multi_label" else encoder.logits(_PAIRS[:3]).values
    _assert_close(found, model.predict(_PAIRS[:3]))
    with pytest.raises(InputError, match=f"this model is for {task}, and documents are ranked by a cross-encoder"):
        encoder.rank(_QUERY, _DOCUMENTS)


@pytest.mark.parametrize(
    ("name", "stored", "message"),
    [
        (_SETTINGS, {"activation_fn": "torch.nn.modules.activation.GELU"}, "has the activation torch.*GELU; supported"),
        (_SETTINGS, {"activation_fn": "torch.nn.modules.activation.Softmax"}, "softmax, which is always 1"),
        (_SETTINGS, {"prompts": {"q": "find: "}, "default_prompt_name": "q"}, "prompt for every pair, 'find: '"),
        ("sentence_bert_config.json", {"processing_kwargs": {"text": {"max_length": 9}}}, "sets processing_kwargs to"),
        ("sentence_bert_config.json", {"transformer_task": "text-generation"}, "sets transformer_task to"),
    ],
)
def test_what_changes_scores_and_is_not_supported_is_refused(
    tmp_path: Path, name: str, stored: dict[str, Any], message: str
) -> None:
    _saved(tmp_path)
    _change(tmp_path / "model" / name, **stored)
    with pytest.raises(UnsupportedModelError, match=message):
        hub.load(tmp_path / "model", engine="numpy")


def test_modules_that_berthub_does_not_have_are_refused(tmp_path: Path) -> None:
    _saved(tmp_path)
    path = tmp_path / "model" / "modules.json"
    kind = "sentence_transformers.base.modules.dense.Dense"
    path.write_text(
        json.dumps([*json.loads(path.read_text()), {"idx": 1, "name": "1", "path": "1_Dense", "type": kind}])
    )
    with pytest.raises(UnsupportedModelError, match=r"does not have in a cross-encoder: .*dense\.Dense in '1_Dense'"):
        hub.load(tmp_path / "model", engine="numpy")


def test_a_cross_encoder_has_no_vectors(tmp_path: Path) -> None:
    _saved(tmp_path)
    encoder = hub.load(tmp_path / "model", engine="numpy")
    with pytest.raises(UnsupportedModelError, match="a cross-encoder, which scores pairs of texts"):
        encoder.embed(["w1"])
    assert "sigmoid of the output" in encoder.summary()
    assert encoder.embed(["w1"], pooling="mean").shape == (1, 24)


def test_documents_are_a_list(tmp_path: Path) -> None:
    encoder = hub.load(_plain(tmp_path / "plain"), engine="numpy")
    assert encoder.rank(_QUERY, []) == []
    for query, documents in ((_QUERY, "w3"), (("w1", "w2"), ["w3"]), (_QUERY, [("w1", "w2")]), (_QUERY, 3)):
        with pytest.raises(InputError):
            encoder.rank(query, documents)  # type: ignore[arg-type]
