"""The systems that are measured, in the order of the table. A peer's library is imported when it is loaded."""

from benchmarks.peers.berthub import Berthub
from benchmarks.peers.onnxruntime import OnnxRuntime
from benchmarks.peers.openvino import OpenVinoLoop
from benchmarks.peers.peer import Peer, UnavailableError
from benchmarks.peers.sentence_transformers import SentenceTransformers
from benchmarks.peers.tensorflow import TensorFlowHub
from benchmarks.peers.torch import Transformers

__all__ = ["PEERS", "Peer", "UnavailableError"]

PEERS: tuple[Peer, ...] = (
    TensorFlowHub(padded=True),
    TensorFlowHub(padded=False),
    Transformers(precision="float32"),
    Transformers(precision="bfloat16"),
    OnnxRuntime(),
    OpenVinoLoop(precision="float32"),
    OpenVinoLoop(precision="bfloat16"),
    SentenceTransformers(backend="torch"),
    SentenceTransformers(backend="openvino"),
    Berthub(precision="float32"),
    Berthub(precision="auto"),
    Berthub(precision="auto", saved_model=True),
)
