"""The outputs that a call of the encoder asks for."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, Self

from berthub.cached import cached_property
from berthub.checkpoint import Checkpoint
from berthub.choices import Pooling
from berthub.config import EncoderConfig
from berthub.embedding import UNSAID, Embedding
from berthub.errors import InputError
from berthub.networks.outputs import Output
from berthub.tokenization.tokenizer import Tokenizer

__all__ = ["EMBEDDING", "NO_PROMPT", "Layers", "Prompt", "Request", "output_names"]

Layers = Literal["all"] | int | Sequence[int]

EMBEDDING = "embedding"
_OUTPUTS = ("default", EMBEDDING, "encoder_outputs", "pooled_output", "sequence_output")


@dataclass(frozen=True)
class Prompt:
    """A text that is put before each text: `tokens` is how many it takes, `[CLS]` included, where a model asks that."""

    text: str = ""
    tokens: int = 0

    @classmethod
    def of(
        cls, embedding: Embedding, tokenizer: Tokenizer, prompt: str | None = None, prompt_name: str | None = None
    ) -> Self:
        """The prompt that a caller gives or names, else the model's default; `InputError` for an unknown name."""
        text = embedding.prompt(prompt, prompt_name)
        if not text or embedding.include_prompt:
            return cls(text)
        # As many as before a text that follows: `[SEP]` does not count.
        return cls(text, int(tokenizer.tokens([text], max_length=tokenizer.max_length).lengths[0]) - 1)


NO_PROMPT = Prompt()
"""No text before the texts."""


@dataclass(frozen=True)
class Request:
    """Outputs by name, layers by number, and what is joined to an embedding; the same one can be asked for twice.

    `vector` says what the embedding passes when it is joined. `prompt` is put before each text.
    """

    named: Mapping[str, Output] = field(default_factory=dict)
    layers: Mapping[int, Output] = field(default_factory=dict)
    embedding: tuple[Output, ...] = ()
    vector: Embedding = UNSAID
    prompt: str = ""

    @classmethod
    def of(cls, config: EncoderConfig, outputs: Sequence[str] | None, layers: Layers | None) -> Self:
        """The request for `outputs` and `layers` as `Encoder.encode` takes them; `InputError` for what a model has not.

        An embedding among `outputs` is left to `with_embedding`.
        """
        if outputs is None:
            outputs = ("pooled_output", "sequence_output") if config.has_pooled_output else ("sequence_output",)
        outputs = output_names(outputs)
        unknown = [name for name in outputs if name not in _OUTPUTS]
        if unknown or not (outputs or layers is not None):
            raise InputError(f"outputs={list(outputs)!r} cannot be computed; choose from {', '.join(_OUTPUTS)}")
        named = {}
        if "pooled_output" in outputs or "default" in outputs:
            named["pooled_output"] = Output(-1, "pooled").resolved(config)
        if "sequence_output" in outputs:
            named["sequence_output"] = Output().resolved(config)
        if layers == "all" or "encoder_outputs" in outputs:
            layers = range(config.num_states)
        elif isinstance(layers, str):
            raise InputError(f'layers={layers!r} is not known; use "all", a number or a list of numbers')
        chosen = [layers] if isinstance(layers, int) else list(layers or ())
        by_layer = [Output(layer).resolved(config) for layer in chosen]
        return cls(named, {output.layer: output for output in by_layer})

    @classmethod
    def of_vectors(
        cls,
        checkpoint: Checkpoint,
        *,
        pooling: Pooling | Sequence[Pooling] | None = None,
        layer: int | Sequence[int] = -1,
        normalize: bool | None = None,
        prompt: Prompt = NO_PROMPT,
    ) -> Self:
        """The request for an embedding alone, as `Encoder.embed` takes these; by default the model's own."""
        return cls().with_embedding(checkpoint, pooling=pooling, layer=layer, normalize=normalize, prompt=prompt)

    @classmethod
    def of_outputs(
        cls,
        checkpoint: Checkpoint,
        *,
        outputs: Sequence[str] | None = None,
        layers: Layers | None = None,
        pooling: Pooling | Sequence[Pooling] | None = None,
        layer: int | Sequence[int] = -1,
        normalize: bool | None = None,
        prompt: Prompt = NO_PROMPT,
    ) -> Self:
        """The request for outputs and layers as `Encoder.stream` takes these, with an embedding if it is asked for."""
        if outputs is not None:
            outputs = output_names(outputs)
        embedded = pooling is not None or EMBEDDING in (outputs or ())
        asked = pooling is None or outputs is not None or layers is not None
        request = cls.of(checkpoint.config, outputs, layers) if asked else cls()
        if embedded:
            return request.with_embedding(checkpoint, pooling=pooling, layer=layer, normalize=normalize, prompt=prompt)
        if normalize is not None:
            raise InputError(
                f"normalize={normalize!r} is about the embedding, which is not asked for: pass pooling=, or "
                'outputs=["embedding"]'
            )
        return replace(request, prompt=prompt.text)

    def with_embedding(
        self,
        checkpoint: Checkpoint,
        *,
        pooling: Pooling | Sequence[Pooling] | None = None,
        layer: int | Sequence[int] = -1,
        normalize: bool | None = None,
        prompt: Prompt = NO_PROMPT,
    ) -> Self:
        """The same with an embedding: the pooled vectors of a layer, or those of several, joined in their order."""
        vector = checkpoint.embedding.chosen(pooling, normalize)
        layers = tuple(layer) if isinstance(layer, Sequence) and not isinstance(layer, str) else (layer,)
        if not layers:
            raise InputError("layer=() is no layer; use a number, or several such as (-4, -3, -2, -1)")
        outputs = tuple(
            Output(each, pooled, skip=0 if vector.include_prompt else prompt.tokens).resolved(checkpoint.config)
            for each in layers
            for pooled in vector.poolings
        )
        if vector.layers and [each.layer for each in outputs] != [checkpoint.config.num_states - 1] * len(outputs):
            raise InputError(
                f"layer={layer!r}: the model's own sentence vector is of its last layer, since layers follow that take "
                'it; name a pooling for vectors of other layers: pooling="mean"'
            )
        return replace(self, embedding=outputs, vector=vector, prompt=prompt.text)

    @cached_property
    def distinct(self) -> list[Output]:
        """Every output once, in the order in which it is computed; `InputError` for a request without outputs."""
        outputs = list(dict.fromkeys([*self.named.values(), *self.layers.values(), *self.embedding]))
        if not outputs:
            raise InputError("the request asks for nothing: name outputs, layers, or a pooling for an embedding")
        return outputs


def output_names(outputs: str | Iterable[str]) -> tuple[str, ...]:
    """The names of outputs that a caller asked for; one string is one name. `InputError` for other types."""
    if isinstance(outputs, str):
        return (outputs,)
    names = tuple(outputs) if isinstance(outputs, Iterable) and not isinstance(outputs, Mapping) else (outputs,)
    for name in names:
        if not isinstance(name, str):
            raise InputError(f"outputs={outputs!r:.80} is no name of an output, and no list of names")
    return tuple(map(str, names))
