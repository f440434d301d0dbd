import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from berthub import Encoder, Tokenizer
from berthub.choices import TOKENIZATIONS
from berthub.cli.tokenize_count import Frequent
from berthub.cli.tokenized_texts import TokenizedText, aligned
from berthub.formats import read
from berthub.formats.native import write_native
from berthub.vocabulary import Vocabulary
from support.vocabularies import byte_bpe, sentencepiece_model, with_vocabulary

# The references lower-case and split these otherwise.
UNLIKE = "The Stra\u00dfe and \ufb01sh"


def words(output: str) -> str:
    return " ".join(output.split())


def test_table(cli: Any, models: Path) -> None:
    result = cli("tokenize", models / "tf2_v4", "The \u2603 [SEP]")
    assert result.exit_code == 0, result.output
    rows = [line.split() for line in result.stdout.splitlines()]
    assert rows[1] == ["index", "piece", "id", "offsets", "characters"]
    assert rows[3][:2] == ["0", "[CLS]"]
    assert len(rows[3]) == 3
    assert rows[4][:2] == ["1", "the"]
    assert rows[4][3:] == ["0-3", "The"]
    assert rows[5][1] == "[UNK]"
    assert rows[5][3:] == ["4-5", "\u2603"]
    assert "1 of them unknown to the vocabulary" in result.stdout


