"""text-embeddings-inference's dialect (https://huggingface.github.io/text-embeddings-inference).

Beside what that server has, it labels words, takes pairs for vectors, fills masks, sends vectors as bytes, and takes
the name of a model in every body.
"""

from berthub.serving.dialects.tei.endpoints import ENDPOINTS
from berthub.serving.dialects.tei.schemas import SCHEMAS

__all__ = ["ENDPOINTS", "SCHEMAS"]
