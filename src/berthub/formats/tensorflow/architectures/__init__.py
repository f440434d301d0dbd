"""The architectures of TensorFlow's formats, one file each, and the table of them."""

from berthub.config import EncoderConfig
from berthub.formats.tensorflow.architecture import Architecture
from berthub.formats.tensorflow.architectures.albert import ALBERT
from berthub.formats.tensorflow.architectures.bert import BERT
from berthub.formats.tensorflow.architectures.mobilebert import MOBILEBERT
from berthub.formats.tensorflow.architectures.talking_heads import TALKING_HEADS

__all__ = ["ARCHITECTURES", "BERT"]

ARCHITECTURES: dict[type[EncoderConfig], Architecture] = {
    each.config: each for each in (MOBILEBERT, TALKING_HEADS, ALBERT, BERT)
}
"""Each by its configuration; `BERT` is the one that others are taken for. The first whose mark is found counts."""
