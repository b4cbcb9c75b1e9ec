"""`tcpscope live` as it is used: in a namespace of its own with real sockets; without the rights, skipped."""

import json
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

import tcpscope
from tcpscope.capture.rights import may_capture
from tcpscope.capture.sudo import caller
from tests.samples.network import inside

ROOT = Path(__file__).parents[2]
PATIENT = 60  # seconds: a loaded machine is slow, and that is no failure


def ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True)


class Net:
    """A namespace with a loopback interface and the pair v0, v1."""

    def __init__(self, name):
        self.name = name
        ip("netns", "add", name)
        for words in ("set lo up", "add v0 type veth peer name v1", "set v0 up", "set v1 up"):
            self.ip("link", *words.split())
        self.ip("address", "add", "10.9.0.1/24", "dev", "v0")

    def ip(self, *words):
        ip("-n", self.name, *words)

    def talk(self, connections=1, pause=0.0):
        """The client of every connection closes it; the server's port."""
        with inside(self.name):
            listener = socket.create_server(("127.0.0.1", 0))
        with listener:
            for _ in range(connections):
                with inside(self.name):
                    client = socket.create_connection(listener.getsockname())
                with client:
                    server, _ = listener.accept()
                    client.sendall(b"x" * 100)
                    server.recv(1000)
                    time.sleep(pause)
                with server:
                    server.recv(10)
            return listener.getsockname()[1]

    def close(self):
        ip("netns", "del", self.name)


WITH_DUMPCAP = pytest.mark.skipif(shutil.which("tshark") is None, reason="needs tshark and dumpcap")


@pytest.fixture(scope="module")
def net():
    if os.geteuid() != 0 or not shutil.which("ip"):
        pytest.skip("needs root, for a network namespace")
    if not may_capture("tcpdump"):
        pytest.skip("tcpdump may not capture here")
    name = f"tslive{os.getpid()}"
    try:
        made = Net(name)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no network namespaces here: {error.stderr.decode().strip()}")
    yield made
    made.close()


class Live:
    """A running `tcpscope live`."""

    def __init__(self, net, *words, interface="lo"):
        inside = ["ip", "netns", "exec", net.name, sys.executable, "-m", "tcpscope"]
        self.process = subprocess.Popen(
            [*inside, "live", "-i", interface, *map(str, words)], cwd=ROOT,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0,  # so that select tells the truth
        )  # fmt: skip
        self.lines = []

    def until(self, wanted):
        """Read lines until one satisfies `wanted`; that line."""
        deadline = time.monotonic() + PATIENT
        while time.monotonic() < deadline:
            if not select.select([self.process.stdout], [], [], 1)[0]:
                continue
            line = self.process.stdout.readline()
            assert line, self.process.stderr.read().decode()
            self.lines.append(line.decode())
            if wanted(self.lines[-1]):
                return self.lines[-1]
        raise AssertionError(f"not seen: {self.lines[-20:]}")

    def kind(self, kind, **fields):
        """Read JSON lines until one is of this kind, with these fields."""

        def fits(line):
            row = json.loads(line)
            return row["kind"] == kind and all(row[name] == value for name, value in fields.items())

        return json.loads(self.until(fits))

    def end(self, number=None):
        """Signal it, if asked to; exit code, output, errors."""
        if number is not None:
            self.process.send_signal(number)
        out, said = self.process.communicate(timeout=PATIENT)
        return self.process.returncode, "".join(self.lines) + out.decode(), said.decode()

    def capturer(self):
        """The process id of who captures for it."""
        done = subprocess.run(["pgrep", "-P", str(self.process.pid)], capture_output=True, text=True, check=True)
        return int(done.stdout)


@contextmanager
def running(net, *words, **options):
    live = Live(net, *words, **options)
    try:
        yield live
    finally:
        if live.process.poll() is None:
            live.process.kill()
            live.process.communicate()


