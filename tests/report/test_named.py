"""How a connection ended, in the same words everywhere."""

import pytest

import tcpscope
from tcpscope.check import judge
from tcpscope.report.ladder import Options
from tcpscope.report.ladder.words import summary
from tcpscope.report.named import ending
from tests.report.pages import SAMPLES, page_of
from tests.report.test_page import data_of


@pytest.mark.parametrize(
    ("close", "closed_by", "reset_by", "said"),
    [
        ("fin", "client", None, "fin by client"),
        ("fin", "both", "client", "fin by both"),  # a RST after both FINs ends nothing more
        ("reset", "server", "client", "reset by client"),  # the server's FIN came first
        ("reset", "server", None, "reset by server"),
        ("half_closed", "server", None, "half closed by server"),
        ("open", None, None, "open"),
        ("refused", "server", "server", "refused"),
    ],
)
def test_endings(close, closed_by, reset_by, said):
    assert ending(close, closed_by, reset_by) == said


def test_of_a_reset_connection_who_sent_the_reset_is_named():
    capture = tcpscope.read(SAMPLES / "reset_at_close.pcap")
    row = capture.connections.iloc[0]
    assert (row.close, row.closed_by, row.reset_by) == ("reset", "server", "client")
    assert "reset by client" in summary(capture.connection(0)._ladder(Options()))
    page = page_of(SAMPLES / "reset_at_close.pcap")
    assert "reset by client" in page and "reset by server" not in page
    data = data_of(page)
    assert data["ends"][data["by"][0]] == "client"
    verdict = judge(capture, {"version": 1, "rules": [{"id": "whole", "forbid": {"close": "reset"}}]})
    assert "reset by client" in verdict.violations[0].message
