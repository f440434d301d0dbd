"""A page that searches lines of text by their meaning: pip install berthub gradio, then python gradio_demo.py."""

import berthub as hub
import gradio as gr

bert = hub.load()

LINES = """The food was cold, and the waiter was rude.
The room had a view of the sea.
Our train was an hour late."""


def search(query: str, lines: str) -> list[list[object]]:
    """The lines with their similarity to the query, the most similar first."""
    texts = [line for line in lines.splitlines() if line.strip()]
    if not texts:
        raise gr.Error("Enter some lines of text to search in.")
    scores = bert.similarity(bert.encode_query([query]), bert.encode_document(texts))[0]
    return [[round(float(scores[place]), 3), texts[place]] for place in (-scores).argsort()]


demo = gr.Interface(
    search,
    inputs=[gr.Textbox("a hotel by the beach", label="Query"), gr.Textbox(LINES, label="Lines of text", lines=8)],
    outputs=gr.Dataframe(headers=["similarity", "text"], datatype=["number", "str"]),
    title="Search by meaning",
    flagging_mode="never",
)

if __name__ == "__main__":
    demo.launch()
