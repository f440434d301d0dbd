"""What is true of every architecture, on every engine."""

from typing import Any

import numpy as np
import pytest

from berthub.choices import EngineName
from berthub.encoding.encoder import Encoder
from berthub.engines.create import create_engine
from berthub.errors import InputError
from berthub.tokenization.tokenizer import Tokenizer
from support.tiny import ARCHITECTURES, tiny_checkpoint, tiny_inputs

TOLERANCE = 1e-5
TEXTS = ["w1 w2 w3", "w4", "w5 w6 w7 w8 w9 w10 w11 w12", "w3 w2"]


def _encoder(architecture: str, engine: EngineName = "numpy", **settings: Any) -> Encoder:
    checkpoint = tiny_checkpoint(architecture, **settings)
    made = create_engine(checkpoint, engine=engine, precision="float32")
    return Encoder(checkpoint, Tokenizer.from_checkpoint(checkpoint), made)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_engines_agree(architecture: str) -> None:
    inputs = tiny_inputs(tiny_checkpoint(architecture))
    reference, fast = (_encoder(architecture, engine)(inputs) for engine in ("numpy", "openvino"))
    assert reference.keys() == fast.keys()
    for name, expected in reference.items():
        np.testing.assert_allclose(np.array(fast[name]), np.array(expected), rtol=0, atol=TOLERANCE, err_msg=name)


@pytest.mark.parametrize(
    ("architecture", "settings"),
    [
        ("bert", {"embedding_size": None}),
        ("albert", {"embedding_size": 24, "num_groups": 1, "inner_layers": 1}),
        ("mobilebert", {"normalization": "layer_norm", "shared_bottleneck": False, "pooler": True}),
        ("mobilebert", {"bottleneck_attention": True, "num_feedforward": 1}),
        ("talking_heads", {"num_heads": 6}),
    ],
)
def test_the_engines_agree_on_other_settings(architecture: str, settings: dict[str, Any]) -> None:
    inputs = tiny_inputs(tiny_checkpoint(architecture, **settings))
    reference, fast = (_encoder(architecture, engine, **settings)(inputs) for engine in ("numpy", "openvino"))
    np.testing.assert_allclose(fast["sequence_output"], reference["sequence_output"], rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("engine", ["numpy", "openvino"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_order_batches_and_padding_change_nothing(architecture: str, engine: EngineName) -> None:
    encoder = _encoder(architecture, engine)
    together = encoder.encode(TEXTS, layers="all")
    backwards = encoder.encode(TEXTS[::-1], layers="all")
    for row, text in enumerate(TEXTS):
        alone = encoder.encode([text], layers="all")
        length = int(alone.attention_mask.sum())
        for name in ("sequence_output", *(("pooled_output",) if encoder.config.has_pooled_output else ())):
            expected = alone[name][0][:length] if name == "sequence_output" else alone[name][0]
            for found in (together[name][row], backwards[name][len(TEXTS) - 1 - row]):
                found = found[:length] if name == "sequence_output" else found
                np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_what_is_not_needed_is_not_computed_and_changes_nothing(architecture: str) -> None:
    encoder = _encoder(architecture)
    whole = encoder.encode(TEXTS, layers="all")
    np.testing.assert_allclose(
        encoder.embed(TEXTS, pooling="cls"), whole["sequence_output"][:, 0], rtol=0, atol=TOLERANCE
    )
    for layer in range(encoder.config.num_states):
        alone = encoder.encode(TEXTS, outputs=[], layers=layer)["encoder_outputs"][layer]
        np.testing.assert_allclose(alone, whole["encoder_outputs"][layer], rtol=0, atol=TOLERANCE)


def test_a_fully_long_text_sees_no_padding() -> None:
    encoder = _encoder("mobilebert")
    longest = " ".join(["w1"] * (encoder.config.max_positions - 2))
    together = encoder.encode([longest, "w1"])["sequence_output"]
    np.testing.assert_allclose(together[0], encoder.encode(longest)["sequence_output"][0], rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("architecture", [name for name in ARCHITECTURES if name != "mobilebert"])
def test_masks_are_filled(architecture: str) -> None:
    encoder = _encoder(architecture)
    fillings = encoder.fill_mask("w1 [MASK] w3", top_k=40)
    assert sum(filling.probability for filling in fillings) == pytest.approx(1, abs=1e-5)
    assert [filling.probability for filling in fillings] == sorted((f.probability for f in fillings), reverse=True)
    best = fillings[0]
    assert encoder.vocabulary.pieces[best.id] == best.piece
    assert best.text == f"w1 {best.piece} w3"
    # The same as through the array call.
    ids = np.array([[2, 6, 4, 8, 3]], np.int32)
    logits = encoder({"input_ids": ids, "masked_lm_positions": np.array([[2]])})["mlm_logits"]
    assert int(logits[0, 0].argmax()) == best.id


def test_masks_that_cannot_be_filled() -> None:
    encoder = _encoder("bert")
    for text in ("w1 w2", "[MASK] w1 [MASK]"):
        with pytest.raises(InputError, match="once"):
            encoder.fill_mask(text)
    with pytest.raises(InputError, match="top_k"):
        encoder.fill_mask("w1 [MASK]", top_k=0)
    with pytest.raises(InputError, match="tokens; at most 20"):
        encoder.fill_mask("w1 " * 30 + "[MASK]")
    with pytest.raises(InputError, match="no masked-language-model head"):
        _encoder("bert", mlm=False).fill_mask("w1 [MASK]")
    with pytest.raises(InputError, match="no masked-language-model head"):
        _encoder("bert", mlm=False)({"input_ids": [[2, 3]], "masked_lm_positions": [[0]]})
    for positions in ([[0]], [[0], [7]], [0, 1]):
        with pytest.raises(InputError, match="positions"):
            encoder({"input_ids": [[2, 3], [2, 3]], "masked_lm_positions": positions})
