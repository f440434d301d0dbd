"""The first components of vectors alone, for clients that ask for fewer dimensions than a model has."""

import numpy as np

from berthub.encoding.request import Request
from berthub.engines.engine import Floats
from berthub.serving.bodies import Fields
from berthub.serving.failures import UnprocessableError
from berthub.serving.service import Service
from berthub.vector_layers import unit_length

__all__ = ["dimensions_of", "first_dimensions"]


def dimensions_of(fields: Fields, service: Service, request: Request) -> int | None:
    """The field `dimensions`, None where there is none; `UnprocessableError` for more than the vectors have."""
    dimensions = fields.integer("dimensions", least=1)
    size = request.vector.width(service.encoder.config.hidden_size)
    if dimensions is not None and dimensions > size:
        raise UnprocessableError(f"dimensions is {dimensions}, and the model's vectors have {size}", where="dimensions")
    return dimensions


def first_dimensions(vectors: Floats, dimensions: int | None, *, unit: bool) -> Floats:
    """The first components of vectors [n, size]; shorter ones are scaled to length 1 again if `unit`."""
    if dimensions is None or dimensions >= vectors.shape[1]:
        return vectors
    shorter = np.ascontiguousarray(vectors[:, :dimensions])
    return unit_length(shorter) if unit else shorter
