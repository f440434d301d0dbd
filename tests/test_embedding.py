from typing import Any

import pytest

from berthub.embedding import UNSAID, Embedding
from berthub.errors import CheckpointError, UnsupportedModelError


def test_what_the_caller_gives_stands_above_what_the_model_says() -> None:
    own = Embedding(pooling="cls", normalize=True)
    assert own.chosen() == ("cls", True)
    assert own.chosen(normalize=False) == ("cls", False)
    # The model's normalization belongs to the model's pooling.
    assert own.chosen("mean") == ("mean", False)
    assert own.chosen("mean", True) == ("mean", True)


def test_a_model_that_says_nothing_has_the_mean() -> None:
    assert UNSAID.chosen() == ("mean", False)
    assert UNSAID.chosen(normalize=True) == ("mean", True)
    assert UNSAID.described == "the mean of the token vectors"


def test_what_is_unsupported_is_refused_by_name_where_no_pooling_is_given() -> None:
    own = Embedding(pooling="mean", unsupported=("the module x.Dense in 2_Dense", *(f"more {n}" for n in range(9))))
    with pytest.raises(
        UnsupportedModelError, match=r'x\.Dense in 2_Dense; .*and 5 more.*pooling="mean".*--output mean'
    ):
        own.chosen()
    with pytest.raises(UnsupportedModelError):
        own.chosen(normalize=True)
    assert own.chosen("max") == ("max", False)


def test_it_survives_json() -> None:
    own = Embedding(pooling="max", normalize=True, max_length=7, unsupported=("a", "b"))
    assert Embedding.from_dict(own.to_dict()) == own
    assert own.described == "made with a; b, which berthub does not compute, of texts of up to 7 tokens"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"pooling": "best"}, "pooling must be one of cls, max, mean, pooled, not 'best'"),
        ({"pooling": ["cls"]}, r"not \['cls'\]"),
        ({"normalize": 1}, "normalize must be true or false, not 1"),
        ({"max_length": 2}, "max_length must be a number of tokens from 3, not 2"),
        ({"max_length": True}, "not True"),
        ({"max_length": "9"}, "not '9'"),
        ({"unsupported": "Dense"}, "unsupported must be strings, not 'Dense'"),
        ({"unsupported": [1]}, r"not \(1,\)"),
        ({"pooled": True}, "should hold pooling, normalize, max_length, unsupported; it holds .*pooled"),
    ],
)
def test_what_cannot_be_is_named(values: dict[str, Any], message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        Embedding.from_dict({**UNSAID.to_dict(), **values})
