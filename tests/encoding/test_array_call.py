from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import berthub as hub
from berthub.engines.create import create_engine
from berthub.engines.numpy import NumpyOps
from berthub.errors import InputError
from support.tiny import tiny_checkpoint

_INPUTS = {
    "input_word_ids": np.array([[2, 7, 8, 9, 3], [2, 7, 3, 0, 0]]),
    "input_mask": np.array([[1, 0, 1, 1, 1], [1, 1, 1, 0, 0]]),
}
_POSITIONS = {"masked_lm_positions": np.array([[1, 2], [1, 0]])}
_NAMES = ["default", "encoder_outputs", "pooled_output", "sequence_output"]


@pytest.fixture(params=["numpy", "openvino"])
def load(models: Path, request: pytest.FixtureRequest) -> Callable[[str], hub.Encoder]:
    return lambda name: hub.load(models / name, engine=request.param, precision="float32")


@pytest.mark.parametrize("names", [[name] for name in _NAMES] + [["sequence_output", "default"], _NAMES])
def test_only_what_is_asked_for_is_returned_and_is_the_same(load: Any, names: list[str]) -> None:
    encoder = load("tf2_v4")
    everything, out = encoder(_INPUTS), encoder(_INPUTS, outputs=tuple(names))
    assert sorted(everything) == _NAMES
    assert [*out] == names
    for name in names:
        ours, theirs = np.asarray(out[name]), np.asarray(everything[name])
        assert ours.dtype == np.float32
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5)


def test_a_name_alone_is_a_list_of_one(load: Any) -> None:
    assert [*load("tf2_v4")(_INPUTS, outputs="pooled_output")] == ["pooled_output"]


def test_the_embedding_is_that_of_embed(load: Any) -> None:
    encoder = load("tf2_v4")
    texts = ["the fox", "a dog and more"]
    encodings = encoder.encode(texts)
    inputs = [encodings.input_ids, encodings.attention_mask, encodings.token_type_ids]
    out = encoder(inputs, outputs=["embedding"])
    assert [*out] == ["embedding"]
    np.testing.assert_allclose(out["embedding"], encoder.embed(texts), rtol=0, atol=1e-5)


def test_pooled_output_alone_leaves_out_what_it_does_not_need(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = hub.load(models / "tf2_v4", engine="numpy")
    widths: list[int] = []
    activation = NumpyOps.activation
    monkeypatch.setattr(
        NumpyOps, "activation", lambda self, x, name: widths.append(x.shape[1]) or activation(self, x, name)
    )
    encoder(_INPUTS, outputs=["pooled_output"])
    assert widths[-1] == 1, "of the top layer, only the first position"
    assert set(widths[:-1]) == {5}
    widths.clear()
    encoder(_INPUTS)
    assert set(widths) == {5}


def test_logits_of_the_masked_language_model(load: Any) -> None:
    encoder = load("tf2_v4_mlm")
    everything = encoder({**_INPUTS, **_POSITIONS})
    out = encoder({**_INPUTS, **_POSITIONS}, outputs=["mlm_logits"])
    assert [*out] == ["mlm_logits"]
    np.testing.assert_allclose(out["mlm_logits"], everything["mlm_logits"], rtol=0, atol=1e-5)
    # Positions are no harm to who does not ask for what is there.
    out = encoder({**_INPUTS, **_POSITIONS}, outputs=["sequence_output"])
    np.testing.assert_allclose(out["sequence_output"], everything["sequence_output"], rtol=0, atol=1e-5)
    with pytest.raises(InputError, match="mlm_logits are computed at single positions: pass masked_lm_positions"):
        encoder(_INPUTS, outputs=["mlm_logits"])


@pytest.mark.parametrize(
    ("name", "outputs", "message"),
    [
        (
            "tf2_v4",
            ["pooled"],
            r"outputs=\['pooled'\] cannot be computed; choose from "
            "default, embedding, encoder_outputs, pooled_output, sequence_output$",
        ),
        ("tf2_v4", [], r"outputs=\[\] cannot be computed"),
        ("tf2_v4", "layers", r"outputs=\['layers'\] cannot"),
        ("tf2_v4_mlm", ["layers"], "encoder_outputs, mlm_logits, pooled_output"),
        ("tf2_v4", ["mlm_logits"], "no masked-language-model head"),
    ],
)
def test_what_there_is_not(models: Path, name: str, outputs: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        hub.load(models / name, engine="numpy")(_INPUTS, outputs=outputs)


def test_names_may_come_from_any_iterable(load: Any) -> None:
    encoder = load("tf2_v4")
    assert [*encoder(_INPUTS, outputs=(name for name in ["sequence_output"]))] == ["sequence_output"]
    assert [type(name) for name in encoder(_INPUTS, outputs=np.array(["default", "sequence_output"]))] == [str, str]
    assert encoder.encode(["a"], outputs=(name for name in ["sequence_output"])).keys() >= {"sequence_output"}


@pytest.mark.parametrize("names", [3, True, [None], {"default": 1}])
def test_what_are_no_names_is_refused(load: Any, names: Any) -> None:
    encoder = load("tf2_v4")
    for call in (lambda: encoder(_INPUTS, outputs=names), lambda: encoder.encode(["a"], outputs=names)):
        with pytest.raises(InputError, match="no name of an output"):
            call()


def test_a_model_without_token_types_takes_those_that_a_tokenizer_gives_to_pairs() -> None:
    checkpoint = tiny_checkpoint("distilbert")
    bert = hub.Encoder(checkpoint, hub.Tokenizer.from_checkpoint(checkpoint), create_engine(checkpoint, engine="numpy"))
    pairs = [("w1 w2", "w3")]
    tokens = bert.tokenizer(pairs, return_tensors="np")
    assert tokens["token_type_ids"].max() == 1
    np.testing.assert_allclose(
        bert(tokens)["sequence_output"], bert.encode(pairs)["sequence_output"], rtol=0, atol=1e-6
    )
    with pytest.raises(InputError, match="the type_ids must be from 0 to 1"):
        bert({**tokens, "token_type_ids": tokens["token_type_ids"] + 1})
