from collections import Counter
from typing import get_args, get_type_hints

import pytest

from berthub.sources import catalogue
from berthub.sources.catalogue import (
    CatalogueEntry,
    Runs,
    entries,
    find_kaggle,
    find_mount,
    find_tfhub,
    nearest,
    newest,
)


def test_the_table_is_read_whole() -> None:
    assert len(entries()) == 270
    assert Counter(entry.evidence for entry in entries()) == {"verified": 114, "derived": 154, "unknown": 2}
    base = find_tfhub("tensorflow/bert_en_uncased_L-12_H-768_A-12/3")
    assert base is not None
    assert base.kaggle == "tensorflow/bert/tensorFlow2/en-uncased-l-12-h-768-a-12/3"
    assert (base.layers, base.hidden, base.heads, base.cased) == (12, 768, 12, False)
    assert base.preprocess == "tensorflow/bert_en_uncased_preprocess/3"
    assert base.languages == ("en",)


@pytest.mark.parametrize("column", ["evidence", "format", "runs", "vocab"])
def test_columns_with_a_closed_set_of_values_keep_to_it(column: str) -> None:
    allowed = get_args({**get_type_hints(CatalogueEntry), "runs": Runs}[column])
    assert {getattr(entry, column) for entry in entries()} <= set(allowed)


def test_names_and_kaggle_handles_are_unique_and_well_formed() -> None:
    assert len({entry.tfhub for entry in entries()}) == len(entries())
    kaggle = [entry.kaggle for entry in entries() if entry.kaggle]
    assert len(set(kaggle)) == len(kaggle)
    assert all(len(handle.split("/")) == 5 for handle in kaggle)
    assert all(entry.kaggle is None for entry in entries() if entry.evidence == "unknown")


def test_every_preprocessing_model_named_is_in_the_table() -> None:
    named = {entry.preprocess for entry in entries() if entry.preprocess}
    assert named
    assert all(find_tfhub(name) for name in named)


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry.tfhub)
def test_lookups_lead_both_ways(entry: CatalogueEntry) -> None:
    assert find_tfhub(entry.tfhub) is entry
    assert find_tfhub(entry.name).version == max(catalogue.versions(entry.name))
    if entry.kaggle:
        owner, model, framework, variation, version = entry.kaggle.split("/")
        assert find_kaggle(entry.kaggle) is entry
        newest = find_kaggle(f"{owner}/{model}/{framework}/{variation}")
        assert newest.name == entry.name
        assert find_mount(model, framework.lower(), variation, version) is entry
        assert find_mount(model, framework, variation, None) is newest


def test_what_is_not_there_is_none() -> None:
    assert find_tfhub("google/nothing/1") is None
    assert find_kaggle("google/nothing/tensorFlow2/base") is None
    assert find_mount("nothing", "tensorflow2", "base", "1") is None
    assert catalogue.versions("google/nothing") == ()


def test_a_mount_of_two_owners_is_not_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    one = find_kaggle("google/electra/tensorFlow2/small/1")
    other = replace(one, tfhub="other/electra/1", kaggle="other/electra/tensorFlow2/small/1")
    monkeypatch.setattr(catalogue, "entries", lambda: (one, other))
    assert find_mount("electra", "tensorflow2", "small", "1") is None


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("tensorflow/bert_en_uncased_L-12_H768_A-12", "tensorflow/bert_en_uncased_L-12_H-768_A-12/4"),
        ("bert_en_uncased_L-12_H-768_A-12", "tensorflow/bert_en_uncased_L-12_H-768_A-12/4"),
        ("google/labse", "google/LaBSE/2"),
        ("google/electra/tensorflow2/smal", "google/electra_small/2"),
    ],
)
def test_nearest_names(typed: str, meant: str) -> None:
    assert nearest(typed)[0] == meant


def test_nothing_is_near_nonsense() -> None:
    assert nearest("qqqqqqqqqqqq") == ()
    assert nearest("") == ()
    assert len(nearest("bert" * 1000)) <= 4


@pytest.mark.parametrize(
    ("name", "runs"),
    [
        ("tensorflow/bert_en_uncased_L-12_H-768_A-12/1", "native"),
        ("google/bert_uncased_L-12_H-768_A-12/1", "native"),
        ("tensorflow/small_bert/bert_en_uncased_L-2_H-128_A-2/2", "native"),
        ("google/albert_base/3", "native"),
        ("google/electra_large/2", "native"),
        ("google/mobilebert/uncased_L-24_H-128_B-512_A-4_F-4_OPT/1", "native"),
        ("tensorflow/talkheads_ggelu_bert_en_base/2", "native"),
        ("google/experts/bert/pubmed/2", "native"),
        ("google/universal-sentence-encoder-cmlm/en-base/1", "native"),
        ("google/LaBSE/2", "native"),
        ("google/MuRIL/1", "native"),
        ("tensorflow/lambert_en_uncased_L-24_H-1024_A-16/2", "native"),
        ("jeongukjae/roberta_en_cased_L-12_H-768_A-12/1", "hf"),
        ("jeongukjae/distilbert_en_cased_L-6_H-768_A-12/1", "hf"),
        ("jeongukjae/xlm_roberta_multi_cased_L-12_H-768_A-12/1", "tensorflow"),
        ("tensorflow/bert_zh_preprocess/3", "preprocess"),
        ("google/sentence-t5/st5-base/1", "tensorflow"),
        ("google/LAReQA/mBERT_X_X/1", "tensorflow"),
        ("google/LEALLA/LEALLA-small/1", "tensorflow"),
        ("google/tn_bert/1", "tensorflow"),
        ("see--/bert-uncased-tf2-qa/1", "no"),
        ("google/mobilebert/uncased_L-24_H-128_B-512_A-4_F-4_OPT/squadv1/1", "no"),
        ("google/edgetpu/nlp/mobilebert-edgetpu/m/1", "unknown"),
    ],
)
def test_what_berthub_does_with_a_model(name: str, runs: str) -> None:
    assert find_tfhub(name).runs == runs


def test_vocabulary_sizes_agree_with_what_the_pages_say() -> None:
    for entry in entries():
        _, vocab, size = entry.notes.partition("vocab ")
        if vocab and size[:6].isdigit():
            assert entry.vocab_size == int(size[:6])
    # Models with one preprocessing model have one vocabulary.
    sizes: dict[str, set[int | None]] = {}
    for entry in entries():
        if entry.preprocess:
            sizes.setdefault(entry.preprocess.rpartition("/")[0], set()).add(entry.vocab_size)
    assert {name: len(found) for name, found in sizes.items() if len(found) > 1} == {}


def test_newest_has_one_version_of_each() -> None:
    names = [entry.name for entry in newest()]
    assert len(names) == len(set(names)) == len({entry.name for entry in entries()})
    assert all(entry.version == max(catalogue.versions(entry.name)) for entry in newest())
