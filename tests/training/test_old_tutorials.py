"""The tutorials of 2020 run to their end, and their numbers are TensorFlow's."""

import hashlib
import json
import os
import subprocess
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import berthub as hub
from berthub.checkpoint import Checkpoint
from support import old_tutorials

# What is trained is a model of one layer: graphs are built for it.
_TRAINED = (
    "https://tfhub.dev/tensorflow/small_bert/bert_en_uncased_L-4_H-512_A-8/1",
    "https://tfhub.dev/tensorflow/bert_en_uncased_L-24_H-1024_A-16/1",
)
_FOR = {
    "https://tfhub.dev/google/experts/bert/wiki_books/2": "tf2_v4",
    "https://tfhub.dev/tensorflow/bert_en_uncased_L-12_H-768_A-12/4": "tf2_v4",
    "https://tfhub.dev/google/bert_uncased_L-12_H-768_A-12/1": "tf1_hub_module",
}
_PREPROCESS = "https://tfhub.dev/tensorflow/bert_en_uncased_preprocess/3"
_LENGTH = 32
Run = Callable[[str], dict[str, Any]]

# What Keras told the readers of the tutorials, too: of a dataset that it cannot shuffle, and of a pooler without use.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.shuffle=True. was passed"),
    pytest.mark.filterwarnings("ignore:Gradients do not exist for variables"),
    pytest.mark.filterwarnings("ignore:Even though the .tf.config.experimental_run_functions_eagerly"),
]


@pytest.fixture(scope="module")
def tf(keras: Any) -> Any:
    if keras.config.backend() != "tensorflow":
        pytest.skip("these programs are TensorFlow's: KERAS_BACKEND=tensorflow")
    return pytest.importorskip("tensorflow")


@pytest.fixture(scope="module")
def preprocess(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny preprocessing model with a length that tiny encoders have; the real ones have 512 positions."""
    folder = tmp_path_factory.mktemp("preprocess")
    for path in (models / "preprocess").rglob("*"):
        if path.is_file():
            target = folder / path.relative_to(models / "preprocess")
            target.parent.mkdir(parents=True, exist_ok=True)
            # Keras's metadata stands in the file as text: the shorter number is filled up with a blank.
            target.write_bytes(path.read_bytes().replace(b'"seq_length": 128', b'"seq_length": 32 '))
    assert hub.Preprocessor(folder).seq_length == _LENGTH
    return folder


@pytest.fixture(scope="module")
def cache(models: Path, preprocess: Path, start: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """TF Hub's cache, with a tiny model for each handle."""
    cache = tmp_path_factory.mktemp("tfhub")
    trained = tmp_path_factory.mktemp("trained") / "model"
    hub.export(start, trained, to="native")
    folders = {_PREPROCESS: preprocess, **dict.fromkeys(_TRAINED, trained)}
    for handle, folder in {**folders, **{key: models / name for key, name in _FOR.items()}}.items():
        (cache / hashlib.sha1(handle.encode()).hexdigest()).symlink_to(folder)
    return cache


@pytest.fixture
def run(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tf: Any) -> Iterator[Run]:
    """Runs a program in a new folder, and returns its names."""
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(cache))
    monkeypatch.setenv("BERTHUB_OFFLINE", "1")
    monkeypatch.chdir(tmp_path)

    def run(program: str) -> dict[str, Any]:
        names: dict[str, Any] = {}
        exec(compile(program, "tutorial", "exec"), names)
        return names

    # To trace a step of training takes longer than all else; test_preprocessing_layer.py does it.
    tf.config.run_functions_eagerly(True)
    yield run
    tf.config.run_functions_eagerly(False)


def _reviews(folder: Path) -> None:
    for label, texts in {"neg": ["a waste", "terrible", "meh"], "pos": ["great", "fun", "good"]}.items():
        (folder / label).mkdir(parents=True)
        for number, text in enumerate(texts):
            (folder / label / f"{number}_1.txt").write_text(f"{text}, this film")


