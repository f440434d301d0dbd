import pytest

from berthub.formats.huggingface.weights import KINDS
from berthub.formats.native import CONFIG
from berthub.formats.sentence_transformers.files import ENCODER_FILES, MODULES, PROMPTS
from berthub.formats.table import FORMATS, Format
from berthub.sources.selection import READ, SeveralModelsError, incomplete, model_folders, select

SMALL = ("config.json", "tokenizer.json", "vocab.txt", "tokenizer_config.json", "special_tokens_map.json")
EVERY = (
    *SMALL, "model.safetensors", "pytorch_model.bin", "tf_model.h5", "flax_model.msgpack", "model.onnx",
    "onnx/model.onnx", "onnx/model_quantized.onnx", "bert.f32.gguf", "bert.q8_0.gguf", "openvino/openvino_model.bin",
    "openvino/openvino_model.xml", "rust_model.ot", "README.md", "handler.py", "modeling_bert.py", "pytorch_model.pkl",
    ".gitattributes", "training_args.bin", "optimizer.pt",
)  # fmt: skip


def test_one_format_of_the_weights_is_chosen() -> None:
    left = list(EVERY)
    for expected in (
        ("model.safetensors",),
        ("pytorch_model.bin",),
        ("tf_model.h5",),
        ("flax_model.msgpack",),
        ("model.onnx",),
        ("onnx/model.onnx",),
        ("onnx/model_quantized.onnx",),
        ("bert.f32.gguf",),
        ("bert.q8_0.gguf",),
    ):
        found = select(left)
        assert found is not None
        assert found.weights == expected
        assert found.settings == tuple(sorted(SMALL))
        left.remove(expected[0])
    assert select(left) is None


@pytest.mark.parametrize(
    ("names", "weights"),
    [
        # Shards and their index.
        ("config.json model-00001-of-00002.safetensors model-00002-of-00002.safetensors model.safetensors.index.json"
         " model.fp16.safetensors pytorch_model.bin",
         "model-00001-of-00002.safetensors model-00002-of-00002.safetensors model.safetensors.index.json"),
        ("config.json pytorch_model.bin.index.json pytorch_model-00001-of-00001.bin",
         "pytorch_model-00001-of-00001.bin pytorch_model.bin.index.json"),
        # An index without shards is no model.
        ("config.json model.safetensors.index.json tf_model.h5", "tf_model.h5"),
        # Weights that lack their settings are none that are read.
        ("model.safetensors onnx/model.onnx config.jsonl", "onnx/model.onnx"),
        # TensorFlow Hub's models, wherever they lie.
        ("saved_model.pb keras_metadata.pb variables/variables.index variables/variables.data-00000-of-00001"
         " assets/vocab.txt README.md",
         "assets/vocab.txt keras_metadata.pb saved_model.pb variables/variables.data-00000-of-00001"
         " variables/variables.index"),
        ("bert/1/saved_model.pb bert/1/tfhub_module.pb bert/1/variables/variables.index bert/1/variables/x.data-0"
         " bert/1/assets/a/b.model other/notes.txt",
         "bert/1/assets/a/b.model bert/1/saved_model.pb bert/1/tfhub_module.pb bert/1/variables/variables.index"
         " bert/1/variables/x.data-0"),
        ("bert_config.json vocab.txt bert_model.ckpt.index bert_model.ckpt.meta bert_model.ckpt.data-00000-of-00001",
         "bert_model.ckpt.data-00000-of-00001 bert_model.ckpt.index"),
        # ONNX: what keeps its tensors beside it, and the most exact of several.
        ("config.json onnx/model.onnx onnx/model.onnx_data onnx/model.onnx_data_1 onnx/model_fp16.onnx",
         "onnx/model.onnx onnx/model.onnx_data onnx/model.onnx_data_1"),
        ("config.json onnx/model_fp16.onnx onnx/model_quantized.onnx onnx/model_qint8_avx512.onnx",
         "onnx/model_fp16.onnx"),
        ("berthub.json vocab.txt model.onnx model.onnx.data", "model.onnx model.onnx.data"),
        ("bge.Q4_K_M.gguf bge.Q8_0.gguf bge.F16.gguf", "bge.F16.gguf"),
        ("x-f16-00001-of-00002.gguf x-f16-00002-of-00002.gguf x-q4-00001-of-00002.gguf",
         "x-f16-00001-of-00002.gguf x-f16-00002-of-00002.gguf"),
        ("bert.keras README.md", "bert.keras"),
        ("config.json metadata.json model.weights.h5 task.json", "model.weights.h5"),
        # The nearest folder that has a model.
        ("a/b/config.json a/b/model.safetensors c/config.json c/tf_model.h5", "c/tf_model.h5"),
        (".hidden/config.json .hidden/model.safetensors", None),
        ("README.md", None),
        ("", None),
    ],
)  # fmt: skip
def test_the_weights(names: str, weights: str | None) -> None:
    found = select(names.split())
    assert (found and " ".join(sorted(found.weights))) == weights


