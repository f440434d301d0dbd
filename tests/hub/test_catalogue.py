from collections import Counter
from typing import get_args, get_type_hints

import pytest

from berthub.hub import catalogue
from berthub.hub.catalogue import CatalogueEntry, entries, find_kaggle, find_mount, find_tfhub, nearest


def test_the_table_is_read_whole() -> None:
    assert len(entries()) == 270
    assert Counter(entry.evidence for entry in entries()) == {"verified": 114, "derived": 154, "unknown": 2}
    base = find_tfhub("tensorflow/bert_en_uncased_L-12_H-768_A-12/3")
    assert base is not None
    assert base.kaggle == "tensorflow/bert/tensorFlow2/en-uncased-l-12-h-768-a-12/3"
    assert (base.layers, base.hidden, base.heads, base.cased) == (12, 768, 12, False)
    assert base.preprocess == "tensorflow/bert_en_uncased_preprocess/3"
    assert base.languages == ("en",)


@pytest.mark.parametrize("column", ["evidence", "format", "vocab"])
def test_columns_with_a_closed_set_of_values_keep_to_it(column: str) -> None:
    allowed = get_args(get_type_hints(CatalogueEntry)[column])
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
