"""The head of a checkpoint that Google's `run_classifier.py` fine-tuned: a dense layer on the pooler's output.

BERT's, ALBERT's and MobileBERT's code call its variables alike (https://github.com/google-research/bert). The labels'
names and the length of texts are stored nowhere.
"""

from collections.abc import Collection

from berthub.config import EncoderConfig
from berthub.containers.tensorbundle import TensorBundle
from berthub.head import Head

__all__ = ["HEAD_VARIABLES", "read_google_head"]

HEAD_VARIABLES = ("output_weights", "output_bias")
"""The variables: [labels, hidden] and [labels]. Those of question answering are below `cls/squad/`."""


def read_google_head(bundle: TensorBundle, config: EncoderConfig, unused: Collection[str]) -> Head | None:
    """The head among the variables that are `unused`; None where there is none.

    The labels are called "0", "1" and so on. One output is a number, as ALBERT's code has it for STS-B.
    """
    if not {*HEAD_VARIABLES} <= {*unused} or not config.has_pooled_output:
        return None
    shape = bundle.shape(HEAD_VARIABLES[0])
    if len(shape) != 2 or shape[1] != config.hidden_size or bundle.shape(HEAD_VARIABLES[1]) != shape[:1]:
        return None
    kernel, bias = (bundle.array(name) for name in HEAD_VARIABLES)
    return Head(
        task="classify" if shape[0] > 1 else "regress",
        labels=tuple(map(str, range(shape[0]))) if shape[0] > 1 else ("value",),
        pooling="pooled",
        max_length=config.max_positions,
        kernel=kernel.T,
        bias=bias,
    )
