"""An S3 server on the loopback interface, for the tests that read and write object stores."""

from collections.abc import Iterator
from typing import Any

import pytest

from support.needs import why_skipped

__all__ = ["S3_BUCKET", "s3", "s3_server"]

S3_BUCKET = "texts"


@pytest.fixture(scope="module")
def s3_server() -> Iterator[str]:
    """The address of moto's server, which answers as S3 does."""
    reason = why_skipped("moto", "s3fs", "flask")
    if reason is not None:
        pytest.skip(reason)
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(s3_server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Iterator[Any]:
    """The file system of s3fs with one empty bucket, whose server and keys stand in the environment."""
    import requests
    import s3fs

    from berthub.tables import addresses

    requests.post(f"{s3_server}/moto-api/reset", timeout=10)
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIATESTTESTTESTTEST")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret-that-nobody-may-see")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no-credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    # One for each test: it keeps the keys that it began with.
    s3fs.S3FileSystem.clear_instance_cache()
    addresses._has_aws_credentials.cache_clear()
    system = s3fs.S3FileSystem()
    system.mkdir(S3_BUCKET)
    yield system
    s3fs.S3FileSystem.clear_instance_cache()
    addresses._has_aws_credentials.cache_clear()
