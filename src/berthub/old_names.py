"""Errors for names of tensorflow_hub that berthub does not have, with what to write instead."""

from typing import Any

__all__ = ["OLD_ARGUMENTS", "old_argument_fault", "unknown_attribute", "unknown_name"]

_LAYER = "layer = berthub.KerasLayer(url), or bert = berthub.load(url) for vectors"
_SAVE = "layer.export(folder) or berthub.export writes a SavedModel"
_TEXT = "berthub.load(url).embed(texts) makes a vector for each text"
_OLD_NAMES = {
    "ModuleSpec": f"modules of TensorFlow 1 are read like all others: {_LAYER}",
    "load_module_spec": f"modules of TensorFlow 1 are read like all others: {_LAYER}",
    "create_module_spec": _SAVE,
    "create_module_spec_from_saved_model": _SAVE,
    "add_signature": _SAVE,
    "attach_message": _SAVE,
    "register_module_for_export": _SAVE,
    "LatestModuleExporter": _SAVE,
    "text_embedding_column": _TEXT,
    "text_embedding_column_v2": _TEXT,
    "sparse_text_embedding_column": _TEXT,
    "feature_column": _TEXT,
    "image_embedding_column": "berthub reads models of texts only",
    "attach_image_module_info": "berthub reads models of texts only",
    "get_expected_image_size": "berthub reads models of texts only",
    "get_num_image_channels": "berthub reads models of texts only",
    "ImageModuleInfo": "berthub reads models of texts only",
    "text": "berthub.Tokenizer.from_pretrained(url) and berthub.Preprocessor(url) tokenize, without tensorflow_text",
    "keras_layer": "berthub.KerasLayer",
    "module_v2": "berthub.load and berthub.resolve",
    "tf_utils": "berthub.load and berthub.resolve",
}

OLD_ARGUMENTS = ("arguments", "input_shape", "load_options", "output_shape", "signature", "signature_outputs_as_dict")
"""The arguments of tensorflow_hub's `KerasLayer` that this one does not know, but for `tags`."""

_INPUT = 'begin the model with keras.Input((None,), dtype="int32") instead'
_ADVICE = {
    "input_shape": _INPUT,
    "output_shape": "leave it out: the layer knows its shapes",
    "load_options": "leave it out: files are read without TensorFlow; cache_dir=... and offline=True say from where",
    "signature_outputs_as_dict": "leave it out: the layer returns a dict unless output_key chooses from it",
}
# Of modules of TensorFlow 1, and of SavedModels; all of them compute what the layer returns.
_SIGNATURES = ("default", "mlm", "serving_default", "tokens")


# Of what tensorflow_hub's `load` returned.
_OLD_ATTRIBUTES = {
    "asset_paths": "the vocabulary is encoder.vocabulary",
    "bert_pack_inputs": "berthub.Preprocessor(url) of the preprocessing model has it",
    "graph": "a model's graph is never run; encoder.config has its settings",
    "mlm": "encoder.fill_mask(text), or encoder(inputs)['mlm_logits'] with masked_lm_positions",
    "resolved_object": "encoder.vocabulary and encoder.config.lower_case",
    "signatures": "encoder(inputs) computes what the signatures did: call it with a dict of arrays",
    "tokenize": "encoder.tokenizer(texts), or berthub.Preprocessor(url) of the preprocessing model",
    "trainable_variables": "berthub.KerasLayer(url, trainable=True) can be trained",
    "trainable_weights": "berthub.KerasLayer(url, trainable=True) can be trained",
    "variables": "encoder.checkpoint.weights has the arrays by name; berthub.KerasLayer(url) can be trained",
}


def unknown_attribute(kind: str, name: str) -> AttributeError:
    """The error for an attribute that an encoder has not, with what to write if tensorflow_hub's object had it."""
    message = f"{kind!r} object has no attribute {name!r}"
    old = _OLD_ATTRIBUTES.get(name)
    return AttributeError(message if old is None else f"{message}, which tensorflow_hub's load returned: {old}")


def unknown_name(module: str, name: str) -> AttributeError:
    """The error for a name that the module does not have, with what to write if tensorflow_hub had it."""
    message = f"module {module!r} has no attribute {name!r}"
    return AttributeError(
        f"{message}, which was tensorflow_hub's: {_OLD_NAMES[name]}" if name in _OLD_NAMES else message
    )


def old_argument_fault(name: str, value: Any) -> str | None:
    """The error message for an old argument of `KerasLayer`; None if the layer does what it asks for anyway."""
    match name, value:
        case _, None:
            return None
        case "signature_outputs_as_dict", True:
            return None
        case "signature", "tokenization_info":
            return "the vocabulary is layer.vocabulary, and hub.Tokenizer.from_pretrained(url) tokenizes with it"
        case "signature", str(signature):
            known = ", ".join(_SIGNATURES)
            return None if signature in _SIGNATURES else f"known are {known}, and all of them return the same dict"
        case "arguments", dict(arguments):
            if not arguments:
                return None
            length = arguments.get("seq_length", 128)
            return f"a length belongs to the preprocessor: hub.Preprocessor(url, seq_length={length!r})"
        case "tags", str() | list() | tuple() | set() | frozenset():
            tags = {value} if isinstance(value, str) else set(value)
            return None if tags <= {"serve", "train"} else "the variables are the same for all tags: leave it out"
        case _:
            return _ADVICE.get(name, "leave it out")
