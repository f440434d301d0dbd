import warnings
from pathlib import Path

import numpy as np
import pytest

import berthub as hub
from berthub.choices import Pooling
from berthub.errors import InputError, OutputNotComputedError

_TEXTS = ["The quick brown fox.", "", "It was the first day of May!"]


@pytest.fixture(scope="module")
def bert() -> hub.Encoder:
    return hub.load(Path(__file__).parent.parent / "data" / "models" / "tf2_v4", precision="float32")


class TestEncode:
    def test_shapes_and_keys(self, bert: hub.Encoder) -> None:
        out = bert.encode(_TEXTS)
        assert list(out) == ["default", "pooled_output", "sequence_output"]
        assert len(out) == 3
        longest = max(len(tokens) for tokens in out.tokens)
        assert out["sequence_output"].shape == (3, longest, 32)
        assert out["pooled_output"].shape == (3, 32)
        assert out["default"] is out["pooled_output"]
        assert {array.dtype for array in out.values()} == {np.dtype(np.float32)}
        assert out.precision == "float32"
        assert "<Encodings of 3 texts, float32: default: (3, 32)" in repr(out)

    def test_tokens(self, bert: hub.Encoder) -> None:
        out = bert.encode(_TEXTS)
        assert out.tokens[1] == ["[CLS]", "[SEP]"]  # an empty text
        assert out.input_ids.shape == out.attention_mask.shape == out.token_type_ids.shape
        assert out.attention_mask.sum(1).tolist() == [len(tokens) for tokens in out.tokens]
        assert [len(row) for row in out.ragged()] == [len(tokens) for tokens in out.tokens]
        assert "".join(_TEXTS[0][start:end] for start, end in out.offsets[0]) == "Thequickbrownfox."
        assert not out.truncated.any()

    def test_bytes_and_words(self, bert: hub.Encoder) -> None:
        out = bert.encode(["São, the fox", ("fox", "é the")])
        assert out.offsets[0].tolist()[:4] == [[0, 0], [0, 3], [3, 4], [5, 8]]
        assert out.byte_offsets[0].tolist()[:4] == [[0, 0], [0, 4], [4, 5], [6, 9]]
        assert out.word_ids[0] == [None, 0, 1, 2, 3, 3, 3, None]
        assert out.byte_offsets[1].tolist()[5:7] == [[0, 2], [3, 6]]
        assert out.word_ids[1] == [None, 0, 0, 0, None, 0, 1, None]
        nothing = bert.encode([])
        assert nothing.byte_offsets == nothing.word_ids == []

    def test_one_string_is_a_list_of_one(self, bert: hub.Encoder) -> None:
        assert bert.encode("The fox")["pooled_output"].shape == (1, 32)
        assert bert.embed("The fox").shape == (1, 32)

    def test_no_texts(self, bert: hub.Encoder) -> None:
        out = bert.encode([])
        assert out["sequence_output"].shape == (0, 0, 32)
        assert out.tokens == []
        assert out.offsets == []
        assert bert.embed([]).shape == (0, 32)

    def test_any_iterable(self, bert: hub.Encoder) -> None:
        expected = bert.embed(_TEXTS)
        for texts in (tuple(_TEXTS), iter(_TEXTS), np.array(_TEXTS)):
            np.testing.assert_array_equal(bert.embed(texts), expected)

    @pytest.mark.parametrize("pooling", ["cls", "max", "mean"])
    def test_several_layers_are_joined(self, bert: hub.Encoder, pooling: Pooling) -> None:
        single = [bert.embed(_TEXTS, pooling=pooling, layer=layer) for layer in (1, 0)]
        np.testing.assert_allclose(
            bert.embed(_TEXTS, pooling=pooling, layer=(-1, 0)), np.concatenate(single, axis=1), rtol=0, atol=1e-5
        )
        for wrong in ((), "10", 1.5, (0, 9)):
            with pytest.raises(InputError, match="layer"):
                bert.embed(_TEXTS, pooling=pooling, layer=wrong)  # type: ignore[arg-type]

    def test_layers(self, bert: hub.Encoder) -> None:
        full = bert.encode(_TEXTS, outputs=["encoder_outputs", "sequence_output"])
        layers = full["encoder_outputs"]
        assert len(layers) == 2
        np.testing.assert_array_equal(layers[-1], full["sequence_output"])
        np.testing.assert_array_equal(layers[0], layers[-2])
        assert len(layers[:]) == 2
        some = bert.encode(_TEXTS, layers=[-2])
        np.testing.assert_allclose(some["encoder_outputs"][0], layers[0], rtol=0, atol=1e-6)
        with pytest.raises(OutputNotComputedError, match=r"layer -1 was not asked for; pass layers=\[-1\]"):
            some["encoder_outputs"][-1]
        with pytest.raises(IndexError):
            layers[2]
        assert list(bert.encode(_TEXTS, layers=0)) == ["default", "pooled_output", "sequence_output", "encoder_outputs"]

    def test_what_was_not_asked_for(self, bert: hub.Encoder) -> None:
        out = bert.encode(_TEXTS, outputs=["sequence_output"])
        assert "pooled_output" not in out
        assert out.get("default") is None
        with pytest.raises(OutputNotComputedError, match=r"'pooled_output' was not asked for: .* hold sequence_output"):
            out["pooled_output"]

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"outputs": ["logits"]}, r"outputs=\['logits'\] cannot be computed; choose from default"),
            ({"outputs": []}, "choose from"),
            ({"layers": "last"}, "layers='last' is not known"),
            ({"layers": [5]}, "layer 5 does not exist"),
        ],
    )
    def test_wrong_options(self, bert: hub.Encoder, options: dict, message: str) -> None:
        with pytest.raises(InputError, match=message):
            bert.encode(_TEXTS, **options)

    @pytest.mark.parametrize("texts", [b"bytes", 3, None, {"text": 1}])
    def test_what_are_no_texts(self, bert: hub.Encoder, texts: object) -> None:
        with pytest.raises(InputError, match="texts are a list of str"):
            bert.encode(texts)
        with pytest.raises(InputError, match="texts are a list of str"):
            bert.stream(texts)

    def test_a_table_is_no_column(self, bert: hub.Encoder) -> None:
        with pytest.raises(InputError, match="this ndarray has 2 dimensions: choose the column"):
            bert.encode(np.array([["a", "b"], ["c", "d"]]))