def test_colours_on_a_terminal_alone(cli: Any, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\x1b" not in cli("tokenize", models / "tf2_v4", "fox \u2603").stdout
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    lines = cli("tokenize", models / "tf2_v4", "fox \u2603").stdout.splitlines()
    red, dim, cyan = "\x1b[1;31m", "\x1b[2m", "\x1b[36m"
    styles = {
        piece: style for piece in ("[CLS]", "##o", "[UNK]") for style in (red, dim, cyan) if _shows(lines, piece, style)
    }
    assert styles == {"[CLS]": dim, "##o": cyan, "[UNK]": red}


def _shows(lines: list[str], piece: str, style: str) -> bool:
    return any(f"{style}{piece}" in line for line in lines)


def test_more_than_the_model_takes(cli: Any, models: Path) -> None:
    result = cli("tokenize", models / "tf2_v4", "fox " * 100)
    assert "The model takes 64: encoding would truncate the text." in words(result.stdout)


def test_json(cli: Any, models: Path, encoder: Encoder) -> None:
    texts = ["The quick fox.", "", "São"]
    result = cli("tokenize", models / "tf2_v4", "--json", *texts)
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    expected = encoder.encode(texts)
    assert [list(row) for row in rows] == [["text", "tokens", "ids", "offsets"]] * 3
    assert [row["text"] for row in rows] == texts
    assert [row["tokens"] for row in rows] == expected.tokens
    assert [row["offsets"] for row in rows] == [offsets.tolist() for offsets in expected.offsets]
    assert rows[1]["ids"] == expected.input_ids[1, :2].tolist()


def test_standard_input(cli: Any, models: Path) -> None:
    result = cli("tokenize", models / "tf2_v4", "-", "--json", stdin=b"The fox\r\n\nnot\n")
    assert [json.loads(line)["text"] for line in result.stdout.splitlines()] == ["The fox", "", "not"]
    assert cli("tokenize", models / "tf2_v4", "-", "fox").exit_code == 2


def test_cased(cli: Any, models: Path) -> None:
    result = cli("tokenize", models / "tf2_v4", "The", "--cased", "--json")
    assert "the" not in json.loads(result.stdout)["tokens"]


def test_file_names_are_texts_here(cli: Any, models: Path) -> None:
    result = cli("tokenize", models / "tf2_v4", "reviews.csv", "--json")
    assert json.loads(result.stdout)["text"] == "reviews.csv"


@pytest.mark.parametrize("vocabulary", [byte_bpe(), sentencepiece_model()], ids=lambda vocabulary: vocabulary.algorithm)
def test_other_vocabularies(cli: Any, models: Path, tmp_path: Path, vocabulary: Vocabulary) -> None:
    write_native(with_vocabulary(read(models / "tf2_v4"), vocabulary), tmp_path / "model")
    text = "The naïve\tfox!"
    row = json.loads(cli("tokenize", tmp_path / "model", "--json", text).stdout)
    tokenizer = Tokenizer(vocabulary)
    assert row["tokens"][1:-1] == tokenizer.tokenize(text)
    assert (row["tokens"][0], row["tokens"][-1]) == (vocabulary.classify, vocabulary.separate)
    assert "fox" in "".join(text[begin:end] for begin, end in row["offsets"])
    result = cli("tokenize", tmp_path / "model", text)
    assert result.exit_code == 0, result.output
    assert "naïve" in "".join(line.split()[4] for line in result.stdout.splitlines() if len(line.split()) == 5)


@pytest.mark.parametrize("reference", TOKENIZATIONS)
def test_reference(cli: Any, models: Path, reference: str) -> None:
    row = json.loads(cli("tokenize", models / "tf2_v4", UNLIKE, "--reference", reference, "--json").stdout)
    expected = Tokenizer.from_checkpoint(read(models / "tf2_v4"), tokenization=reference)  # type: ignore[arg-type]
    assert row["tokens"][1:-1] == expected.tokenize(UNLIKE)


def test_comparison(cli: Any, models: Path) -> None:
    result = cli("tokenize", models / "tf2_v4", UNLIKE, "the fox", "--compare")
    assert result.exit_code == 0, result.output
    rows = [line.split() for line in result.stdout.splitlines()]
    assert rows[1] == ["characters", "google", "id", "tf_text", "id"]
    assert rows[3][:4] == ["The", "the", rows[3][2], "the"]
    assert [row[0] for row in rows if row and row[-1] == "differ"] == ["\u00dfe", "\ufb01sh"]
    assert "The tokenizations differ at 2 places" in words(result.stdout)
    assert "The tokenizations agree: 6 tokens." in words(result.stdout)


def test_comparison_as_json(cli: Any, models: Path) -> None:
    lines = cli("tokenize", models / "tf2_v4", UNLIKE, "the fox", "", "--compare", "--json").stdout.splitlines()
    unlike, fox, empty = map(json.loads, lines)
    for row in (unlike, fox, empty):
        assert list(row) == ["text", "equal", "google", "tf_text", "differences"]
        assert row["equal"] == (row["google"]["ids"] == row["tf_text"]["ids"]) == (not row["differences"])
        assert set(row["google"]) == {"tokens", "ids", "offsets"}
    assert (unlike["equal"], fox["equal"], empty["equal"]) == (False, True, True)
    first = unlike["differences"][0]
    assert (first["text"], first["characters"]) == ("\u00dfe", [UNLIKE.index("\u00df"), UNLIKE.index("\u00df") + 2])
    assert first["tf_text"] != first["google"]
    assert "".join(piece.removeprefix("##") for piece in first["tf_text"]) == "sse"


TEXTS = ["The fox \u2603 \u2603", "fox " * 80, "", "\u266b The", UNLIKE]


@pytest.mark.parametrize("form", ["csv", "tsv", "jsonl", "parquet", "txt", "-"])
def test_counts(cli: Any, models: Path, tmp_path: Path, form: str) -> None:
    path, stdin = tmp_path / f"texts.{form}", b""
    table = pa.table({"review": TEXTS, "number": [*range(len(TEXTS))]})
    match form:
        case "csv":
            pa.csv.write_csv(table, path)
        case "tsv":
            path.write_text("review\tnumber\n" + "".join(f"{text}\t1\n" for text in TEXTS))
        case "jsonl":
            path.write_text("".join(json.dumps({"review": text}) + "\n" for text in TEXTS))
        case "parquet":
            pa.parquet.write_table(table, path)
        case "txt":
            path.write_text("".join(f"{text}\n" for text in TEXTS))
        case _:
            stdin = "".join(f"{text}\n" for text in TEXTS).encode()
    name = "-" if form == "-" else path
    column = ["--text-column", "review"] if form in ("csv", "tsv", "jsonl", "parquet") else []
    result = cli("tokenize", models / "tf2_v4", "--input", name, *column, "--json", stdin=stdin)
    assert result.exit_code == 0, result.output
    counted = json.loads(result.stdout)
    tokenizer = Tokenizer.from_checkpoint(read(models / "tf2_v4"))
    lengths = tokenizer.tokens(TEXTS).lengths.tolist()
    assert counted == {
        "input": "standard input" if form == "-" else str(path),
        "max_length": 64,
        "references": {
            "google": {
                "texts": 5,
                "tokens": sum(lengths),
                "mean_tokens": sum(lengths) / 5,
                "longest": max(lengths),
                "too_long": 1,
                "pieces": sum(lengths) - 10,
                "unknown": 4,
                "unknown_share": 4 / (sum(lengths) - 10),
                "unknown_words": [
                    {"word": "\u2603", "count": 2},
                    {"word": "\u266b", "count": 1},
                    {"word": "\ufb01sh", "count": 1},
                ],
                "unknown_words_exact": True,
            }
        },
    }


def test_counts_for_people(cli: Any, models: Path, tmp_path: Path) -> None:
    path = tmp_path / "texts.txt"
    path.write_text("".join(f"{text}\n" for text in TEXTS))
    told = words(cli("tokenize", models / "tf2_v4", "--input", path, "--compare").stdout)
    assert "texts 5 5" in told
    assert "texts longer than the model takes 1 1" in told
    assert "unknown words, google times \u2500" in told
    assert "\u2603 2 \u266b 1" in told
    assert "The tokenizations differ for 1 of 5 texts (20.0000%)." in told
    assert "5 The Stra\u00ab\u00dfe\u00bb and \ufb01sh" in told


def test_counted_differences_of_pairs(cli: Any, models: Path, tmp_path: Path) -> None:
    rows = [("the fox", "not"), ("the fox", UNLIKE), ("", ""), ("not", "fox")]
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(json.dumps({"text_a": first, "text_b": second}) + "\n" for first, second in rows))
    counted = json.loads(cli("tokenize", models / "tf2_v4", "--input", path, "--compare", "--json").stdout)
    assert [*counted["references"]] == ["google", "tf_text"]
    tokens = Tokenizer.from_checkpoint(read(models / "tf2_v4")).tokens(rows)
    google = counted["references"]["google"]
    assert (google["tokens"], google["pieces"]) == (len(tokens.ids), len(tokens.ids) - 3 * len(rows))
    assert counted["different_texts"] == 1
    (example,) = counted["examples"]
    assert list(example) == ["row", "before", "text", "after", "google", "tf_text"]
    assert (example["row"], example["before"], example["text"]) == (2, "The Stra", "\u00dfe")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no text was given"),
        (["fox", "--input", "texts.txt"], '"fox" and --input texts.txt were given'),
        (["--input", "none.txt"], "--input none.txt: there is no such file"),
        (["--input", "folder"], 'the folder "folder" holds no files'),
        (["--input", "texts.doc"], "the extension of texts.doc tells no format"),
        (["--input", "empty.txt"], "empty.txt has no texts"),
        (["--input", "texts.csv", "-c", "review"], 'texts.csv has no column "review" (--text-column)'),
        (["--input", "latin.txt"], "latin.txt is not UTF-8: line 2"),
        (["fox", "--text-column", "text"], "--text-column and --text-pair-column are for a file"),
        (["fox", "--compare", "--tokenization", "google"], "--compare shows two tokenizations"),
        (["fox", "--reference", "bert"], "'bert'"),
    ],
    ids=lambda value: " ".join(value) or "nothing" if isinstance(value, list) else "",
)
def test_wrong_input(cli: Any, models: Path, tmp_path: Path, arguments: list[str], message: str) -> None:
    (tmp_path / "folder").mkdir()
    for name in ("texts.txt", "texts.doc", "texts.csv"):
        (tmp_path / name).write_text("a,b\nfox,not\n")
    (tmp_path / "empty.txt").write_text("")
    (tmp_path / "latin.txt").write_bytes(b"fox\nS\xe3o\n")
    result = cli("tokenize", models / "tf2_v4", *arguments)
    assert result.exit_code == 2
    assert message in words(result.stderr)