@pytest.mark.parametrize(
    ("names", "paths"),
    [
        ("a.Q4_K_M.gguf a.Q8_0.gguf", ("a.Q4_K_M.gguf", "a.Q8_0.gguf")),
        ("config.json onnx/model_O1.onnx onnx/model_O2.onnx", ("onnx/model_O1.onnx", "onnx/model_O2.onnx")),
        (
            "step-1/config.json step-1/model.safetensors step-2/config.json step-2/model.safetensors",
            ("step-1", "step-2"),
        ),
        ("bert_config.json a.index a.data-00000-of-00001 b.index b.data-00000-of-00001", ("a.index", "b.index")),
    ],
)
def test_several_models_are_listed(names: str, paths: tuple[str, ...]) -> None:
    with pytest.raises(SeveralModelsError) as caught:
        select(names.split())
    assert caught.value.paths == paths
    for path in paths:
        found = select(names.split(), path=path)
        assert found is not None
        assert all(name.startswith(path.removesuffix(".index")) for name in found.weights)


@pytest.mark.parametrize(
    ("path", "weights"),
    [
        ("onnx/model_quantized.onnx", ("onnx/model_quantized.onnx",)),
        ("pytorch_model.bin", ("pytorch_model.bin",)),
        ("onnx", ("onnx/model.onnx",)),
        ("bert.q8_0.gguf", ("bert.q8_0.gguf",)),
        ("README.md", None),
        ("openvino", None),
        ("absent", None),
    ],
)
def test_a_named_folder_or_file(path: str, weights: tuple[str, ...] | None) -> None:
    found = select(EVERY, path=path)
    assert (found and found.weights) == weights
    if found:
        assert found.settings == tuple(sorted(SMALL))


def test_the_modules_of_sentence_transformers() -> None:
    names = (
        "modules.json", "config_sentence_transformers.json", "0_Enc/config.json", "0_Enc/vocab.txt",
        "0_Enc/pytorch_model.bin", "0_Enc/sentence_bert_config.json", "1_Pooling/config.json", "2_Dense/config.json",
        "2_Dense/model.safetensors", "2_Dense/pytorch_model.bin", "Own/config.json", "Own/q/pytorch_model.bin",
        "Own/q/config.json", "3_Other/config.json", "3_Other/model.safetensors", "0_Enc/tf_model.h5",
    )  # fmt: skip
    found = select(names, modules=("0_Enc", "1_Pooling", "2_Dense", "Own"))
    assert found is not None
    assert found.weights == ("0_Enc/pytorch_model.bin",)
    unwanted = {"2_Dense/pytorch_model.bin", "3_Other/config.json", "3_Other/model.safetensors", "0_Enc/tf_model.h5"}
    assert set(found.files) == set(names) - unwanted