def test_classify_text(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _reviews(tmp_path / "aclImdb" / "train")
    names = run(old_tutorials.CLASSIFY_TEXT)
    assert "Keys       : ['input_word_ids', 'input_mask', 'input_type_ids']" in capsys.readouterr().out
    assert isinstance(names["bert_preprocess_model"], hub.KerasLayer)
    np.testing.assert_array_equal(names["reloaded_results"], names["original_results"])
    assert not np.allclose(names["original_results"][0], names["tf"].sigmoid(names["bert_raw_result"])[0], atol=1e-7)

    examples, path = names["examples"], tmp_path / "imdb_bert.keras"
    expected = np.asarray(names["original_results"])[:, 0]
    # The fast engine reads the same file.
    bert = hub.load(path, engine="numpy", cache_dir=tmp_path / "cache")
    assert bert.head is not None
    assert (bert.max_length, bert.checkpoint.config.tokenization) == (_LENGTH, "tf_text")
    np.testing.assert_allclose(bert.predict_proba(examples)[:, 1], expected, rtol=0, atol=1e-5)
    # A new process, in which no model is to be found.
    code = (
        "import berthub, json, tensorflow as tf\n"
        f"model = tf.keras.models.load_model({str(path)!r})\n"
        f"print(json.dumps(tf.sigmoid(model(tf.constant({examples!r})))[:, 0].numpy().tolist()))"
    )
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3", "TFHUB_CACHE_DIR": "no"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(json.loads(done.stdout), expected, rtol=0, atol=1e-6)


def test_experts(run: Run, models: Path, tf: Any) -> None:
    names = run(old_tutorials.EXPERTS)
    expected = tf.saved_model.load(str(models / "tf2_v4"))({key: tf.constant(v) for key, v in names["inputs"].items()})
    for key in ("pooled_output", "sequence_output"):
        # Behind the padding there are zeros, and the mask says where.
        mask = names["inputs"]["input_mask"] if key == "sequence_output" else np.ones(3)
        kept = np.asarray(mask, bool)
        np.testing.assert_allclose(names["outputs"][key][kept], expected[key].numpy()[kept], rtol=0, atol=2e-2)


def test_preprocessing(run: Run, models: Path, preprocess: Path, tf: Any, tmp_path: Path) -> None:
    names = run(old_tutorials.PREPROCESSING)
    golden = json.loads((Path(__file__).parent.parent / "data" / "preprocess" / "pack.json").read_text())["sets"][
        "uncased"
    ]
    texts = golden["texts"]
    by_texts = {tuple(segments): (ids, ones) for length, segments, ids, ones in golden["packed"] if length == 16}
    pairs = [pair for pair in by_texts if len(pair) == 2]
    made = names["pair_model"]([tf.constant([texts[index] for index in side]) for side in zip(*pairs, strict=True)])
    assert len(pairs) > 5
    for pair, ids, kinds in zip(pairs, made["input_word_ids"].numpy(), made["input_type_ids"].numpy(), strict=True):
        expected, ones = by_texts[pair]
        assert ids.tolist() == expected + [0] * (16 - len(expected))
        assert kinds.sum() == ones
    names["pair_model"].save(tmp_path / "pairs.keras")
    again = tf.keras.models.load_model(tmp_path / "pairs.keras")([tf.constant(["a"]), tf.constant(["b"])])
    np.testing.assert_array_equal(
        again["input_word_ids"], hub.Preprocessor(preprocess, 16)(["a"], ["b"])["input_word_ids"]
    )

    # The encoder's numbers, of texts.
    sentences = tf.constant(texts)
    inputs = {key: tf.constant(value) for key, value in hub.Preprocessor(preprocess)(texts).items()}
    expected = tf.saved_model.load(str(models / "tf2_v4"))(inputs)["pooled_output"]
    np.testing.assert_allclose(names["embedding_model"](sentences), expected, rtol=0, atol=1e-5)
    np.testing.assert_allclose(names["embedding_model"].predict(sentences, verbose=0), expected, rtol=0, atol=1e-5)


def test_sentence_pairs(run: Run, preprocess: Path) -> None:
    names = run(old_tutorials.SENTENCE_PAIRS)
    expected = hub.Preprocessor(preprocess, 32)(["some random test sentence", "a"], ["another sentence", "b"])
    ((inputs, labels),) = names["dataset"]
    for key, array in expected.items():
        np.testing.assert_array_equal(names["text_preprocessed"][key], array[:1])
        np.testing.assert_array_equal(inputs[key], array)
    assert labels.numpy().tolist() == [0, 1]


def test_kaggle(run: Run, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("tokenization")
    module.FullTokenizer = _FullTokenizer  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tokenization", module)
    names = run(old_tutorials.KAGGLE)
    assert names["tokenizer"].lower_case is True
    expected = hub.Preprocessor(models / "tf2_v4", 16)(["a flood", "all is well"])
    np.testing.assert_array_equal(names["train_input"][0], expected["input_word_ids"])
    assert np.isfinite(names["test_pred"]).all()


class _FullTokenizer:
    """What Google's `tokenization.py` has, as far as the kernels used it."""

    def __init__(self, vocab_file: bytes, do_lower_case: bool) -> None:
        pieces = Path(vocab_file.decode()).read_text().splitlines()
        self.lower_case = bool(do_lower_case)
        self._ids = {piece: index for index, piece in enumerate(pieces)}
        self._pieces = pieces
        self._tokenizer = hub.Tokenizer(pieces, lower_case=self.lower_case)

    def tokenize(self, text: str) -> list[str]:
        return [self._pieces[index] for index in self._tokenizer.segments([text]).ids]

    def convert_tokens_to_ids(self, tokens: list[str]) -> list[int]:
        return [self._ids[token] for token in tokens]


def test_module(run: Run, models: Path) -> None:
    names = run(old_tutorials.MODULE)
    expected = hub.load(models / "tf1_hub_module", precision="float32", engine="numpy")(
        {"input_ids": names["input_ids"], "attention_mask": names["input_mask"]}
    )
    assert [*names["bert_outputs"]] == ["pooled_output", "sequence_output"]
    for key, value in names["bert_outputs"].items():
        np.testing.assert_allclose(value, expected[key], rtol=0, atol=1e-5)
    assert Path(names["vocab_file"].decode()).name == "vocab.txt"
    assert names["do_lower_case"]