class TestTruncation:
    def test_is_reported_once_with_a_count(self, bert: hub.Encoder) -> None:
        with pytest.warns(hub.TruncationWarning, match="2 of 3 texts had more than 64 tokens") as caught:
            out = bert.encode(["the " * 100, "the", "fox " * 70])
        assert len(caught) == 1
        assert caught[0].filename == __file__
        assert out.truncated.tolist() == [True, False, True]
        assert out.input_ids.shape[1] == 64
        assert out.offsets[0][-2].tolist() == [4 * 61, 4 * 61 + 3]
        with pytest.warns(hub.TruncationWarning, match="1 of 1 texts") as caught:
            bert.embed(["the " * 100])
        assert caught[0].filename == __file__

    def test_can_be_refused(self, bert: hub.Encoder) -> None:
        with pytest.raises(InputError, match="1 of 2 texts have more than 64 tokens, the first is text 1 with 102"):
            bert.encode(["the", "the " * 100], truncation=False)
        with pytest.raises(InputError, match="more than 64"):
            bert.embed(["the " * 100], truncation=False)

    def test_max_length(self, models: Path) -> None:
        short = hub.load(models / "tf2_v4", max_length=5, precision="float32")
        with pytest.warns(hub.TruncationWarning, match="5 tokens"):
            out = short.encode(["the quick brown fox jumps"])
        assert out.input_ids.shape == (1, 5)
        for length in (0, 1, 65, 3.5, True):
            with pytest.raises(InputError, match="max_length must be from 2 to 64"):
                hub.load(models / "tf2_v4", max_length=length)
        pair = hub.load(models / "tf2_v4", max_length=2)
        with pytest.raises(InputError, match="max_length must be from 3"):
            pair.encode([("a", "b")])


class TestEmbed:
    @pytest.mark.parametrize("pooling", ["cls", "max", "mean", "pooled"])
    def test_equals_pooling_by_hand(self, bert: hub.Encoder, pooling: str) -> None:
        out = bert.encode(_TEXTS)
        by_hand = {
            "cls": [rows[0] for rows in out.ragged()],
            "max": [rows.max(0) for rows in out.ragged()],
            "mean": [rows.mean(0) for rows in out.ragged()],
            "pooled": list(out["pooled_output"]),
        }[pooling]
        np.testing.assert_allclose(bert.embed(_TEXTS, pooling=pooling), np.stack(by_hand), rtol=0, atol=1e-5)

    def test_normalize(self, bert: hub.Encoder) -> None:
        plain, unit = (bert.embed(_TEXTS, layer=0, normalize=flag) for flag in (False, True))
        np.testing.assert_allclose(np.linalg.norm(unit, axis=1), 1, atol=1e-6)
        np.testing.assert_allclose(unit, plain / np.linalg.norm(plain, axis=1, keepdims=True), atol=1e-6)


class TestStream:
    def test_equals_one_call(self, bert: hub.Encoder) -> None:
        texts = [f"{number} foxes" for number in range(10)]
        chunks = list(bert.stream(iter(texts), chunk_size=3))
        assert [len(chunk.texts) for chunk in chunks] == [3, 3, 3, 1]
        together = bert.encode(texts)["pooled_output"]
        np.testing.assert_allclose(
            np.concatenate([chunk["pooled_output"] for chunk in chunks]), together, rtol=0, atol=1e-5
        )

    def test_reads_no_further_than_needed(self, bert: hub.Encoder) -> None:
        read = []

        def texts():
            for number in range(100):
                read.append(number)
                yield str(number)

        stream = bert.stream(texts(), chunk_size=4)
        assert read == []
        next(stream)
        assert len(read) == 4

    def test_reports_truncation_once_at_the_end(self, bert: hub.Encoder) -> None:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            list(bert.stream(["the " * 100, "a", "the " * 100], chunk_size=1))
        assert [str(warning.message)[:35] for warning in caught] == ["2 of 3 texts had more than 64 tokens"[:35]]

    def test_wrong_options_are_found_at_once(self, bert: hub.Encoder) -> None:
        for size in (0, -1, 2.5, True):
            with pytest.raises(InputError, match="chunk_size must be"):
                bert.stream([], chunk_size=size)
        with pytest.raises(InputError, match="cannot be computed"):
            bert.stream([], outputs=["x"])


