"""Each peer lives in a program of its own, so that no library's threads or settings disturb another's."""

import gc
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from benchmarks.batches import Floats
from benchmarks.models import Model
from benchmarks.peers import PEERS, Output, Peer
from benchmarks.processes import Program, UnavailableError, peak_mebibytes, serve

_ENVIRONMENT = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}


@dataclass(frozen=True)
class Run:
    """One timed call: wall-clock seconds, and processor seconds of the process."""

    seconds: float
    cpu_seconds: float


class Worker:
    """A loaded peer; a context manager. Raises `UnavailableError` where it cannot be loaded.

    `arithmetic` is what it computes in. `optimum` is the python of the environment that holds optimum.
    """

    def __init__(self, peer: Peer, model: Model, *, optimum: Path | None = None) -> None:
        if peer.optimum and optimum is None:
            raise UnavailableError("--optimum-python was not given (optimum asks for older transformers than the rest)")
        self.peer = peer
        self._program = Program(
            "benchmarks.worker",
            {**_ENVIRONMENT, **peer.environment},
            interpreter=optimum if peer.optimum else None,
        )
        saved_model = model.saved_model and str(model.saved_model)
        fields = {"name": model.name, "reason": model.reason, "saved_model": saved_model}
        paths = {"huggingface": str(model.huggingface), "exports": str(model.exports)}
        self.arithmetic: str = self._program.load(peer=PEERS.index(peer), model={**fields, **paths})["arithmetic"]

    @property
    def precision(self) -> str:
        """As the table shows it."""
        asked = self.peer.precision
        return f"auto ({self.arithmetic})" if asked == "auto" else asked

    def run(self, texts: Sequence[str], output: Output) -> Run:
        return Run(**self._program.ask(do="run", texts=list(texts), output=output))

    def singles(self, texts: Sequence[str], output: Output) -> list[float]:
        """Seconds of a call for each text alone."""
        return self._program.ask(do="singles", texts=list(texts), output=output)["seconds"]  # type: ignore[no-any-return]

    def vectors(self, texts: Sequence[str], output: Output) -> Floats | None:
        """What a call gives; None where the peer keeps nothing."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "vectors.npy"
            self._program.ask(do="vectors", texts=list(texts), output=output, path=str(path))
            return np.load(path) if path.exists() else None

    def peak_mebibytes(self) -> float:
        return self._program.ask(do="memory")["mebibytes"]  # type: ignore[no-any-return]

    def close(self) -> None:
        self._program.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Server:
    """The other side of the pipe."""

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        match request["do"]:
            case "load":
                return self._load(request)
            case "run":
                return self._timed(request["texts"], request["output"])
            case "singles":
                runs = [self._timed([text], request["output"]) for text in request["texts"]]
                return {"seconds": [run["seconds"] for run in runs]}
            case "vectors":
                vectors = self._peer.encode(request["texts"], request["output"])
                if vectors is not None:
                    np.save(request["path"], vectors)
                return {}
            case "memory":
                return {"mebibytes": peak_mebibytes()}
        raise ValueError(f"unknown request {request['do']!r}")

    def _load(self, request: dict[str, Any]) -> dict[str, Any]:
        given = request["model"]
        paths = {name: given[name] and Path(given[name]) for name in ("huggingface", "exports", "saved_model")}
        self._peer = PEERS[request["peer"]]
        return {"arithmetic": self._peer.load(Model(**{**given, **paths}))}

    def _timed(self, texts: list[str], output: Output) -> dict[str, float]:
        if len(texts) > 1:
            gc.collect()
        start, cpu_start = time.perf_counter(), time.process_time()
        self._peer.encode(texts, output)
        return {"seconds": time.perf_counter() - start, "cpu_seconds": time.process_time() - cpu_start}


if __name__ == "__main__":
    serve(_Server().answer)
