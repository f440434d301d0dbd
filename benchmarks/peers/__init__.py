"""The systems that are measured, in the order of the table. A peer's library is imported when it is loaded."""

from benchmarks.peers.berthub import Berthub
from benchmarks.peers.berthub_engine import BerthubEngine
from benchmarks.peers.fastembed import FastEmbed
from benchmarks.peers.keras_hub import KerasHub
from benchmarks.peers.onnxruntime import OnnxRuntime
from benchmarks.peers.openvino import OpenVinoLoop
from benchmarks.peers.peer import OUTPUTS, Output, Peer
from benchmarks.peers.sentence_transformers import SentenceTransformers
from benchmarks.peers.tensorflow import TensorFlowHub
from benchmarks.peers.torch import Transformers

__all__ = ["OUTPUTS", "PEERS", "Output", "Peer"]

PEERS: tuple[Peer, ...] = (
    TensorFlowHub(padded=True),
    TensorFlowHub(padded=False),
    Transformers(precision="float32"),
    Transformers(precision="bfloat16"),
    OnnxRuntime(),
    OpenVinoLoop(precision="float32"),
    OpenVinoLoop(precision="bfloat16"),
    SentenceTransformers(backend="torch"),
    SentenceTransformers(backend="onnx"),
    SentenceTransformers(backend="openvino"),
    KerasHub(backend="torch"),
    KerasHub(backend="tensorflow"),
    FastEmbed(),
    Berthub(precision="auto", saved_model=True),
    Berthub(precision="float32"),
    Berthub(precision="auto"),
    Berthub(precision="int8"),
    BerthubEngine(precision="auto"),
    BerthubEngine(precision="int8"),
)
