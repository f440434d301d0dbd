"""The part of `berthub doctor --network`: whether the places that models are fetched from answer."""

import os
import subprocess
import sys
from collections.abc import Iterator

from berthub.cli.doctor_finding import Finding, ok, warning

__all__ = ["network_findings"]

_SECONDS = 20
_ADVICE = "Behind a proxy set HTTPS_PROXY; with certificates of your own REQUESTS_CA_BUNDLE and SSL_CERT_FILE"


def network_findings() -> Iterator[Finding]:
    """A finding for the package index, as pip is set up, for Hugging Face and for Kaggle."""
    from berthub.sources.resolve import offline_reason

    if reason := offline_reason(None):
        yield ok("network", f"not asked, since {reason} forbids fetching")
        return
    yield _index()
    for name, address in {
        "Hugging Face": os.environ.get("HF_ENDPOINT") or "https://huggingface.co",
        "Kaggle": "https://www.kaggle.com",
    }.items():
        yield _answer(name, address)


def _answer(name: str, address: str) -> Finding:
    import requests

    from berthub.sources.redaction import environment_secrets, redact

    try:
        status = requests.head(address, timeout=_SECONDS).status_code
    except requests.RequestException as failed:
        said = redact(f"{name} does not answer: {failed}", environment_secrets())
        return warning("network", said, f"{_ADVICE}. Models of {name} have to come from elsewhere, or from a folder")
    if status >= 500:
        return warning("network", f"{name} answers with status {status}", "Try again later")
    return ok("network", f"{name} answers")


def _index() -> Finding:
    from berthub.sources.names import DEFAULT_WHEEL
    from berthub.sources.redaction import environment_secrets, redact

    package = DEFAULT_WHEEL[0]
    # -P, for a file pip.py in the current folder would be run in place of pip.
    command = [sys.executable, "-P", "-m", "pip", "--disable-pip-version-check", "index", "versions", package]
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=_SECONDS, stdin=subprocess.DEVNULL)
        failed = "" if done.returncode == 0 else done.stderr.decode("utf-8", "replace").strip()
    except subprocess.TimeoutExpired:
        failed = f"no answer in {_SECONDS} seconds"
    else:
        if not failed:
            return ok("network", f"the package index has {package}, the default model")
    last = redact("\n".join(failed.splitlines()[-2:]), environment_secrets())
    return warning(
        "network", f"the package index does not give {package}: {last}", "See `pip config list`, and PIP_INDEX_URL"
    )
