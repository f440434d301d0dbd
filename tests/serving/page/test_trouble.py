"""What the page says when something goes wrong: errors, keys, slow answers, models that are not ready."""

from functools import partial
from typing import Any

import pytest

from support.needs import why_no_browser, why_skipped

if (reason := why_skipped("starlette", "uvicorn") or why_no_browser()) is not None:
    pytest.skip(reason, allow_module_level=True)

from support.page_server import MODELS, application, served
from support.tab import Tab

_ERRORS: list[tuple[dict[str, Any], str]] = [
    ({"status": 422, "json": {"error": "inputs[0] is none", "error_type": "Validation"}}, "inputs[0] is none"),
    ({"status": 413, "json": {"error": "At most 2 MB."}}, "more than the server takes at once. At most 2 MB."),
    (
        {"status": 429, "headers": {"Retry-After": "3"}, "json": {"error": "The queue is full."}},
        "The server has too much to do. Try again in 3 seconds. The queue is full.",
    ),
    ({"status": 503, "json": {"error": "It drains."}}, "The server is not ready. Try again soon. It drains."),
    ({"status": 504, "json": {"error": "5 s."}}, "The answer took too long. 5 s."),
    ({"status": 400, "json": {"error": {"message": "As OpenAI says it."}}}, "As OpenAI says it."),
    ({"status": 502, "body": "<html>Bad Gateway"}, "The server answers with the status 502."),
    ({"status": 200, "body": "<html>Sign in"}, "The answer is not JSON"),
    ({}, "The server does not answer. Is it still running?"),
]


def _answered(answer: dict[str, Any], route: Any) -> None:
    if answer:
        route.fulfill(**answer)
    else:
        route.abort()


def test_an_error_is_said_where_it_happens(tab: Tab, base: str) -> None:
    page = tab.load(base)
    for answer, words in _ERRORS:
        page.route("**/tokenize", partial(_answered, answer))
        page.locator("#tokens-text").fill(words)
        page.locator("#tokens").get_by_role("alert").get_by_text(words).wait_for()
        assert page.locator("#tokens .status").inner_text() == ""
        assert page.locator("#tokens .piece").count() == 0
        # Another try works.
        page.unroute("**/tokenize")
        page.locator("#tokens").get_by_role("button", name="Try again").click()
        page.locator("#tokens .piece").first.wait_for()
        assert page.locator("#tokens").get_by_role("alert").count() == 0
    tab.expect(*(f"status of {answer['status']}" for answer, _ in _ERRORS if answer.get("status", 0) > 200))
    tab.expect("net::ERR_FAILED")


def test_an_answer_of_another_shape_is_said(tab: Tab, base: str) -> None:
    tab.page.route("**/tokenize", lambda route: route.fulfill(json=[{"what": 1}]))
    page = tab.load(base)
    page.get_by_text("The page does not understand the server's answer.").wait_for()
    # Who looks into the console finds the reason.
    tab.expect("is not a function")


def test_the_key_is_asked_for_and_kept_in_memory_alone(tab: Tab) -> None:
    with served(application(key="sesame")) as base:
        page = tab.load(base)
        page.get_by_text("The server asks for an API key.").wait_for()
        # The field has the focus.
        page.keyboard.type("wrong")
        page.keyboard.press("Enter")
        page.get_by_text("The server does not know this API key.").wait_for()
        page.get_by_label("API key").fill("with a blank")
        page.keyboard.press("Enter")
        page.get_by_text("without blanks").wait_for()
        page.get_by_label("API key").fill("sesame")
        with page.expect_request("**/tokenize") as asked:
            page.get_by_role("button", name="Use this key").click()
        page.locator("#tokens .piece").first.wait_for()

        assert asked.value.headers["authorization"] == "Bearer sesame"
        code = page.locator("#tokens .calls").inner_text()
        assert '-H "Authorization: Bearer $BERTHUB_API_KEY"' in code
        page.get_by_role("tab", name="Similar texts").click()
        page.locator("#texts table").wait_for()
        assert 'api_key=os.environ["BERTHUB_API_KEY"]' in page.locator("#texts .calls").inner_text()
        assert "sesame" not in page.content() + page.url
        assert page.evaluate("[localStorage.length, sessionStorage.length, document.cookie]") == [0, 0, ""]
        page.reload()
        page.get_by_text("The server asks for an API key.").wait_for()
    tab.expect("status of 401")