def test_states_as_they_change_then_the_summary(net):
    with running(net, "tcp", "--format", "jsonl", "--immediate") as live:
        start = live.kind("start")
        assert (start["interfaces"], start["filter"]) == (["lo"], "tcp")
        port = net.talk()
        live.kind("state", endpoint="server", new="CLOSED", port=port)
        code, out, said = live.end(signal.SIGINT)
    assert (code, said) == (0, "")
    rows = [json.loads(line) for line in out.splitlines()]
    states = [(r["endpoint"], r["old"], r["new"]) for r in rows if r["kind"] == "state"]
    assert [it[1:] for it in states if it[0] == "client"] == [
        ("CLOSED", "SYN_SENT"), ("SYN_SENT", "ESTABLISHED"), ("ESTABLISHED", "FIN_WAIT_1"),
        ("FIN_WAIT_1", "FIN_WAIT_2"), ("FIN_WAIT_2", "TIME_WAIT"),
    ] or ("FIN_WAIT_1", "TIME_WAIT") in [it[1:] for it in states]  # fmt: skip
    assert [r["close"] for r in rows if r["kind"] == "connection"] == ["fin"]
    end = rows[-1]
    assert end["kind"] == "end"
    assert end["dropped_by_kernel"] == 0
    assert end["packets"] == sum(r["client_packets"] + r["server_packets"] for r in rows if r["kind"] == "connection")


def test_in_a_pipe_lines_then_what_analyze_prints(net):
    with running(net, "tcp", "--immediate", "--verify-kernel", "--processes") as live:
        assert live.process.stderr.readline().startswith(b"capturing on lo with tcpdump")
        port = net.talk(1, 2.5)
        live.until(lambda line: f"server 127.0.0.1:{port}" in line and "→ CLOSED" in line)
        code, out, said = live.end(signal.SIGINT)
    assert (code, said) == (0, "")
    assert re.search(r"TIME_WAIT\W+CLOSED.*fin by client", out)
    assert re.search(r"the kernel's states: [1-9]", out)
    assert re.search(rf"server 127\.0\.0\.1:{port} +is .*, process {os.getpid()}\n", out)
    assert "0 dropped by the kernel" in out
    assert "0 lasting differences" in out


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--packets", 5], "--packets"),
        (["--duration", 1], "--duration"),
        (["--until", "CLOSE_WAIT"], "--until CLOSE_WAIT"),
        (["--until", "connections>=2"], "--until connections>=2"),
        (["--until", "refused"], "--until refused"),
    ],
)
def test_it_ends_when_it_was_told_to(net, words, reason):
    with running(net, "tcp", "--format", "jsonl", "--immediate", *words) as live:
        live.kind("start")
        if reason == "--until refused":
            with inside(net.name), pytest.raises(OSError):
                socket.create_connection(("127.0.0.1", 1))
        elif reason != "--duration":
            net.talk(2, 0.5)
        code, out, said = live.end()
    assert (code, said) == (0, "")
    assert json.loads(out.splitlines()[-1])["reason"] == reason


@pytest.mark.parametrize("name", ["few.pcap", pytest.param("few.pcapng", marks=WITH_DUMPCAP)])
def test_so_many_packets_and_no_more(net, tmp_path, name):
    with running(net, "tcp", "--format", "jsonl", "--packets", 7, "-w", tmp_path / name) as live:
        live.kind("start")
        net.talk(3)
        code, out, said = live.end()
    end = json.loads(out.splitlines()[-1])
    assert (code, said, end["packets"], end["reason"]) == (0, "", 7, "--packets")
    assert len(tcpscope.read(tmp_path / name).packets) == 7


def test_what_is_over_is_not_open(net):
    with running(net, "tcp", "--format", "jsonl", "--immediate") as live:
        live.kind("start")
        with inside(net.name):
            for _ in range(5):
                with pytest.raises(OSError):
                    socket.create_connection(("127.0.0.1", 1))
        assert live.kind("counters", connections=5)["open"] == 0
        live.end(signal.SIGINT)


@pytest.mark.skipif(signal.getsignal(signal.SIGHUP) is signal.SIG_IGN, reason="these tests run under nohup")
def test_a_lost_terminal_ends_it_as_ctrl_c_does(net):
    with running(net, "tcp", "--format", "jsonl", "--immediate") as live:
        live.kind("start")
        net.talk()
        live.kind("state", endpoint="server", new="CLOSED")
        code, out, said = live.end(signal.SIGHUP)
    assert (code, said) == (0, "") and json.loads(out.splitlines()[-1])["kind"] == "end"


