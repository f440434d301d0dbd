"""A tokenizer's files, read by transformers and by berthub."""

from pathlib import Path

import pytest
from tests.support.needs import needs

import berthub as hub
from berthub.errors import InputError, ModelNotFoundError

_TEXTS = ["the quick fox  was lazy, and don't", "It was the dog.", "", " a  b\n São [SEP] 日本 👍🏽"]
_MODELS = ["tf2_v4", "hf_bert", "albert_v3", "keras_hub_roberta", "keras_hub_distil_bert"]


def _tokenizer(folder: Path) -> hub.Tokenizer:
    found = hub.Tokenizer.from_pretrained(folder)
    return hub.Tokenizer(found.vocabulary, **{**found.settings, "tokenization": "transformers"})


@needs("transformers")
@pytest.mark.parametrize("model", _MODELS)
def test_transformers_reads_it_and_gives_the_same(model: str, models: Path, tmp_path: Path) -> None:
    import transformers

    ours = _tokenizer(models / model)
    assert all(Path(path).is_file() for path in ours.save_pretrained(tmp_path / "saved"))
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path / "saved")
    # ALBERT's SentencePiece has no place for special tokens in texts.
    texts = [text.replace("[SEP]", "it") if model == "albert_v3" else text for text in _TEXTS]
    expected = theirs(texts, texts[::-1])
    found = ours(texts, texts[::-1])
    assert found.input_ids == expected["input_ids"]
    assert found.attention_mask == expected["attention_mask"]
    assert ours.get_vocab() == theirs.get_vocab()
    assert (len(ours), ours.vocab_size, ours.model_max_length) == (
        len(theirs),
        theirs.vocab_size,
        theirs.model_max_length,
    )
    for name in ("cls", "sep", "pad", "unk", "mask"):
        assert getattr(ours, f"{name}_token") == getattr(theirs, f"{name}_token")
        assert getattr(ours, f"{name}_token_id") == getattr(theirs, f"{name}_token_id")
    # transformers counts marks such as "(" of ALBERT's model among the special tokens.
    beyond = {*theirs.all_special_tokens} - {*ours.all_special_tokens}
    assert {*ours.all_special_tokens} <= {*theirs.all_special_tokens}
    assert not beyond or (model == "albert_v3" and all(len(token) == 1 for token in beyond))
    for skip in (True, False):
        assert ours.batch_decode(found.input_ids, skip) == theirs.batch_decode(found.input_ids, skip)
        for row in found.input_ids:
            pieces = ours.convert_ids_to_tokens(row, skip_special_tokens=skip)
            assert beyond or pieces == theirs.convert_ids_to_tokens(row, skip_special_tokens=skip)
            assert ours.convert_tokens_to_string(pieces) == theirs.convert_tokens_to_string(pieces)


@needs("transformers")
def test_bert_s_own_class_reads_it(models: Path, tmp_path: Path) -> None:
    import transformers

    ours = _tokenizer(models / "tf2_v4")
    ours.save_vocabulary(tmp_path)
    assert transformers.BertTokenizer.from_pretrained(tmp_path)(_TEXTS)["input_ids"] == ours(_TEXTS).input_ids
    for pair in (False, True):
        assert ours.num_special_tokens_to_add(pair) == transformers.BertTokenizer.from_pretrained(
            tmp_path
        ).num_special_tokens_to_add(pair)


@pytest.mark.parametrize("model", _MODELS)
def test_berthub_reads_it(model: str, models: Path, tmp_path: Path) -> None:
    ours = _tokenizer(models / model)
    ours.save_pretrained(tmp_path)
    again = hub.Tokenizer.from_pretrained(tmp_path)
    assert again(_TEXTS).input_ids == ours(_TEXTS).input_ids
    assert again.max_length == ours.max_length


def test_added_tokens_are_saved(models: Path, tmp_path: Path) -> None:
    ours = _tokenizer(models / "tf2_v4").add_tokens(["<e1>"], special=True)
    ours.save_pretrained(tmp_path)
    again = hub.Tokenizer.from_pretrained(tmp_path)
    assert again("the <e1> fox").input_ids == ours("the <e1> fox").input_ids
    assert again.get_added_vocab() == ours.get_added_vocab()
    assert again.convert_tokens_to_ids("<e1>") == len(again) - 1 == again.vocab_size


def test_a_model_s_files_stay(models: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "vocab.txt").write_text("old")
    _tokenizer(models / "tf2_v4").save_pretrained(tmp_path)
    assert (tmp_path / "config.json").read_text() == "{}"
    assert len((tmp_path / "vocab.txt").read_text().splitlines()) > 1000
    with pytest.raises(InputError, match="is a file"):
        _tokenizer(models / "tf2_v4").save_pretrained(tmp_path / "vocab.txt")


def test_a_folder_with_neither_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError):
        hub.Tokenizer.from_pretrained(tmp_path)