def test_byte_pairs_have_one_reference(cli: Any, models: Path, tmp_path: Path) -> None:
    write_native(with_vocabulary(read(models / "tf2_v4"), byte_bpe()), tmp_path / "model")
    result = cli("tokenize", tmp_path / "model", "fox", "--compare")
    assert result.exit_code == 2
    assert "tf_text" in result.stderr


def text_of(*tokens: tuple[str, int, int]) -> TokenizedText:
    framed = [("[CLS]", 0, 0), *tokens, ("[SEP]", 0, 0)]
    names = [name for name, _, _ in framed]
    return TokenizedText(names, [*map(hash, names)], [(begin, end) for _, begin, end in framed])


def test_aligned() -> None:
    first = text_of(("un", 0, 2), ("##able", 2, 6), ("!", 6, 7), ("a", 8, 9))
    second = text_of(("[UNK]", 0, 6), ("!", 6, 7), ("b", 7, 8), ("a", 8, 9))
    places = [(place.begin, place.end, place.first.tokens, place.second.tokens) for place in aligned(first, second)]
    assert places == [
        (0, 6, ["un", "##able"], ["[UNK]"]),
        (6, 7, ["!"], ["!"]),
        (7, 8, [], ["b"]),
        (8, 9, ["a"], ["a"]),
    ]


