"""The paths of this dialect, what there is to know of the model, and the path that does what the model is for."""

from collections.abc import Mapping
from typing import Any

from berthub.serving.answers import Answer, json_answer
from berthub.serving.bodies import Fields
from berthub.serving.call import Call
from berthub.serving.dialects.tei.fields import failure, token_failure
from berthub.serving.dialects.tei.predictions import fill_mask, predict
from berthub.serving.dialects.tei.rerank import rerank
from berthub.serving.dialects.tei.tokens import decode, tokenize
from berthub.serving.dialects.tei.vectors import ARROW, NPY, embed, embed_all, similarity
from berthub.serving.endpoint import Endpoint, Failure, Handler
from berthub.serving.service import Service
from berthub.version import __version__

__all__ = ["ENDPOINTS"]


async def info(call: Call) -> Answer:
    """All about the default model, and the bounds on requests."""
    service = call.service()
    state, batcher = call.state, service.batcher
    longest = service.tokenizer.max_length
    return json_answer(
        {
            "model_id": state.models.default.source.handle,
            "model_sha": None,
            "model_dtype": service.encoder.precision,
            "model_type": _model_type(service),
            # Requests are bounded by their tokens: so many of the longest text are taken at a time.
            "max_concurrent_requests": max(1, batcher.capacity // longest),
            "max_input_length": longest,
            "max_batch_tokens": batcher.limits.tokens,
            "max_batch_requests": None,
            "max_client_batch_size": state.limits.texts,
            "auto_truncate": state.limits.truncate,
            "tokenization_workers": state.pool._max_workers,
            "version": __version__,
            "sha": None,
            "docker_label": None,
        }
    )


def _model_type(service: Service) -> Mapping[str, Any]:
    head, embedding = service.encoder.head, service.encoder.checkpoint.embedding
    if head is None:
        return {"embedding": {"pooling": "none" if embedding.unsupported else "+".join(embedding.chosen().poolings)}}
    return {
        "classifier": {
            "id2label": {str(index): label for index, label in enumerate(head.labels)},
            "label2id": {label: index for index, label in enumerate(head.labels)},
        }
    }


async def root(call: Call) -> Answer:
    """What the model is for: labels where it has a head, else vectors.

    Hugging Face's client sends every task here. A sentence with others asks for similarities, and a text with a mask
    and `parameters`, which come for all tasks but vectors, for the pieces in its place.
    """
    fields = Fields.of(call.json())
    inputs = fields.required("inputs")
    if isinstance(inputs, dict):
        return await similarity(call, fields)
    encoder = call.service(fields.string("model")).encoder
    if encoder.head is not None:
        return await predict(call, fields)
    asks = fields.values.get("parameters") is not None and isinstance(inputs, str)
    if asks and encoder.config.mlm and encoder.vocabulary.mask in inputs:
        return await fill_mask(call, fields)
    return await embed(call, fields)


def _post(
    path: str,
    handler: Handler,
    summary: str,
    *,
    names: str,
    answer: str,
    fails: Failure = failure,
    arrays: bool = False,
) -> Endpoint:
    operation: dict[str, Any] = {"summary": f"{summary} (text-embeddings-inference)", "body": names, "answer": answer}
    if arrays:
        operation["bytes"] = (NPY, ARROW)
    return Endpoint(path=path, method="POST", handler=handler, failure=fails, operation=operation)


ENDPOINTS = (
    _post("/embed", embed, "Vectors of texts", names="TeiEmbed", answer="TeiVectors", arrays=True),
    _post("/embed_all", embed_all, "Vectors of tokens", names="TeiEmbedAll", answer="TeiTokenVectors", arrays=True),
    _post("/similarity", similarity, "Cosines of texts", names="TeiSimilarity", answer="TeiSimilarities"),
    _post("/predict", predict, "Labels of texts or words", names="TeiPredict", answer="TeiPredictions"),
    _post("/rerank", rerank, "Texts by their scores", names="TeiRerank", answer="TeiRanks"),
    _post("/fill-mask", fill_mask, "Pieces for a mask", names="TeiFillMask", answer="TeiFillings"),
    _post("/tokenize", tokenize, "Tokens", names="TeiTokenize", answer="TeiTokens", fails=token_failure),
    _post("/decode", decode, "Texts of tokens", names="TeiDecode", answer="TeiTexts", fails=token_failure),
    _post("/", root, "What the model is for", names="TeiAny", answer="TeiAnyAnswer", arrays=True),
    Endpoint(
        path="/info",
        method="GET",
        handler=info,
        failure=failure,
        operation={"summary": "The model and the bounds on requests", "answer": "TeiInfo"},
    ),
)
