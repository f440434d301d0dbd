"""Models in forked processes, and in several threads: nothing hangs, and the numbers are the same."""

import multiprocessing
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import berthub as hub
from berthub.engines.openvino import engine as openvino_engine
from berthub.engines.openvino.forking import Gate

_SCRIPT = Path(__file__).parent.parent / "support" / "forks.py"
STATES = ("one text", "many batches", "another thread", "never used", "two models", "one was deleted")

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")


@pytest.mark.slow
@forks
@pytest.mark.parametrize("way", ["fork", "pool", "server"])
@pytest.mark.parametrize("state", STATES)
def test_a_forked_process_encodes(state: str, way: str, models: Path) -> None:
    command = [sys.executable, "-W", "ignore", str(_SCRIPT), state, way, str(models / "hf_bert")]
    done = subprocess.run(
        [*command, str(models / "albert_v3")], capture_output=True, text=True, timeout=250, check=False
    )
    assert done.stdout.strip() == "right", done.stdout + done.stderr


@forks
def test_tokenizers_that_may_use_threads_work_in_a_forked_process(models: Path) -> None:
    code = """
import faulthandler, os, sys
from berthub import Tokenizer
tokenizer = Tokenizer(sys.argv[1])
texts = [f"hello {number}" for number in range(3000)]
expected = tokenizer.tokens(texts).ids
child = os.fork()
if not child:
    faulthandler.dump_traceback_later(60, exit=True)
    os._exit(0 if (tokenizer.tokens(texts).ids == expected).all() else 3)
print(os.waitpid(child, 0)[1])
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, str(models / "hf_bert" / "vocab.txt")],
        env={**os.environ, "TOKENIZERS_PARALLELISM": "true"},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stdout.strip() == "0", done.stderr


def test_a_fork_waits_for_who_is_inside_and_keeps_others_out() -> None:
    gate = Gate()
    entered, leave, forked = threading.Event(), threading.Event(), threading.Event()

    def inside() -> None:
        with gate.inside():
            entered.set()
            leave.wait()
            # Within itself it may be entered while a fork waits.
            with gate.inside():
                pass

    def fork() -> None:
        gate.before_fork()
        forked.set()
        gate.after_fork_in_parent()

    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(inside)
        entered.wait()
        fork_done = pool.submit(fork)
        while not gate.wanted:
            pass
        assert not forked.is_set()
        leave.set()
        first.result(), fork_done.result()
    with gate.inside():
        assert not gate.wanted


def test_a_child_of_a_process_in_the_middle_of_a_call_gets_an_error() -> None:
    gate = Gate()
    with gate.inside():
        gate.before_fork()
        gate.after_fork_in_child()
    with pytest.raises(hub.BerthubError, match="spawn"), gate.inside():
        pass


def test_threads_that_need_a_graph_at_once_compile_it_once(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = hub.load(models / "hf_bert")
    texts = [f"hello world {number}" for number in range(16)]
    expected = hub.load(models / "hf_bert", engine="numpy").embed(texts)
    compiled = []
    graph = openvino_engine._graph
    monkeypatch.setattr(openvino_engine, "_graph", lambda *given: compiled.append(1) or graph(*given))
    together = threading.Barrier(16)

    def first_use(text: str) -> np.ndarray:
        together.wait()
        return encoder.embed(text)

    with ThreadPoolExecutor(16) as pool:
        found = np.concatenate([*pool.map(first_use, texts)])
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert len(compiled) == 1


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_an_encoder_goes_to_another_process(method: str, models: Path) -> None:
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"there is no {method} here")
    encoder = hub.load(models / "hf_bert")
    texts = ["hello world", "a b c"]
    with multiprocessing.get_context(method).Pool(1) as pool:
        found = pool.apply_async(encoder.embed, (texts,)).get(120)
    np.testing.assert_allclose(found, encoder.embed(texts), atol=1e-6)
