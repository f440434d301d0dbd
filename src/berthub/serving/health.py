"""What operators and the page ask: whether the server lives, is ready, how it does, and which models there are."""

from collections.abc import Mapping
from typing import Any

from berthub.serving.answers import Answer, json_answer
from berthub.serving.call import Call
from berthub.serving.endpoint import Endpoint
from berthub.serving.failures import RequestError, UnavailableError
from berthub.serving.models import Model
from berthub.version import __version__

__all__ = ["ENDPOINTS"]


async def live(call: Call) -> Answer:
    """The process lives."""
    return json_answer({"live": True})


async def ready(call: Call) -> Answer:
    """All models are loaded, and the server is not about to stop; else 503."""
    state = call.state
    if state.ready:
        return json_answer({"ready": True})
    if state.draining:
        raise UnavailableError("the server is about to stop", retry_after=1)
    waiting = [model.name for model in state.models if model.service is None]
    raise UnavailableError(f"not all models are loaded: {', '.join(waiting)}", retry_after=1)


async def metrics(call: Call) -> Answer:
    """The metrics, in Prometheus' text format or in OpenMetrics."""
    state = call.state
    for model in state.models:
        if model.service is not None:
            batcher = model.service.batcher
            state.metrics.queue(model.name, batcher.texts, batcher.tokens)
    content, media_type = state.metrics.exposition(call.headers.get("accept", ""))
    return Answer(content, media_type)


async def models(call: Call) -> Answer:
    """All about the models, for the page."""
    default = call.state.models.default
    return json_answer(
        {"models": [_about(model, default=model is default) for model in call.state.models], "version": __version__}
    )


def _about(model: Model, *, default: bool) -> Mapping[str, Any]:
    about: dict[str, Any] = {
        "name": model.name,
        "handle": model.source.handle,
        "state": model.state,
        "default": default,
    }
    if model.service is None:
        return about
    encoder = model.service.encoder
    config, head, embedding = encoder.config, encoder.head, encoder.checkpoint.embedding
    chosen = None if embedding.unsupported else embedding.chosen()
    return {
        **about,
        "architecture": config.architecture,
        "hidden_size": config.hidden_size,
        "num_layers": config.num_layers,
        "max_length": encoder.max_length,
        "vocabulary_size": len(encoder.vocabulary),
        "task": None if head is None else head.task,
        "labels": [] if head is None else list(head.labels),
        "mask": encoder.vocabulary.mask if config.mlm else None,
        "pooling": None if chosen is None else "+".join(chosen.poolings),
        "normalize": chosen is not None and chosen.normalize,
        "dimensions": None if chosen is None else chosen.width(config.hidden_size),
        "prompts": list(embedding.prompts),
        "precision": encoder.precision,
        "engine": encoder.stages.engine.name,
        "case": "lower" if encoder.tokenizer.lower_case else "cased",
    }


def _unhealthy(error: RequestError) -> Any:
    """The body as text-embeddings-inference has it."""
    return {"error": str(error), "error_type": "Unhealthy"}


def _get(path: str, handler: Any, summary: str, *, open: bool = True, **more: Any) -> Endpoint:
    return Endpoint(
        path=path, method="GET", handler=handler, open=open, always=True, operation={"summary": summary}, **more
    )


ENDPOINTS = (
    _get("/health", ready, "Whether requests are taken (text-embeddings-inference)", failure=_unhealthy),
    _get("/v2/health/live", live, "Whether the process lives (KServe)"),
    _get("/v2/health/ready", ready, "Whether requests are taken (KServe)"),
    _get("/metrics", metrics, "Metrics in Prometheus' format"),
    _get("/models.json", models, "The models, for the page", open=False),
)
