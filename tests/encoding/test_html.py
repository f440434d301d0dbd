"""What notebooks show of encoders and encodings."""

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

import berthub as hub
from berthub.encoding.compared import compared_vectors

_HOSTILE = "<script>alert('x')</script> <b onmouseover=\"y()\"> & $x^2$ \x00\x1b[31m \ud800 \u202e ماذا 你好"


class _Checked(HTMLParser):
    """Reads HTML, and collects its tags; every tag must be closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@pytest.fixture(scope="module")
def bert() -> hub.Encoder:
    return hub.load(Path(__file__).parent.parent / "data" / "models" / "tf2_v4", precision="float32")


def test_encodings_show_pieces_and_how_alike_the_texts_are(bert: hub.Encoder) -> None:
    out = bert.encode(["The quick fox was.", ("the fox", "it was")])
    read = _Checked(out._repr_html_())
    for piece in out.tokens[0]:
        assert piece in read.words
    vectors, _ = compared_vectors(out)
    np.testing.assert_allclose(vectors, bert.embed(out.texts, pooling="mean"), atol=1e-5)
    expected = bert.similarity(vectors, vectors)
    shown = [float(word) for word in read.words if re.fullmatch(r"-?\d\.\d\d", word)]
    np.testing.assert_allclose(np.reshape(shown, (2, 2)), expected, atol=0.0051)
    assert "the fox / it was" in read.words


def test_pieces_of_a_word_have_one_color(bert: hub.Encoder) -> None:
    out = bert.encode(["zebras fox"])
    colors = re.findall(r'<bdi style="background:([^;]+)', out._repr_html_())
    words = out.word_ids[0]
    assert len(colors) == len(words)
    assert len({color for color, word in zip(colors, words, strict=True) if word == 0}) == 1
    assert len(set(colors)) == 3


def test_a_strangers_text_stays_text(bert: hub.Encoder) -> None:
    out = bert.encode([_HOSTILE, _HOSTILE])
    shown = out._repr_html_()
    shown.encode()
    read = _Checked(shown)
    assert read.tags <= {"div", "bdi", "small", "table", "tr", "td"}
    assert read.attributes <= {"style", "class", "dir"}
    assert not re.search("[\x00-\x08\x1b]", shown)


@pytest.mark.filterwarnings("ignore::berthub.TruncationWarning")
def test_the_size_is_bounded(bert: hub.Encoder) -> None:
    texts = ["fox " * 3000 + "&" * 100_000] * 300
    shown = bert.encode(texts, outputs=["pooled_output"])._repr_html_()
    assert len(shown) < 120_000
    words = " ".join(_Checked(shown).words)
    assert "290 more texts" in words
    assert "more pieces" in words


@pytest.mark.parametrize("outputs", [["embedding"], ["pooled_output"], ["encoder_outputs"], ["sequence_output"]])
def test_every_output_can_be_shown(bert: hub.Encoder, outputs: list[str]) -> None:
    for texts in ([], ["one"], ["", "two"]):
        shown = bert.encode(texts, outputs=outputs)._repr_html_()
        _Checked(shown)
        assert ("similarity" in shown) == (len(texts) > 1 and outputs != ["encoder_outputs"])


def test_arabic_is_laid_out_from_the_right(bert: hub.Encoder) -> None:
    assert bert.encode(["ماذا fox"])._repr_html_().count('dir="rtl"') == 1
    assert 'dir="rtl"' not in bert.encode(["fox ماذا"])._repr_html_()


def test_an_encoder_shows_its_summary(bert: hub.Encoder) -> None:
    words = _Checked(bert._repr_html_()).words
    assert "model" in words
    assert any("2 layers of 32" in word for word in words)
    assert len(words) >= 2 * len(bert.summary().splitlines())
