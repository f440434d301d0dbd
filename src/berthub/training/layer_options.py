"""The options of a layer, checked against its model."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from berthub.config import EncoderConfig
from berthub.errors import InputError
from berthub.networks.interface import MLM_LOGITS
from berthub.training.layer_outputs import POOLED, OutputKey, checked_key, wanted_outputs

__all__ = ["LayerOptions"]


@dataclass(frozen=True, kw_only=True)
class LayerOptions:
    """The options of a `KerasLayer` beside its model; they are described there."""

    output_key: OutputKey
    freeze_layers: int
    freeze_embeddings: bool
    lora_rank: int | None
    lora_alpha: float
    seed: int | None

    @classmethod
    def checked(
        cls,
        config: EncoderConfig,
        *,
        output_key: str | Sequence[str] | None,
        freeze_layers: int,
        freeze_embeddings: bool,
        lora_rank: int | None,
        lora_alpha: float | None,
        seed: int | None,
    ) -> Self:
        """The options; `InputError` for one that a model of that `config` cannot have."""
        key = checked_key(output_key, config)
        if freeze_layers and config.shares_layers:
            raise InputError("freeze_layers: the layers of this model share their weights; freeze groups, see `groups`")
        freeze_layers = _checked_count("freeze_layers", freeze_layers, least=0, most=config.num_layers)
        if lora_rank is not None:
            lora_rank = _checked_count("lora_rank", lora_rank, least=1, most=config.hidden_size)
        return cls(
            output_key=key,
            freeze_layers=freeze_layers,
            freeze_embeddings=freeze_embeddings,
            lora_rank=lora_rank,
            lora_alpha=2.0 * (lora_rank or 0) if lora_alpha is None else float(lora_alpha),
            seed=_checked_seed(seed),
        )

    def freezes(self, group: str, config: EncoderConfig) -> bool:
        """Whether the weights of a group (`berthub.training.weights.group_of`) are never trained."""
        wanted = wanted_outputs(self.output_key, config)
        if group == "pooler":
            # What is computed for nobody cannot learn, and Keras warns of variables without gradients.
            return not wanted & POOLED
        if group == "predictions":
            return MLM_LOGITS not in wanted
        if group == "embeddings":
            return self.freeze_embeddings or self.freeze_layers > 0
        return group.startswith("layer_") and int(group.removeprefix("layer_")) < self.freeze_layers


def _checked_count(name: str, value: int, *, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise InputError(f"{name}={value!r} does not fit: for this model it is a whole number from {least} to {most}")
    return value


def _checked_seed(seed: Any) -> int | None:
    if seed is None:
        return None
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise InputError(f"seed={seed!r} does not fit: it is a whole number from 0, or None for another one every time")
    return int(seed)
