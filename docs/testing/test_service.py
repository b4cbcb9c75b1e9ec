"""What the service must do on the wire.  `pytest` passes; `pytest --careless` shows what each fault looks like."""

import time

import pytest


def test_answers_do_not_wait_for_acks(tcp_capture, assert_tcp, port, client):
    with tcp_capture("lo", port=port) as capture:
        for _ in range(5):
            client.get()
    assert_tcp(capture).connection(port=port).handshake_ok().nodelay()


def test_idle_connections_are_given_back(tcp_capture, assert_tcp, port, client):
    with tcp_capture("lo", port=port) as capture:
        client.get()
        for _ in range(8):
            time.sleep(0.1)
            client.idle()
    assert_tcp(capture).connection(port=port).closed_by("server").states(client="CLOSED", server="TIME_WAIT")


def test_a_large_upload_is_refused_in_peace(tcp_capture, assert_tcp, port, client):
    with tcp_capture("lo", port=port, linger=2) as capture:
        client.upload(b"x" * 5_000_000)
        client.close()
    assert_tcp(capture).no_resets().no_findings(severity="error")


def test_as_a_table(tcp_capture, port, client):
    with tcp_capture("lo", port=port) as capture:
        assert client.get() == b"x" * 200
    (connection,) = capture.connections.itertuples()
    assert connection.client_state == connection.server_state == "ESTABLISHED"
    assert connection.server_unique_bytes > 200
    assert connection.client_retransmissions == 0


@pytest.mark.tcpscope(policy="tcpscope.toml")
def test_keeps_the_policy(tcp_capture, port, client):
    with tcp_capture("lo", port=port, linger=2):
        for _ in range(5):
            client.get()
        client.close()
