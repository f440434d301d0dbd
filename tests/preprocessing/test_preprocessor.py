import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from berthub.containers.protos import parse
from berthub.errors import CorruptFileError, InputError, ModelNotFoundError, UnsupportedModelError
from berthub.formats.preprocessor import read_preprocessor
from berthub.preprocessing.preprocessor import Preprocessor
from berthub.tokenization.tokenizer import Tokenizer

KEYS = ["input_word_ids", "input_mask", "input_type_ids"]
TEXTS = ["Hello, world!", "", "The cat sat on the mat. " * 4]
OTHERS = ["What?", "Nothing", "A dog."]
GOLDEN = json.loads((Path(__file__).parent.parent / "data" / "preprocess" / "pack.json").read_text(encoding="utf-8"))
CASED_VOCABULARY = Path(__file__).parent.parent / "data" / "preprocess" / "cased_vocab.txt"


@pytest.fixture(scope="module")
def preprocessor(models: Path) -> Preprocessor:
    return Preprocessor(models / "preprocess", 16)


@pytest.fixture(scope="module")
def tf() -> Any:
    return pytest.importorskip("tensorflow")


def assert_same(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert list(one) == list(other) == KEYS
    for key in KEYS:
        np.testing.assert_array_equal(np.asarray(one[key]), np.asarray(other[key]), err_msg=key)


@pytest.mark.parametrize("name", ["uncased", "cased"])
def test_texts_become_what_the_savedmodel_makes_of_them(models: Path, name: str) -> None:
    golden = GOLDEN["sets"][name]
    cased = Tokenizer(CASED_VOCABULARY, lower_case=False, tokenization="tf_text")
    handle = models / "preprocess" if name == "uncased" else cased
    compared = 0
    for seq_length in (16, 32, 128):
        preprocessor = Preprocessor(handle, seq_length)
        for length, segments, ids, ones in golden["packed"]:
            if length == seq_length:
                texts = [golden["texts"][index] for index in segments]
                made = preprocessor([texts[0]]) if len(texts) == 1 else preprocessor([texts[0]], [texts[1]])
                padding = [0] * (seq_length - len(ids))
                assert made["input_word_ids"].tolist() == [ids + padding]
                assert made["input_mask"].tolist() == [[1] * len(ids) + padding]
                assert made["input_type_ids"].tolist() == [[0] * (len(ids) - ones) + [1] * ones + padding]
                compared += 1
    assert compared > 90


def test_texts_in_every_form(preprocessor: Preprocessor) -> None:
    expected = preprocessor(TEXTS)
    assert all(array.shape == (3, 16) and array.dtype == np.int32 for array in expected.values())
    for form in (tuple(TEXTS), iter(TEXTS), np.array(TEXTS), np.array(TEXTS, object), np.array(TEXTS, "S")):
        assert_same(preprocessor(form), expected)
    assert_same(preprocessor([text.encode() for text in TEXTS]), expected)
    for single in (TEXTS[0], TEXTS[0].encode(), np.array(TEXTS[0])):
        assert_same(preprocessor(single), {key: array[:1] for key, array in expected.items()})
    assert preprocessor([])["input_mask"].shape == (0, 16)
    assert_same(preprocessor(b"a\xffb"), preprocessor("a\ufffdb"))


def test_pairs_in_every_form(preprocessor: Preprocessor) -> None:
    expected = preprocessor(TEXTS, OTHERS)
    assert expected["input_type_ids"].any(axis=1).all()
    assert_same(preprocessor(list(zip(TEXTS, OTHERS, strict=True))), expected)
    segments = [preprocessor.tokenize(TEXTS), preprocessor.tokenize(OTHERS)]
    assert_same(preprocessor.bert_pack_inputs(segments), expected)
    assert_same(preprocessor.bert_pack_inputs(segments[:1]), preprocessor(TEXTS))
    assert preprocessor.bert_pack_inputs(segments, np.int64(5))["input_mask"].sum(axis=1).tolist() == [5, 5, 5]


def test_a_preprocessor_for_an_encoder_cuts_as_the_encoder_does(models: Path) -> None:
    preprocessor = Preprocessor(models / "tf2_v4")
    assert preprocessor.seq_length == 64  # all positions of this model, which has fewer than 128
    tokens = Tokenizer.from_pretrained(models / "tf2_v4")(
        TEXTS, OTHERS, padding="max_length", truncation=True, max_length=64, return_tensors="np"
    )
    names = ("input_ids", "attention_mask", "token_type_ids")
    assert_same(preprocessor(TEXTS, OTHERS), dict(zip(KEYS, (tokens[name] for name in names), strict=True)))
    with pytest.raises(InputError, match=r"seq_length must be from 2 to 64 .* not 128"):
        Preprocessor(models / "tf2_v4", 128)


def wrong() -> Iterator[tuple[str, Any, str]]:
    yield "__call__", (np.array([["a", "b"]]),), "has 2 dimensions"
    yield "__call__", (np.array([1, 2]),), "text 0 is of type int64"
    yield "__call__", (["a", None],), "text 1 is of type NoneType"
    yield "__call__", (["a", "b"], ["c"]), "2 texts and 1 in text_pairs"
    yield "__call__", ([("a", "b")], ["c"]), "must have a string for each"
    yield "__call__", ({"a": "b"},), "not of type dict"
    yield "tokenize", ([("a", "b")],), "segments of pairs one by one"
    yield "bert_pack_inputs", ([],), "one or of two segments"
    yield "bert_pack_inputs", ([[[4]]] * 3,), "one or of two segments"
    yield "bert_pack_inputs", ([[[4]], [[5]]], 2), "seq_length must be from 3 to 512"
    yield "bert_pack_inputs", ([[[4]]], "16"), "seq_length must be from 2 to 512 .* not '16'"


@pytest.mark.parametrize(("method", "arguments", "message"), list(wrong()))
def test_wrong_input_is_named(preprocessor: Preprocessor, method: str, arguments: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        getattr(preprocessor, method)(*arguments)


def test_tensorflow_is_not_imported(models: Path) -> None:
    code = (
        "import sys; from berthub.preprocessing.preprocessor import Preprocessor\n"
        f"made = Preprocessor({str(models / 'preprocess')!r})(['a text'])\n"
        "print(made['input_mask'].shape, [name for name in ('tensorflow', 'keras') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "(1, 128) []"


def changed(model: Path, folder: Path, change: Callable[[Any], object]) -> Path:
    """A copy of the model, with `change` done to all nodes of its graph."""
    shutil.copytree(model, folder)
    saved = parse("SavedModel", (folder / "saved_model.pb").read_bytes(), source="a test")
    for meta_graph in saved.meta_graphs:
        graph = parse("GraphDef", meta_graph.graph_def, source="a test")
        for nodes in (graph.node, *(function.node_def for function in graph.library.function)):
            for node in nodes:
                change(node)
        meta_graph.graph_def = graph.SerializeToString()
    (folder / "saved_model.pb").write_bytes(saved.SerializeToString())
    return folder


class TestSentencePiece:
    def test_tokens_and_inputs_are_those_of_the_savedmodel(self, models: Path) -> None:
        golden = json.loads((Path(__file__).parent.parent / "data" / "preprocess" / "albert.json").read_text("utf-8"))
        preprocessor = Preprocessor(models / "preprocess_albert")
        assert preprocessor.seq_length == 128
        cases = golden["cases"]
        assert preprocessor.tokenize([case["text"] for case in cases]) == [case["savedmodel"] for case in cases]
        for length in (16, 32, 128):
            preprocessor = Preprocessor(models / "preprocess_albert", length)
            for case in golden["pack"]:
                if case["seq_length"] == length:
                    made = preprocessor(*([text] for text in case["segments"]))
                    padding = [0] * (length - len(case["input_word_ids"]))
                    assert made["input_word_ids"].tolist() == [case["input_word_ids"] + padding]
                    assert made["input_mask"].tolist() == [[1] * len(case["input_word_ids"]) + padding]
                    assert made["input_type_ids"].tolist() == [case["input_type_ids"] + padding]

    def test_case_and_accents_are_read_from_the_graph(self, models: Path, tmp_path: Path) -> None:
        def leave_out(*operations: str) -> Path:
            def change(node: Any) -> None:
                node.op = "Identity" if node.op in operations else node.op

            return changed(models / "preprocess_albert", tmp_path / "-".join(operations), change)

        accents = ("NormalizeUTF8", "StaticRegexReplace")
        for folder, lower_case, strip_accents in (
            (models / "preprocess_albert", True, True),
            (leave_out("CaseFoldUTF8"), False, True),
            (leave_out(*accents), True, False),
            (leave_out("CaseFoldUTF8", *accents), False, False),
        ):
            files = read_preprocessor(folder)
            assert files is not None
            assert (files.lower_case, files.strip_accents) == (lower_case, strip_accents)
            assert (files.vocabulary.algorithm, len(files.vocabulary)) == ("sentencepiece", 500)
        with pytest.raises(UnsupportedModelError, match="changes texts by NormalizeUTF8 alone"):
            read_preprocessor(leave_out("StaticRegexReplace"))
        assert Preprocessor(leave_out("CaseFoldUTF8", *accents[::-1])).tokenize(["É"]) != Preprocessor(
            models / "preprocess_albert"
        ).tokenize(["É"])

    def test_the_special_pieces_are_read(self, models: Path, tmp_path: Path) -> None:
        folder = shutil.copytree(models / "preprocess_albert", tmp_path / "model")
        path = folder / "keras_metadata.pb"
        path.write_bytes(path.read_bytes().replace(b'"end_of_segment_id": 3', b'"end_of_segment_id": 4'))
        files = read_preprocessor(folder)
        assert files is not None
        vocabulary = files.vocabulary
        special = (vocabulary.classify, vocabulary.separate, vocabulary.pad, vocabulary.unknown)
        assert special == ("[CLS]", "[MASK]", "<pad>", "<unk>")

    def test_damage_is_named(self, models: Path, tmp_path: Path) -> None:
        def attributes(name: str, value: bytes | None) -> Callable[[Any], None]:
            def change(node: Any) -> None:
                for entry in node.attr:
                    if entry.key == name and value is not None:
                        entry.value.s = value
                    elif entry.key == name:
                        entry.key = "other"

            return change

        for index, (name, value, error, message) in enumerate(
            (
                ("model", None, CorruptFileError, "holds no pieces"),
                ("model", b"\xff\xff", CorruptFileError, "the SentencePiece model in .* is damaged"),
                ("normalization_form", b"NFKC", UnsupportedModelError, "by NormalizeUTF8 with .*NFKC.*NFD"),
                ("pattern", b"x", UnsupportedModelError, "by StaticRegexReplace with .*'x'"),
            )
        ):
            folder = changed(models / "preprocess_albert", tmp_path / str(index), attributes(name, value))
            with pytest.raises(error, match=message):
                read_preprocessor(folder)

        def forget(node: Any) -> None:
            node.op = "NoOp" if node.op == "SentencepieceOp" else node.op

        with pytest.raises(CorruptFileError, match="should hold one SentencePiece model; it holds 0"):
            read_preprocessor(changed(models / "preprocess_albert", tmp_path / "none", forget))


class TestFiles:
    def test_the_vocabulary_and_the_case_are_read(self, models: Path, tmp_path: Path) -> None:
        files = read_preprocessor(models / "preprocess")
        assert files is not None
        assert (len(files.vocabulary), files.lower_case, files.seq_length) == (1126, True, 128)
        assert read_preprocessor(models / "tf2_v4") is read_preprocessor(models / "hf_bert") is None

    def test_without_case_folding_it_is_cased(self, models: Path, tmp_path: Path) -> None:
        def without(*operations: str) -> Path:
            def leave_out(node: Any) -> None:
                node.op = "Identity" if node.op in operations else node.op

            return changed(models / "preprocess", tmp_path / "-".join(operations), leave_out)

        files = read_preprocessor(without("CaseFoldUTF8", "NormalizeUTF8"))
        assert files is not None
        assert not files.lower_case
        with pytest.raises(UnsupportedModelError, match="without lower-casing"):
            read_preprocessor(without("CaseFoldUTF8"))
        assert read_preprocessor(without("WordpieceTokenizeWithOffsets")) is None

    def test_the_published_forms(self) -> None:
        folder = Path(__file__).parent.parent.parent.parent / "shared" / "models" / "tiny"
        if not folder.is_dir():
            pytest.skip("needs ../shared/models/tiny, which is not part of the repository")
        cased = read_preprocessor(folder / "preprocess_cased")
        assert cased is not None
        assert (len(cased.vocabulary), cased.lower_case, cased.seq_length) == (1411, False, 128)
        albert = read_preprocessor(folder / "preprocess_albert")
        assert albert is not None
        assert (len(albert.vocabulary), albert.lower_case, albert.strip_accents, albert.seq_length) == (
            500,
            True,
            True,
            128,
        )

    def test_without_metadata_the_usual_length_counts(self, models: Path, tmp_path: Path) -> None:
        folder = shutil.copytree(models / "preprocess", tmp_path / "model")
        (folder / "keras_metadata.pb").unlink()
        assert Preprocessor(folder).seq_length == 128

    def test_damage_is_named(self, models: Path, tmp_path: Path) -> None:
        folder = shutil.copytree(models / "preprocess", tmp_path / "model")
        path = folder / "keras_metadata.pb"
        metadata = path.read_bytes()
        path.write_bytes(metadata.replace(b'"seq_length": 128', b'"seq_length": -12'))
        with pytest.raises(CorruptFileError, match="sets seq_length to -12"):
            Preprocessor(folder)
        path.write_bytes(metadata.replace(b'"seq_length": 128', b'"seq_length"; 128'))
        with pytest.raises(CorruptFileError, match="no valid JSON"):
            Preprocessor(folder)
        path.unlink()
        (folder / "assets" / "vocab.txt").unlink()
        with pytest.raises(ModelNotFoundError, match=r"'vocab.txt' of the model is not in"):
            Preprocessor(folder)


class TestTensorFlow:
    def test_a_string_tensor_gives_tensors(self, tf: Any, preprocessor: Preprocessor) -> None:
        expected = preprocessor(TEXTS)
        made = preprocessor(tf.constant(TEXTS))
        assert all(isinstance(tensor, tf.Tensor) and tensor.dtype == tf.int32 for tensor in made.values())
        assert_same(made, expected)
        assert_same(preprocessor(tf.constant(TEXTS[0])), {key: array[0] for key, array in expected.items()})
        assert_same(preprocessor(tf.constant(TEXTS), tf.constant(OTHERS)), preprocessor(TEXTS, OTHERS))

    def test_a_dataset_is_mapped_batched_or_not(self, tf: Any, preprocessor: Preprocessor) -> None:
        expected = preprocessor(TEXTS)
        dataset = tf.data.Dataset.from_tensor_slices(TEXTS)
        for mapped in (dataset.batch(2).map(preprocessor).unbatch(), dataset.map(preprocessor)):
            assert [mapped.element_spec[key].shape.as_list() for key in KEYS] == [[16]] * 3
            rows = list(mapped.as_numpy_iterator())
            assert_same({key: np.stack([row[key] for row in rows]) for key in KEYS}, expected)
        batched = dataset.batch(2).map(preprocessor, num_parallel_calls=2)
        assert batched.element_spec["input_mask"] == tf.TensorSpec([None, 16], tf.int32)
        pairs = tf.data.Dataset.from_tensor_slices((TEXTS, OTHERS)).batch(3).map(preprocessor)
        assert_same(next(iter(pairs)), preprocessor(TEXTS, OTHERS))

    def test_segments_are_tokenized_and_packed_in_a_graph(self, tf: Any, preprocessor: Preprocessor) -> None:
        expected = preprocessor(TEXTS, OTHERS)
        tokens = preprocessor.tokenize(tf.constant(TEXTS))
        assert isinstance(tokens, tf.RaggedTensor)
        assert tokens.to_list() == preprocessor.tokenize(TEXTS)

        def two(first: Any, second: Any) -> Any:
            return preprocessor.bert_pack_inputs([preprocessor.tokenize(first), preprocessor.tokenize(second)])

        assert_same(two(tf.constant(TEXTS), tf.constant(OTHERS)), expected)
        dataset = tf.data.Dataset.from_tensor_slices((TEXTS, OTHERS)).batch(2).map(two)
        assert dataset.element_spec["input_word_ids"] == tf.TensorSpec([None, 16], tf.int32)
        assert_same({key: np.concatenate([batch[key] for batch in dataset]) for key in KEYS}, expected)

    def test_words_and_dense_segments_are_joined(self, tf: Any, preprocessor: Preprocessor) -> None:
        words = [[[4, 5], [6]], [[7], [8, 9]]]
        expected = preprocessor.bert_pack_inputs([words], tf.constant(8))
        assert_same(preprocessor.bert_pack_inputs([tf.ragged.constant(words)], 8), expected)
        assert_same(preprocessor.bert_pack_inputs([tf.constant([[4, 5, 6], [7, 8, 9]])], 8), expected)

    def test_wrong_tensors_are_named(self, tf: Any, preprocessor: Preprocessor) -> None:
        texts = tf.constant(TEXTS)
        for arguments, message in (
            ((tf.constant([1, 2]),), "one is a int32 EagerTensor"),
            ((texts, tf.constant([0, 1, 0])), r"dataset.map\(lambda text, label"),
            ((texts, OTHERS), "one is a list"),
            ((texts, texts[:2]), r"shapes are \(3,\) and \(2,\)"),
            ((texts[:, None],), r"the shape of this one is \(3, 1\)"),
            (([texts, texts],), "tensors in a list"),
        ):
            with pytest.raises(InputError, match=message):
                preprocessor(*arguments)
        with pytest.raises(InputError, match="batch them first"):
            preprocessor.tokenize(texts[0])
        with pytest.raises(InputError, match="one is"):
            preprocessor.bert_pack_inputs([preprocessor.tokenize(texts), preprocessor.tokenize(OTHERS)])
