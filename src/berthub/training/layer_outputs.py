"""The outputs of a layer: their names, which of them are wanted, and their shapes."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from berthub.config import EncoderConfig
from berthub.errors import InputError
from berthub.networks.interface import MLM_LOGITS, POSITIONS

__all__ = ["OUTPUTS", "POOLED", "OutputKey", "checked_key", "chosen_outputs", "output_specs", "wanted_outputs"]

OUTPUTS = ("default", "encoder_outputs", "pooled_output", "sequence_output")
"""What the layer returns, in TF Hub's names; the two about the whole text only where the model has such a vector."""

POOLED = frozenset({"default", "pooled_output"})
"""The outputs about the whole text."""

OutputKey = str | tuple[str, ...] | None
"""The output that a layer returns, several as a tuple, or None for a dict of all."""


def checked_key(key: str | Sequence[str] | None, config: EncoderConfig) -> OutputKey:
    """The `output_key` that was asked for; `InputError` for one that the model does not have."""
    if key is None:
        return None
    keys = (key,) if isinstance(key, str) else tuple(key)
    known = (*OUTPUTS, *((MLM_LOGITS,) if config.mlm else ()))
    if not keys or any(name not in known for name in keys):
        raise InputError(f"output_key={key!r} is not known; use None for all, one of {', '.join(known)}, or a tuple")
    if not config.has_pooled_output and POOLED & set(keys):
        raise InputError("this model has no pooler, so it has no pooled_output; use sequence_output")
    return key if isinstance(key, str) else keys


def wanted_outputs(key: OutputKey, config: EncoderConfig) -> frozenset[str]:
    """The names of the outputs that `key` asks for."""
    if key is None:
        return frozenset(OUTPUTS if config.has_pooled_output else set(OUTPUTS) - POOLED)
    return frozenset([key] if isinstance(key, str) else key)


def chosen_outputs(outputs: Mapping[str, Any], key: OutputKey, config: EncoderConfig) -> Any:
    """The outputs that a layer returns, chosen from all `outputs`: one, a tuple, or a dict."""
    wanted = wanted_outputs(key, config)
    if key is None:
        kept = (*(name for name in OUTPUTS if name in wanted), *((MLM_LOGITS,) if MLM_LOGITS in outputs else ()))
        return {name: outputs[name] for name in kept}
    if MLM_LOGITS in wanted and MLM_LOGITS not in outputs:
        raise InputError(f"{MLM_LOGITS} is wanted, and the inputs do not hold {POSITIONS}")
    if isinstance(key, str):
        return outputs[key]
    return tuple(outputs[name] for name in key)


def output_specs(inputs: Mapping[str, Any], config: EncoderConfig, dtype: str) -> dict[str, Any]:
    """The shapes of all outputs, for inputs in TF Hub's names."""
    batch, width = inputs["input_word_ids"].shape
    text = keras.KerasTensor((batch, config.hidden_size), dtype)
    tokens = [keras.KerasTensor((batch, width, config.hidden_size), dtype) for _ in range(config.num_states)]
    outputs = {"default": text, "pooled_output": text, "sequence_output": tokens[-1], "encoder_outputs": tokens}
    if POSITIONS in inputs:
        outputs[MLM_LOGITS] = keras.KerasTensor((*inputs[POSITIONS].shape, config.vocab_size), dtype)
    return outputs
