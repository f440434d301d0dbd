import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import berthub as hub
from berthub.embedding import UNSAID, Embedding
from berthub.errors import CheckpointError, CorruptFileError, UnsupportedModelError
from berthub.formats import read
from berthub.formats.huggingface.writer import write_huggingface
from berthub.formats.sentence_transformers.layers import write_layer
from berthub.vector_layers import DenseLayer
from support.sentence_transformers import add, cased, make, modules, pooling
from support.vocabularies import byte_bpe, with_vocabulary

MEAN = pooling("mean_tokens")


def test_a_folder_without_such_files_says_nothing(models: Path) -> None:
    assert read(models / "hf_bert").embedding == UNSAID


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (pooling("cls_token"), ("cls",)),
        (pooling("mean_tokens"), ("mean",)),
        (pooling("max_tokens"), ("max",)),
        (pooling("mean_tokens", include_prompt=False), ("mean",)),
        ({"word_embedding_dimension": 32}, ("mean",)),
        (pooling("none at all"), ("mean",)),  # as sentence-transformers 5 and later
        ({"embedding_dimension": 32, "pooling_mode": "cls", "include_prompt": True}, ("cls",)),
        ({"embedding_dimension": 32, "pooling_mode": ["max"]}, ("max",)),
        ({"pooling_mode": "cls", "pooling_mode_cls_token": True}, ("cls",)),
        (pooling("weightedmean_tokens"), ("weightedmean",)),
        (pooling("lasttoken"), ("lasttoken",)),
        (pooling("mean_sqrt_len_tokens"), ("mean_sqrt_len_tokens",)),
        ({**MEAN, "pooling_mode_cls_token": True}, ("cls", "mean")),
        ({"pooling_mode": ["mean", "max"]}, ("mean", "max")),
    ],
)
def test_poolings(models: Path, tmp_path: Path, settings: dict[str, Any], expected: tuple[str, ...]) -> None:
    checkpoint = read(make(models, tmp_path, settings))
    including = settings.get("include_prompt", True)
    assert checkpoint.embedding == Embedding(poolings=expected, include_prompt=including)  # type: ignore[arg-type]
    assert checkpoint.origin.settings["poolings"] == "1_Pooling/config.json"


def test_everything_with_its_source(models: Path, tmp_path: Path) -> None:
    checkpoint = read(make(models, tmp_path, MEAN, normalize=True, sentence_bert_config={"max_seq_length": 20}))
    assert checkpoint.embedding == Embedding(poolings=("mean",), normalize=True, max_length=20)
    sources = {name: checkpoint.origin.settings[name] for name in ("poolings", "normalize", "max_length")}
    assert sources == {
        "poolings": "1_Pooling/config.json",
        "normalize": "modules.json",
        "max_length": "sentence_bert_config.json",
    }


def test_modules_as_version_6_names_them(models: Path, tmp_path: Path) -> None:
    make(models, tmp_path, {"embedding_dimension": 32, "pooling_mode": "cls"})
    package = "sentence_transformers."
    listed = [
        (f"{package}base.modules.transformer.Transformer", ""),
        (f"{package}sentence_transformer.modules.pooling.Pooling", "1_Pooling"),
        (f"{package}sentence_transformer.modules.dropout.Dropout", "2_Dropout"),
        (f"{package}base.modules.normalize.Normalize", "3_Normalize"),
    ]
    add(tmp_path, "modules.json", modules(*listed))
    names = {"module_input_name": "sentence_embedding", "module_output_name": "sentence_embedding"}
    add(tmp_path, "3_Normalize/config.json", names)
    text = {"method": "forward", "method_output_name": "last_hidden_state"}
    settings = {"transformer_task": "feature-extraction", "modality_config": {"text": text}}
    add(tmp_path, "sentence_bert_config.json", {**settings, "module_output_name": "token_embeddings"})
    beside = {"prompts": {"query": "", "document": ""}, "default_prompt_name": None, "similarity_fn_name": "cosine"}
    add(tmp_path, "config_sentence_transformers.json", {**beside, "model_type": "SentenceTransformer"})
    prompts = {"query": "", "document": ""}
    expected = Embedding(poolings=("cls",), normalize=True, prompts=prompts, similarity="cosine")
    assert read(tmp_path).embedding == expected


