"""Programs as they were written for tensorflow_hub: what works, and what says what to write instead."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import berthub as hub
from berthub.errors import InputError
from support.golden import batches

IDS = np.array([[1, 5, 6, 2], [1, 7, 8, 2]], np.int32)
MASK, SEGMENTS = np.ones_like(IDS), np.zeros_like(IDS)
Program = Callable[[str], Any]


class _StringType:
    """As `tf.string` is."""

    name = "string"


class _Int32Type:
    name = "int32"


def _kaggle_kernel(url: str) -> Any:
    """The Kaggle kernels of 2020, with a pair asked for."""
    layer = hub.KerasLayer(url, trainable=True, output_key=("pooled_output", "sequence_output"))
    names = ("input_word_ids", "input_mask", "segment_ids")
    inputs = [keras.Input(shape=(4,), dtype="int32", name=name) for name in names]
    _, sequence_output = layer(inputs)
    return keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid")(sequence_output[:, 0, :]))


def _full_tokenizer(url: str) -> Any:
    layer = hub.KerasLayer(url, trainable=False)
    vocab_file = layer.resolved_object.vocab_file.asset_path.numpy()
    assert layer.resolved_object.do_lower_case.numpy().dtype == np.bool_
    return len(Path(vocab_file.decode()).read_text().splitlines()) == len(layer.vocabulary)


WORKS: list[Program] = [
    lambda url: hub.KerasLayer(url)([IDS, MASK, SEGMENTS])["pooled_output"],
    lambda url: hub.KerasLayer(url, True)({"input_word_ids": IDS, "input_mask": MASK, "input_type_ids": SEGMENTS}),
    lambda url: hub.KerasLayer(url, trainable=True, name="BERT_encoder", dtype=_Int32Type())([IDS, MASK, SEGMENTS]),
    lambda url: hub.KerasLayer(url, signature="tokens", signature_outputs_as_dict=True)(
        {"input_ids": IDS, "input_mask": MASK, "segment_ids": SEGMENTS}
    )["sequence_output"],
    lambda url: hub.KerasLayer(url, signature="serving_default", output_key="pooled_output")([IDS, MASK, SEGMENTS]),
    lambda url: hub.KerasLayer(url, tags={"train"}, arguments=None, load_options=None)(IDS),
    _kaggle_kernel,
    _full_tokenizer,
    lambda url: hub.KerasLayer(hub.load(url))(IDS),
    lambda url: hub.KerasLayer(hub.Preprocessor(url).tokenize)(["a text"]),
    lambda url: hub.KerasLayer(hub.Preprocessor(url).bert_pack_inputs, arguments={"seq_length": 8})([[[5, 6]]]),
    lambda url: hub.KerasLayer(hub.Preprocessor(url), input_shape=[], dtype=_StringType(), trainable=True)(["a text"]),
    lambda url: os.path.join(hub.resolve(url), "assets", "vocab.txt"),  # noqa: PTH118 - as it was written
]


@pytest.mark.parametrize("program", WORKS)
def test_what_works(models: Path, program: Program) -> None:
    result = program(str(models / "tf2_v4"))
    assert result is not None
    assert result is not False


SAYS: list[tuple[Program, type[Exception], str]] = [
    (
        lambda url: hub.KerasLayer(url, input_shape=[], dtype=_StringType()),
        InputError,
        "hub.KerasLayer(url) of the preprocessing model",
    ),
    (lambda url: hub.KerasLayer(url, input_shape=(3, 128)), InputError, 'keras.Input((None,), dtype="int32")'),
    (lambda url: hub.KerasLayer(url, output_shape=[20]), InputError, "the layer knows its shapes"),
    (lambda url: hub.KerasLayer(url, load_options=object()), InputError, "files are read without TensorFlow"),
    (lambda url: hub.KerasLayer(url, signature="tokenization_info"), InputError, "hub.Tokenizer.from_pretrained(url)"),
    (lambda url: hub.KerasLayer(url, signature="classify"), InputError, "known are default, mlm, serving_default"),
    (lambda url: hub.KerasLayer(url, signature_outputs_as_dict=False), InputError, "output_key chooses from it"),
    (lambda url: hub.KerasLayer(url, tags={"tpu"}), InputError, "the same for all tags"),
    (
        lambda url: hub.KerasLayer(url, arguments={"seq_length": 64}),
        InputError,
        "hub.Preprocessor(url, seq_length=64)",
    ),
    (lambda url: hub.KerasLayer(len), InputError, "one of its methods, and no other function: call len itself"),
    (
        lambda url: hub.KerasLayer(hub.Preprocessor(url), output_key="x"),
        InputError,
        "output_key: a preprocessing model",
    ),
    (
        lambda url: hub.KerasLayer(hub.Preprocessor(url), dtype="float32"),
        InputError,
        "takes strings, and returns int32",
    ),
    (lambda url: hub.KerasLayer(hub.Preprocessor(url), input_shape=(1,)), InputError, "whose shape is []"),
    (lambda url: hub.KerasLayer(hub.Preprocessor(url), arguments={"a": 1}), InputError, "argument seq_length alone"),
    (lambda url: hub.KerasLayer(url).resolved_object.signatures, AttributeError, "the layer itself is called"),
    (lambda url: hub.KerasLayer(url).resolved_object.sp_model_file, AttributeError, "vocab_file or sp_model_file"),
    (lambda url: hub.Module(url)(IDS), InputError, "has tokens, tokenization_info"),
    (lambda url: hub.Module(url)(IDS, signature="tokens"), InputError, "none is the default: as_dict=True"),
    (lambda url: hub.Module(url).export("folder", None), AttributeError, "hub.TextClassifier"),
    (lambda url: hub.Module(url, tags={"tpu"}), InputError, "the tags set()"),
    (lambda url: hub.Module(f"{url}/../preprocess"), InputError, "is a preprocessing model"),
    (lambda url: hub.ModuleSpec, AttributeError, "berthub.KerasLayer(url)"),  # type: ignore[attr-defined]
    (lambda url: hub.text_embedding_column("a", url), AttributeError, "embed(texts)"),  # type: ignore[attr-defined]
    (lambda url: hub.text, AttributeError, "without tensorflow_text"),  # type: ignore[attr-defined]
    (lambda url: hub.image_embedding_column, AttributeError, "texts only"),  # type: ignore[attr-defined]
]


@pytest.mark.parametrize(("program", "error", "message"), SAYS)
def test_what_says_what_to_write(models: Path, program: Program, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        program(str(models / "tf2_v4"))


def test_lower_casing_has_a_truth_value(models: Path) -> None:
    # FullTokenizer(vocab_file, resolved_object.do_lower_case), without numpy().
    for lower_case in (True, False):
        layer = hub.KerasLayer(models / "tf2_v4", settings={"lower_case": lower_case})
        assert bool(layer.resolved_object.do_lower_case) is lower_case


def test_a_module_computes_what_tensorflow_1_did(models: Path) -> None:
    for name in ("tf1_hub_module", "albert_tf1_hub"):
        module = hub.Module(models / name, trainable=True)
        batch = next(batches(models / name))
        inputs = {
            "input_ids": batch["input_word_ids"],
            "input_mask": batch["input_mask"],
            "segment_ids": batch["input_type_ids"],
            "mlm_positions": batch["masked_lm_positions"],
        }
        outputs = module(inputs, signature="mlm", as_dict=True)
        assert [*outputs] == ["pooled_output", "sequence_output", "mlm_logits"]
        for key, value in outputs.items():
            scale = np.abs(batch[key]).max()
            np.testing.assert_allclose(keras.ops.convert_to_numpy(value), batch[key], rtol=0, atol=1e-5 * scale)
        info = module(signature="tokenization_info", as_dict=True)
        assert Path(info["vocab_file"].decode()).is_file()
        assert info["do_lower_case"]
        del inputs["mlm_positions"]
        with pytest.raises(InputError, match="needs mlm_positions"):
            module(inputs, signature="mlm", as_dict=True)


def test_a_module_for_training_has_dropout(models: Path) -> None:
    module = hub.Module(models / "tf1_hub_module", trainable=True, tags={"train"})
    ones, others = (module({"input_ids": IDS}, signature="tokens", as_dict=True)["pooled_output"] for _ in range(2))
    assert np.abs(keras.ops.convert_to_numpy(ones - others)).max() > 1e-4
    assert len(module.variables) > 20


def test_a_module_in_a_graph_is_refused(models: Path) -> None:
    tf = pytest.importorskip("tensorflow")
    with tf.Graph().as_default(), pytest.raises(InputError, match=r"needs TensorFlow 1.*hub\.KerasLayer\(url"):
        hub.Module(models / "tf1_hub_module")
