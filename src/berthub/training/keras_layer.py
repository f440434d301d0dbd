"""A TF Hub BERT as a Keras 3 layer: `hub.KerasLayer`."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import keras
import numpy as np

from berthub.checkpoint import Checkpoint, Origin
from berthub.config import EncoderConfig
from berthub.embedding import UNSAID, Embedding
from berthub.errors import CheckpointError, InputError
from berthub.formats import read
from berthub.formats.native import special_pieces, write_native
from berthub.formats.vocabularies import read_vocabulary_files, write_vocabulary_files
from berthub.networks import network
from berthub.networks.interface import INPUTS, MLM_LOGITS, POSITIONS
from berthub.networks.network import config_from_dict, weight_shapes
from berthub.sources.resolve import resolve
from berthub.training.layer_inputs import checked_inputs, valid_rows
from berthub.training.old_programs import ResolvedObject, check_old_arguments
from berthub.training.operations import operations
from berthub.training.randomness import Use, seed_for, stream
from berthub.training.weights import Floats, WeightGroup, group_of, initial_value

__all__ = ["OUTPUTS", "KerasLayer"]

OUTPUTS = ("default", "encoder_outputs", "pooled_output", "sequence_output")
"""What the layer returns, in TF Hub's names; the two about the whole text only where the model has such a vector."""


