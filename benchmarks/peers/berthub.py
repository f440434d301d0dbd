"""berthub, as its users call it."""

from pathlib import Path
from typing import Any

from benchmarks.batches import Floats
from benchmarks.models import Model
from benchmarks.peers.peer import Output, Peer
from benchmarks.processes import UnavailableError


def load_encoder(folder: Path | None, precision: str) -> Any:
    """The model, loaded. Raises `UnavailableError` for a precision that this processor is not offered."""
    import berthub as hub
    from berthub.errors import InputError

    try:
        # As long as everybody's: MiniLM's own files say 256.
        return hub.load(folder, precision=precision, max_length=Peer.longest)  # type: ignore[arg-type]
    except InputError as error:
        raise UnavailableError(str(error)) from error


class Berthub(Peer):
    """`saved_model`: from TF Hub's files (tanh GELU), not from Hugging Face's (erf GELU)."""

    def __init__(self, *, precision: str, saved_model: bool = False) -> None:
        self.name, self.precision = "berthub", precision
        if saved_model:
            self.name += ", from the SavedModel"
            self.form = "saved_model"

    def load(self, model: Model) -> str:
        folder = model.saved_model if self.form == "saved_model" else model.huggingface
        if folder is None:
            raise UnavailableError(model.reason)
        self._encoder = load_encoder(folder, self.precision)
        return str(self._encoder.precision)

    def encode(self, texts: list[str], output: Output) -> Floats:
        match output:
            case "mean":
                return self._encoder.embed(texts, pooling="mean")  # type: ignore[no-any-return]
            case "pooled":
                return self._encoder.encode(texts, outputs=["pooled_output"])["pooled_output"]  # type: ignore[no-any-return]
            case "sequence":
                return self._encoder.encode(texts, outputs=["sequence_output"])["sequence_output"]  # type: ignore[no-any-return]
