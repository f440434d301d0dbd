"""The page in a real browser: each function by mouse and by keyboard, on a desk and on a phone, light and dark."""

import ast
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support.needs import why_no_browser, why_skipped

if (reason := why_skipped("starlette", "uvicorn") or why_no_browser()) is not None:
    pytest.skip(reason, allow_module_level=True)

from support.page_server import MOST, application, served, token_vectors, tokens
from support.tab import Tab

CHECKS = (Path(__file__).parent / "checks.js").read_text(encoding="utf-8")
_SIZES = {"desk": {"width": 1280, "height": 800}, "phone": {"width": 360, "height": 740}}
_FUNCTIONS = [
    ("sentences", "tokens"), ("sentences", "texts"), ("sentences", "pair"), ("masked", "mask"),
    ("classify", "labels"), ("multi_label", "labels"), ("regress", "labels"), ("tag", "labels"),
]  # fmt: skip


@pytest.fixture
def page(tab: Tab, base: str) -> Any:
    """The page at its first function. It is not loaded anew for each test: that takes longer than most of them."""
    if tab.base != base:
        return tab.load(base)
    tab.page.select_option("#model", "sentences")
    tab.page.click("#tab-tokens")
    return tab.page


def _said(page: Any, function: str, words: str) -> Any:
    """The result of a function, once its sentence has these words."""
    page.locator(f"#{function} .status", has_text=words).wait_for()
    return page.locator(f"#{function} .result")


def _rows(table: Any) -> list[list[str]]:
    return [row.locator("td").all_inner_texts() for row in table.locator("tbody tr").all()]


def _matrix(one: np.ndarray, other: np.ndarray) -> list[list[str]]:
    one, other = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (one, other))
    return [[f"{value:.2f}".replace("-0.00", "0.00").replace("-", "\u2212") for value in row] for row in one @ other.T]


@pytest.mark.parametrize("size", _SIZES)
def test_every_function_shows_an_answer_at_once_and_everyone_can_read_it(tab: Tab, base: str, size: str) -> None:
    tab.page.set_viewport_size(_SIZES[size])
    page = tab.load(base)
    curl = []
    for model, function in _FUNCTIONS:
        page.select_option("#model", model)
        page.click(f"#tab-{function}")
        page.locator(f"#{function} .result > *").first.wait_for()
        for details in page.locator("details:visible > summary").all():
            details.click()
        for scheme, background in (("light", "rgb(251, 250, 246)"), ("dark", "rgb(23, 24, 25)")):
            page.emulate_media(color_scheme=scheme)
            assert page.evaluate(CHECKS) == []
            assert page.evaluate("getComputedStyle(document.body).backgroundColor") == background
        # The same for other programs.
        command, *programs = page.locator(f"#{function} .calls code").all_text_contents()
        curl.append(command)
        assert programs
        for program in programs:
            ast.parse(program)
    subprocess.run(["/bin/sh", "-n", "-c", "\n".join(curl)], check=True)


def test_errors_and_the_key_can_be_read_too(tab: Tab) -> None:
    def everyone_can_read_it() -> None:
        for size in _SIZES.values():
            for scheme in ("light", "dark"):
                page.set_viewport_size(size)
                page.emulate_media(color_scheme=scheme)
                assert page.evaluate(CHECKS) == []

    with served(application(key="sesame")) as base:
        page = tab.load(base)
        page.get_by_label("API key").fill("wrong")
        page.keyboard.press("Enter")
        page.get_by_text("The server does not know this API key.").wait_for()
        everyone_can_read_it()
        page.route("**/tokenize", lambda route: route.fulfill(status=422, json={"error": "no " * 200}))
        page.get_by_label("API key").fill("sesame")
        page.keyboard.press("Enter")
        page.get_by_role("button", name="Try again").wait_for()
        everyone_can_read_it()
    tab.expect("status of 401", "status of 422")


