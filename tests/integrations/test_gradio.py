"""The page of examples/gradio_demo.py, asked on the loopback interface as its own page asks it."""

from pathlib import Path
from typing import Any

import pytest

import berthub as hub
from support.needs import needs

pytestmark = needs("gradio")

_EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "gradio_demo.py"


def test_the_example_answers(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bert = hub.load(models / "tf2_v4", engine="numpy")
    monkeypatch.setattr(hub, "load", lambda: bert)
    # Before the import, which would look for news.
    monkeypatch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
    names: dict[str, Any] = {"__name__": "gradio_demo"}
    exec(compile(_EXAMPLE.read_text(encoding="utf-8"), str(_EXAMPLE), "exec"), names)
    from gradio_client import Client

    _, address, _ = names["demo"].launch(prevent_thread_lock=True, server_name="127.0.0.1", quiet=True)
    try:
        client = Client(address, verbose=False)
        table = client.predict("the red fox", "a dog\n\nthe red fox\nit rained", api_name="/search")
        with pytest.raises(Exception, match="Enter some lines"):
            client.predict("the red fox", " ", api_name="/search")
    finally:
        names["demo"].close()
    assert table["headers"] == ["similarity", "text"]
    assert table["data"][0] == [1.0, "the red fox"]
    assert {text for _, text in table["data"]} == {"a dog", "the red fox", "it rained"}
    scores = [score for score, _ in table["data"]]
    assert scores == sorted(scores, reverse=True)