class TestLength:
    def test_is_at_most_the_positions(self, models: Path, tmp_path: Path) -> None:
        checkpoint = read(make(models, tmp_path, MEAN, sentence_bert_config={"max_seq_length": 99}))
        assert checkpoint.embedding.max_length == 64
        assert "which says 99" in checkpoint.origin.settings["max_length"]

    def test_is_the_tokenizers_where_no_other_is_told(self, models: Path, tmp_path: Path) -> None:
        make(models, tmp_path, MEAN, sentence_bert_config={"max_seq_length": None})
        stored = json.loads((tmp_path / "tokenizer_config.json").read_text())
        add(tmp_path, "tokenizer_config.json", {**stored, "model_max_length": 14})
        checkpoint = read(tmp_path)
        assert checkpoint.embedding.max_length == 14
        assert checkpoint.origin.settings["max_length"] == "tokenizer_config.json"

    def test_is_the_tokenizers_in_a_folder_of_transformers(self, models: Path, tmp_path: Path) -> None:
        shutil.copytree(models / "hf_bert", tmp_path, dirs_exist_ok=True)
        stored = json.loads((tmp_path / "tokenizer_config.json").read_text())
        add(tmp_path, "tokenizer_config.json", {**stored, "model_max_length": 14})
        assert read(tmp_path).embedding == Embedding(max_length=14)
        assert hub.load(tmp_path, engine="numpy").max_length == 14
        assert hub.load(tmp_path, engine="numpy", max_length=64).max_length == 64

    def test_stands_without_modules_too(self, models: Path, tmp_path: Path) -> None:
        make(models, tmp_path, MEAN, sentence_bert_config={"max_seq_length": 20})
        add(tmp_path, "modules.json", None)
        assert read(tmp_path).embedding == Embedding(max_length=20)

    def test_lies_under_an_old_name(self, models: Path, tmp_path: Path) -> None:
        make(models, tmp_path, MEAN)
        add(tmp_path, "sentence_distilbert_config.json", {"max_seq_length": 21})
        assert read(tmp_path).embedding.max_length == 21


class TestLowerCase:
    def test_is_obeyed_by_a_model_that_keeps_case(self, models: Path, tmp_path: Path) -> None:
        make(models, tmp_path, MEAN, sentence_bert_config={"max_seq_length": 20, "do_lower_case": True})
        cased(tmp_path)
        checkpoint, plain = read(tmp_path), read(tmp_path, settings={"lower_case": False})
        # Accents stay, since only texts are made lower-case.
        assert (checkpoint.config.lower_case, checkpoint.config.strip_accents) == (True, False)
        assert checkpoint.origin.settings["lower_case"] == "sentence_bert_config.json"
        lower, kept = (hub.Tokenizer.from_checkpoint(each).tokenize for each in (checkpoint, plain))
        assert lower("The FOX, É é") == kept("the fox, é é") != kept("The FOX, É é")

    def test_is_below_the_caller(self, models: Path, tmp_path: Path) -> None:
        make(models, tmp_path, MEAN, sentence_bert_config={"do_lower_case": True})
        assert read(tmp_path, settings={"lower_case": False}).config.lower_case is False

    def test_is_nothing_new_to_an_uncased_model(self, models: Path, tmp_path: Path) -> None:
        make(models, tmp_path, MEAN, sentence_bert_config={"do_lower_case": True})
        assert read(tmp_path).config == read(models / "hf_bert").config


def test_the_encoder_in_a_folder_of_its_own(models: Path, tmp_path: Path) -> None:
    make(models, tmp_path, MEAN, normalize=True, encoder="0_Transformer", sentence_bert_config={"max_seq_length": 9})
    assert read(tmp_path).embedding == Embedding(poolings=("mean",), normalize=True, max_length=9)
    # The files above were not named.
    assert read(tmp_path / "0_Transformer").embedding == Embedding(max_length=9)


EARLY_DENSE = [("Transformer", ""), ("Dense", "1"), ("Pooling", "1_Pooling")]
PROMPT = {"prompts": {"query": "query: "}, "default_prompt_name": "query"}