def test_tokens_have_their_ids_and_characters(page: Any) -> None:
    text = "Photosynthesis 🙂 é <b>\nend"
    page.get_by_role("textbox", name="Text", exact=True).fill(text)
    wanted = tokens(text)
    result = _said(page, "tokens", f"{len(wanted)} tokens")
    # The text before may have had as many tokens.
    result.locator(".piece .text", has_text="##synth").first.wait_for()
    assert result.locator(".piece .text").all_inner_texts() == [token["piece"] for token in wanted]
    assert result.locator(".piece .id").all_text_contents() == [f"id {token['id']}" for token in wanted]
    places = [f"characters {token['start']}–{token['stop']}" for token in wanted if not token["special"]]
    assert result.locator(".piece:not(.special) .place").all_text_contents() == places
    assert result.locator(".piece.special .text").all_inner_texts() == ["[CLS]", "[SEP]"]
    assert result.locator(".piece.unknown").count() == 1
    assert "1 word is not in its vocabulary" in page.locator("#tokens .status").inner_text()
    # The pieces of a word look as one.
    assert result.locator(".piece.joined .text").all_inner_texts() == ["##synth", "##esis"]

    page.get_by_text("The tokens as a table").click()
    # It is made when it is opened, a moment later.
    result.locator("table tbody tr").nth(len(wanted) - 1).wait_for()
    table = result.locator("table tbody tr").all_inner_texts()
    assert len(table) == len(wanted)
    assert "15–16" in table[4]
    assert table[4].endswith("🙂")


@pytest.mark.parametrize(
    ("pieces", "words"),
    [
        # WordPiece marks what continues a word, SentencePiece and byte pairs what begins one.
        ([("[CLS]", None), ("to", (0, 2)), ("##ken", (2, 5)), (".", (5, 6)), ("[SEP]", None)], [-1, 0, 0, 1, -1]),
        ([("[CLS]", None), ("▁to", (0, 2)), ("ken", (2, 5)), ("▁", (6, 6)), ("東", (6, 7))], [-1, 0, 0, 1, 1]),
        (
            [("<s>", None), ("a", (0, 1)), ("Ġ", (2, 2)), ("æ", (2, 3)), ("Ŀ", (2, 3)), ("Ġb", (4, 5))],
            [-1, 0, 1, 1, 1, 2],
        ),
    ],
)
def test_pieces_of_one_word_are_told(
    page: Any, pieces: list[tuple[str, tuple[int, int] | None]], words: list[int]
) -> None:
    listed = [
        {"piece": piece, "special": place is None, "start": place and place[0], "stop": place and place[1]}
        for piece, place in pieces
    ]
    assert page.evaluate('async (tokens) => (await import("/web/pieces.js")).words(tokens)', listed) == words


def test_truncation_is_said_and_seen(page: Any) -> None:
    text = "word " * MOST
    page.get_by_role("textbox", name="Text", exact=True).fill(text)
    result = _said(page, "tokens", f"{MOST + 2} tokens. Truncated: the model reads {MOST} of them, 2 are left out.")
    dropped = [
        index for index, item in enumerate(result.locator(".piece").all()) if "dropped" in item.get_attribute("class")
    ]
    assert dropped == [MOST - 1, MOST]
    assert result.locator(".piece").last.inner_text().startswith("[SEP]")


def test_many_tokens_are_not_all_drawn(page: Any) -> None:
    page.get_by_role("textbox", name="Text", exact=True).fill("word " * 3000)
    result = _said(page, "tokens", "3,002 tokens")
    assert result.locator(".piece").count() == MOST + 50
    assert f"The first {MOST + 50} of them are shown." in result.inner_text()


def test_a_text_is_never_markup(page: Any) -> None:
    evil = '<img src="x" onerror="document.title=\'no\'"><script>document.title="no"</script>'
    for function, label in (("tokens", "Text"), ("texts", "Texts, one a line")):
        page.click(f"#tab-{function}")
        page.get_by_role("textbox", name=label, exact=True).fill(f"{evil}\n{evil} again")
        page.locator(f"#{function} .result", has_text="img").wait_for()
        assert page.locator("main img, main script").count() == 0
    assert page.title() == "sentences – berthub"


