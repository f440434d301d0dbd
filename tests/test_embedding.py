import dataclasses
import json
import pickle
from typing import Any

import numpy as np
import pytest

from berthub.embedding import UNSAID, Embedding
from berthub.errors import CheckpointError, InputError, UnsupportedModelError
from berthub.vector_layers import DenseLayer, NormLayer, UnitLength, VectorLayer


def test_what_the_caller_gives_stands_above_what_the_model_says() -> None:
    own = Embedding(poolings=("cls",), normalize=True, layers=(UnitLength(),), prompts={"query": "q: "})
    assert own.chosen() == own
    assert own.chosen(normalize=False) == dataclasses.replace(own, normalize=False)
    # The model's layers and normalization belong to the model's pooling, and its prompts to the text.
    assert own.chosen("mean") == Embedding(poolings=("mean",), prompts={"query": "q: "})
    assert own.chosen(["mean", "cls"], True).poolings == ("mean", "cls")
    assert own.chosen("mean", True).normalize
    for wrong in ("sum", ("mean", "sum"), ("mean", 1), (), 7):
        with pytest.raises(InputError, match="pooling"):
            own.chosen(wrong)  # type: ignore[arg-type]


def test_a_model_that_says_nothing_has_the_mean() -> None:
    assert UNSAID.chosen() == Embedding(poolings=("mean",))
    assert UNSAID.chosen(normalize=True) == Embedding(poolings=("mean",), normalize=True)
    assert UNSAID.described == "the mean of the token vectors"


def test_what_is_unsupported_is_refused_by_name_where_no_pooling_is_given() -> None:
    own = Embedding(poolings=("mean",), unsupported=("the module x.Dense in 2_Dense", *(f"more {n}" for n in range(9))))
    with pytest.raises(
        UnsupportedModelError, match=r'x\.Dense in 2_Dense; .*and 5 more.*pooling="mean".*--output mean'
    ):
        own.chosen()
    with pytest.raises(UnsupportedModelError):
        own.chosen(normalize=True)
    assert own.chosen("max") == Embedding(poolings=("max",))


def layers() -> tuple[VectorLayer, ...]:
    numbers = np.random.default_rng(0)

    def some(*shape: int) -> Any:
        return numbers.standard_normal(shape).astype(np.float32)

    return (
        DenseLayer(kernel=some(8, 6), bias=some(6), activation="gelu_erf", residual=True, shortcut=some(8, 6)),
        UnitLength(),
        NormLayer(gamma=some(6), beta=some(6)),
        DenseLayer(kernel=some(6, 6), residual=True),
    )


def test_it_survives_json() -> None:
    own = Embedding(
        poolings=("max", "cls"),
        normalize=True,
        max_length=7,
        layers=layers(),
        prompts={"a": "b: "},
        default_prompt="a",
        include_prompt=False,
        similarity="dot",
    )
    whole = json.loads(json.dumps(own.to_dict(arrays=True)))
    apart = json.loads(json.dumps(own.to_dict()))
    vectors = np.random.default_rng(1).standard_normal((3, 8)).astype(np.float32)
    for again in (Embedding.from_dict(whole), Embedding.from_dict(apart, own.arrays())):
        assert dataclasses.replace(again, layers=()) == dataclasses.replace(own, layers=())
        np.testing.assert_array_equal(again.finished(vectors), own.finished(vectors))
    assert pickle.loads(pickle.dumps(own)).prompts == own.prompts
    assert own.described == (
        "the largest value of each component over the tokens joined with the vector of the first token, a dense layer "
        "to 6 (gelu_erf, residual), scaled to length 1, a layer norm, a dense layer to 6 (residual), scaled to length "
        "1, of texts that begin with 'b: ', which is not pooled, of texts of up to 7 tokens"
    )
    assert own.width(4) == 6
    with pytest.raises(CheckpointError, match=r"a dense layer of shape \(8, 6\) stands behind vectors of 10"):
        own.width(5)


def test_what_models_were_saved_with_before_is_read() -> None:
    old = {"pooling": "cls", "normalize": True, "max_length": None, "unsupported": []}
    assert Embedding.from_dict(old) == Embedding(poolings=("cls",), normalize=True)
    assert Embedding.from_dict({**old, "pooling": None, "normalize": False}) == UNSAID


def test_prompts_are_given_or_named() -> None:
    own = Embedding(prompts={"query": "q: ", "none": ""}, default_prompt="query")
    assert (own.prompt(), own.prompt(""), own.prompt("x"), own.prompt(None, "none")) == ("q: ", "", "x", "")
    assert UNSAID.prompt() == ""
    with pytest.raises(InputError, match="no prompt called 'document'; there are: query, none"):
        own.prompt(None, "document")
    with pytest.raises(InputError, match="both given"):
        own.prompt("x", "query")
    with pytest.raises(InputError, match="must be a string"):
        own.prompt(1)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"poolings": ["best"]}, r"pooling must be one of cls, lasttoken, .*, or several, not \('best',\)"),
        ({"poolings": "cls"}, "not 'cls'"),
        ({"prompts": {"a": 1}}, "prompts must be strings by their names"),
        ({"default_prompt": "b"}, "the default prompt 'b' is none of the prompts"),
        ({"default_prompt": ["a"]}, r"the default prompt \['a'\] is none of the prompts"),
        ({"prompts": {"a": "x" * 100_001}}, "a prompt has 100,001 characters, and may have 100,000"),
        ({"poolings": ["cls"] * 101}, "there are 101 poolings and 0 layers, and may be 100"),
        ({"layers": [{"kind": "normalize"}] * 101}, "there are 0 poolings and 101 layers, and may be 100"),
        (
            {"layers": [{"kind": "dense", "arrays": {"kernel": {"shape": [32, 0], "float32": ""}}}]},
            r"should be of shape \[in, out\]; it is \[32, 0\]",
        ),
        ({"similarity": "near"}, "similarity must be one of cosine, dot"),
        ({"layers": [{"kind": "conv"}]}, "of kind 'conv'; known are dense, layer_norm, normalize"),
        ({"layers": [{"kind": "dense"}]}, "does not take what is stored for it: nothing"),
        ({"layers": [{"kind": "normalize", "arrays": {"a": {"shape": [1], "float32": "%"}}}]}, "cannot be read"),
        ({"layers": ["dense"]}, "should be objects"),
        ({"normalize": 1}, "normalize must be true or false, not 1"),
        ({"max_length": 2}, "max_length must be a number of tokens from 3, not 2"),
        ({"max_length": True}, "not True"),
        ({"max_length": "9"}, "not '9'"),
        ({"unsupported": "Dense"}, "unsupported must be strings, not 'Dense'"),
        ({"unsupported": [1]}, r"not \(1,\)"),
        ({"pooled": True}, "should hold poolings, layers, .*; it holds pooled, too"),
    ],
)
def test_what_cannot_be_is_named(values: dict[str, Any], message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        Embedding.from_dict({**UNSAID.to_dict(), **values})
