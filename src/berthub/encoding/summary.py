"""Describe a loaded model in words."""

import dataclasses

from berthub.checkpoint import Checkpoint
from berthub.embedding import said_of_prompt
from berthub.head import Head

__all__ = ["embedding_in_words", "summary"]

# How many labels of a head are named.
_SHOWN_LABELS = 10


def summary(checkpoint: Checkpoint, *, max_length: int, engine: str) -> str:
    """Describe the model, its sizes and how it runs, in a few lines of text."""
    config, origin, head = checkpoint.config, checkpoint.origin, checkpoint.head
    chosen_by = max_length == checkpoint.embedding.max_length and origin.settings.get("max_length")
    lines = {
        "model": f"{config.architecture.upper()}, {config.num_layers} layers of {config.hidden_size}, "
        f"{config.num_heads} heads, {checkpoint.parameters:,} parameters",
        "vocabulary": f"{len(checkpoint.vocabulary):,} pieces, {'lower-cased' if config.lower_case else 'cased'}",
        "longest text": f"{max_length} tokens, of {config.max_positions} positions"
        + (f" ({chosen_by})" if chosen_by else ""),
        "activation": f"{config.activation}, layer norm epsilon {config.layer_norm_eps:g}",
        "outputs": "sequence_output, encoder_outputs" + (", pooled_output" if config.has_pooled_output else ""),
        "embedding": embedding_in_words(checkpoint),
        **({"fine-tuned": _head_in_words(head)} if head else {}),
        "engine": engine,
        "source": f"{origin.format} in {origin.folder}",
    }
    return "\n".join(f"{name + ':':<14}{value}" for name, value in lines.items())


def embedding_in_words(checkpoint: Checkpoint, *, normalize: bool | None = None, prompt: str | None = None) -> str:
    """Describe the model's own sentence vectors, with the files that say so.

    `normalize` and `prompt` are as the caller wants them, None as the model says.
    """
    # The summary has the length of texts in another line.
    own = dataclasses.replace(checkpoint.embedding, max_length=None)
    embedding = own if normalize is None else dataclasses.replace(own, normalize=normalize)
    if prompt is not None:
        embedding = dataclasses.replace(embedding, prompts={}, default_prompt=None)
    if (own.poolings, own.layers, own.unsupported, own.default_prompt) == ((), (), (), None):
        return f"{embedding.described} (no file of the model says otherwise)" + said_of_prompt(prompt)
    names = ["poolings", *(["normalize"] if own.layers or (embedding.normalize and own.normalize) else [])]
    names += ["default_prompt"] if own.default_prompt is not None else []
    sources = [source for name in names if (source := checkpoint.origin.settings.get(name))]
    files = f" ({', '.join(dict.fromkeys(sources))})" if sources and not own.unsupported else ""
    return embedding.described + files + said_of_prompt(prompt)


def _head_in_words(head: Head) -> str:
    shown = ", ".join(head.labels[:_SHOWN_LABELS]) + (", ..." if len(head.labels) > _SHOWN_LABELS else "")
    activation = f", {head.activation} of the output" if head.activation not in (None, "identity") else ""
    return f"{head.task}, {len(head.labels):,} label{'s' if len(head.labels) > 1 else ''}: {shown}{activation}"
