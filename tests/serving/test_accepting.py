"""Clients of TLS that are slow, from the handshake to the end."""

import asyncio
import datetime as dt
import ipaddress
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn

from berthub.errors import InputError
from berthub.serving.accepting import AcceptingServer
from berthub.serving.bounds import Bounds
from berthub.serving.server import Options, check_certificate, serve
from support.bounded_server import BoundedServer
from support.needs import needs

pytestmark = needs("cryptography")
_BOUNDS = Bounds(header_seconds=0.3, linger_seconds=0.2)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("tls")
    pem = serialization.Encoding.PEM
    (folder / "certificate").write_bytes(made.public_bytes(pem))
    form, secret = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / "key").write_bytes(key.private_bytes(pem, form, secret))
    return folder / "certificate", folder / "key"


@pytest.fixture(scope="module", params=["asyncio", pytest.param("uvloop", marks=needs("uvloop"))])
def server(request: pytest.FixtureRequest, certificate: tuple[Path, Path]) -> Iterator[BoundedServer]:
    with BoundedServer(_BOUNDS, request.param, tls=certificate) as server:
        yield server


def _shaken(server: BoundedServer, certificate: tuple[Path, Path]) -> ssl.SSLSocket:
    context = ssl.create_default_context(cafile=certificate[0])
    return context.wrap_socket(server.connect(), server_hostname="127.0.0.1")


def _read(connection: socket.socket) -> bytes:
    content = b""
    while received := connection.recv(1 << 16):
        content += received
    return content


def test_a_request(server: BoundedServer, certificate: tuple[Path, Path]) -> None:
    with _shaken(server, certificate) as connection:
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert _read(connection).endswith(b"<GET / 0 >")


def test_a_client_that_never_shakes_hands(server: BoundedServer) -> None:
    with server.connect() as connection:
        assert _read(connection) == b""
    with server.connect() as connection:
        # The beginning of a handshake.
        connection.sendall(b"\x16\x03\x01")
        assert _read(connection) == b""


def test_clients_that_are_slow_after_the_handshake(server: BoundedServer, certificate: tuple[Path, Path]) -> None:
    with _shaken(server, certificate) as connection:
        assert _read(connection) == b""
    with _shaken(server, certificate) as connection:
        connection.sendall(b"GET / HT")
        assert _read(connection).startswith(b"HTTP/1.1 408")
    while server.connections:
        # None of them is left over, whatever their clients do.
        socket.create_connection(("127.0.0.1", server.port)).close()


def test_sockets_are_needed() -> None:
    server = AcceptingServer(uvicorn.Config("none"), _BOUNDS)
    with pytest.raises(ValueError, match="sockets that are given"):
        asyncio.run(server.startup())


def test_a_certificate_that_cannot_be_used(certificate: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "junk.pem").write_text("junk")
    check_certificate(*certificate)
    for files, message in (
        ((certificate[0], tmp_path / "junk.pem"), "cannot be used"),
        ((tmp_path / "junk.pem", certificate[1]), "cannot be used"),
        ((tmp_path / "none.pem", certificate[1]), "none.pem cannot be read: No such file"),
        ((certificate[0], tmp_path), "cannot be read"),
    ):
        with pytest.raises(InputError, match=message):
            serve([], Options(port=0, tls_certificate=files[0], tls_key=files[1]))
