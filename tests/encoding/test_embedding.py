"""The default vector: what the model's own files say, computed here by hand from its token vectors."""

import dataclasses
import warnings
from pathlib import Path

import numpy as np
import pytest

import berthub as hub
from berthub.embedding import UNSAID, Embedding
from berthub.engines.engine import Floats
from berthub.errors import InputError, TruncationWarning, UnsupportedModelError
from berthub.formats import read
from support.sentence_transformers import make, modules, pooling

TEXTS = ["The quick brown fox.", "", "Unbelievable!", "The FOX was not quick " * 9]
LENGTH = 20


def by_hand(bert: hub.Encoder, texts: list[str], mode: str, *, normalize: bool) -> Floats:
    """Vectors from the token vectors of each text alone."""
    reduce = {"mean": lambda rows: rows.mean(0), "max": lambda rows: rows.max(0), "cls": lambda rows: rows[0]}[mode]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TruncationWarning)
        vectors = np.stack([reduce(bert.encode([text]).ragged()[0].astype(np.float64)) for text in texts])
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True) if normalize else vectors


@pytest.fixture
def own(models: Path, tmp_path: Path) -> hub.Encoder:
    """A model that says: the first token's vector, scaled, of texts of up to 20 tokens."""
    settings = {"max_seq_length": LENGTH, "do_lower_case": False}
    make(models, tmp_path / "own", pooling("cls_token"), normalize=True, sentence_bert_config=settings)
    return hub.load(tmp_path / "own", precision="float32")


@pytest.mark.filterwarnings("ignore::berthub.errors.TruncationWarning")
@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("mode", ["cls", "max", "mean"])
def test_the_default_is_what_the_folder_says(models: Path, tmp_path: Path, mode: str, normalize: bool) -> None:
    settings = {"embedding_dimension": 32, "pooling_mode": mode}
    make(models, tmp_path, settings, normalize=normalize, sentence_bert_config={"max_seq_length": LENGTH})
    bert = hub.load(tmp_path, precision="float32")
    expected = by_hand(bert, TEXTS, mode, normalize=normalize)
    np.testing.assert_allclose(bert.embed(TEXTS), expected, rtol=0, atol=1e-5)
    np.testing.assert_allclose(bert.encode(TEXTS, outputs="embedding")["embedding"], expected, rtol=0, atol=1e-5)
    chunks = list(bert.stream(TEXTS, outputs=["embedding"], chunk_size=3))
    assert [list(chunk) for chunk in chunks] == [["embedding"]] * 2
    np.testing.assert_allclose(np.concatenate([chunk["embedding"] for chunk in chunks]), expected, rtol=0, atol=1e-5)


@pytest.mark.filterwarnings("ignore::berthub.errors.TruncationWarning")
def test_what_a_call_says_stands_above_it(own: hub.Encoder) -> None:
    for options, mode, normalize in [
        ({"pooling": "mean"}, "mean", False),
        ({"pooling": "cls"}, "cls", False),
        ({"pooling": "max", "normalize": True}, "max", True),
        ({"normalize": False}, "cls", False),
        ({"normalize": True}, "cls", True),
    ]:
        expected = by_hand(own, TEXTS, mode, normalize=normalize)
        np.testing.assert_allclose(own.embed(TEXTS, **options), expected, rtol=0, atol=1e-5)
        if "pooling" in options:
            (chunk,) = own.stream(TEXTS, **options)
            np.testing.assert_allclose(chunk["embedding"], expected, rtol=0, atol=1e-5)


@pytest.mark.filterwarnings("ignore::berthub.errors.TruncationWarning")
def test_several_layers_are_scaled_together(own: hub.Encoder) -> None:
    plain = np.concatenate([own.embed(TEXTS, layer=layer, normalize=False) for layer in (-1, 0)], axis=1)
    scaled = plain / np.linalg.norm(plain, axis=1, keepdims=True)
    np.testing.assert_allclose(own.embed(TEXTS, layer=(-1, 0)), scaled, rtol=0, atol=1e-6)


def test_normalize_is_about_an_embedding(own: hub.Encoder) -> None:
    with pytest.raises(InputError, match="normalize=True is about the embedding, which is not asked for"):
        own.stream(TEXTS, normalize=True)


