"""The names by which an exported Keras model with a `berthub.KerasLayer` is known again; the layer gives them."""

__all__ = ["DESCRIPTION", "LORA_SCALE", "MARK", "RESOURCE"]

RESOURCE = "berthub_files"
"""The object on the layer whose children are the assets: the description of the model and its vocabulary."""

DESCRIPTION = "berthub_description"
"""The child that is the description; the others are the vocabulary's files, by their names."""

LORA_SCALE = "lora_scale"
"""The entry of the description by which the product of LoRA's matrices is multiplied; there only with LoRA."""

MARK = "berthub_output_"
"""How the operations that are an output of the layer begin; the output's name follows."""