def test_a_key_that_ends_is_asked_for_again(tab: Tab, base: str) -> None:
    page = tab.load(base)
    page.locator("#tokens .piece").first.wait_for()
    page.route("**/tokenize", lambda route: route.fulfill(status=401, json={"error": "no"}))
    page.locator("#tokens-text").fill("again")
    page.get_by_label("API key").wait_for()
    tab.expect("status of 401")


def test_a_slow_answer_is_waited_for_and_a_new_question_replaces_it(tab: Tab, base: str) -> None:
    page = tab.load(base)
    page.locator("#tokens .piece").first.wait_for()
    held = []
    page.route("**/tokenize", lambda route: held.append(route))
    page.locator("#tokens-text").fill("first")
    page.get_by_text("The model computes …").wait_for()
    assert page.locator("#tokens .result").get_attribute("aria-busy") == "true"
    with page.expect_event("requestfailed") as failed:
        page.locator("#tokens-text").fill("second")
    assert failed.value.post_data_json["inputs"] == ["first"]
    page.unroute("**/tokenize")
    page.locator("#tokens-text").fill("third")
    page.locator("#tokens .piece", has_text="third").wait_for()
    assert page.locator("#tokens .result").get_attribute("aria-busy") is None
    assert page.locator("#tokens .piece .text").all_inner_texts() == ["[CLS]", "third", "[SEP]"]


def test_typing_asks_once_it_pauses(tab: Tab, base: str) -> None:
    page = tab.load(base)
    page.locator("#tokens .piece").first.wait_for()
    asked = []
    page.route("**/tokenize", lambda route: asked.append(route.request.post_data_json["inputs"]) or route.continue_())
    page.locator("#tokens-text").fill("")
    page.get_by_text("Type a text to see its tokens.").wait_for()
    page.locator("#tokens-text").press_sequentially("all at once")
    page.locator("#tokens .piece", has_text="once").wait_for()
    assert asked[-1] == ["all at once"]
    assert len(asked) < len("all at once")


def _with_state(state: str) -> dict[str, Any]:
    first = {"name": "sentences", "handle": "there", "state": state, "default": True}
    return {"models": [first if state != "ready" else MODELS[0], *MODELS[1:]], "version": "0.1.0"}


def test_a_model_that_loads_is_waited_for(tab: Tab, base: str) -> None:
    states = iter(["loading"])
    tab.page.route("**/models.json", lambda route: route.fulfill(json=_with_state(next(states, "ready"))))
    page = tab.load(base)
    page.get_by_text("sentences is loading …").wait_for()
    assert page.locator("#tokens .result > *").count() == 0
    page.locator("#tokens .piece").first.wait_for()
    assert page.get_by_text("sentences is loading …").count() == 0


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("failed", "sentences could not be loaded. The server's log says why."),
        ("unloaded", "sentences is not loaded."),
    ],
)
def test_a_model_that_is_not_there_leaves_the_others(tab: Tab, base: str, state: str, words: str) -> None:
    tab.page.route("**/models.json", lambda route: route.fulfill(json=_with_state(state)))
    page = tab.load(base)
    page.get_by_text(words).wait_for()
    page.select_option("#model", "masked")
    page.locator("#tokens .piece").first.wait_for()
    assert page.get_by_text(words).count() == 0


def test_vectors_that_are_not_computed_are_not_offered(tab: Tab, base: str) -> None:
    model = {**MODELS[0], "pooling": None, "normalize": False}
    tab.page.route("**/models.json", lambda route: route.fulfill(json={"models": [model], "version": "0.1.0"}))
    page = tab.load(base)
    page.get_by_text("as its files define it, which is not computed").wait_for()
    assert page.get_by_role("tab").all_inner_texts() == ["Tokens", "Words in context"]


def test_one_model_needs_no_choice(tab: Tab, base: str) -> None:
    tab.page.route("**/models.json", lambda route: route.fulfill(json={"models": MODELS[:1], "version": "0.1.0"}))
    page = tab.load(base)
    page.get_by_role("heading", name="sentences", level=1).wait_for()
    assert (
        page.get_by_label("Model", exact=True).count() == 0 or not page.get_by_label("Model", exact=True).is_visible()
    )


def test_a_server_that_has_gone_is_said(tab: Tab, base: str) -> None:
    tab.page.route("**/models.json", lambda route: route.abort())
    page = tab.load(base)
    page.get_by_text("The server does not answer. Is it still running?").wait_for()
    tab.expect("net::ERR_FAILED")
    page.unroute("**/models.json")
    page.get_by_role("button", name="Try again").click()
    page.locator("#tokens .piece").first.wait_for()