def test_similar_texts_are_a_table_of_cosines(page: Any) -> None:
    page.get_by_role("tab", name="Similar texts").click()
    lines = ["One cat sleeps.", "Two cats sleep.", "Rates rise <i>again</i>."]
    page.get_by_label("Texts, one a line").fill("\n".join([*lines[:2], "  ", lines[2]]))
    result = _said(page, "texts", "Most alike: texts")
    result.locator("tbody th", has_text="Rates rise <i>again</i>.").wait_for()
    means = np.array([token_vectors(line)[1:-1].mean(0) for line in lines])
    assert _rows(result.locator("table")) == _matrix(means, means)
    table = page.get_by_role("table", name="Similarity of each text with each other")
    assert table.get_by_role("rowheader").all_text_contents() == [f"{at} {line}" for at, line in enumerate(lines, 1)]
    assert table.get_by_role("columnheader").count() == 3
    assert page.get_by_role("img", name="The 16 numbers of text 3, as colours").count() == 1
    # The colour of a cell is that of its value, and the diagonal has none.
    shares = result.locator("tbody td").evaluate_all(
        "cells => cells.map(cell => cell.style.getPropertyValue('--share'))"
    )
    assert [share for share in shares if share == ""] == [""] * 3
    assert {"0%", "100%"} <= set(shares)


def test_too_few_and_too_many_texts_are_said(page: Any) -> None:
    page.get_by_role("tab", name="Similar texts").click()
    field = page.get_by_label("Texts, one a line")
    field.fill("one")
    _said(page, "texts", "Type two texts or more, each on a line of its own.")
    field.fill("line\n" * 25)
    _said(page, "texts", "These are 25 texts. The heat map takes 24 at most.")


def test_tokens_of_two_texts_are_compared(page: Any) -> None:
    page.get_by_role("tab", name="Words in context").click()
    both = ["The river bank.", "My bank "]
    page.get_by_label("First text, down").fill(both[0])
    page.get_by_label("Second text, across").fill(both[1])
    result = _said(page, "pair", "The same piece in both: “bank”")
    first, second = (token_vectors(text) for text in both)
    assert _rows(result.locator("table")) == _matrix(first[1:-1], second[1:-1])
    assert result.locator("thead th").all_text_contents() == ["my", "bank"]
    page.get_by_label("Special tokens, too").focus()
    page.keyboard.press("Space")
    result.locator("thead th", has_text="[SEP]").wait_for()
    assert _rows(result.locator("table")) == _matrix(first, second)


def test_tokens_beyond_the_limit_are_not_compared(page: Any) -> None:
    page.get_by_role("tab", name="Words in context").click()
    page.get_by_label("Special tokens, too").set_checked(False)
    page.get_by_label("First text, down").fill("word " * 2 * MOST)
    result = page.locator("#pair .result")
    result.locator("tbody tr").nth(MOST - 3).wait_for()
    assert result.locator("tbody tr").count() == MOST - 2
    assert result.locator("tbody th").last.inner_text() == "word"
    _said(page, "pair", f"Truncated: of text 1 the model reads {MOST} tokens.")


def test_the_missing_word(page: Any) -> None:
    page.select_option("#model", "masked")
    page.get_by_role("tab", name="Missing word").click()
    result = _said(page, "mask", "Likeliest: capital (99.5%).")
    assert result.locator(".filled").inner_text() == "Paris is the capital of France."
    assert result.locator("tbody td").all_inner_texts()[:2] == ["99.5%", "0.1%"]
    field = page.get_by_label("Text with a missing word")
    field.fill("No mask in it")
    _said(page, "mask", "The model fills one [MASK]. Put it where a word is missing.")
    field.press("Home")
    page.get_by_role("button", name="Insert [MASK]").focus()
    page.keyboard.press("Enter")
    _said(page, "mask", "Likeliest: capital")
    assert field.input_value() == "[MASK]No mask in it"
    page.keyboard.type("[MASK]")
    _said(page, "mask", "There are 2 of them: leave one.")


def test_labels_with_probabilities(page: Any) -> None:
    page.select_option("#model", "classify")
    page.get_by_role("tab", name="Label").click()
    result = _said(page, "labels", "Likeliest: positive (91.0%).")
    assert result.locator("tbody tr").all_text_contents() == ["positive91.0%", "neutral9.0%", "negative< 0.1%"]
    page.select_option("#model", "multi_label")
    result = _said(page, "labels", "With 50% or more: science, history.")
    assert result.locator("tr.chosen th").all_inner_texts() == ["science", "history"]
    page.select_option("#model", "regress")
    result = _said(page, "labels", "The model gives \u22123.142.")


