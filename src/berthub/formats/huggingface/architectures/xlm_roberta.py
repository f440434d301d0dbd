"""RoBERTa's network under other names in transformers: XLM-RoBERTa, CamemBERT and Data2Vec's text encoder.

They differ in their vocabularies. A RoBERTa with a vocabulary of SentencePiece is written as XLM-RoBERTa, whichever of
them it was read as.
"""

import dataclasses

from berthub.formats.huggingface.architecture import Architecture
from berthub.formats.huggingface.architectures.roberta import ROBERTA

__all__ = ["CAMEMBERT", "DATA2VEC_TEXT", "XLM_ROBERTA"]


def _named(model_type: str, title: str, prefix: str) -> Architecture:
    return dataclasses.replace(
        ROBERTA, model_type=model_type, title=title, prefix=prefix, writes=lambda config: False, algorithms=()
    )


CAMEMBERT = _named("camembert", "Camembert", "roberta")
DATA2VEC_TEXT = _named("data2vec-text", "Data2VecText", "data2vec_text")
XLM_ROBERTA = dataclasses.replace(
    _named("xlm-roberta", "XLMRoberta", "roberta"), writes=lambda config: True, algorithms=("sentencepiece", "unigram")
)
