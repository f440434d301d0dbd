"""The head of a model that clients ask for, or an error in words for them."""

from berthub.encoding.encoder import Encoder
from berthub.head import Head
from berthub.serving.failures import UnprocessableError

__all__ = ["served_head"]


def served_head(encoder: Encoder) -> Head:
    """The head of a fine-tuned model; `UnprocessableError` for a model without one."""
    if encoder.head is not None:
        return encoder.head
    if encoder.checkpoint.origin.unread_head:
        raise UnprocessableError(
            "this model's files hold a head of a kind that is not read, so it predicts nothing; ask for its vectors"
        )
    raise UnprocessableError(
        "this model was not fine-tuned: it has no head, so it predicts nothing; ask for its vectors, or name another "
        "model"
    )
