"""What first bytes say: parsers against real stacks, against dpkt, and against noise."""

import ssl
import struct

import dpkt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tcpscope.wire.hints import hint
from tcpscope.wire.layout import SERVICES


def client_hello(name: str | None = None, alpn: list[str] | None = None, most: ssl.TLSVersion | None = None) -> bytes:
    """The first bytes of Python's own TLS client."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols(alpn)
    if most:
        context.maximum_version = most
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing, server_hostname=name).do_handshake()
    return outgoing.read()


def server_hello(version: int, cipher: int, extensions: bytes = b"", random: bytes = bytes(32)) -> bytes:
    body = struct.pack(">H", version) + random + b"\0" + struct.pack(">HB", cipher, 0)
    body += struct.pack(">H", len(extensions)) + extensions if extensions else b""
    return b"\x16\x03\x03" + struct.pack(">H", len(body) + 4) + b"\x02" + struct.pack(">I", len(body))[1:] + body


HELLO = client_hello("www.example.com", ["h2", "http/1.1"])


def test_a_client_hello_names_host_version_and_protocols():
    found = hint(HELLO)
    assert found == {
        "service": "tls", "name": "www.example.com", "detail": "ClientHello, up to TLS 1.3", "alpn": "h2,http/1.1",
        "tls_version": None, "certain": True, "short": False,
    }  # fmt: skip
    assert hint(client_hello("a.example", most=ssl.TLSVersion.TLSv1_2))["detail"] == "ClientHello, up to TLS 1.2"


def test_a_client_hello_as_dpkt_reads_it():
    records, _ = dpkt.ssl.tls_multi_factory(HELLO)
    hello = dpkt.ssl.TLSHandshake(records[0].data).data
    extensions = dict(hello.extensions)
    assert extensions[0][5:].decode() == hint(HELLO)["name"]
    assert extensions[16][3:5] + b"," + extensions[16][6:] == hint(HELLO)["alpn"].encode()


def test_of_a_part_of_a_client_hello_no_more_is_said_than_there_is():
    for size in range(6, len(HELLO)):
        found = hint(HELLO[:size])
        assert found is not None and found["short"] and found["service"] == "tls"
        assert found["name"] in (None, "www.example.com")
        assert found["detail"] in ("ClientHello", "ClientHello, up to TLS 1.3")
        assert found["alpn"] in (None, "h2", "h2,http/1.1")


SUPPORTED_13 = struct.pack(">HHH", 43, 2, 0x0304)


@pytest.mark.parametrize(
    ("data", "version", "detail"),
    [
        (server_hello(0x0303, 0x1301, SUPPORTED_13), "TLS 1.3", "TLS 1.3, TLS_AES_128_GCM_SHA256"),
        (server_hello(0x0303, 0xC02F), "TLS 1.2", "TLS 1.2, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"),
        (server_hello(0x0301, 0x0099), "TLS 1.0", "TLS 1.0, cipher 0x0099"),
        (
            server_hello(0x0303, 0x1302, SUPPORTED_13, bytes.fromhex("cf21ad74e59a6111") + bytes(24)),
            "TLS 1.3",
            "HelloRetryRequest, TLS 1.3, TLS_AES_256_GCM_SHA384",
        ),
        (b"\x15\x03\x03\0\2\2\x28", None, "alert: handshake_failure"),
        (b"\x15\x03\x01\0\2\2\x46", None, "alert: protocol_version"),
        (b"\x15\x03\x03\0\2\1\x70", None, "warning alert: unrecognized_name"),
    ],
)
def test_what_a_tls_server_answers(data, version, detail):
    found = hint(data)
    assert (found["service"], found["tls_version"], found["detail"]) == ("tls", version, detail)


def test_a_server_hello_cut_before_its_extensions_does_not_tell_1_2_from_1_3():
    whole = server_hello(0x0303, 0x1301, SUPPORTED_13)
    assert hint(whole[:-6])["tls_version"] is None
    assert hint(whole[:-6])["detail"] == "ServerHello, TLS_AES_128_GCM_SHA256"


HTTP = [
    (b"GET / HTTP/1.1\r\nHost: example.com:8080\r\n\r\n", "http", "example.com", "GET / HTTP/1.1"),
    (b"GET / HTTP/1.1\r\nA: b\r\nhOsT:  [2001:db8::1]:80 \r\n\r\n", "http", "[2001:db8::1]", "GET / HTTP/1.1"),
    (b"POST /a?b=c HTTP/1.0\r\n\r\n", "http", None, "POST /a?b=c HTTP/1.0"),
    (b"CONNECT example.com:443 HTTP/1.1\r\n\r\n", "http", "example.com", "CONNECT example.com:443 HTTP/1.1"),
    (b"GET http://u:pw@example.com/ HTTP/1.0\r\n\r\n", "http", "example.com", "GET http://u:pw@example.com/ HTTP/1.0"),
    (
        b"GET /chat HTTP/1.1\r\nHost: example.com\r\nUpgrade: WebSocket\r\n\r\n",
        "websocket",
        "example.com",
        "GET /chat HTTP/1.1",
    ),
    (b"HTTP/1.1 404 Not Found\r\nServer: x\r\n\r\n", "http", None, "HTTP/1.1 404 Not Found"),
    (b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\n\r\n", "websocket", None, "HTTP/1.1 101 Switching"),
    (b"PLAY rtsp://cam.example/1 RTSP/1.0\r\n\r\n", "rtsp", "cam.example", "PLAY rtsp://cam.example/1 RTSP/1.0"),
    (b"INVITE sip:bob@example.com SIP/2.0\r\n\r\n", "sip", None, "INVITE sip:bob@example.com SIP/2.0"),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", "http2", None, "PRI * HTTP/2.0"),
    (b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", "ssh", None, "SSH-2.0-OpenSSH_9.2p1 Debian-2"),
]  # fmt: skip


@pytest.mark.parametrize(("data", "service", "name", "detail"), HTTP, ids=[row[3] for row in HTTP])
def test_lines_of_text(data, service, name, detail):
    found = hint(data)
    assert (found["service"], found["name"], found["detail"]) == (service, name, detail)
    assert found["certain"] and not found["short"]


def test_requests_as_dpkt_reads_them():
    for data, service, _, detail in HTTP:
        if service in ("http", "websocket") and not data.startswith(b"HTTP"):
            read = dpkt.http.Request(data)
            assert detail == f"{read.method} {read.uri} HTTP/{read.version}"


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\0", b"GET", b"GET ", b"GET /\r\n", b"HELLO WORLD HTTP\r\n", b"get / HTTP/1.1\r\n\r\n", b"SSH is fine",
        b"HTTP/1.1", b"HTTP/1.1 abc", b"\x16\x03\x01", b"\x16\x03\x01\x00\x04\x01", b"\x16\x04\x01\0\x80\1\0\0\x7c\3\3",
        b"\x17\x03\x03\0\x20" + bytes(32), b"\x15\x03\x03\0\2\7\x28", b"\x15\x03\x03\0\x1a" + bytes(26),
    ],
)  # fmt: skip
def test_what_is_not_surely_something_is_nothing(data):
    assert hint(data) is None


def test_texts_are_printable_ascii_of_bounded_length():
    long = hint(b"GET /" + b"x" * 300 + b" HTTP/1.1\r\nHost: " + b"y" * 300 + b"\r\n\r\n")
    assert len(long["detail"]) <= 119 and long["detail"].endswith("...")
    assert len(long["name"]) <= 99 and long["name"].endswith("...")
    odd = hint("GET / HTTP/1.1\r\nHost: a\x1b[31m\u202e\x85<b>\r\n\r\n".encode())
    assert odd["name"] == "a\\x1b[31m\\xe2\\x80\\xae\\xc2\\x85<b>"


def sound(found):
    for text in (found["name"], found["detail"], found["alpn"]):
        assert text is None or (text.isascii() and text.isprintable() and len(text) < 120)
    assert found["service"] is None or found["service"] in SERVICES


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=200), st.sampled_from([None, *SERVICES]))
def test_noise_is_survived(data, peer):
    found = hint(data, peer)
    if found:
        sound(found)


@settings(max_examples=500, deadline=None)
@given(st.data())
def test_damaged_messages_are_survived(data):
    whole = bytearray(
        data.draw(st.sampled_from([HELLO, server_hello(0x0303, 0x1301, SUPPORTED_13), *(row[0] for row in HTTP)]))
    )
    for _ in range(data.draw(st.integers(1, 6))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    found = hint(bytes(whole[: data.draw(st.integers(0, len(whole)))]))
    if found:
        sound(found)