@WITH_DUMPCAP
def test_a_display_filter_that_nothing_passes(net):
    with running(net, "--display-filter", "tcp.port == 1", "--format", "jsonl", "--duration", 2) as live:
        code, out, said = live.end()
    assert (code, said, json.loads(out.splitlines()[-1])["packets"]) == (0, "", 0)


def test_the_second_interrupt_ends_it_at_once(net):
    with running(net, "tcp", "--format", "jsonl") as live:
        live.kind("start")
        live.process.send_signal(signal.SIGINT)
        time.sleep(0.2)  # the capturer takes a second to end
        code, _, said = live.end(signal.SIGINT)
    assert code in (130, 0)
    assert "Traceback" not in said


def test_a_closed_pipe_is_no_error(net):
    with running(net, "tcp", "--format", "jsonl", "--immediate") as live:
        live.kind("start")
        live.process.stdout.close()
        assert live.process.wait(PATIENT) == 0
        assert live.process.stderr.read() == b""


def test_a_capturer_that_is_killed_leaves_all_up_to_then(net):
    with running(net, "tcp", "--immediate") as live:
        live.process.stderr.readline()
        port = net.talk()
        live.until(lambda line: f"server 127.0.0.1:{port}" in line and "→ CLOSED" in line)
        os.kill(live.capturer(), signal.SIGKILL)
        code, out, said = live.end()
    assert code == 0
    assert said.startswith("Warning: lo: tcpdump, which captures, was ended by SIGKILL")
    assert said.count("\n") == 1
    assert "fin by client" in out


def test_an_interface_that_goes_down_and_up_and_then_away(net):
    with running(net, "--immediate", "--format", "jsonl", interface="v1") as live:
        live.kind("start")
        for state in ("down", "up"):
            net.ip("link", "set", "v1", state)
            time.sleep(0.3)
        assert live.process.poll() is None
        net.ip("link", "delete", "v0")
        code, _, said = live.end()
    assert code == 0 or "Error" in said
    assert "the interface v1 is gone" in said


def test_a_full_disk_ends_the_file_not_the_analysis(net, tmp_path):
    room = tmp_path / "small"
    room.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "none", str(room)], capture_output=True)
    if done.returncode:
        pytest.skip("may not mount")
    try:
        path = room / "out.pcap"
        with running(net, "tcp", "--immediate", "--format", "jsonl", "-w", path) as live:
            live.kind("start")
            net.talk(30)
            assert "No space left on device" in live.kind("notice", id="write")["text"]
            port = net.talk()
            live.kind("state", endpoint="server", new="CLOSED", port=port)
            code, out, said = live.end(signal.SIGINT)
        assert code == 0
        assert "nothing more is written there; the analysis goes on" in said
        closed = [r for r in map(json.loads, out.splitlines()) if r["kind"] == "connection" and r["close"] == "fin"]
        assert len(closed) == 31
        read = subprocess.run([sys.executable, "-m", "tcpscope", "analyze", path], cwd=ROOT, capture_output=True)
        assert (read.returncode, read.stderr) == (0, b"")
    finally:
        subprocess.run(["umount", str(room)], check=False)