class TestArrays:
    def test_all_forms_agree(self, bert: hub.Encoder) -> None:
        arrays = bert.tokenizer([("The fox", "a"), "was"], padding=True, return_tensors="np")
        ids, mask, types = arrays.input_ids, arrays.attention_mask, arrays.token_type_ids
        expected = bert(arrays)
        for inputs in (
            {"input_word_ids": ids, "input_mask": mask, "input_type_ids": types},
            [ids, mask, types],
            (ids.tolist(), mask.astype(bool), types.astype(np.int64)),
        ):
            outputs = bert(inputs)
            assert list(outputs) == ["default", "pooled_output", "sequence_output", "encoder_outputs"]
            for key in ("pooled_output", "sequence_output"):
                np.testing.assert_array_equal(outputs[key], expected[key])

    def test_mask_and_type_ids_can_be_left_out(self, bert: hub.Encoder) -> None:
        arrays = bert.tokenizer(["The fox", "was"], padding=True, return_tensors="np")
        expected = bert(arrays)["sequence_output"]
        for inputs in ([arrays.input_ids], [arrays.input_ids, arrays.attention_mask], {"input_ids": arrays.input_ids}):
            np.testing.assert_array_equal(bert(inputs)["sequence_output"], expected)

    def test_equals_encode(self, bert: hub.Encoder) -> None:
        out = bert.encode(_TEXTS, layers="all")
        outputs = bert([out.input_ids, out.attention_mask, out.token_type_ids])
        np.testing.assert_allclose(outputs["pooled_output"], out["pooled_output"], rtol=0, atol=1e-5)
        inside = out.attention_mask.astype(bool)
        for ours, theirs in zip(outputs["encoder_outputs"], out["encoder_outputs"], strict=True):
            np.testing.assert_allclose(ours[inside], theirs[inside], rtol=0, atol=1e-5)

    def test_no_rows(self, bert: hub.Encoder) -> None:
        assert bert([np.zeros((0, 4), np.int32)])["sequence_output"].shape == (0, 4, 32)

    @pytest.mark.parametrize(
        ("inputs", "message"),
        [
            (["a text"], "Texts go to encode"),
            ("a text", "of type str; accepted: a dict"),
            ([[1.5, 2.0]], "of type float64"),
            ([[[1, 2], [3]]], "rows of different lengths must be padded"),
            ([[1, 2]], r"shape \(2,\); accepted: \[batch, seq\]"),
            ([[[]]], "seq at least 1"),
            ([[[1, 2]], [[1]]], r"the mask have the shape \(1, 1\) and the ids \(1, 2\)"),
            ([[[1, 9999]]], r"the ids must be from 0 to 1125; at \(0, 1\) there is 9999"),
            ([[[-1]]], "there is -1"),
            ([[[1]], [[2]]], "the mask must be from 0 to 1"),
            ([[[1]], [[1]], [[2]]], "the type_ids must be from 0 to 1"),
            ([[[1] * 65]], "65 positions; the model has 64"),
            ({}, "hold no ids, only nothing"),
            ({"input_mask": [[1]]}, "hold no ids, only input_mask"),
            ({"ids": [[1]]}, "'ids' is not known"),
            ({"input_ids": [[1]], "input_word_ids": [[1]]}, "gives the ids a second time"),
        ],
    )
    def test_wrong_inputs(self, bert: hub.Encoder, inputs: object, message: str) -> None:
        with pytest.raises(InputError, match=message):
            bert(inputs)


def test_a_model_without_pooler(models: Path, tmp_path: Path) -> None:
    import shutil

    from safetensors.numpy import load_file, save_file

    folder = Path(shutil.copytree(models / "hf_bert", tmp_path / "model"))
    weights = load_file(folder / "model.safetensors")
    save_file({name: w for name, w in weights.items() if "pooler" not in name}, folder / "model.safetensors")
    bert = hub.load(folder, precision="float32")
    assert list(bert.encode(["a"])) == ["sequence_output"]
    assert list(bert([[[1]]])) == ["sequence_output", "encoder_outputs"]
    with pytest.raises(InputError, match="no pooler"):
        bert.encode(["a"], outputs=["pooled_output"])
    assert "pooled_output" not in bert.summary()


def test_summary(bert: hub.Encoder) -> None:
    summary = bert.summary()
    assert "BERT, 2 layers of 32, 4 heads, 60,512 parameters" in summary
    assert "openvino, float32" in summary
    assert "TensorFlow 2 SavedModel in" in summary