class TestLength:
    def test_is_the_models(self, own: hub.Encoder) -> None:
        assert own.max_length == own.tokenizer.max_length == LENGTH
        with pytest.warns(TruncationWarning, match=r"more than 20 tokens .*max_length=64\) takes more"):
            encodings = own.encode(TEXTS)
        assert encodings.truncated.tolist() == [False, False, False, True]
        assert encodings["sequence_output"].shape[1] == LENGTH

    def test_can_be_any_up_to_the_positions(self, models: Path, own: hub.Encoder) -> None:
        folder = own.checkpoint.origin.folder
        longer = hub.load(folder, precision="float32", max_length=64)
        plain = hub.load(models / "hf_bert", precision="float32")
        with pytest.warns(TruncationWarning, match="more than 64 tokens") as caught:
            vectors = longer.embed(TEXTS, pooling="cls")
        assert "takes more" not in str(caught[0].message)
        with pytest.warns(TruncationWarning):
            np.testing.assert_allclose(vectors, plain.embed(TEXTS, pooling="cls"), rtol=0, atol=1e-6)
        with pytest.raises(InputError, match="max_length must be from 2 to 64"):
            hub.load(folder, max_length=65)
        assert len(own.tokenizer(TEXTS[-1], truncation=True, max_length=40)["input_ids"]) == 40
        assert len(own.tokenizer(TEXTS[-1], truncation=True)["input_ids"]) == LENGTH
        assert hub.Tokenizer.from_pretrained(folder).max_length == LENGTH

    def test_does_not_bound_windows(self, models: Path, own: hub.Encoder) -> None:
        plain = hub.load(models / "hf_bert", precision="float32")
        expected = plain.embed(TEXTS, pooling="mean", window=40, stride=8)
        np.testing.assert_allclose(own.embed(TEXTS, pooling="mean", window=40, stride=8), expected, rtol=0, atol=1e-6)
        with pytest.raises(InputError, match="window must be from 3 to 64"):
            own.embed(TEXTS, window=65)


class TestGoingOn:
    """What the model says of its vectors goes where the model goes."""

    def test_saved(self, own: hub.Encoder, tmp_path: Path) -> None:
        own.save(tmp_path / "saved")
        saved = hub.load(tmp_path / "saved", precision="float32")
        assert (
            saved.checkpoint.embedding
            == own.checkpoint.embedding
            == Embedding(poolings=("cls",), normalize=True, max_length=LENGTH)
        )
        assert saved.checkpoint.origin.settings["poolings"] == "berthub.json"
        np.testing.assert_array_equal(saved.embed(["The fox."]), own.embed(["The fox."]))

    def test_saved_with_what_is_not_computed(self, models: Path, tmp_path: Path) -> None:
        make(models, tmp_path / "lstm", pooling("mean_tokens"))
        listed = modules(("Transformer", ""), ("Pooling", "1_Pooling"), ("LSTM", "2_LSTM"))
        (tmp_path / "lstm/modules.json").write_text(str(listed).replace("'", '"'))
        bert = hub.load(tmp_path / "lstm", engine="numpy", precision="float32")
        bert.save(tmp_path / "saved")
        with pytest.raises(UnsupportedModelError, match=r"models\.LSTM in 2_LSTM"):
            hub.load(tmp_path / "saved", engine="numpy", precision="float32").embed(["The fox."])
        with pytest.raises(UnsupportedModelError, match=r"models\.LSTM.* has no place .*encoder_only=True"):
            hub.export(bert, tmp_path / "out", to="huggingface")
        hub.export(bert, tmp_path / "out", to="huggingface", encoder_only=True)
        assert read(tmp_path / "out").embedding == UNSAID

    def test_exported_for_sentence_transformers(self, own: hub.Encoder, tmp_path: Path) -> None:
        hub.export(own, tmp_path / "out", to="huggingface")
        names = ["1_Pooling", "2_Normalize", "modules.json", "sentence_bert_config.json"]
        assert [name for name in names if not (tmp_path / "out" / name).exists()] == []
        assert read(tmp_path / "out").embedding == own.checkpoint.embedding

    def test_a_plain_model_is_exported_as_before(self, models: Path, tmp_path: Path) -> None:
        hub.export(models / "hf_bert", tmp_path / "out", to="huggingface")
        assert not (tmp_path / "out/modules.json").exists()
        assert not (tmp_path / "out/sentence_bert_config.json").exists()

    def test_google_has_no_place_for_it(self, own: hub.Encoder, tmp_path: Path) -> None:
        config = dataclasses.replace(own.config, activation="gelu_tanh")
        checkpoint = dataclasses.replace(own.checkpoint, config=config)
        with pytest.raises(UnsupportedModelError, match=r"the vector of the first token, scaled to length 1, of texts"):
            hub.export(checkpoint, tmp_path / "out", to="google")
        hub.export(checkpoint, tmp_path / "out", to="google", encoder_only=True)
        assert read(tmp_path / "out").embedding == UNSAID

    def test_onnx(self, own: hub.Encoder, tmp_path: Path) -> None:
        pytest.importorskip("onnx")
        hub.export(own, tmp_path / "out", to="onnx")
        assert read(tmp_path / "out").embedding == own.checkpoint.embedding