def test_the_packets_are_kept_in_files_that_rotate(net, tmp_path):
    path = tmp_path / "out.pcap"
    with running(net, "tcp", "--immediate", "--format", "jsonl", "-w", path, "--rotate", "0.005MB") as live:
        live.kind("start")
        port = net.talk(30)
        for _ in range(30):
            live.kind("state", endpoint="server", new="CLOSED", port=port)
        assert live.end(signal.SIGINT)[0] == 0
    files = sorted(tmp_path.iterdir())
    assert len(files) > 1
    read = subprocess.run(
        [sys.executable, "-m", "tcpscope", "connections", "--format", "jsonl", *files], cwd=ROOT, capture_output=True
    )
    assert [json.loads(line)["close"] for line in read.stdout.splitlines()] == ["fin"] * 30


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["tcp", "prot", "80"], "filter 'tcp prot 80': can't parse filter expression: syntax error"),
        (["-i", "nosuch0"], "nosuch0: no such interface; tcpscope interfaces lists them"),
        (["--until", "zero_windo"], "--until 'zero_windo': no finding, state or counter 'zero_windo' (did you mean"),
        (["-w", "/nowhere/x.pcap"], "cannot write /nowhere/x.pcap: No such file or directory"),
        (["--rotate", "1MB"], "--rotate and --keep are about the files of -w: name one"),
        (["-w", "x.pcap", "--rotate", "1 lightyear"], "--rotate '1 lightyear': a size or a time"),
        (["-w", "x.pcap", "-i", "lo", "-i", "any"], "-w x.pcap: dumpcap, which several interfaces need, writes pcapng"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_in_one_line(words, said, tmp_path):
    if not may_capture("tcpdump"):
        pytest.skip("tcpdump may not capture here")
    done = subprocess.run(
        [sys.executable, "-m", "tcpscope", "live", *words], cwd=tmp_path, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith(f"Error: {said}")
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_interfaces():
    done = subprocess.run(
        [sys.executable, "-m", "tcpscope", "interfaces", "--format", "json"], cwd=ROOT, capture_output=True
    )
    answer = json.loads(done.stdout)
    assert "127.0.0.1" in next(it for it in answer["interfaces"] if it["name"] == "lo")["addresses"]
    assert {it["program"] for it in answer["programs"]} == {"tcpdump", "dumpcap"}
    table = subprocess.run([sys.executable, "-m", "tcpscope", "interfaces"], cwd=ROOT, capture_output=True, text=True)
    assert table.stdout.splitlines()[0].startswith("interface  state")


def test_what_the_kernel_dropped_is_no_loss(net):
    with running(net, "tcp", "--format", "jsonl", "--buffer", 1, "--snaplen", 65535) as live:
        live.kind("start")
        with inside(net.name):
            listener = socket.create_server(("127.0.0.1", 0))
            client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
        with listener, client, server:
            client.sendall(b"x" * 1000)
            server.recv(1000)
            live.kind("state", endpoint="server", new="ESTABLISHED")
            live.process.send_signal(signal.SIGSTOP)  # nobody empties the pipe
            for _ in range(400):
                client.sendall(bytes(50_000))
                left = 50_000
                while left:
                    left -= len(server.recv(left))
            live.process.send_signal(signal.SIGCONT)
            notice = live.kind("notice", id="drops")
            assert notice["packets"] > 0
        code, out, _ = live.end(signal.SIGINT)
    assert code == 0
    rows = [json.loads(line) for line in out.splitlines()]
    assert rows[-1]["dropped_by_kernel"] >= notice["packets"]
    (ended,) = [r for r in rows if r["kind"] == "connection"]
    assert ended["missed_by_capture"]
    assert ended["client_missed_bytes"] > 0
    assert "dropped" in {r["id"] for r in rows if r["kind"] == "finding"}


def test_under_sudo_both_become_the_caller(net, tmp_path, monkeypatch):
    """The capturer keeps the right to capture and no other, the analyser none; what is written is the caller's."""
    monkeypatch.setenv("SUDO_UID", "65534")
    monkeypatch.setenv("SUDO_GID", "65534")
    if caller() is None:
        pytest.skip("no other user may read this Python, or there is no setpriv")
    folder = tmp_path / "theirs"
    folder.mkdir()
    os.chown(folder, 65534, 65534)
    for it in (tmp_path, *tmp_path.parents[:2]):
        it.chmod(0o755)
    with running(net, "tcp", "--format", "jsonl", "-w", folder / "x.pcap") as live:
        live.kind("start")
        net.talk()
        live.kind("counters")
        mine = status(live.process.pid)
        assert mine["Uid"] == mine["Gid"] == ["65534"] * 4
        assert (int(mine["CapPrm"][0], 16), mine["Groups"]) == (0, [])
        children = Path(f"/proc/{live.process.pid}/task/{live.process.pid}/children").read_text().split()
        theirs = status(children[0])
        assert theirs["Uid"] == ["65534"] * 4
        assert int(theirs["CapEff"][0], 16) == 1 << 12 | 1 << 13  # CAP_NET_ADMIN, CAP_NET_RAW
        code, out, said = live.end(signal.SIGINT)
    assert (code, said) == (0, "")
    end = json.loads(out.splitlines()[-1])
    assert end["packets"] > 0
    assert end["dropped_by_kernel"] == 0, "the capturer could be asked"
    assert (folder / "x.pcap").stat().st_uid == 65534


def status(process):
    lines = (it.split() for it in Path(f"/proc/{process}/status").read_text().splitlines())
    return {name.rstrip(":"): values for name, *values in lines}
