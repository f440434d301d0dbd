"""`hub.Module` of TensorFlow 1: a model that is called with the names of its signatures, eagerly."""

import os
import sys
from collections.abc import Collection
from typing import Any

from berthub.errors import InputError
from berthub.networks.interface import MLM_LOGITS, POSITIONS
from berthub.training.keras_layer import KerasLayer
from berthub.training.preprocessing_layer import PreprocessingLayer

__all__ = ["Module"]

_OUTPUTS = ("pooled_output", "sequence_output")
_INSTEAD = (
    "hub.KerasLayer(url, trainable=True) is the same model as a layer of a Keras model, hub.TextClassifier fine-tunes "
    "it, and hub.load(url).encode(texts) makes vectors of texts"
)


class Module:
    """A BERT as `tensorflow_hub.Module` was, on arrays instead of in a TensorFlow 1 graph.

    `spec` is the handle of a model, of any version. `tags={"train"}` switches dropout on where the module is
    `trainable`. It is called with a dict of input_ids, input_mask and segment_ids, integers [batch, seq], and returns
    tensors of Keras's backend, which have their values at once: no session runs them. A `tf.GradientTape` sees its
    `variables`. Inside of a `tf.Graph`, and so in an Estimator, it is an `InputError`.
    """

    def __init__(
        self,
        spec: str | os.PathLike[str],
        trainable: bool = False,
        name: str = "module",
        tags: Collection[str] | None = None,
    ) -> None:
        _refuse_graphs()
        if wrong := {*(tags or ())} - {"train"}:
            raise InputError(f"tags={wrong}: a module has the tags set() and {{'train'}}")
        layer = KerasLayer(spec, trainable=trainable, name=name.replace("/", "_"))
        if isinstance(layer, PreprocessingLayer):
            raise InputError(f"{spec} is a preprocessing model, of which TensorFlow 1 had no modules: hub.load(handle)")
        self._layer = layer
        self._training = "train" in (tags or ())

    def __repr__(self) -> str:
        return f"<Module of {self._layer.config.architecture}, signatures {', '.join(self.get_signature_names())}>"

    @property
    def variables(self) -> list[Any]:
        """The variables of the model."""
        return list(self._layer.variables)

    def get_signature_names(self) -> list[str]:
        """The signatures that the module can be called with."""
        return ["tokens", "tokenization_info", *(["mlm"] if self._layer.config.mlm else [])]

    def __call__(
        self, inputs: Any = None, _sentinel: None = None, signature: str | None = None, as_dict: bool | None = None
    ) -> dict[str, Any]:
        """The outputs of a signature, by name.

        "tokens" returns `pooled_output` and `sequence_output`; "mlm", with `mlm_positions` among the inputs, also
        `mlm_logits`; "tokenization_info", without inputs, `vocab_file` (a path as bytes) and `do_lower_case`.
        """
        _refuse_graphs()
        known = self.get_signature_names()
        if signature not in known:
            raise InputError(f"signature={signature!r} is not known: this module has {', '.join(known)}")
        if not as_dict:
            raise InputError(f"the signature {signature!r} has several outputs, and none is the default: as_dict=True")
        if signature == "tokenization_info":
            return self._tokenization_info()
        if signature == "mlm" and not {POSITIONS, "mlm_positions"} & {*inputs}:
            raise InputError('the signature "mlm" needs mlm_positions among the inputs, integers [batch, positions]')
        outputs = self._layer(inputs, training=self._training)
        names = (*_OUTPUTS, *([MLM_LOGITS] if signature == "mlm" else []))
        return {name: outputs[name] for name in names if name in outputs}

    def _tokenization_info(self) -> dict[str, Any]:
        resolved = self._layer.resolved_object
        # ALBERT's modules called their SentencePiece model so, too.
        names = ("vocab_file", "sp_model_file")
        file = next(getattr(resolved, name) for name in names if hasattr(resolved, name))
        return {"vocab_file": file.asset_path.numpy(), "do_lower_case": resolved.do_lower_case.numpy()}

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"hub.Module has no {name}: {_INSTEAD}")


def _refuse_graphs() -> None:
    """`InputError` in a graph of TensorFlow's, whose session would have to run the module."""
    tf = sys.modules.get("tensorflow")
    if tf is not None and hasattr(tf, "executing_eagerly") and not tf.executing_eagerly():
        raise InputError(
            "hub.Module in a graph needs TensorFlow 1: berthub computes at once, with arrays, and puts nothing into a "
            f"tf.Graph, a session or an Estimator. Call it outside of them; or {_INSTEAD}"
        )
