"""`record` with real sockets on the loopback interface; without the rights, skipped."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tcpscope.capture.rights import choose, may_capture
from tcpscope.errors import CaptureError, UsageError
from tcpscope.testing import assert_tcp, record

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _right():
    try:
        choose(False)
    except CaptureError as error:
        pytest.skip(str(error))


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


def talk(listener):
    """A connection that the client closes; the server follows when what is given back is closed."""
    with socket.create_connection(listener.getsockname()) as client:
        server, _ = listener.accept()
        client.sendall(b"x" * 100)
        server.recv(1000)
    return server


def test_all_that_the_block_sent_is_in_it(listener, tmp_path):
    port = listener.getsockname()[1]
    with record(port=port, file=tmp_path / "some.pcap") as capture:
        with pytest.raises(UsageError, match="still being captured"):
            _ = capture.connections
        assert "still capturing" in repr(capture)
        talk(listener).close()
    assert len(capture) == 1
    assert capture.connections["client_unique_bytes"].tolist() == [100]
    assert capture.packets["dport"].iloc[0] == port
    assert capture.overview["tcp_packets"] == len(capture.packets)
    assert sum(it or 0 for it in capture.drops) == 0
    assert_tcp(capture).connection(port=port).handshake_ok().closed_by("client")


def test_it_lingers_until_all_has_closed(listener, tmp_path):
    with record(port=listener.getsockname()[1], file=tmp_path / "some.pcap", linger=20) as capture:
        server = talk(listener)
        later = threading.Timer(0.3, server.close)
        later.start()
    assert_tcp(capture).closed()
    later.join()


def test_the_end_of_the_capturer_is_told(listener, tmp_path):
    with pytest.raises(CaptureError, match="ended before its block did"), record(file=tmp_path / "some.pcap"):
        children = Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text().split()
        os.kill(int(children[-1]), signal.SIGKILL)
        os.waitid(os.P_PID, int(children[-1]), os.WEXITED | os.WNOWAIT)


def test_an_error_of_the_block_is_what_is_raised(tmp_path):
    with pytest.raises(ZeroDivisionError), record(file=tmp_path / "some.pcap"):
        _ = 1 / 0


@pytest.mark.parametrize("wrong", [{"filter": "tcp prot 80"}, {"interface": "no-such-0"}])
def test_a_wrong_wish_is_an_error_before_the_block(wrong, tmp_path):
    with pytest.raises(CaptureError), record(**wrong, file=tmp_path / "some.pcap"):
        pytest.fail("it began")


INSIDE = """
import socket
from tcpscope.testing import record, assert_tcp
with record("lo") as capture:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        with socket.create_connection(listener.getsockname()):
            listener.accept()[0].close()
assert_tcp(capture).exactly(1).handshake_ok()
print("captured", capture.file)
capture.file.unlink()
"""


@pytest.mark.parametrize("how", [["-rn"], ["--map-current-user", "--net", "--keep-caps"]])
def test_in_a_namespace_of_ones_own_no_right_is_needed(how, tmp_path):
    unshare = shutil.which("unshare")
    if unshare is None or not shutil.which("ip"):
        pytest.skip("no unshare or no ip here")
    if subprocess.run([unshare, *how, "true"], capture_output=True, check=False).returncode:
        pytest.skip(f"unshare {' '.join(how)} is not allowed here")
    if how == ["-rn"] and not may_capture("dumpcap"):
        pytest.skip("as root of a namespace tcpdump cannot change its user, and there is no dumpcap")
    script = tmp_path / "inside.py"
    script.write_text(INSIDE)
    done = subprocess.run(
        [unshare, *how, "sh", "-c", 'ip link set lo up && exec "$@"', "sh", sys.executable, str(script)],
        capture_output=True, text=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False, timeout=120,
    )  # fmt: skip
    assert done.stdout.startswith("captured"), done.stderr
