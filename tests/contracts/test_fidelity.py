"""Every reader and engine gives TensorFlow's own numbers."""

import json
from pathlib import Path

import numpy as np
import pytest

import berthub as hub
from support.golden import READABLE, batches

# The outputs are of the order of 1 (layer norms see to that), so this is relative to their scale.
TOLERANCE = 1e-5
INPUTS = ("input_word_ids", "input_mask", "input_type_ids", "masked_lm_positions")


@pytest.mark.parametrize("engine", ["numpy", "openvino"])
@pytest.mark.parametrize("name", READABLE)
def test_float32_equals_the_original(models: Path, name: str, engine: str) -> None:
    bert = hub.load(models / name, engine=engine, precision="float32")
    assert bert.precision == "float32"
    for golden in batches(models / name):
        outputs = bert({name: golden[name] for name in INPUTS if name in golden})
        # At masked positions, too: TensorFlow computes something there, and so does berthub.
        np.testing.assert_allclose(outputs["sequence_output"], golden["sequence_output"], rtol=0, atol=TOLERANCE)
        np.testing.assert_allclose(outputs["pooled_output"], golden["pooled_output"], rtol=0, atol=TOLERANCE)
        np.testing.assert_array_equal(outputs["default"], outputs["pooled_output"])
        if "mlm_logits" in golden:
            np.testing.assert_allclose(outputs["mlm_logits"], golden["mlm_logits"], rtol=0, atol=TOLERANCE)
        assert len(outputs["encoder_outputs"]) == bert.config.num_states
        if "encoder_outputs" in golden:
            np.testing.assert_allclose(
                np.stack(outputs["encoder_outputs"]), golden["encoder_outputs"], rtol=0, atol=TOLERANCE
            )


@pytest.mark.parametrize("name", READABLE)
def test_sentences_equal_the_original(models: Path, name: str) -> None:
    sentences = [
        tuple(text) if isinstance(text, list) else text
        for text in json.loads((models / name / "golden.json").read_text())["sentences"]
    ]
    *_, golden, _ = batches(models / name)  # batch d: these sentences, tokenized with this vocabulary
    bert = hub.load(models / name, precision="float32")
    out = bert.encode(sentences, layers="all")
    np.testing.assert_array_equal(out.input_ids, golden["input_word_ids"])
    np.testing.assert_array_equal(out.attention_mask, golden["input_mask"])
    np.testing.assert_array_equal(out.token_type_ids, golden["input_type_ids"])
    inside = golden["input_mask"].astype(bool)
    # Where a token sees the padding behind it, every text has some; in the original the longest of a batch has none.
    rows = ~inside.all(1) if bert.config.sees_padding else np.ones(len(inside), bool)
    np.testing.assert_allclose(out["pooled_output"][rows], golden["pooled_output"][rows], rtol=0, atol=TOLERANCE)
    inside &= rows[:, None]
    np.testing.assert_allclose(
        out["sequence_output"][inside], golden["sequence_output"][inside], rtol=0, atol=TOLERANCE
    )
    assert not out["sequence_output"][golden["input_mask"] == 0].any()
    np.testing.assert_array_equal(out["encoder_outputs"][-1], out["sequence_output"])


@pytest.mark.slow
def test_a_trained_model_in_float32(minilm: Path) -> None:
    texts, golden = _minilm(minilm)
    out = hub.load(minilm / "tf2_v4", precision="float32").encode(texts, layers="all")
    np.testing.assert_array_equal(out.input_ids, golden["input_word_ids"])
    np.testing.assert_allclose(out["pooled_output"], golden["pooled_output"], rtol=0, atol=TOLERANCE)
    for ours, theirs in _token_vectors(out, golden):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=TOLERANCE * np.abs(theirs).max())


@pytest.mark.slow
def test_a_trained_model_in_bfloat16(minilm: Path) -> None:
    bert = hub.load(minilm / "tf2_v4")
    if bert.precision != "bfloat16":
        pytest.skip("this processor does not compute in bfloat16")
    texts, golden = _minilm(minilm)
    out = bert.encode(texts)
    assert out.precision == "bfloat16"
    assert _cosines(out["pooled_output"], golden["pooled_output"]).min() > 0.9999
    reference = hub.load(minilm / "tf2_v4", precision="float32")
    ours, theirs = (model.embed(texts, pooling="mean") for model in (bert, reference))
    assert _cosines(ours, theirs).min() > 0.9999


def _minilm(folder: Path) -> tuple[list[str], dict[str, np.ndarray]]:
    texts = json.loads((folder / "golden.json").read_text())["texts"]
    with np.load(folder / "golden.npz") as arrays:
        return texts, dict(arrays)


def _token_vectors(out: hub.Encodings, golden: dict[str, np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
    pairs = [(out["sequence_output"], golden["sequence_output"])]
    pairs += [(out["encoder_outputs"][layer], golden[f"encoder_outputs_{layer}"]) for layer in range(6)]
    inside = golden["input_mask"].astype(bool)
    return [(ours[: len(theirs)][inside[: len(theirs)]], theirs[inside[: len(theirs)]]) for ours, theirs in pairs]


def _cosines(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return (x * y).sum(-1) / np.linalg.norm(x, axis=-1) / np.linalg.norm(y, axis=-1)