SPANS = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 20), st.integers(0, 4)), max_size=12).map(
    lambda spans: text_of(
        *((name, begin, begin + size) for name, begin, size in sorted(spans, key=lambda span: span[1]))
    )
)


@pytest.mark.slow
@given(SPANS, SPANS)
@settings(max_examples=200, deadline=None)
def test_aligned_keeps_every_token(first: TokenizedText, second: TokenizedText) -> None:
    places = [*aligned(first, second)]
    assert [token for place in places for token in place.first.tokens] == first.tokens[1:-1]
    assert [token for place in places for token in place.second.tokens] == second.tokens[1:-1]
    for place in places:
        for begin, end in [*place.first.offsets, *place.second.offsets]:
            assert place.begin <= begin <= end <= place.end
    if first.ids == second.ids and first.offsets == second.offsets:
        assert all(place.equal for place in places)


def test_frequent_words_in_bounded_memory() -> None:
    frequent = Frequent(limit=10)
    for number in range(1000):
        frequent.add(["common", f"rare{number}", "x" * 1000])
    assert not frequent.exact
    (common, times), (long, _) = frequent.most_common(2)
    assert (common, times) == ("common", 1000)
    assert len(long) == 100
    assert len(frequent._counts) <= 20


def test_the_model_can_be_named_as_encode_names_it(cli: Any, models: Path, tmp_path: Path) -> None:
    handle = models / "tf2_v4"
    expected = cli("tokenize", handle, "fox", "--json")
    assert expected.exit_code == 0, expected.output
    for words in (["--model", handle, "fox"], ["fox", "-m", handle]):
        assert cli("tokenize", *words, "--json").stdout == expected.stdout
    (tmp_path / "a.csv").write_text("text\nfox\n")
    counted = cli("tokenize", "-m", handle, "--input", "a.csv", "--json")
    assert json.loads(counted.stdout)["references"]["google"]["texts"] == 1
    result = cli("tokenize", "--json")
    assert (result.exit_code, "berthub tokenize --model HANDLE TEXT" in result.stderr) == (2, True)
