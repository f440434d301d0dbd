"""Metrics: what is counted, and how Prometheus reads it."""

import threading

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse

from berthub.serving import series
from berthub.serving.metrics import Computed, Metrics

_OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


def _values(metrics: Metrics) -> dict[str, float]:
    content, content_type = metrics.exposition()
    assert content_type == "text/plain; version=0.0.4; charset=utf-8"
    assert list(parse(content.decode()))
    # That parser gives every counter a name with `_total`.
    lines = [line.replace('"', "") for line in content.decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def test_a_request_and_its_batch() -> None:
    metrics = Metrics()
    metrics.request_started("/embed")
    assert _values(metrics)["berthub_requests_in_flight{route=/embed}"] == 1
    metrics.tokenized("m", 0.002, texts=3, tokens=30, lengths=[8, 9, 13])
    metrics.queue("m", texts=3, tokens=30)
    metrics.queue("other", texts=2, tokens=5)
    assert _values(metrics)["te_queue_size"] == 5
    metrics.waited("m", 0.003)
    metrics.shared("m", 1)
    metrics.batch_done("m", texts=2, tokens=30, padded_tokens=40, seconds=0.02)
    metrics.queue("m", texts=0, tokens=0)
    metrics.request_ended("/embed", "m", 200, 0.03, Computed("embed", texts=3, queue=0.003, inference=0.02))
    values = _values(metrics)
    for name, value in {
        "berthub_requests_in_flight{route=/embed}": 0,
        "berthub_requests_total{model=m,route=/embed,status=200}": 1,
        "berthub_request_seconds_bucket{le=0.025,model=m,route=/embed}": 0,
        "berthub_request_seconds_bucket{le=0.05,model=m,route=/embed}": 1,
        "berthub_request_seconds_sum{model=m,route=/embed}": 0.03,
        "berthub_tokenized_texts_total{model=m}": 3,
        "berthub_tokenized_tokens_total{model=m}": 30,
        "berthub_tokenization_seconds_count{model=m}": 1,
        "berthub_queue_seconds_sum{model=m}": 0.003,
        "berthub_queue_tokens{model=m}": 0,
        "berthub_queue_texts{model=other}": 2,
        "berthub_shared_texts_total{model=m}": 1,
        "berthub_computed_texts_total{model=m}": 2,
        "berthub_computed_tokens_total{model=m}": 30,
        "berthub_inference_seconds_count{model=m}": 1,
        "berthub_batch_texts_bucket{le=1.0,model=m}": 0,
        "berthub_batch_texts_bucket{le=2.0,model=m}": 1,
        "berthub_batch_tokens_sum{model=m}": 30,
        "berthub_batch_padding_ratio_sum{model=m}": 0.25,
        "te_request_count{method=batch}": 1,
        "te_request_success{method=batch}": 1,
        "te_request_duration_count": 1,
        "te_request_inference_duration_sum": 0.02,
        "te_embed_count": 3,
        "te_embed_success": 3,
        "te_embed_duration_count": 3,
        "te_embed_queue_duration_count": 3,
        "te_request_input_length_bucket{le=4.0}": 0,
        "te_request_input_length_bucket{le=8.0}": 1,
        "te_request_input_length_bucket{le=16.0}": 3,
        "te_request_input_length_sum": 30,
        "te_batch_next_size_sum": 2,
        "te_batch_next_tokens_sum": 30,
        "te_queue_size": 2,
    }.items():
        assert values[name] == pytest.approx(value), name


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, "validation"),
        (413, "batch_size"),
        (422, "tokenization"),
        (424, "inference"),
        (429, "overloaded"),
        (500, "inference"),
        (503, "unhealthy"),
    ],
)
def test_failures_have_the_words_of_text_embeddings_inference(status: int, error: str) -> None:
    metrics = Metrics()
    metrics.request_started("/predict")
    metrics.request_ended("/predict", "m", status, 0.1, Computed("predict", single=True, texts=1))
    values = _values(metrics)
    assert values[f"te_request_failure{{err={error}}}"] == 1
    assert values["te_request_count{method=single}"] == 1
    assert "te_request_success{method=single}" not in values
    assert (values["te_predict_count"], values["te_predict_success"]) == (1, 0)
    assert values["te_request_duration_count"] == 0


def test_dropped_texts_and_requests_without_a_model() -> None:
    metrics = Metrics()
    metrics.dropped("m", "deadline", 4)
    metrics.dropped("m", "disconnected", 1)
    metrics.request_started("/health")
    metrics.request_ended("/health", "", 404, 0.001)
    metrics.refused(431)
    values = _values(metrics)
    assert values["berthub_dropped_texts_total{model=m,reason=deadline}"] == 4
    assert values["te_request_failure{err=dropped}"] == 5
    assert values["berthub_refused_requests_total{status=431}"] == 1
    assert values["berthub_requests_total{model=,route=/health,status=404}"] == 1
    assert not any(name.startswith("te_request_count") for name in values)


def test_counters_have_the_names_that_dashboards_ask_for() -> None:
    content = Metrics().exposition()[0].decode()
    assert "# TYPE te_embed_count counter\nte_embed_count 0.0\n" in content
    assert "# TYPE te_request_count counter\n" in content
    assert "te_embed_count_total" not in content
    assert "_created" not in content
    for name in ("process_resident_memory_bytes", "python_info", "berthub_info"):
        assert f"\n{name}" in content


def test_openmetrics_where_it_is_asked_for() -> None:
    metrics = Metrics()
    metrics.request_started("/embed")
    metrics.request_ended("/embed", 'a "name"\n', 200, 0.1, Computed("embed", texts=1))
    content, content_type = metrics.exposition(_OPENMETRICS)
    assert content_type.startswith("application/openmetrics-text; version=1.0.0")
    families = {family.name: family for family in parse_openmetrics(content.decode())}
    assert families["te_request_count"].samples[0].value == 1
    assert families["berthub_requests"].samples[0].labels["model"] == 'a "name"\n'
    for odd in ("", "*/*", "application/openmetrics-text; version=nonsense", "\xff;q=,", "text/plain;version=1.0.0"):
        assert b"te_embed_count" in metrics.exposition(odd)[0]


def test_registries_are_apart() -> None:
    first, second = Metrics(), Metrics()
    first.shared("m", 1)
    assert b"berthub_shared_texts_total{" not in second.exposition()[0]


def test_label_values_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(series, "_MOST_SERIES", 3)
    metrics = Metrics()
    for number in range(10):
        metrics.request_started(f"/{number}")
        metrics.request_ended(f"/{number}", f"m{number}", 200, 0.1)
        metrics.queue(f"m{number}", 1, 1)
    values = _values(metrics)
    assert values["berthub_requests_total{model=other,route=other,status=other}"] == 7
    assert values["berthub_request_seconds_count{model=other,route=other}"] == 7
    assert values["berthub_requests_in_flight{route=other}"] == 0
    assert values["te_queue_size"] == 4


def test_threads_lose_no_update() -> None:
    metrics = Metrics()

    def work() -> None:
        for _ in range(2000):
            metrics.shared("m", 1)
            metrics.batch_done("m", 1, 1, 1, 0.0)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        metrics.exposition()
    values = _values(metrics)
    assert values["berthub_shared_texts_total{model=m}"] == values["berthub_inference_seconds_count{model=m}"] == 8000