@pytest.mark.parametrize(
    ("name", "value", "named"),
    [
        (
            "modules.json",
            modules(*EARLY_DENSE),
            "the module sentence_transformers.models.Dense in 1 before the pooling",
        ),
        ("modules.json", modules(("Transformer", ""), ("Pooling", "1_Pooling"), ("x.Own", "")), "the module x.Own"),
        ("modules.json", modules(("own.Pooling", "1_Pooling")), "the module own.Pooling in 1_Pooling"),
        ("modules.json", modules(("Transformer", ""), ("CNN", "1"), ("Pooling", "1_Pooling")), "models.CNN in 1"),
        ("modules.json", modules(("Transformer", "")), "vectors without a pooling"),
        ("modules.json", modules(("Transformer", ""), ("Transformer", "2")), "models.Transformer in 2"),
        ("1_Pooling/config.json", {"pooling_mode": "softmax"}, "the pooling softmax"),
        ("1_Pooling/config.json", {**MEAN, "pooling_mode_new": True}, "the setting pooling_mode_new = True"),
        ("2_Normalize/config.json", {"module_input_name": "token_embeddings"}, "module_input_name = token_embeddings"),
        ("config_sentence_transformers.json", {"similarity_fn_name": "maxsim"}, "the similarity maxsim"),
        ("config_sentence_transformers.json", {"truncate_dim": 16}, "vectors of the first 16 components"),
        ("config_sentence_transformers.json", {"model_type": "SparseEncoder"}, "a model of the type SparseEncoder"),
        ("sentence_bert_config.json", {"transformer_task": "fill-mask"}, "transformer_task = fill-mask"),
        ("sentence_bert_config.json", {"processing_kwargs": {"text": {"padding": "left"}}}, "processing_kwargs"),
        ("sentence_bert_config.json", {"model_args": {"add_pooling_layer": False}}, "model_args"),
    ],
)
def test_what_is_not_computed_is_refused_by_name_when_embedding(
    models: Path, tmp_path: Path, name: str, value: Any, named: str
) -> None:
    make(models, tmp_path, MEAN, normalize=True)
    add(tmp_path, name, value)
    bert = hub.load(tmp_path, engine="numpy", precision="float32")
    with pytest.raises(UnsupportedModelError, match=r'pooling="mean"') as caught:
        bert.embed(["The fox."])
    assert named in str(caught.value)
    with pytest.raises(UnsupportedModelError, match="not support"):
        bert.stream(["The fox."], outputs=["embedding"])
    assert named in bert.summary()
    # All else works.
    assert bert.embed(["The fox."], pooling="mean").shape == (1, 32)
    assert bert.encode(["The fox."])["sequence_output"].shape[::2] == (1, 32)


@pytest.mark.parametrize("settings", [{"trust_remote_code": True}, {}, None])
def test_arguments_that_change_nothing(models: Path, tmp_path: Path, settings: Any) -> None:
    make(models, tmp_path, MEAN, sentence_bert_config={"model_args": settings, "do_lower_case": False})
    assert read(tmp_path).embedding == Embedding(poolings=("mean",))


TWO = [("Transformer", ""), ("Pooling", "1_Pooling"), ("Pooling", "2_Pooling")]
ENCODER = modules(("Transformer", ""))
EARLY = [("Transformer", ""), ("Normalize", "1_Normalize"), ("Pooling", "1_Pooling")]


