import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import BertWordPieceTokenizer

import berthub as hub
from berthub.encoding.windows import Window, Windows
from berthub.errors import InputError
from berthub.tokenization.tokenizer import Text
from berthub.tokenization.tokens import Tokens

_CLS, _SEP = 2, 3
_WORDS = ["the", "fox", "quick", "was", "it", "São", "not", ",", "unbelievable"]
_TEXTS = st.lists(st.sampled_from(_WORDS), max_size=60).map(" ".join)
_WINDOWS = st.integers(4, 24).flatmap(lambda size: st.tuples(st.just(size), st.integers(0, size - 3)))


@pytest.fixture(scope="module")
def bert(models_folder: Path) -> hub.Encoder:
    return hub.load(models_folder / "tf2_v4", engine="numpy")


@pytest.fixture(scope="module")
def models_folder() -> Path:
    return Path(__file__).parent.parent / "data" / "models"


@pytest.fixture(scope="module")
def library(models_folder: Path) -> BertWordPieceTokenizer:
    return BertWordPieceTokenizer(str(models_folder / "tf2_v4" / "assets" / "vocab.txt"))


def _rows(lengths: list[tuple[int, int | None]]) -> Tokens:
    """Rows of one or two segments; every piece is a number of its own."""
    rows = []
    for first, second in lengths:
        rows.append([_CLS, *range(10, 10 + first), _SEP])
        if second is not None:
            rows[-1] += [*range(1000, 1000 + second), _SEP]
    ids = np.array([piece for row in rows for piece in row], np.int32)
    splits = np.cumsum([0, *map(len, rows)])
    return Tokens(ids=ids, type_ids=ids // 1000, row_splits=splits, truncated=np.zeros(len(rows), np.bool_))


def _by_hand(row: list[int], head: int, window: Window) -> list[tuple[list[int], list[int]]]:
    """Each window's tokens, and which of the text they are."""
    if len(row) <= window.size:
        return [(row, list(range(len(row))))]
    room = window.size - head - 1
    found, begin = [], head
    while True:
        places = [*range(head), *range(begin, min(begin + room, len(row) - 1)), len(row) - 1]
        found.append(([row[place] for place in places], places))
        if begin + room >= len(row) - 1:
            return found
        begin += room - window.stride


@settings(max_examples=200, deadline=None)
@given(
    lengths=st.lists(
        st.tuples(st.integers(0, 5), st.none() | st.integers(0, 80)) | st.tuples(st.integers(0, 80), st.none())
    ),
    window=_WINDOWS.map(lambda pair: Window(pair[0] + 6, pair[1])),
)
def test_every_token_is_once_in_the_window_with_most_context(
    lengths: list[tuple[int, int | None]], window: Window
) -> None:
    tokens = _rows(lengths)
    windows = Windows.of(tokens, window, separate=_SEP)
    assert windows.lengths.tolist() == tokens.lengths.tolist()
    made = iter(range(len(windows.tokens)))
    for text, (first, second) in enumerate(lengths):
        row = tokens.ids[tokens.row_splits[text] : tokens.row_splits[text + 1]].tolist()
        head = 1 if second is None else first + 2
        expected = _by_hand(row, head, window)
        owners: list[int] = []
        for number, (ids, places) in enumerate(expected):
            index = next(made)
            assert windows.texts[index] == text
            begin, end = windows.tokens.row_splits[index : index + 2]
            assert windows.tokens.ids[begin:end].tolist() == ids
            assert windows.tokens.type_ids[begin:end].tolist() == [piece // 1000 for piece in ids]
            at, count, place = windows.firsts[index], windows.counts[index], windows.places[index]
            assert places[at : at + count] == list(range(place, place + count))
            owners += [number] * count
        # Of the text itself: not of what stands in every window.
        for place in range(head, len(row) - 1):
            context = [
                min(place - places[head], places[-2] - place) if place in places[head:-1] else -1
                for _, places in expected
            ]
            assert owners[place] == context.index(max(context))
        assert len(owners) == len(row)
        assert (owners[0], owners[-1]) == (0, len(expected) - 1)
    assert next(made, None) is None


class DocSpan(NamedTuple):
    start: int
    length: int


def _doc_spans(document: int, *, max_tokens_for_doc: int, doc_stride: int) -> list[DocSpan]:
    """As in `convert_examples_to_features` of https://github.com/google-research/bert, `run_squad.py`."""
    doc_spans = []
    start_offset = 0
    while start_offset < document:
        length = document - start_offset
        if length > max_tokens_for_doc:
            length = max_tokens_for_doc
        doc_spans.append(DocSpan(start=start_offset, length=length))
        if start_offset + length == document:
            break
        start_offset += min(length, doc_stride)
    return doc_spans


def _check_is_max_context(doc_spans: list[DocSpan], cur_span_index: int, position: int) -> bool:
    """As in the same file."""
    best_score = None
    best_span_index = None
    for span_index, doc_span in enumerate(doc_spans):
        end = doc_span.start + doc_span.length - 1
        if position < doc_span.start:
            continue
        if position > end:
            continue
        num_left_context = position - doc_span.start
        num_right_context = end - position
        score = min(num_left_context, num_right_context) + 0.01 * doc_span.length
        if best_score is None or score > best_score:
            best_score = score
            best_span_index = span_index
    return cur_span_index == best_span_index


def _owners(windows: Windows, head: int) -> list[tuple[int, int]]:
    """For each token behind the head, the last separator left out: its window, and where in it."""
    places = zip(windows.firsts.tolist(), windows.counts.tolist(), strict=True)
    return [(row, first + place) for row, (first, count) in enumerate(places) for place in range(count)][head:-1]


@settings(max_examples=200, deadline=None)
@given(query=st.integers(0, 5), document=st.integers(1, 400), room=st.integers(2, 90), data=st.data())
def test_windows_are_the_document_spans_of_run_squad(query: int, document: int, room: int, data: st.DataObject) -> None:
    stride = data.draw(st.integers(0, room - 1))
    head = query + 2
    tokens = _rows([(query, document)])
    windows = Windows.of(tokens, Window(head + room + 1, stride), separate=_SEP)
    # There it is how far spans begin from each other; here, how much they have in common.
    spans = _doc_spans(document, max_tokens_for_doc=room, doc_stride=room - stride)
    row = tokens.ids.tolist()
    assert [ids.tolist() for ids in np.split(windows.tokens.ids, windows.tokens.row_splits[1:-1])] == [
        [*row[:head], *row[head + span.start : head + span.start + span.length], _SEP] for span in spans
    ]
    for place, (owner, position) in enumerate(_owners(windows, head)):
        assert place == spans[owner].start + position - head
        assert _check_is_max_context(spans, owner, place)


def test_run_squad_prefers_spans_that_are_longer_by_a_hundred() -> None:
    windows = Windows.of(_rows([(0, 301)]), Window(303, 50), separate=_SEP)
    spans = _doc_spans(301, max_tokens_for_doc=300, doc_stride=250)
    differ = [
        place for place, (owner, _) in enumerate(_owners(windows, 2)) if not _check_is_max_context(spans, owner, place)
    ]
    # The second span has 51 tokens: 2.49 less on the scale on which a token of context is 1, and as much behind them.
    assert differ == [*range(275, 300)]


@settings(max_examples=60, deadline=None)
@given(text=_TEXTS | st.tuples(st.just("was it"), _TEXTS), sizes=_WINDOWS)
def test_windows_are_the_overflow_of_the_tokenizers_library(
    bert: hub.Encoder, library: BertWordPieceTokenizer, text: Text, sizes: tuple[int, int]
) -> None:
    window = Window(sizes[0] + 4, sizes[1])
    single = isinstance(text, str)
    library.enable_truncation(window.size, window.stride, "longest_first" if single else "only_second")
    first = library.encode(text) if isinstance(text, str) else library.encode(*text)
    windows = Windows.of(bert.tokenizer.tokens([text]), window, separate=bert.vocabulary.ids["[SEP]"])
    assert [ids.tolist() for ids in np.split(windows.tokens.ids, windows.tokens.row_splits[1:-1])] == [
        encoding.ids for encoding in (first, *first.overflowing)
    ]


@settings(max_examples=25, deadline=None)
@given(texts=st.lists(_TEXTS | st.tuples(st.just("was it"), _TEXTS), min_size=1, max_size=4), sizes=_WINDOWS)
def test_vectors_are_those_of_the_windows_alone(bert: hub.Encoder, texts: list[Text], sizes: tuple[int, int]) -> None:
    window = Window(sizes[0] + 4, sizes[1])
    options = {"window": window.size, "stride": window.stride}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        out = bert.encode(texts, outputs=["sequence_output", "pooled_output"], layers=[0], **options)
    assert not out.truncated.any()
    tokens = bert.tokenizer.tokens(texts)
    np.testing.assert_array_equal(out.ragged_tokens.ids, tokens.ids)
    assert [len(row) for row in out.offsets] == [len(row) for row in out.tokens] == tokens.lengths.tolist()
    vectors = {name: bert.embed(texts, pooling=name, **options) for name in ("mean", "max", "cls", "pooled")}
    separate = bert.vocabulary.ids["[SEP]"]
    for index, text in enumerate(texts):
        row = tokens.ids[tokens.row_splits[index] : tokens.row_splits[index + 1]].tolist()
        types = tokens.type_ids[tokens.row_splits[index] : tokens.row_splits[index + 1]]
        head = 1 if isinstance(text, str) else row.index(separate) + 1
        alone = [
            (bert({"input_ids": [ids], "token_type_ids": [types[places].tolist()]}), places)
            for ids, places in _by_hand(row, head, window)
        ]
        context = [_context(places, head, len(row)) for _, places in alone]
        chosen = np.argmax(context, axis=0)
        chosen[:head], chosen[-1] = 0, len(alone) - 1
        places_in = [alone[number][1].index(place) for place, number in enumerate(chosen)]
        layers = [
            np.stack([alone[n][0]["encoder_outputs"][layer][0, p] for n, p in zip(chosen, places_in, strict=True)])
            for layer in (0, 1)
        ]
        counts = np.bincount(chosen, minlength=len(alone))
        pooled = np.average([outputs["pooled_output"][0] for outputs, _ in alone], axis=0, weights=counts)
        for ours, expected in (
            (out["encoder_outputs"][0][index, : len(row)], layers[0]),
            (out["sequence_output"][index, : len(row)], layers[1]),
            (out["pooled_output"][index], pooled),
            (vectors["mean"][index], layers[1].mean(0)),
            (vectors["max"][index], layers[1].max(0)),
            (vectors["cls"][index], layers[1][0]),
            (vectors["pooled"][index], pooled),
        ):
            np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-5)
        assert not out["sequence_output"][index, len(row) :].any()


def _context(places: list[int], head: int, length: int) -> list[int]:
    body = places[head:-1]
    return [min(p - body[0], body[-1] - p) if body and body[0] <= p <= body[-1] else -1 for p in range(length)]


def test_neither_order_nor_company_matters(bert: hub.Encoder) -> None:
    texts = ["the fox " * 40, "it was", "", ("was it", "quick " * 90), "not the fox " * 9]
    together = bert.embed(texts, window=16, stride=4)
    np.testing.assert_allclose(bert.embed(texts[::-1], window=16, stride=4)[::-1], together, rtol=0, atol=1e-5)
    for text, vector in zip(texts, together, strict=True):
        np.testing.assert_allclose(bert.embed([text], window=16, stride=4)[0], vector, rtol=0, atol=1e-5)
    np.testing.assert_allclose(bert.embed(texts, window=16), together, rtol=0, atol=1e-5)  # a quarter overlaps


def test_texts_that_fit_are_what_they_were(bert: hub.Encoder) -> None:
    texts = ["the fox was quick", "", ("was it", "it was")]
    plain, windowed = bert.encode(texts), bert.encode(texts, window=32, stride=8)
    for key, value in plain.items():
        np.testing.assert_array_equal(windowed[key], value)
    np.testing.assert_array_equal(bert.embed(texts, window=32), bert.embed(texts))


def test_windows_are_those_of_transformers(models_folder: Path) -> None:
    transformers = pytest.importorskip("transformers")
    folder = models_folder / "hf_bert"
    theirs = transformers.BertTokenizerFast(str(folder / "vocab.txt"))
    ours = hub.Tokenizer.from_pretrained(folder)
    texts = ["the fox " * 30, "was it not quick ? " * 11]
    windows = Windows.of(ours.tokens(texts), Window(20, 7), separate=ours.vocabulary.ids["[SEP]"])
    expected = theirs(texts, max_length=20, stride=7, truncation=True, return_overflowing_tokens=True)
    assert [row.tolist() for row in np.split(windows.tokens.ids, windows.tokens.row_splits[1:-1])] == expected.input_ids
    assert windows.texts.tolist() == expected["overflow_to_sample_mapping"]


@pytest.mark.parametrize("name", ["albert_v3", "mobilebert", "talking_heads"])
def test_other_architectures(models_folder: Path, name: str) -> None:
    bert = hub.load(models_folder / name, engine="numpy")
    text = "the fox was quick " * 12
    out = bert.encode([text, "it"], window=16, stride=6, outputs=["sequence_output"])
    ids = out.ragged_tokens.ids[: out.ragged_tokens.lengths[0]]
    assert len(ids) > 40
    # Window 1 begins behind 16 - 2 - 6 pieces; its middle is its own.
    window = [ids[0], *ids[9:23], ids[-1]]
    alone = bert.tokenizer.vocabulary
    padding = [alone.ids[alone.pad]] * bert.config.sees_padding
    vectors = bert([[[*window, *padding]], [[1] * 16 + [0] * len(padding)]])["sequence_output"][0]
    np.testing.assert_allclose(out["sequence_output"][0, 14:18], vectors[6:10], rtol=0, atol=1e-5)


class TestStream:
    def test_equals_one_call(self, bert: hub.Encoder) -> None:
        texts = ["the " * (40 * (number % 3)) for number in range(7)]
        options: dict[str, Any] = {"window": 16, "stride": 4}
        for more in ({"chunk_size": 2}, {}):
            chunks = list(bert.stream(iter(texts), pooling="max", **options, **more))
            found = np.concatenate([chunk["embedding"] for chunk in chunks])
            np.testing.assert_allclose(found, bert.embed(texts, pooling="max", **options), rtol=0, atol=1e-5)

    def test_long_texts_make_small_chunks(self, bert: hub.Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("berthub.encoding.stages._BYTES", 4 * 32 * 1000)
        monkeypatch.setattr("berthub.encoding.stages._CHARACTERS", 4 * 1200)
        texts = ["the", "fox", "the " * 600, "it", "was", "the " * 2000, "fox"]
        chunks = list(bert.stream(texts, outputs=["sequence_output"], window=32))
        assert [len(chunk.texts) for chunk in chunks] == [2, 1, 2, 1, 1]
        assert [chunk["sequence_output"].shape[1] for chunk in chunks] == [5, 602, 3, 2002, 5]
        pooled = list(bert.stream(texts, pooling="mean", window=32))
        assert [len(chunk.texts) for chunk in pooled] == [6, 1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stride": 4}, r"stride=4 is how far windows overlap: it needs window="),
        ({"window": 65}, "window must be from 3 to 64 tokens .* not 65"),
        ({"window": 2}, "window must be from 3"),
        ({"window": True}, "window must be"),
        ({"window": 16, "stride": 14}, "stride must be from 0 to 13 tokens for a window of 16, not 14"),
        ({"window": 16, "stride": -1}, "stride must be"),
        ({"window": 16, "stride": 2.0}, "stride must be"),
    ],
)
def test_wrong_options(bert: hub.Encoder, options: dict[str, Any], message: str) -> None:
    for method in (bert.encode, bert.embed, bert.stream):
        with pytest.raises(InputError, match=message):
            method(["the"], **options)


def test_a_pair_whose_first_text_leaves_no_room(bert: hub.Encoder) -> None:
    pair = ("the " * 12, "fox " * 40)
    with pytest.raises(InputError, match=r"text 1 is a pair.* takes 15 of the window's 16, and the 1 that .* of 4;"):
        bert.encode(["the", pair], window=16, stride=4)
    with pytest.raises(InputError, match=r"takes 63 of the window's 16, and the 0"):
        bert.encode([("the " * 60, "fox")], window=16, stride=0)
    assert bert.encode([pair], window=16, stride=0).input_ids.shape == (1, 12 + 3 * 40 + 3)


def test_a_hundred_thousand_tokens(models_folder: Path) -> None:
    bert = hub.load(models_folder / "tf2_v4", precision="float32")
    text = "the was " * 50_000
    out = bert.encode(text, window=64)
    assert out["sequence_output"].shape == (1, 100_002, 32)
    mean = out["sequence_output"][0].mean(0, dtype=np.float64)
    np.testing.assert_allclose(bert.embed(text, window=64)[0], mean, rtol=0, atol=1e-5)
    # Only the first window is computed.
    np.testing.assert_allclose(
        bert.embed(text, pooling="cls", window=64)[0], out["sequence_output"][0, 0], rtol=0, atol=1e-5
    )
