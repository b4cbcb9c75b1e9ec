"""What a service's own words explain: alerts of TLS in clear, and farewells."""

import pytest
from packet_builder import pcap, record
from tables.test_services import client, opened, server
from wire.test_hints import HELLO

import tcpscope
from tests.replay.segments import ACK, FIN, RST


@pytest.fixture
def found(tmp_path):
    def run(frames, id="tls_refused"):
        """A millisecond between them."""
        path = tmp_path / "tls.pcap"
        path.write_bytes(pcap([]) + b"".join(record(frame, fraction=1000 * at) for at, frame in enumerate(frames)))
        return [it for it in tcpscope.read(path).findings if it.id == id]

    return run


def refused(alert, port=4000):
    answer = bytes([0x15, 3, 3, 0, 2, 2, alert])
    return [*opened(port), client(HELLO, port=port), server(answer, port=port)]


def test_the_alert_names_the_reason_and_what_to_try(found):
    (it,) = found([*refused(40), *refused(40, 4001)])
    assert it.severity == "error" and it.side == "server" and it.connections == [0, 1]
    assert it.text.endswith(":443, tls) refused the TLS handshake of 2 connections: alert handshake_failure")
    assert "cipher" in it.advice


def test_an_orderly_close_behind_it_hides_nothing(found):
    frames = refused(40)
    asked, said = 1 + len(HELLO), 8
    frames += [
        server(b"", said, 0x11, ack=1000 + asked), client(b"", asked, 0x11, ack=5001 + said),
        server(b"", said + 1, 0x10, ack=1001 + asked),
    ]  # fmt: skip
    (it,) = found(frames)
    assert it.count == 1


def test_each_reason_is_a_finding_of_its_own(found):
    reasons = [it.text.rpartition(" ")[2] for it in found([*refused(112), *refused(70, 4001), *refused(50, 4002)])]
    assert sorted(reasons) == ["decode_error", "protocol_version", "unrecognized_name"]


CHOSEN = bytes.fromhex("160303002a020000260303") + bytes(33) + bytes.fromhex("c02f00")


@pytest.mark.parametrize(
    ("size", "said", "told"), [(1200, 7, True), (1200, 30, True), (1200, 64, False), (100, 30, False), (1200, 0, False)]
)
def test_a_client_that_ends_the_handshake_at_the_certificate(found, size, said, told):
    """All that it says is an alert; a Finished is longer, and a session that is resumed has no certificate."""
    chosen = CHOSEN + bytes(size - len(CHOSEN))
    asked = 1 + len(HELLO)
    frames = [*opened(), client(HELLO), server(chosen, ack=1000 + asked), client(bytes(said), asked, ack=5001 + size),
              client(b"", asked + said, RST | ACK, ack=5001 + size)]  # fmt: skip
    ended = found(frames, "tls_given_up")
    assert bool(ended) is told
    if told:
        assert (ended[0].side, ended[0].confidence, ended[0].frames) == ("client", "likely", [7])
        assert not found(frames, "reset_abort") and not found(frames, "reset_unread")


@pytest.mark.parametrize(("answer", "told"), [(b"HTTP/1.1 400 Bad Request\r\n\r\n", True), (CHOSEN, False)])
def test_tls_to_a_port_without_it(found, answer, told):
    end = 1001 + len(HELLO)
    frames = [*opened(), client(HELLO), server(answer, ack=end), server(b"", 1 + len(answer), FIN | ACK, ack=end),
              client(b"", 1 + len(HELLO), RST | ACK, ack=5002 + len(answer))]  # fmt: skip
    plain = found(frames, "tls_not_spoken")
    assert bool(plain) is told
    if told:
        assert plain[0].text.endswith("answered HTTP/1.1 400 Bad Request") and not found(frames, "reset_at_close")


@pytest.mark.parametrize("answer", [b"\x15\x03\x03\0\2\1\x70", b"\x16\x03\x03\0\x04\x0e\0\0\0", b""], ids=repr)
def test_a_warning_is_no_refusal_nor_is_another_answer(found, answer):
    frames = [*opened(), client(HELLO)]
    assert found([*frames, server(answer)] if answer else frames) == []


def test_a_farewell_that_is_not_answered_is_no_request(tmp_path):
    """LDAP's unbind asks for nothing (RFC 4511, 4.3): a RST that answers the close behind it left nothing unread."""
    bind, bound, unbind = (
        bytes.fromhex("300c020101600702010304008000"),
        bytes.fromhex("300c02010161070a010004000400"),
        bytes.fromhex("30050201024200"),
    )
    heard, said = 5001 + len(bound), 1001 + len(bind)
    gone = said + len(unbind)
    frames = [
        *opened(), client(bind), server(bound, ack=said), client(unbind, said - 1000, ack=heard),
        client(b"", gone - 1000, 0x11, ack=heard), server(b"", heard - 5000, 0x10, ack=gone + 1),
        server(b"", heard - 5000, 0x14, ack=gone + 1),
    ]  # fmt: skip
    path = tmp_path / "ldap.pcap"
    path.write_bytes(pcap(frames))
    it = tcpscope.read(path)
    assert it.connection(0).row["service"] == "ldap"
    assert [f.id for f in it.findings if f.id.startswith("reset")] == ["reset_at_close"]
