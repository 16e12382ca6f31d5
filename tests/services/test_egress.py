"""Requests to URLs of clients, over real connections: permitted destinations, and deadlines."""

from __future__ import annotations

import http.client
import itertools
import socket
import ssl
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tams.domain.destinations import Allowed, parse_allowed
from tams.services import egress
from tams.services.egress import DestinationRefused, Egress
from tests.support.receivers import Receiver, answering, receiver

OWNER = "ana"
LOOPBACK = parse_allowed(("127.0.0.1",))


def post(client: Egress, url: str, seconds: float = 5, body: bytes | None = b"{}") -> tuple[int, bytes]:
    """Send one request; return the status and the body of the response."""
    connection = client.connection(url, OWNER)
    try:
        answer = connection.send_request("POST", {"X-Test": "yes"}, body, seconds)
        return answer.status, answer.read(1 << 20)
    finally:
        connection.close()


class TestWhereRequestsGo:
    def test_a_host_that_is_allowed_is_reached_under_its_name(self) -> None:
        with receiver(answering()) as there:
            client = Egress(parse_allowed(("localhost",)), lambda *_: ["127.0.0.1"])
            assert post(client, f"http://localhost:{there.port}/a?b=c") == (200, b"ok")
            head = there.heads[0].decode()
        assert head.startswith("POST /a?b=c HTTP/1.1\r\n")
        assert f"\r\nHost: localhost:{there.port}\r\n" in head
        assert "\r\nX-Test: yes" in head

    @pytest.mark.parametrize(
        "host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "0.0.0.0", "[::]"]
    )
    def test_this_machine_is_never_connected_to_unless_it_is_allowed(self, host: str) -> None:
        address = "::1" if ":" in host and "ffff" not in host else "127.0.0.1"
        with receiver(answering(), address) as there:
            url = f"http://{host}:{there.port}/"
            with pytest.raises(DestinationRefused):
                Egress(Allowed()).check(url, OWNER)
            with pytest.raises(DestinationRefused):
                post(Egress(Allowed()), url)
            assert there.connections == 0

    def test_a_name_that_leads_inside_is_refused_at_registration_whatever_else_it_leads_to(self) -> None:
        for addresses in (["127.0.0.1"], ["8.8.8.8", "10.0.0.1"], ["2606:4700::1111", "::1"], ["fe80::1%2"]):
            with pytest.raises(DestinationRefused):
                Egress(Allowed(), always(*addresses)).check("http://name.example/", OWNER)
        Egress(Allowed(), lambda *_: ["8.8.8.8", "2606:4700::1111"]).check("http://name.example/", OWNER)

    def test_a_name_that_does_not_resolve_in_time_is_accepted_at_registration_and_judged_later(self) -> None:
        def silent(_host: str, _port: int, seconds: float, _owner: str) -> list[str]:
            assert seconds == 2
            raise TimeoutError

        Egress(Allowed(), silent).check("http://name.example/", OWNER)

        def unknown(*_: object) -> list[str]:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")

        Egress(Allowed(), unknown).check("http://name.example/", OWNER)
        with pytest.raises(socket.gaierror):
            post(Egress(Allowed(), unknown), "http://name.example/")

    def test_a_name_server_that_changes_its_answer_gains_nothing(self) -> None:
        """The checked address is the one that is connected to: the name is not resolved again in between."""
        with (
            receiver(answering(), "127.0.0.1") as permitted,
            receiver(answering(), "127.0.0.2", permitted.port) as forbidden,
        ):
            turns = itertools.cycle([["127.0.0.1"], ["127.0.0.2"]])
            host_names: list[str] = []

            def rebinding(host: str, _port: int, _seconds: float, _owner: str) -> list[str]:
                host_names.append(host)
                return next(turns)

            client = Egress(LOOPBACK, rebinding)
            url = f"http://rebind.example:{permitted.port}/"
            for number in range(6):
                if number % 2 == 0:
                    assert post(client, url)[0] == 200
                else:
                    with pytest.raises(DestinationRefused):
                        post(client, url)
            assert len(host_names) == 6
            assert (permitted.connections, forbidden.connections) == (3, 0)

    def test_of_several_addresses_only_those_that_are_permitted_are_tried(self) -> None:
        with (
            receiver(answering(), "127.0.0.1") as permitted,
            receiver(answering(), "127.0.0.2", permitted.port) as forbidden,
        ):
            client = Egress(LOOPBACK, lambda *_: ["127.0.0.2", "::1", "127.0.0.1"])
            assert post(client, f"http://name.example:{permitted.port}/")[0] == 200
            assert forbidden.connections == 0

    def test_an_address_that_does_not_answer_leaves_time_for_the_next(self) -> None:
        with receiver(answering()) as there, no_more_connections("127.0.0.3", there.port):
            client = Egress(parse_allowed(("127.0.0.0/8",)), lambda *_: ["127.0.0.3", "127.0.0.1"])
            began = time.monotonic()
            assert post(client, f"http://name.example:{there.port}/", 2)[0] == 200
            assert time.monotonic() - began > 0.9

    def test_redirects_are_answers_like_any_other(self) -> None:
        with receiver(answering()) as inside:
            to = f"Location: http://127.0.0.1:{inside.port}/\r\n"
            for status in ("301 Retry", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"):
                with receiver(answering(status, b"", to)) as there:
                    assert post(Egress(LOOPBACK), f"http://127.0.0.1:{there.port}/")[0] == int(status[:3])
            assert inside.connections == 0

    def test_proxies_of_the_environment_are_not_used(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with receiver(answering()) as proxy, receiver(answering()) as there:
            for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
                monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
            assert post(Egress(LOOPBACK), f"http://127.0.0.1:{there.port}/")[0] == 200
            assert proxy.connections == 0

    def test_header_values_cannot_begin_a_new_line(self) -> None:
        with receiver(answering()) as there:
            connection = Egress(LOOPBACK).connection(f"http://127.0.0.1:{there.port}/", OWNER)
            with pytest.raises(ValueError, match="Invalid header value"):
                connection.send_request("POST", {"X": "a\r\nY: b"}, b"", 5)
            assert there.heads == []


@contextmanager
def no_more_connections(address: str, port: int) -> Iterator[None]:
    """Open a listening socket whose queue is full."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server((address, port), backlog=0))
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield


class TestTime:
    """A request has to end within its time, whatever the peer does."""

    SECONDS = 0.6

    def attempt(self, there: Receiver, body: bytes = b"{}") -> float:
        began = time.monotonic()
        with pytest.raises((TimeoutError, ConnectionError)):
            post(Egress(LOOPBACK), f"http://127.0.0.1:{there.port}/", self.SECONDS, body)
        return time.monotonic() - began

    def test_silence(self) -> None:
        with receiver(lambda _: time.sleep(5)) as there:
            assert self.SECONDS <= self.attempt(there) < 2

    def test_a_trickle_of_headers(self) -> None:
        def trickle(connection: socket.socket) -> None:
            connection.sendall(b"HTTP/1.1 200 OK\r\n")
            for number in range(50):
                connection.sendall(f"X-{number}: y\r\n".encode())
                time.sleep(0.1)

        with receiver(trickle) as there:
            assert self.SECONDS <= self.attempt(there) < 2

    def test_a_trickle_of_a_body(self) -> None:
        def trickle(connection: socket.socket) -> None:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
            for _ in range(50):
                connection.sendall(b".")
                time.sleep(0.1)

        with receiver(trickle) as there:
            assert self.SECONDS <= self.attempt(there) < 2

    def test_a_peer_that_does_not_read(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
            began = time.monotonic()
            with pytest.raises(TimeoutError):
                post(Egress(LOOPBACK), url, self.SECONDS, bytes(64 << 20))
            assert time.monotonic() - began < 3

    def test_a_peer_that_never_finishes_its_handshake(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            began = time.monotonic()
            with pytest.raises(TimeoutError):
                post(Egress(LOOPBACK), f"https://127.0.0.1:{listener.getsockname()[1]}/", self.SECONDS)
            assert time.monotonic() - began < 2

    def test_an_answer_without_end_is_read_no_further_than_asked(self) -> None:
        def endless(connection: socket.socket) -> None:
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            while True:
                connection.sendall(bytes(1 << 20))

        with receiver(endless) as there:
            assert post(Egress(LOOPBACK), f"http://127.0.0.1:{there.port}/") == (200, bytes(1 << 20))


class TestConnections:
    def test_one_is_used_for_request_after_request(self) -> None:
        with receiver(answering()) as there:
            connection = Egress(LOOPBACK).connection(f"http://127.0.0.1:{there.port}/", OWNER)
            for _ in range(5):
                assert connection.send_request("POST", {}, b"x", 5).read() == b"ok"
            connection.close()
            assert there.connections == 1

    @pytest.mark.parametrize("says", ["Connection: close\r\n", ""])
    def test_one_that_the_peer_closed_is_made_anew(self, says: str) -> None:
        def once(connection: socket.socket) -> None:
            answering(headers=says)(connection)
            raise ConnectionAbortedError

        with receiver(once) as there:
            connection = Egress(LOOPBACK).connection(f"http://127.0.0.1:{there.port}/", OWNER)
            for _ in range(3):
                assert connection.send_request("POST", {}, b"x", 5).read() == b"ok"
                time.sleep(0.05)
            connection.close()
            assert there.connections == 3

    def test_nonsense_is_an_error_and_never_an_answer(self) -> None:
        for nonsense in (
            b"\x00\x01\x02\r\n\r\n",
            b"HTTP/1.1 abc\r\n\r\n",
            b"SSH-2.0-x\r\n",
            b"HTTP/1.1 200 " + b"x" * 99999,
        ):
            send = partial(lambda sent, connection: connection.sendall(sent), nonsense)
            with receiver(send) as there, pytest.raises((http.client.HTTPException, OSError)):
                post(Egress(LOOPBACK), f"http://127.0.0.1:{there.port}/", 2)


class TestInterimResponses:
    """Answers 1xx come before the final one, and say nothing about it (RFC 9110, section 15.2)."""

    @pytest.mark.parametrize(
        "interim",
        [
            b"HTTP/1.1 100 Continue\r\n\r\n",
            b"HTTP/1.1 102 Processing\r\n\r\n",
            b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n",
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nX: y\r\n\r\nHTTP/1.1 199 Other\r\n\r\n",
        ],
    )
    def test_they_are_passed_over(self, interim: bytes) -> None:
        def respond(connection: socket.socket) -> None:
            connection.sendall(interim)
            answering(body=b"done")(connection)

        with receiver(respond) as there:
            connection = Egress(LOOPBACK).connection(f"http://127.0.0.1:{there.port}/", OWNER)
            for _ in range(3):
                response = connection.send_request("POST", {}, b"x", 5)
                assert (response.status, response.headers.get("Link"), response.read()) == (200, None, b"done")
            connection.close()
            assert there.connections == 1

    def test_a_receiver_that_sends_nothing_else_is_given_up(self) -> None:
        def endless(connection: socket.socket) -> None:
            for _ in range(10_000):
                connection.sendall(b"HTTP/1.1 102 Processing\r\n\r\n")

        with receiver(endless) as there, pytest.raises(http.client.HTTPException, match="interim"):
            post(Egress(LOOPBACK), f"http://127.0.0.1:{there.port}/")

    def test_a_change_of_protocol_is_final(self) -> None:
        with receiver(answering("101 Switching Protocols", b"")) as there:
            assert post(Egress(LOOPBACK), f"http://127.0.0.1:{there.port}/")[0] == 101


class TestTls:
    """The certificate has to be the name's, whatever address it was connected to under."""

    @pytest.fixture
    def tls(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
        """Return the server's TLS context for `hooks.example`, trusted during the test."""
        certificate, key = certificate_for("hooks.example")
        path = tmp_path / "hooks.pem"
        path.write_bytes(key + certificate)
        (tmp_path / "ca.pem").write_bytes(certificate)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        egress._tls.cache_clear()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context

    def test_the_name_is_asked_for_and_verified(self, tls: ssl.SSLContext) -> None:
        server_names: list[str | None] = []
        tls.sni_callback = lambda _socket, name, _context: server_names.append(name)
        with receiver(answering(), tls=tls) as there:
            client = Egress(LOOPBACK, resolve=always("127.0.0.1"))
            assert post(client, f"https://hooks.example:{there.port}/") == (200, b"ok")
            assert server_names == ["hooks.example"]

    @pytest.mark.parametrize("host", ["other.example", "127.0.0.1"])
    def test_another_name_is_refused_before_anything_is_sent(self, tls: ssl.SSLContext, host: str) -> None:
        with receiver(answering(), tls=tls) as there:
            with pytest.raises(ssl.SSLCertVerificationError):
                post(Egress(LOOPBACK, resolve=always("127.0.0.1")), f"https://{host}:{there.port}/")
            assert there.heads == []

    def test_a_certificate_that_nobody_vouches_for_is_refused(
        self, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("SSL_CERT_FILE")
        egress._tls.cache_clear()
        with receiver(answering(), tls=tls) as there, pytest.raises(ssl.SSLCertVerificationError):
            post(Egress(LOOPBACK, resolve=always("127.0.0.1")), f"https://hooks.example:{there.port}/")


def always(*addresses: str) -> egress.Resolve:
    """Return a resolver that always gives the same answer."""

    def resolve(_host: str, _port: int, _seconds: float, _owner: str) -> Sequence[str]:
        return addresses

    return resolve


def certificate_for(name: str) -> tuple[bytes, bytes]:
    """Write a self-signed certificate and its key, in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    return certificate.public_bytes(pem), key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