def test_weights_of_some_files_and_settings_of_all() -> None:
    found = select(EVERY, weights_of={"config.json", "pytorch_model.bin"})
    assert found is not None
    assert found.weights == ("pytorch_model.bin",)
    assert found.settings == tuple(sorted(SMALL))


def test_a_keras_model_keeps_what_tells_it_from_a_preset() -> None:
    names = ("config.json", "metadata.json", "model.weights.h5", "tokenizer.json", "assets/tokenizer/vocabulary.txt")
    found = select((*names, "task.weights.h5", "preprocessor.json"))
    assert found is not None
    assert found.files == tuple(sorted(names))


def test_an_adapter_beside_a_model_is_seen() -> None:
    found = select(("adapter_config.json", "adapter_model.safetensors", "config.json", "model.safetensors"))
    assert found is not None
    assert "adapter_config.json" in found.files
    assert select(("adapter_config.json", "adapter_model.safetensors")) is None


def test_missing_shards() -> None:
    assert incomplete(["model.safetensors", "a/variables.data-00000-of-00001"]) == []
    assert incomplete(["m-00001-of-00002.bin", "m-00002-of-00002.bin"]) == []
    assert incomplete(["m-00003-of-00003.bin"]) == ["m-00001-of-00003.bin", "m-00002-of-00003.bin"]
    assert incomplete(["v.data-00000-of-00002"]) == ["v.data-00001-of-00002"]
    assert incomplete(["m-00001-of-99999.bin"])[0] == "m-00002-of-99999.bin"


def test_the_folders_that_hold_a_model() -> None:
    names = [
        "p/m/config.json", "p/m/model.safetensors", "p/m/2_Dense/config.json", "p/m/2_Dense/model.safetensors",
        "p/m/onnx/model.onnx", "q/modules.json", "q/0_T/config.json", "q/0_T/pytorch_model.bin", "r/x/y/z/w/b.gguf",
        "p-1.dist-info/RECORD", "p/__init__.py",
    ]  # fmt: skip
    assert model_folders(names) == ["q", "p/m", "r/x/y/z/w"]
    assert model_folders([]) == []


def test_what_is_read_is_said() -> None:
    for name in ("model.safetensors", "pytorch_model.bin", "tf_model.h5", "flax_model.msgpack", "*.gguf", "*.keras"):
        assert name in READ


@pytest.mark.parametrize("format", FORMATS, ids=lambda format: format.name)
def test_what_marks_a_format_is_fetched(format: Format) -> None:
    """The readers' table and the selection are apart, since neither imports the other."""
    for alternative in format.marks[-1].split("|"):
        marks = [mark.split("|")[0] for mark in format.marks[:-1]] + [alternative]
        names = [mark.replace("*", "x") for mark in marks]
        companions = {
            "saved_model.pb": ["variables/variables.index", "variables/variables.data-00000-of-00001"],
            "x.index": ["x.data-00000-of-00001"],
        }
        for name in [*names]:
            names += companions.get(name, [])
            if name.endswith(".index.json"):
                base, _, suffix = name.removesuffix(".index.json").rpartition(".")
                names.append(f"{base}-00001-of-00001.{suffix}")
        if names == [CONFIG]:
            names.append("model.safetensors")
        found = select(names)
        assert found is not None
        assert {*found.files} == {*names}


def test_the_kinds_of_weights_are_chosen_in_the_order_of_the_reader() -> None:
    left = [kind.whole for kind in reversed(KINDS)]
    for kind in KINDS:
        found = select(["config.json", *left])
        assert found is not None
        assert found.weights == (kind.whole,)
        left.remove(kind.whole)


def test_what_sentence_transformers_says_is_fetched() -> None:
    names = ["config.json", "model.safetensors", MODULES, PROMPTS, *ENCODER_FILES]
    found = select(names)
    assert found is not None
    assert {*found.files} == {*names}