def test_tagged_words_are_highlighted(page: Any) -> None:
    page.select_option("#model", "tag")
    page.get_by_role("tab", name="Tagged words").click()
    page.get_by_role("textbox", name="Text", exact=True).fill("🙂 Angela Merkel, Angela Merkel\nin Hamburg Leipzig")
    result = _said(page, "labels", "4 parts tagged: PER, LOC.")
    marks = [mark.split() for mark in result.locator("mark").all_text_contents()]
    assert marks == [
        ["Angela", "PER", "98.0%"], ["Angela", "Merkel", "PER", "98.0%"],
        ["Hamburg", "LOC", "98.0%"], ["Leipzig", "LOC", "98.0%"],
    ]  # fmt: skip
    assert result.locator(".tagged").text_content().startswith("🙂 Angela\u00a0PER 98.0% Merkel, Angela")
    page.get_by_role("textbox", name="Text", exact=True).fill("nobody " * MOST)
    _said(page, "labels", f"No word is tagged. Truncated: of the text the model reads {MOST} tokens.")


def test_only_what_a_model_can_do_is_offered(page: Any) -> None:
    common = ["Tokens", "Similar texts", "Words in context"]
    assert page.get_by_role("tab").all_inner_texts() == common
    page.select_option("#model", "masked")
    assert page.get_by_role("tab").all_inner_texts() == [*common, "Missing word"]
    page.get_by_role("tab", name="Missing word").click()
    page.select_option("#model", "tag")
    assert page.get_by_role("tab").all_inner_texts() == [*common, "Tagged words"]
    # The one that was open is not there any more.
    assert page.get_by_role("tab", selected=True).inner_text() == "Tokens"
    assert page.get_by_role("tabpanel").count() == 1


def test_everything_can_be_done_by_keyboard(tab: Tab, base: str) -> None:
    page = tab.load(base)
    page.locator("#tokens .piece").first.wait_for()

    def focused() -> str:
        return str(page.evaluate("document.activeElement.id || document.activeElement.textContent"))

    def tab_to(wanted: str) -> None:
        for _ in range(30):
            page.keyboard.press("Tab")
            if focused() == wanted:
                outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
                assert outline == "solid", f"the focus on {wanted} is not seen"
                return
        raise AssertionError(f"the Tab key does not come to {wanted}")

    page.keyboard.press("Tab")
    assert focused() == "Skip to the functions"
    page.keyboard.press("Enter")
    assert focused() == "main"
    tab_to("tab-tokens")
    page.keyboard.press("ArrowRight")
    assert focused() == "tab-texts"
    page.keyboard.press("End")
    assert focused() == "tab-pair"
    page.keyboard.press("ArrowRight")
    assert focused() == "tab-tokens"
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Home")
    assert focused() == "tab-tokens"
    page.keyboard.press("ArrowRight")
    page.locator("#texts:visible").wait_for()
    # One of the tabs is in the order, then come the fields, the examples, the heat map, and the code.
    page.keyboard.press("Tab")
    assert focused() == "texts-text"
    page.keyboard.press("ControlOrMeta+A")
    page.keyboard.type("a cat\na cat\na dog")
    _said(page, "texts", "Most alike: texts 1 and 2 (1.00)")
    tab_to("Negation")
    page.keyboard.press("Space")
    page.locator("#texts tbody th", has_text="The film was not good.").wait_for()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "scrolls"
    tab_to("Copy")
    page.keyboard.press("Shift+Tab")
    for _ in range(30):
        if focused() == "model":
            break
        page.keyboard.press("Shift+Tab")
    page.keyboard.type("cla")
    page.get_by_role("tab", name="Label").wait_for()


def test_the_address_keeps_the_function(tab: Tab, base: str) -> None:
    page = tab.load(base, "#pair")
    page.locator("#pair table").wait_for()
    page.get_by_role("tab", name="Similar texts").click()
    page.wait_for_url("**/*#texts")
    # What this model cannot do.
    page = tab.load(base, "#mask")
    page.locator("#tokens .piece").first.wait_for()


def test_motion_is_for_those_who_want_it(page: Any) -> None:
    duration = "getComputedStyle(document.querySelector('#tokens .result')).transitionDuration"
    assert page.evaluate(duration) == "0s"
    page.emulate_media(reduced_motion="no-preference")
    assert page.evaluate(duration) == "0.15s"
