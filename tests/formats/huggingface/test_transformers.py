"""Folders that transformers saved, of every architecture that is read, give transformers' numbers."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from berthub.checkpoint import Checkpoint
from berthub.encoding.encoder import Encoder
from berthub.engines.numpy import NumpyEngine
from berthub.errors import UnsupportedModelError
from berthub.formats import read
from berthub.formats.huggingface.writer import write_huggingface
from berthub.tokenization.tokenizer import Tokenizer
from support.transformers_models import (
    POSITIONS,
    assert_close,
    inputs,
    loaded,
    ours,
    randomize,
    theirs,
    torch,
    transformers,
)

_BERT = {
    "vocab_size": 40,
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 36,
    "max_position_embeddings": 20,
}
_MOBILE = {**_BERT, "embedding_size": 8, "intra_bottleneck_size": 12, "num_feedforward_networks": 3}
_DISTIL = {"vocab_size": 40, "dim": 24, "n_layers": 2, "n_heads": 3, "hidden_dim": 36, "max_position_embeddings": 20}
_DEBERTA = {**_BERT, "position_buckets": 4}
_V3 = {
    "relative_attention": True,
    "position_biased_input": False,
    "pos_att_type": ["p2c", "c2p"],
    "norm_rel_ebd": "layer_norm",
    "share_att_key": True,
    "legacy": False,
}
_V2 = {
    "relative_attention": True,
    "pos_att_type": "c2p|p2c",
    "type_vocab_size": 2,
    "position_buckets": -1,
    "max_relative_positions": 4,
    "conv_kernel_size": 3,
    "layer_norm_eps": 1e-6,
}
_SCALED = {"rope_type": "linear", "rope_theta": 500.0, "factor": 2 ** (2 / 8)}
_SPECIAL = {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3}
_MODERN = {**_BERT, **_SPECIAL, "num_hidden_layers": 4, "local_attention": 4, "cls_token_id": 2, "sep_token_id": 3}
CONFIGS: dict[str, tuple[str, dict[str, Any]]] = {
    "bert": ("Bert", {**_BERT, "hidden_act": "gelu_new", "layer_norm_eps": 1e-6}),
    "electra": ("Electra", {**_BERT, "embedding_size": 12}),
    "electra_wide": ("Electra", {**_BERT, "embedding_size": 24, "hidden_act": "gelu_new"}),
    "albert": ("Albert", {**_BERT, "embedding_size": 12, "num_hidden_layers": 4, "num_hidden_groups": 2}),
    "albert_inner": ("Albert", {**_BERT, "embedding_size": 12, "inner_group_num": 2, "hidden_act": "relu"}),
    "distilbert": ("DistilBert", _DISTIL),
    "roberta": ("Roberta", {**_BERT, "type_vocab_size": 1, "layer_norm_eps": 1e-5, "pad_token_id": 1}),
    "modernbert": ("ModernBert", _MODERN),
    "nomic_bert": ("NomicBert", {**_BERT, "pad_token_id": 0}),
    "gte": ("Gte", {**_BERT, "pad_token_id": 0, "type_vocab_size": 0}),
    "gte_scaled": ("Gte", {**_BERT, "pad_token_id": 0, "type_vocab_size": 2, "rope_parameters": _SCALED}),
    "mobilebert": ("MobileBert", _MOBILE),
    "mobilebert_unpooled": ("MobileBert", {**_MOBILE, "classifier_activation": False}),
    "mobilebert_attention": ("MobileBert", {**_MOBILE, "use_bottleneck_attention": True}),
    "deberta_v3": ("DebertaV2", {**_DEBERTA, **_V3}),
    "deberta_v2": ("DebertaV2", {**_DEBERTA, **_V2}),
    "deberta_plain": ("DebertaV2", {**_DEBERTA, "norm_rel_ebd": "layer_norm", "pos_att_type": "None"}),
    "camembert": ("Camembert", {**_BERT, "type_vocab_size": 1, "layer_norm_eps": 1e-5, "pad_token_id": 1}),
    "data2vec": ("Data2VecText", {**_BERT, "pad_token_id": 1}),
    "xlm_roberta": ("XLMRoberta", {**_BERT, "type_vocab_size": 1, "layer_norm_eps": 1e-5, "pad_token_id": 1}),
    "mpnet": ("MPNet", {**_BERT, "layer_norm_eps": 1e-5, "pad_token_id": 1}),
    "mobilebert_norms": ("MobileBert", {**_MOBILE, "normalization_type": "layer_norm", "layer_norm_eps": 1e-5}),
}
MLM = (
    "bert",
    "electra",
    "albert",
    "deberta_v2",
    "deberta_v3",
    "distilbert",
    "gte",
    "modernbert",
    "mpnet",
    "nomic_bert",
    "roberta",
    "xlm_roberta",
)
# Their encoder alone has no pooler.
_UNPOOLED = ("electra", "deberta", "distilbert", "modernbert", "nomic_bert", "gte")
_PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{number}" for number in range(35))]


def _save(folder: Path, name: str, kind: str = "Model", **settings: Any) -> Any:
    title, config = CONFIGS[name]
    config = getattr(transformers, f"{title}Config")(**config, **settings)
    model = randomize(getattr(transformers, f"{title}{kind}")(config))
    model.save_pretrained(folder)
    pieces = [_PIECES[1], _PIECES[0], *_PIECES[2:]] if CONFIGS[name][1].get("pad_token_id") == 1 else _PIECES
    (folder / "vocab.txt").write_text("\n".join(pieces))
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"model_max_length": 16, "tokenizer_class": "BertTokenizer"})
    )
    return model


def _inside(checkpoint: Checkpoint) -> Any:
    return inputs(checkpoint)["input_mask"].astype(bool)


@pytest.mark.parametrize("name", CONFIGS)
def test_the_encoder_gives_the_same_numbers(tmp_path: Path, name: str) -> None:
    model = _save(tmp_path, name)
    checkpoint = read(tmp_path)
    found, expected = ours(checkpoint), theirs(model, checkpoint)
    inside = _inside(checkpoint)
    assert_close(found["sequence_output"][inside], expected.last_hidden_state[inside])
    if name.startswith(_UNPOOLED):
        assert checkpoint.config.has_pooled_output is False
    else:
        assert_close(found["pooled_output"], expected.pooler_output)
    assert not [unused for unused in checkpoint.origin.unused if "position_ids" not in unused]
    assert checkpoint.config.mlm is False


@pytest.mark.parametrize("name", MLM)
def test_the_masked_language_model_gives_the_same_numbers(tmp_path: Path, name: str) -> None:
    model = _save(tmp_path, name, "ForMaskedLM")
    checkpoint = read(tmp_path)
    assert checkpoint.config.mlm
    logits = np.take_along_axis(theirs(model, checkpoint).logits.numpy(), POSITIONS[:, :, None], axis=1)
    assert_close(ours(checkpoint)["mlm_logits"], logits)


def test_a_head_with_an_output_layer_of_its_own_is_left_aside(tmp_path: Path) -> None:
    _save(tmp_path, "bert", "ForMaskedLM", tie_word_embeddings=False)
    checkpoint = read(tmp_path)
    assert checkpoint.config.mlm is False
    assert "cls.predictions.decoder.weight" in checkpoint.origin.unused
    # A copy of the table is as good as none.
    path = tmp_path / "model.safetensors"
    tensors = load_file(path)
    tensors["cls.predictions.decoder.weight"] = tensors["bert.embeddings.word_embeddings.weight"]
    tensors["cls.predictions.decoder.bias"] = tensors["cls.predictions.bias"]
    save_file(tensors, path, {"format": "pt"})
    assert read(tmp_path).config.mlm is True
    del tensors["cls.predictions.transform.dense.bias"]
    save_file(tensors, path, {"format": "pt"})
    assert read(tmp_path).config.mlm is False


def test_a_generator_whose_head_has_another_activation_is_left_aside(tmp_path: Path) -> None:
    _save(tmp_path, "electra_wide", "ForMaskedLM")
    checkpoint = read(tmp_path)
    assert checkpoint.config.mlm is False
    assert "generator_predictions.dense.weight" in checkpoint.origin.unused


@pytest.mark.parametrize(
    "name", ["bert", "albert", "roberta", "mobilebert", "mobilebert_unpooled", "nomic_bert", "gte"]
)
@pytest.mark.parametrize(
    ("settings", "task"),
    [
        ({"id2label": {0: "bad", 1: "good", 2: "so so"}}, "classify"),
        ({"id2label": {0: "a", 1: "b"}, "problem_type": "multi_label_classification"}, "multi_label"),
        ({"num_labels": 1}, "regress"),
    ],
)
def test_classifiers_give_the_same_numbers(tmp_path: Path, name: str, settings: dict[str, Any], task: str) -> None:
    model = _save(tmp_path, name, "ForSequenceClassification", **settings)
    checkpoint = read(tmp_path)
    head = checkpoint.head
    assert head is not None
    assert (head.task, head.pooling, head.max_length) == (task, "pooled", 16)
    assert head.labels == tuple(settings.get("id2label", {0: "LABEL_0"}).values())
    assert_close(ours(checkpoint)["head_logits"], theirs(model, checkpoint).logits)


@pytest.mark.parametrize("name", [*MLM, "mobilebert"])
def test_taggers_give_the_same_numbers(tmp_path: Path, name: str) -> None:
    model = _save(tmp_path, name, "ForTokenClassification", id2label={0: "O", 1: "B", 2: "I"})
    checkpoint = read(tmp_path)
    head = checkpoint.head
    assert head is not None
    assert (head.task, head.pooling, head.labels) == ("tag", None, ("O", "B", "I"))
    inside = _inside(checkpoint)
    assert_close(ours(checkpoint)["head_logits"][inside], theirs(model, checkpoint).logits[inside])


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("deberta_v2", {"pooler_hidden_act": "tanh"}),
        ("deberta_v3", {}),
        ("distilbert", {}),
        ("electra", {}),
        ("modernbert", {"classifier_activation": "relu"}),
        ("mpnet", {}),
    ],
)
def test_classifiers_with_a_hidden_layer_give_the_same_numbers(
    tmp_path: Path, name: str, settings: dict[str, Any]
) -> None:
    model = _save(tmp_path, name, "ForSequenceClassification", num_labels=3, **settings)
    checkpoint = read(tmp_path)
    head = checkpoint.head
    assert head is not None
    assert (head.task, head.pooling, len(head.hidden)) == ("classify", "cls", 1)
    assert not checkpoint.origin.unused
    assert_close(ours(checkpoint)["head_logits"], theirs(model, checkpoint).logits)


def test_layer_norms_with_two_epsilons_are_refused(tmp_path: Path) -> None:
    _save(tmp_path, "mobilebert_norms")
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "layer_norm_eps": 1e-12}))
    with pytest.raises(UnsupportedModelError, match="more than one epsilon"):
        read(tmp_path)


def _rewrite(folder: Path, *removed: str, **settings: Any) -> None:
    path = folder / "config.json"
    stored = {key: value for key, value in json.loads(path.read_text()).items() if key not in removed}
    path.write_text(json.dumps({**stored, **settings}))


def test_older_configurations_of_modernbert_say_the_same(tmp_path: Path) -> None:
    thetas = {"full_attention": 5_000.0, "sliding_attention": 700.0}
    rotations = {kind: {"rope_type": "default", "rope_theta": theta} for kind, theta in thetas.items()}
    kinds = ["full_attention", "sliding_attention"] * 2
    model = _save(tmp_path, "modernbert", layer_types=kinds, rope_parameters=rotations)
    new = read(tmp_path)
    inside = _inside(new)
    assert_close(ours(new)["sequence_output"][inside], theirs(model, new).last_hidden_state[inside])
    _rewrite(
        tmp_path,
        "layer_types",
        "rope_parameters",
        global_attn_every_n_layers=2,
        global_rope_theta=5_000.0,
        local_rope_theta=700.0,
        position_embedding_type="absolute",
    )
    assert read(tmp_path).config == new.config


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"layer_types": ["sliding_attention", "full_attention"] * 2}, "layer_types"),
        ({"rope_scaling": {"rope_type": "linear", "factor": 2.0}}, "rope_scaling"),
        ({"rope_parameters": {"full_attention": {"rope_type": "yarn", "rope_theta": 1e4}}}, "rope_type of full_att"),
        ({"rope_parameters": {"full_attention": {"rope_theta": 1e4, "factor": 2.0}}}, "factor of full_attention"),
        ({"rope_parameters": {"rope_theta": 1e4}}, "rope_parameters"),
        ({"norm_bias": True}, "norm_bias"),
        ({"attention_bias": True}, "attention_bias"),
    ],
)
def test_settings_of_modernbert_that_are_not_supported_are_refused(
    tmp_path: Path, settings: dict[str, Any], match: str
) -> None:
    _save(tmp_path, "modernbert")
    _rewrite(tmp_path, **settings)
    with pytest.raises(UnsupportedModelError, match=match):
        read(tmp_path)


@pytest.mark.parametrize("kind", ["ForSequenceClassification", "ForTokenClassification"])
def test_heads_of_modernbert_pool_as_they_say_and_come_back(tmp_path: Path, kind: str) -> None:
    model = _save(tmp_path / "saved", "modernbert", kind, num_labels=3, classifier_pooling="mean", classifier_bias=True)
    checkpoint = read(tmp_path / "saved")
    head, written = checkpoint.head, tmp_path / "written"
    assert head is not None
    assert head.pooling == (None if kind == "ForTokenClassification" else "mean")
    write_huggingface(checkpoint, written)
    again = loaded(written, f"AutoModel{kind}")[0]
    inside = _inside(checkpoint) if head.pooling is None else slice(None)
    expected = theirs(model, checkpoint).logits[inside]
    assert_close(ours(checkpoint)["head_logits"][inside], expected)
    assert_close(theirs(again, checkpoint).logits[inside], expected)


def test_the_states_between_the_layers_are_those_of_transformers(tmp_path: Path) -> None:
    model = _save(tmp_path, "modernbert")
    checkpoint = read(tmp_path)
    batch = inputs(checkpoint)
    encoder = Encoder(checkpoint, Tokenizer.from_checkpoint(checkpoint), NumpyEngine(checkpoint))
    states = encoder(batch)["encoder_outputs"]
    named = {"input_ids": batch["input_word_ids"], "attention_mask": batch["input_mask"]}
    with torch.no_grad():
        expected = model.eval()(
            **{name: torch.from_numpy(array).long() for name, array in named.items()}, output_hidden_states=True
        )
    inside = _inside(checkpoint)
    for found, state in zip(states, expected.hidden_states[1:], strict=True):
        assert_close(np.asarray(found)[inside], state[inside])


# The scaling of GTE's own code, in the terms of transformers, is `_SCALED`.
_NTK = {"rope_theta": 250.0, "rope_scaling": {"type": "ntk", "factor": 2.0}}
_PUBLISHED_GTE = {"model_type": "new", "architectures": ["NewModel"], "position_embedding_type": "rope", **_NTK}


def test_gte_as_it_was_published_is_read(tmp_path: Path) -> None:
    model = _save(tmp_path, "gte_scaled", "ForMaskedLM")
    _rewrite(
        tmp_path, "rope_parameters", **_PUBLISHED_GTE, pack_qkv=True, unpad_inputs=False, layer_norm_type="layer_norm"
    )
    path = tmp_path / "model.safetensors"
    save_file(
        {name.replace("gte.", "new.", 1): array for name, array in load_file(path).items()}, path, {"format": "pt"}
    )
    checkpoint = read(tmp_path)
    assert not checkpoint.origin.unused
    logits = np.take_along_axis(theirs(model, checkpoint).logits.numpy(), POSITIONS[:, :, None], axis=1)
    assert_close(ours(checkpoint)["mlm_logits"], logits)


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"rope_scaling": {"type": "ntk", "factor": 2.0, "mixed_b": 1.0}}, "not supported"),
        ({"rope_scaling": {"type": "yarn", "factor": 2.0}}, "'yarn'"),
        ({"rope_scaling": {"type": "ntk", "factor": "much"}}, "'much'"),
        ({"position_embedding_type": "absolute"}, "absolute"),
        ({"layer_norm_type": "rms_norm"}, "layer_norm_type"),
        ({"logn_attention_scale": True}, "logn_attention_scale"),
    ],
)
def test_settings_of_gte_that_are_not_supported_are_refused(
    tmp_path: Path, settings: dict[str, Any], match: str
) -> None:
    _save(tmp_path, "gte")
    _rewrite(tmp_path, "rope_parameters", **{**_PUBLISHED_GTE, **settings})
    with pytest.raises(UnsupportedModelError, match=match):
        read(tmp_path)


_PUBLISHED_NOMIC = {
    "activation_function": "swiglu",
    "attn_pdrop": 0.0,
    "embd_pdrop": 0.0,
    "layer_norm_epsilon": 1e-12,
    "max_trained_positions": 12,
    "mlp_fc1_bias": False,
    "mlp_fc2_bias": False,
    "n_embd": 24,
    "n_head": 3,
    "n_inner": 36,
    "n_layer": 2,
    "n_positions": 20,
    "pad_vocab_size_multiple": 8,
    "qkv_proj_bias": False,
    "resid_pdrop": 0.0,
    "rotary_emb_base": 1000,
    "rotary_emb_fraction": 1.0,
    "rotary_scaling_factor": None,
    "vocab_size": 35,
}


def _publish_nomic(folder: Path, *removed: str, **settings: Any) -> None:
    path = folder / "config.json"
    kept = {"model_type": "nomic_bert", "type_vocab_size": 2, "architectures": ["NomicBertModel"], **_PUBLISHED_NOMIC}
    path.write_text(json.dumps({key: value for key, value in {**kept, **settings}.items() if key not in removed}))


def test_nomic_bert_as_it_was_published_is_read(tmp_path: Path) -> None:
    model = _save(tmp_path, "nomic_bert")
    native = read(tmp_path)
    _publish_nomic(tmp_path)
    checkpoint = read(tmp_path)
    assert checkpoint.config == native.config
    inside = _inside(checkpoint)
    assert_close(ours(checkpoint)["sequence_output"][inside], theirs(model, checkpoint).last_hidden_state[inside])
    # With a factor, the angles of longer texts would depend on the batch.
    _publish_nomic(tmp_path, rotary_scaling_factor=2.0)
    assert read(tmp_path).config.max_positions == 12


@pytest.mark.parametrize(
    ("removed", "settings", "match"),
    [
        ((), {"activation_function": "gelu"}, "activation_function"),
        ((), {"prenorm": True}, "prenorm"),
        ((), {"rotary_emb_interleaved": True}, "rotary_emb_interleaved"),
        ((), {"moe_every_n_layers": 2}, "moe_every_n_layers"),
        ((), {"embd_pdrop": 0.1}, "embd_pdrop"),
        # What Nomic's code means by a key that is left out.
        (("rotary_emb_fraction",), {}, "rotary_emb_fraction"),
        (("qkv_proj_bias",), {}, "qkv_proj_bias"),
    ],
)
def test_settings_of_nomic_bert_that_are_not_supported_are_refused(
    tmp_path: Path, removed: tuple[str, ...], settings: dict[str, Any], match: str
) -> None:
    _save(tmp_path, "nomic_bert")
    _publish_nomic(tmp_path, *removed, **settings)
    with pytest.raises(UnsupportedModelError, match=match):
        read(tmp_path)