@keras.saving.register_keras_serializable("berthub")
class KerasLayer(keras.layers.Layer):
    """A BERT as a Keras layer, as `tensorflow_hub.KerasLayer` was, on TensorFlow, JAX and PyTorch.

    `handle` is what `berthub.load` takes, or a `Checkpoint`; `settings`, `sha256`, `cache_dir` and `offline` are
    those of `berthub.load`. Called with a dict in TF Hub's names (input_word_ids, input_mask, input_type_ids) or
    Hugging Face's (input_ids, attention_mask, token_type_ids), a list in that order, or the ids alone; integers
    [batch, seq]. Mask (1 where the id is not that of `[PAD]`) and type ids (0) may be left out.

    Returns a dict of TF Hub's names: `pooled_output` (also `default`) [batch, hidden], `sequence_output`
    [batch, seq, hidden] and `encoder_outputs`, a list of that for every layer. `output_key` chooses one of them, or
    several as a tuple: ("pooled_output", "sequence_output") is what version 1 and 2 of the models returned. With
    the input `masked_lm_positions`, integers [batch, positions], a model with a masked-language-model head also
    returns `mlm_logits` [batch, positions, vocabulary]; that head is trained where `output_key` names it.

    `trainable` is False as it was in TF Hub: without it nothing is trained, and there is no dropout.
    `freeze_layers` keeps the embeddings and the lowest n layers as they are, `freeze_embeddings` the embeddings alone,
    and an `output_key` without the pooler's output the pooler; single groups (`groups`: embeddings, layer_0 ...,
    pooler, predictions) can be set `trainable` at any time. `lora_rank` freezes all, and trains what LoRA adds to
    every dense kernel (https://arxiv.org/abs/2106.09685), scaled by `lora_alpha / lora_rank`; whatever saves or
    returns weights merges it. Dropout has the rates of the model's configuration; `seed` makes it, and LoRA's
    beginning, reproducible.

    `dtype` takes Keras's policies, such as "mixed_bfloat16"; sums and normalisations stay in float32.
    """

    def __init__(
        self,
        handle: "str | os.PathLike[str] | Checkpoint | None" = None,
        trainable: bool = False,
        *,
        output_key: str | Sequence[str] | None = None,
        freeze_layers: int = 0,
        freeze_embeddings: bool = False,
        lora_rank: int | None = None,
        lora_alpha: float | None = None,
        seed: int | None = None,
        settings: Mapping[str, Any] | None = None,
        sha256: str | Mapping[str, str] | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        offline: bool | None = None,
        **options: Any,
    ) -> None:
        check_old_arguments(handle, options)
        super().__init__(trainable=trainable, **options)
        if isinstance(handle, Checkpoint | _Skeleton):
            model: Checkpoint | _Skeleton = handle
        else:
            folder = resolve(handle, sha256=sha256, cache_dir=cache_dir, offline=offline)
            model = read(folder, settings=settings)
        self.config = model.config
        self.vocabulary = model.vocabulary if isinstance(model, Checkpoint) else None
        self._special = model.special if isinstance(model, _Skeleton) else special_pieces(model.vocabulary)
        self._algorithm = model.algorithm if isinstance(model, _Skeleton) else model.vocabulary.algorithm
        self._embedding = model.embedding
        self._pad = model.pad if isinstance(model, _Skeleton) else model.vocabulary.ids[model.vocabulary.pad]
        self.output_key = _checked_key(output_key, self.config)
        if freeze_layers and self.config.shares_layers:
            raise InputError("freeze_layers: the layers of this model share their weights; freeze groups, see `groups`")
        self.freeze_layers = _checked_count("freeze_layers", freeze_layers, least=0, most=self.config.num_layers)
        self.freeze_embeddings = freeze_embeddings
        if lora_rank is not None:
            lora_rank = _checked_count("lora_rank", lora_rank, least=1, most=self.config.hidden_size)
        self.lora_rank = lora_rank
        self.lora_alpha = 2.0 * (lora_rank or 0) if lora_alpha is None else float(lora_alpha)
        self.seed = seed = _checked_seed(seed)
        self._seed_generator = keras.random.SeedGenerator(seed_for(seed, Use.ENCODER_DROPOUT))
        # Set by what trains so, on PyTorch: without padding, and with sparse gradients, which Keras's optimizers
        # cannot take. The masks are ones, then zeros, then.
        self.unpadded = False
        values = model.weights if isinstance(model, Checkpoint) else _initial(self.config, seed)
        self._groups = [
            WeightGroup(
                {name: values[name] for name in names},
                frozen=self._is_frozen(scope),
                rank=lora_rank,
                alpha=self.lora_alpha,
                seed=seed,
                number=index,
                name=scope,
                dtype="float32",
            )
            for index, (scope, names) in enumerate(group_of(weight_shapes(self.config)).items())
        ]
        self.build(None)
        # One by one: on TensorFlow, giving `self.trainable` the value that it has does nothing.
        for group in self._groups:
            group.trainable = trainable

    def build(self, input_shape: Any = None) -> None:
        """Make the variables; they are there as soon as the layer is."""
        for group in self._groups:
            group.build()

    @property
    def resolved_object(self) -> ResolvedObject:
        """What programs of `tensorflow_hub` read the vocabulary's file and the case from."""
        return ResolvedObject(self.vocabulary, self.config)

    @property
    def groups(self) -> dict[str, WeightGroup]:
        """The layer's weights in groups that can be frozen one by one: embeddings, layer_0, layer_1 ..., pooler.

        Where layers share weights there are groups of them, group_0 ..., and with a head predictions.
        """
        return {group.name: group for group in self._groups}

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """The outputs, for eager and for symbolic inputs; `InputError` for what are no inputs of a BERT."""
        named = checked_inputs(inputs, self.config)
        # Keras repeats the call with what it was given here: so in names that are accepted.
        arrays = {_INPUTS[name]: value for name, value in named.items()}
        return super().__call__(arrays, *args, **kwargs)

    def call(self, inputs: Mapping[str, Any], training: bool | None = None) -> Any:
        """The outputs for inputs in TF Hub's names; dropout only in training, and if trainable."""
        valid = valid_rows({name: inputs[key] for name, key in _INPUTS.items() if key in inputs}, self.config)
        ids = keras.ops.cast(inputs["input_word_ids"], "int32")
        mask = inputs.get("input_mask")
        type_ids = inputs.get("input_type_ids")
        mask = keras.ops.cast(ids != self._pad if mask is None else mask, "int32")
        type_ids = keras.ops.zeros_like(ids) if type_ids is None else keras.ops.cast(type_ids, "int32")
        positions = inputs.get(POSITIONS)
        free = self.unpadded and training and positions is None and not self.config.sees_padding
        unpadded = self._without_padding(mask) if free else None
        if unpadded is not None:
            ids, type_ids = unpadded.take(ids), unpadded.take(type_ids)
        seeds = self._seed_generator if training and self.trainable else None
        ops = operations(self.compute_dtype, seeds, unpadded=unpadded, valid=valid)
        weights = {name: weight for group in self._groups for name, weight in group.weights_by_name.items()}
        pooled_only = self._wanted <= _POOLED and positions is None
        states = network.hidden_states(
            ops,
            self.config,
            weights,
            ids=ids,
            mask=mask,
            type_ids=type_ids,
            layers=self.config.num_states,
            first_only=pooled_only,
        )
        outputs: dict[str, Any] = {}
        if self._wanted & _POOLED:
            pooled = network.pooled_output(ops, self.config, weights, states[-1])
            outputs |= {"default": pooled, "pooled_output": pooled}
        if unpadded is not None and not pooled_only:
            states = [unpadded.padded(state) for state in states]
        outputs |= {"encoder_outputs": states, "sequence_output": states[-1]}
        if positions is not None:
            positions = keras.ops.cast(positions, "int32")
            outputs[MLM_LOGITS] = network.mlm_logits(ops, self.config, weights, states[-1], positions)
        return self._chosen(outputs)

    def compute_output_spec(self, inputs: Mapping[str, Any], training: bool | None = None) -> Any:
        """The shapes of the outputs; given, since Keras would find them by running the layer on made-up lengths."""
        batch, width = inputs["input_word_ids"].shape
        text = keras.KerasTensor((batch, self.config.hidden_size), self.compute_dtype)
        tokens = [
            keras.KerasTensor((batch, width, self.config.hidden_size), self.compute_dtype)
            for _ in range(self.config.num_states)
        ]
        outputs = {"default": text, "pooled_output": text, "sequence_output": tokens[-1], "encoder_outputs": tokens}
        if POSITIONS in inputs:
            shape = (*inputs[POSITIONS].shape, self.config.vocab_size)
            outputs[MLM_LOGITS] = keras.KerasTensor(shape, self.compute_dtype)
        return self._chosen(outputs)

    def weights_by_name(self) -> dict[str, Floats]:
        """Every weight by its canonical name (`berthub.networks.network.weight_shapes`), float32, LoRA merged."""
        return {name: group.get(name) for group in self._groups for name in group.weights_by_name}

    def set_weights_by_name(self, weights: Mapping[str, Any]) -> None:
        """Set some or all weights by their canonical names; a `CheckpointError` names those that do not fit."""
        shapes = weight_shapes(self.config)
        faults = [
            f"{name} is no weight of this model"
            if name not in shapes
            else f"{name} has shape {np.shape(value)}, not {shapes[name]}"
            for name, value in weights.items()
            if name not in shapes or np.shape(value) != shapes[name]
        ]
        if faults:
            raise CheckpointError("the weights do not fit the layer: " + "; ".join(faults))
        for group in self._groups:
            for name in group.weights_by_name:
                if name in weights:
                    group.set(name, np.asarray(weights[name], np.float32))

    def checkpoint(self) -> Checkpoint:
        """The model as it is now, LoRA merged; `berthub.load` runs what `save` makes of it."""
        if self.vocabulary is None:
            raise InputError("the layer has no vocabulary: it was made from a configuration, not from a model")
        return Checkpoint(
            config=self.config,
            weights=self.weights_by_name(),
            vocabulary=self.vocabulary,
            origin=Origin(format="Keras layer", folder=Path()),
            embedding=self._embedding,
        )

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Save the model in berthub's own form, which `berthub.load` reads; `folder` must be new or empty."""
        write_native(self.checkpoint(), Path(folder))

    def export(self, folder: str | os.PathLike[str]) -> None:
        """Write a SavedModel with TF Hub's interface, which TensorFlow and `berthub.load` read; needs TensorFlow."""
        from berthub.training.saved_model import export_saved_model

        export_saved_model(self.checkpoint(), Path(folder))

    def get_config(self) -> dict[str, Any]:
        """What Keras stores about the layer; nothing of it needs the model it came from."""
        return {
            **super().get_config(),
            "model": self.config.to_dict(),
            "pad": self._pad,
            "special_pieces": self._special,
            "algorithm": self._algorithm,
            **({"embedding": self._embedding.to_dict()} if self._embedding != UNSAID else {}),
            "output_key": self.output_key,
            "freeze_layers": self.freeze_layers,
            "freeze_embeddings": self.freeze_embeddings,
            "lora_rank": self.lora_rank,
            "lora_alpha": self.lora_alpha,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """The layer that `get_config` described, with new random weights: Keras loads the stored ones after it."""
        config = dict(config)
        skeleton = _Skeleton(
            config_from_dict(config.pop("model")),
            config.pop("pad"),
            config.pop("special_pieces"),
            # Layers were saved before there was another one.
            config.pop("algorithm", "wordpiece"),
            Embedding.from_dict(config.pop("embedding")) if "embedding" in config else UNSAID,
        )
        return cls(skeleton, **config)  # type: ignore[arg-type]

    def save_assets(self, folder: str) -> None:
        """Keep the vocabulary with the model that Keras saves."""
        if self.vocabulary is not None:
            write_vocabulary_files(self.vocabulary, Path(folder))

    def load_assets(self, folder: str) -> None:
        """Take the vocabulary from a model that Keras saved."""
        # A layer without a vocabulary kept none, and Keras then gives None, or a folder without files.
        if folder and any(path.is_file() for path in Path(folder).iterdir()):
            self.vocabulary = read_vocabulary_files(Path(folder), self._algorithm, self._special)

    @property
    def _wanted(self) -> frozenset[str]:
        if self.output_key is None:
            return frozenset(OUTPUTS if self.config.has_pooled_output else set(OUTPUTS) - _POOLED)
        return frozenset([self.output_key] if isinstance(self.output_key, str) else self.output_key)

    def _chosen(self, outputs: Mapping[str, Any]) -> Any:
        if self.output_key is None:
            kept = (
                *(name for name in OUTPUTS if name in self._wanted),
                *((MLM_LOGITS,) if MLM_LOGITS in outputs else ()),
            )
            return {name: outputs[name] for name in kept}
        if MLM_LOGITS in self._wanted and MLM_LOGITS not in outputs:
            raise InputError(f"{MLM_LOGITS} is wanted, and the inputs do not hold {POSITIONS}")
        if isinstance(self.output_key, str):
            return outputs[self.output_key]
        return tuple(outputs[key] for key in self.output_key)

    def _is_frozen(self, group: str) -> bool:
        if group == "pooler":
            # What is computed for nobody cannot learn, and Keras warns of variables without gradients.
            return not self._wanted & _POOLED
        if group == "predictions":
            return MLM_LOGITS not in self._wanted
        if group == "embeddings":
            return self.freeze_embeddings or self.freeze_layers > 0
        return group.startswith("layer_") and int(group.removeprefix("layer_")) < self.freeze_layers

    def _without_padding(self, mask: Any) -> Any:
        from berthub.training.torch_ops import Unpadded

        return Unpadded(mask)


_POOLED = frozenset({"default", "pooled_output"})
_INPUTS = dict(zip(("ids", "mask", "type_ids", "positions"), (*INPUTS, POSITIONS), strict=True))


@dataclass(frozen=True)
class _Skeleton:
    """A model without weights."""

    config: EncoderConfig
    pad: int
    special: Mapping[str, str]
    algorithm: str
    embedding: Embedding


def _initial(config: EncoderConfig, seed: int | None) -> dict[str, Floats]:
    rng = stream(seed, Use.WEIGHTS)
    return {name: initial_value(name, shape, config, rng) for name, shape in weight_shapes(config).items()}


def _checked_key(key: str | Sequence[str] | None, config: EncoderConfig) -> str | tuple[str, ...] | None:
    if key is None:
        return None
    keys = (key,) if isinstance(key, str) else tuple(key)
    known = (*OUTPUTS, *((MLM_LOGITS,) if config.mlm else ()))
    if not keys or any(name not in known for name in keys):
        raise InputError(f"output_key={key!r} is not known; use None for all, one of {', '.join(known)}, or a tuple")
    if not config.has_pooled_output and _POOLED & set(keys):
        raise InputError("this model has no pooler, so it has no pooled_output; use sequence_output")
    return key if isinstance(key, str) else keys


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
