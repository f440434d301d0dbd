"""Each system lives in a program of its own, with as many threads as it may have."""

import gc
import json
import time
import zlib
from pathlib import Path
from typing import Any, Self

from benchmarks.processes import Program, serve
from benchmarks.tokenization.systems import SYSTEMS, System, Vocabularies


class Worker:
    """A program with a loaded system; a context manager. Raises `UnavailableError` where it cannot be loaded."""

    def __init__(self, system: str, vocabularies: Vocabularies, *, cores: int) -> None:
        self.system = system
        self._program = Program("benchmarks.tokenization.worker", _environment(cores))
        pieces = vocabularies.sentencepiece
        paths = {"wordpiece": str(vocabularies.wordpiece), "sentencepiece": None if pieces is None else str(pieces)}
        self._program.load(system=system, vocabularies=paths)

    def read(self, path: Path) -> None:
        """Take the texts of a JSON file for the calls to come."""
        self._program.ask(do="read", path=str(path))

    def run(self, count: int) -> tuple[float, float]:
        """Tokenize the first `count` texts: seconds by the clock, and of the processor."""
        answer = self._program.ask(do="run", count=count)
        return answer["seconds"], answer["cpu_seconds"]

    def sums(self, count: int) -> list[int]:
        """A checksum of the ids of each of the first `count` texts."""
        return self._program.ask(do="sums", count=count)["sums"]  # type: ignore[no-any-return]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._program.close()


def _environment(cores: int) -> dict[str, str]:
    """What bounds the threads of the tokenizers library, TensorFlow and sentencepiece (which systems.py tells it)."""
    count = str(cores)
    return {
        "RAYON_NUM_THREADS": count,
        "TOKENIZERS_PARALLELISM": "true" if cores > 1 else "false",
        "OMP_NUM_THREADS": count,
        "TF_NUM_INTRAOP_THREADS": count,
        "TF_NUM_INTEROP_THREADS": count,
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "CUDA_VISIBLE_DEVICES": "",
    }


class _Server:
    """The other side of the pipe."""

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        match request["do"]:
            case "load":
                paths = {name: path and Path(path) for name, path in request["vocabularies"].items()}
                self._system: System = SYSTEMS[request["system"]]
                self._system.load(Vocabularies(**paths))
                return {}
            case "read":
                self._texts: list[str] = json.loads(Path(request["path"]).read_text(encoding="utf-8"))
                return {}
            case "run":
                return self._timed(self._texts[: request["count"]])
            case "sums":
                found = self._system.ids(self._texts[: request["count"]])
                return {"sums": [zlib.crc32(" ".join(map(str, ids)).encode()) for ids in found]}
        raise ValueError(f"unknown request {request['do']!r}")

    def _timed(self, texts: list[str]) -> dict[str, float]:
        gc.collect()
        start, cpu_start = time.perf_counter(), time.process_time()
        # Not kept: results are freed within the time, for all systems alike, as in a stream of calls.
        self._system.run(texts)
        return {"seconds": time.perf_counter() - start, "cpu_seconds": time.process_time() - cpu_start}


if __name__ == "__main__":
    serve(_Server().answer)