@pytest.mark.parametrize(
    ("name", "value", "error", "message"),
    [
        ("modules.json", "[", CorruptFileError, "modules.json is no valid JSON"),
        ("modules.json", "[" * 100_000, CorruptFileError, "modules.json is no model's"),
        ("modules.json", {}, CorruptFileError, "a JSON dict, where an array is expected"),
        ("modules.json", [], CorruptFileError, "lists no module"),
        ("modules.json", ["Pooling"], CorruptFileError, "entry 0 of .* should be an object with .* path and type"),
        ("modules.json", [{"type": 1, "path": ""}], CorruptFileError, "entry 0 of"),
        ("modules.json", modules(("Transformer", ""), ("Pooling", "../x")), CorruptFileError, r"entry 1 .*\.\./x"),
        ("modules.json", modules(("Pooling", "/etc")), CorruptFileError, "the folder /etc, which is not inside"),
        ("modules.json", modules(("Pooling", "a\\..\\..\\x")), CorruptFileError, "not inside"),
        ("modules.json", modules(("Pooling", "C:x")), CorruptFileError, "not inside"),
        ("modules.json", modules(("Pooling", "a\0b")), CorruptFileError, "not inside"),
        ("modules.json", modules(*TWO), CheckpointError, "two poolings, the module .* in 1_Pooling and .* in 2_Pool"),
        ("modules.json", modules(*EARLY), CheckpointError, "in 1_Normalize stands before any pooling"),
        ("modules.json", modules(("Pooling", "1_Pooling")), CheckpointError, "no module of the kind Transformer"),
        ("modules.json", modules(("Transformer", "0_Transformer")), CheckpointError, "names 0_Transformer as the enc"),
        ("modules.json", modules(*[("Transformer", "")] * 101), CorruptFileError, "lists 101 modules, .* at most 100"),
        ("modules.json", [*ENCODER, {**ENCODER[0], "path": "x"}], CorruptFileError, "entry 1 .* name 0 of another"),
        ("modules.json", modules(*TWO[:2], ("Dense", "2")), CorruptFileError, "2/config.json is missing, and modules"),
        ("1_Pooling/config.json", None, CorruptFileError, "config.json is missing, and modules.json names it"),
        ("1_Pooling/config.json", "{", CorruptFileError, "1_Pooling/config.json is no valid JSON"),
        ("1_Pooling/config.json", [], CorruptFileError, "where an object is expected"),
        ("1_Pooling/config.json", pooling("x", pooling_mode_lasttoken=1), CorruptFileError, "should be true or false"),
        ("1_Pooling/config.json", {"pooling_mode": []}, CorruptFileError, "a name, or a list of some"),
        ("1_Pooling/config.json", {"pooling_mode": [1]}, CorruptFileError, "a name, or a list of some"),
        ("1_Pooling/config.json", {**MEAN, "pooling_mode": "cls"}, CheckpointError, "pooling_mode is cls, and its swi"),
        ("1_Pooling/config.json", {**MEAN, "include_prompt": "no"}, CorruptFileError, "include_prompt in"),
        ("1_Pooling/config.json", {"embedding_dimension": 384}, CheckpointError, "of 384 components .*have 32"),
        ("sentence_bert_config.json", "", CorruptFileError, "sentence_bert_config.json is no valid JSON"),
        ("sentence_bert_config.json", {"max_seq_length": "256"}, CorruptFileError, "number of tokens from 3, not 256"),
        ("sentence_bert_config.json", {"max_seq_length": 2}, CorruptFileError, "from 3, not 2"),
        ("sentence_bert_config.json", {"max_seq_length": True}, CorruptFileError, "not True"),
        ("sentence_bert_config.json", {"do_lower_case": "no"}, CorruptFileError, "do_lower_case in"),
        ("config_sentence_transformers.json", {"prompts": ["a"]}, CorruptFileError, "should be an object of strings"),
        (
            "config_sentence_transformers.json",
            {"prompts": {"a": 1}},
            CorruptFileError,
            "should be an object of strings",
        ),
        (
            "config_sentence_transformers.json",
            {"default_prompt_name": "q"},
            CheckpointError,
            "default_prompt_name is q",
        ),
        ("config_sentence_transformers.json", {"default_prompt_name": []}, CheckpointError, "default_prompt_name is"),
    ],
)
def test_files_that_are_damaged_or_contradict_each_other(
    models: Path, tmp_path: Path, name: str, value: Any, error: type[Exception], message: str
) -> None:
    make(models, tmp_path, MEAN, normalize=True)
    add(tmp_path, name, value)
    with pytest.raises(error, match=message):
        read(tmp_path)


def test_a_layer_that_is_named_twice_is_refused(models: Path, tmp_path: Path) -> None:
    make(models, tmp_path, MEAN)
    layer = DenseLayer(kernel=np.eye(32, dtype=np.float32))
    (tmp_path / "2_Dense").mkdir()
    write_layer(layer, tmp_path / "2_Dense")
    add(tmp_path, "modules.json", modules(*TWO[:2], ("Dense", "2_Dense")))
    assert len(read(tmp_path).embedding.layers) == 1
    add(tmp_path, "modules.json", modules(*TWO[:2], ("Dense", "2_Dense"), ("Dense", "./2_Dense/")))
    with pytest.raises(CorruptFileError, match="twice: each layer has a folder of its own"):
        read(tmp_path)


def test_lower_casing_before_byte_pairs_is_not_computed(models: Path, tmp_path: Path) -> None:
    roberta = with_vocabulary(read(models / "hf_bert"), byte_bpe())
    folder = tmp_path / "model"
    write_huggingface(roberta, folder)
    add(folder, "sentence_bert_config.json", {"max_seq_length": 20, "do_lower_case": True})
    (named,) = read(folder).embedding.unsupported
    assert named == "texts in lower case before byte_bpe (do_lower_case in sentence_bert_config.json)"
