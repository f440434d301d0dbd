"""The architectures of Hugging Face folders, one file for each `model_type`, and the table of them."""

from berthub.formats.huggingface.architecture import Architecture
from berthub.formats.huggingface.architectures.albert import ALBERT
from berthub.formats.huggingface.architectures.bert import BERT
from berthub.formats.huggingface.architectures.deberta import DEBERTA
from berthub.formats.huggingface.architectures.distilbert import DISTILBERT
from berthub.formats.huggingface.architectures.electra import ELECTRA
from berthub.formats.huggingface.architectures.gte import GTE, NEW
from berthub.formats.huggingface.architectures.mobilebert import MOBILEBERT
from berthub.formats.huggingface.architectures.modernbert import MODERNBERT
from berthub.formats.huggingface.architectures.mpnet import MPNET
from berthub.formats.huggingface.architectures.nomic_bert import NOMIC_BERT
from berthub.formats.huggingface.architectures.roberta import ROBERTA
from berthub.formats.huggingface.architectures.xlm_roberta import CAMEMBERT, DATA2VEC_TEXT, XLM_ROBERTA

__all__ = ["ARCHITECTURES"]

ARCHITECTURES: dict[str, Architecture] = {
    each.model_type: each
    for each in (
        ALBERT,
        BERT,
        CAMEMBERT,
        DATA2VEC_TEXT,
        DEBERTA,
        DISTILBERT,
        ELECTRA,
        GTE,
        MOBILEBERT,
        MODERNBERT,
        MPNET,
        NEW,
        NOMIC_BERT,
        ROBERTA,
        XLM_ROBERTA,
    )
}
"""What is read and written, by `model_type`."""
