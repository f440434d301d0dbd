"""A TF Hub BERT as a Keras 3 layer: `hub.KerasLayer`."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import keras
import numpy as np

from berthub.checkpoint import Checkpoint, Origin
from berthub.encoding.encoder import Encoder
from berthub.errors import InputError
from berthub.formats.native import write_native
from berthub.formats.tensorflow.keras_export_names import RESOURCE
from berthub.formats.vocabularies import read_vocabulary_files, write_vocabulary_files
from berthub.networks.network import weight_shapes
from berthub.training.exported_parts import exported_files, marked
from berthub.training.forward import forward
from berthub.training.layer_inputs import INPUT_NAMES, checked_inputs, input_tensors, valid_rows
from berthub.training.layer_kinds import LayerOfItsKind
from berthub.training.layer_model import ModelDescription, read_model
from berthub.training.layer_options import LayerOptions
from berthub.training.layer_outputs import chosen_outputs, output_specs, wanted_outputs
from berthub.training.old_programs import ResolvedObject, check_old_arguments
from berthub.training.operations import operations
from berthub.training.preprocessing_layer import PreprocessingLayer
from berthub.training.randomness import Use, seed_for
from berthub.training.weights import Floats, WeightGroup, check_fit, group_of, initial_values

__all__ = ["KerasLayer"]


@keras.saving.register_keras_serializable("berthub")
class KerasLayer(LayerOfItsKind):
    """A BERT as a Keras layer, as `tensorflow_hub.KerasLayer` was, on TensorFlow, JAX and PyTorch.

    `handle` is what `berthub.load` takes or returns, or a `Checkpoint`. That of a preprocessing model, or a
    `Preprocessor`, gives a layer that takes texts and has no weights: what follows is about encoders. `settings`,
    `vocabulary`, `sha256`, `cache_dir` and `offline` are those of `berthub.load`. Called with a dict in TF Hub's names
    (input_word_ids, input_mask, input_type_ids) or Hugging Face's (input_ids, attention_mask, token_type_ids), a list
    in that order, or the ids alone; integers [batch, seq]. Mask (1 where the id is not that of `[PAD]`) and type ids
    (0) may be left out.

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
        handle: str | os.PathLike[str] | Checkpoint | Encoder | ModelDescription | None = None,
        trainable: bool = False,
        *,
        output_key: str | Sequence[str] | None = None,
        freeze_layers: int = 0,
        freeze_embeddings: bool = False,
        lora_rank: int | None = None,
        lora_alpha: float | None = None,
        seed: int | None = None,
        settings: Mapping[str, Any] | None = None,
        vocabulary: str | os.PathLike[str] | None = None,
        sha256: str | Mapping[str, str] | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        offline: bool | None = None,
        **options: Any,
    ) -> None:
        check_old_arguments(handle, options)
        super().__init__(trainable=trainable, **options)
        if isinstance(handle, ModelDescription):
            model, description = None, handle
        else:
            model = read_model(
                handle,
                settings=settings,
                vocabulary=vocabulary,
                sha256=sha256,
                cache_dir=cache_dir,
                offline=offline,
            )
            description = ModelDescription.of(model)
        self.config = description.config
        self.vocabulary = None if model is None else model.vocabulary
        self._description = description
        checked = LayerOptions.checked(
            self.config,
            output_key=output_key,
            freeze_layers=freeze_layers,
            freeze_embeddings=freeze_embeddings,
            lora_rank=lora_rank,
            lora_alpha=lora_alpha,
            seed=seed,
        )
        self.output_key = checked.output_key
        self.freeze_layers, self.freeze_embeddings = checked.freeze_layers, checked.freeze_embeddings
        self.lora_rank, self.lora_alpha = checked.lora_rank, checked.lora_alpha
        self.seed = checked.seed
        self._seed_generator = keras.random.SeedGenerator(seed_for(self.seed, Use.ENCODER_DROPOUT))
        values = initial_values(self.config, self.seed) if model is None else model.weights
        self._groups = [
            WeightGroup(
                {name: values[name] for name in names},
                frozen=checked.freezes(scope, self.config),
                rank=self.lora_rank,
                alpha=self.lora_alpha,
                seed=self.seed,
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
        """The object from which programs for `tensorflow_hub` read the vocabulary's file and whether to lower-case."""
        return ResolvedObject(self.vocabulary, self.config)

    @property
    def groups(self) -> dict[str, WeightGroup]:
        """The layer's weights in groups that can be frozen one by one: embeddings, layer_0, layer_1 ..., pooler.

        Where layers share weights there are groups of them, group_0 ..., and with a head predictions.
        """
        return {group.name: group for group in self._groups}

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """The outputs, for eager and for symbolic inputs; `InputError` if they are not the inputs of a BERT."""
        named = checked_inputs(inputs, self.config)
        # Keras repeats the call with what it was given here: so in names that are accepted.
        arrays = {INPUT_NAMES[name]: value for name, value in named.items()}
        return super().__call__(arrays, *args, **kwargs)

    def call(self, inputs: Mapping[str, Any], training: bool | None = None) -> Any:
        """The outputs for inputs in TF Hub's names; dropout only in training, and if trainable."""
        valid = valid_rows({name: inputs[key] for name, key in INPUT_NAMES.items() if key in inputs}, self.config)
        outputs = forward(
            operations(self.compute_dtype, self.dropout_seeds(training=training), valid=valid),
            self.config,
            self.tensors_by_name(),
            input_tensors(inputs, pad=self.pad),
            wanted=wanted_outputs(self.output_key, self.config),
        )
        return chosen_outputs(marked(outputs), self.output_key, self.config)

    def compute_output_spec(self, inputs: Mapping[str, Any], training: bool | None = None) -> Any:
        """The shapes of the outputs; given, since Keras would find them by running the layer on made-up lengths."""
        return chosen_outputs(output_specs(inputs, self.config, self.compute_dtype), self.output_key, self.config)

    @property
    def pad(self) -> int:
        """The id of the padding piece."""
        return self._description.pad

    def tensors_by_name(self) -> dict[str, Any]:
        """The tensor of every weight by its canonical name; with LoRA those of kernels are a `LowRankKernel`."""
        return {name: weight.value for group in self._groups for name, weight in group.weights_by_name.items()}

    def dropout_seeds(self, *, training: bool | None) -> Any | None:
        """The generator of the seeds that dropout draws from; None without dropout."""
        return self._seed_generator if training and self.trainable else None

    def weights_by_name(self) -> dict[str, Floats]:
        """Every weight by its canonical name (`berthub.networks.network.weight_shapes`), float32, LoRA merged."""
        return {name: group.get(name) for group in self._groups for name in group.weights_by_name}

    def set_weights_by_name(self, weights: Mapping[str, Any]) -> None:
        """Set some or all weights by their canonical names; a `CheckpointError` names those that do not fit."""
        check_fit(weights, self.config)
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
            embedding=self._description.embedding,
        )

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Save the model in berthub's own format, which `berthub.load` reads; `folder` must be new or empty."""
        write_native(self.checkpoint(), Path(folder))

    def export(self, folder: str | os.PathLike[str]) -> None:
        """Write a SavedModel with TF Hub's interface, which TensorFlow and `berthub.load` read; needs TensorFlow."""
        from berthub.training.saved_model import export_saved_model

        export_saved_model(self.checkpoint(), Path(folder))

    def get_config(self) -> dict[str, Any]:
        """The configuration that Keras stores; loading it does not need the model that the layer came from."""
        return {
            **super().get_config(),
            **self._description.to_dict(),
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
        options = dict(config)
        return cls(ModelDescription.taken_from(options), **options)

    def save_assets(self, folder: str) -> None:
        """Keep the vocabulary with the model that Keras saves."""
        if self.vocabulary is not None:
            write_vocabulary_files(self.vocabulary, Path(folder))

    def _trackable_children(self, save_type: str = "checkpoint", **options: Any) -> dict[str, Any]:
        """TensorFlow's children of the layer; in a SavedModel also the description and the vocabulary."""
        children: dict[str, Any] = super()._trackable_children(save_type, **options)
        files = exported_files(self) if save_type == "savedmodel" else None
        return children if files is None else {**children, RESOURCE: files}

    def load_assets(self, folder: str) -> None:
        """Take the vocabulary from a model that Keras saved."""
        # A layer without a vocabulary kept none, and Keras then gives None, or a folder without files.
        if folder and any(path.is_file() for path in Path(folder).iterdir()):
            stored = self._description
            self.vocabulary = read_vocabulary_files(Path(folder), stored.algorithm, stored.special)


KerasLayer.register(PreprocessingLayer)
