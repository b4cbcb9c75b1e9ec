"""The pytest plugin as its users have it: small test suites, run by pytester."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tcpscope.capture.rights import choose
from tcpscope.errors import CaptureError, UsageError
from tcpscope.testing.recording import words

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "sample_pcaps"
PLUGIN = "tcpscope.pytest_plugin"
TALK = """
import socket, time
import pytest

def talk():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        with socket.create_connection(listener.getsockname()) as client:
            server, _ = listener.accept()
            client.sendall(b"x" * 100)
            server.recv(1000)
        server.close()
        return listener.getsockname()[1]
"""


@pytest.fixture
def suite(pytester, monkeypatch):
    """Write a test file that can `talk()`, run it with the plugin; options follow."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)

    def run(text, *options):
        pytester.makepyfile(test_it=TALK + text)
        return pytester.runpytest_subprocess("-p", PLUGIN, "-p", "no:cacheprovider", *options)

    return run


@pytest.fixture
def allowed():
    try:
        choose(False)
    except CaptureError as error:
        pytest.skip(str(error))


def kept(pytester):
    return sorted(str(it.relative_to(pytester.path)) for it in pytester.path.rglob("*.pcap*"))


def test_it_is_registered_and_told_by_help(suite):
    told = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
    assert told == {"pytest11": {"tcpscope": PLUGIN}}
    suite("", "--help").stdout.fnmatch_lines(
        ["*--tcpscope-keep=*", "*--tcpscope-dir=DIR*", "*--tcpscope-require*"], consecutive=False
    )


def test_importing_it_loads_nothing_heavy():
    code = f"import pytest, sys; before = set(sys.modules); import {PLUGIN}; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["tcpscope", "tcpscope.errors", PLUGIN]


THREE = """
def test_good(tcp_capture, assert_tcp):
    with tcp_capture("lo") as capture:
        port = talk()
    assert_tcp(capture).connection(port=port).handshake_ok().closed_by("client")
    assert capture.connections.client_retransmissions.sum() == 0

@pytest.mark.parametrize("how", ["a", "b/c"])
def test_bad(tcp_capture, assert_tcp, how):
    with tcp_capture("lo") as first:
        pass
    with tcp_capture("lo") as second:
        port = talk()
    assert_tcp(second).connection(port=port).closed_by("server")

def test_in_the_block(tcp_capture):
    with tcp_capture("lo"):
        talk()
        raise ConnectionResetError

@pytest.fixture
def around(tcp_capture):
    with tcp_capture("lo") as capture:
        yield capture

def test_still_capturing(around):
    talk()
    assert not "so"
"""
BAD = [f"test_bad[{how}]{number}.pcap" for how in ("a", "b_c") for number in ("", "-2")]


@pytest.mark.parametrize("workers", [(), ("-p", "xdist", "-n", "2")], ids=["alone", "xdist"])
def test_captures_of_failed_tests_are_kept_and_told(suite, pytester, allowed, workers):
    if workers:
        pytest.importorskip("xdist")
    done = suite(THREE, *workers)
    done.assert_outcomes(passed=1, failed=4)
    found = kept(pytester)
    assert len(found) == 6
    assert {Path(it).parent.as_posix() for it in found} == {"tcpscope-captures/test_it.py"}
    names = {Path(it).stem for it in found}
    assert {"test_bad[a]", "test_bad[a]-2", "test_in_the_block", "test_still_capturing"} < names
    out = done.stdout.str()
    assert "closed_by('server'): fin by client, expected fin by server: connection " in out
    assert "── SYN seq=0" in out
    for name in names - {"test_still_capturing"}:
        assert f"lo: kept in tcpscope-captures/test_it.py/{name}.pcap" in out
    assert "lo: still capturing, will be kept in tcpscope-captures/test_it.py/test_still_capturing.pcap" in out
    from tcpscope import read

    assert len(read(next(pytester.path.rglob("test_still_capturing.pcap*")))) >= 1
    assert suite("def test_bad(tcp_capture): pass").ret == 0


def test_all_or_none_are_kept(suite, pytester, allowed):
    suite(THREE, "--tcpscope-keep=none")
    assert kept(pytester) == []
    suite(THREE, "--tcpscope-keep=all", "--tcpscope-dir=here", "-k", "good or still", "--junitxml=out.xml")
    assert [Path(it).with_suffix("").as_posix() for it in kept(pytester)] == [
        "here/test_it.py/test_good", "here/test_it.py/test_still_capturing",
    ]  # fmt: skip
    assert (pytester.path / "out.xml").read_text().count('name="tcpscope_capture"') == 2
    suite("def test_good(tcp_capture): pass", "--tcpscope-dir=here")
    assert [Path(it).stem for it in kept(pytester)] == ["test_still_capturing"]


NONE = """
import tcpscope.capture.rights as rights
rights.may_capture = lambda program: False

def test_one(tcp_capture):
    raise AssertionError("it began")

@pytest.mark.tcpscope(interface="lo")
def test_two():
    raise AssertionError("it began")

def test_pcap(pcap):
    assert len(pcap("normal.pcap")) == 1
"""


def test_without_the_right_tests_are_skipped_or_fail_as_asked(suite, pytester):
    (pytester.path / "normal.pcap").write_bytes((SAMPLES / "normal.pcap").read_bytes())
    done = suite(NONE, "-rs")
    done.assert_outcomes(passed=1, skipped=2)
    done.stdout.re_match_lines([r"SKIPPED .* cannot capture: .*(no right to capture|is not installed|cannot run).*"])
    done = suite(NONE, "--tcpscope-require")
    assert done.parseoutcomes() == {"passed": 1, "failed": 1, "errors": 1}
    done.stdout.fnmatch_lines(["*--tcpscope-require: *"])


def test_a_wrong_wish_is_no_reason_to_skip(suite, allowed):
    done = suite(
        """
def test_filter(tcp_capture):
    with tcp_capture("lo", "tcp prot 80"):
        pass

def test_interface(tcp_capture):
    with tcp_capture("no-such-0"):
        pass
"""
    )
    done.assert_outcomes(failed=2)
    done.stdout.fnmatch_lines(["*filter 'tcp prot 80': *", "*no-such-0: no such interface*"])


def test_files_beside_the_test_come_first(suite, pytester):
    data = (SAMPLES / "normal.pcap").read_bytes()
    (pytester.mkdir("data") / "some.pcap").write_bytes(data)
    (pytester.mkdir("sub") / "some.pcap").write_bytes(data)
    (pytester.path / "sub/test_sub.py").write_text(
        """
def test_places(pcap, pytestconfig, assert_tcp):
    assert pcap.path("some.pcap").parent.name == "sub"
    assert pcap.path("data/some.pcap").parent.parent == pytestconfig.rootpath
    assert_tcp(pcap("data/some.pcap", msl=60)).exactly(1)

def test_nowhere(pcap):
    pcap("none.pcap")
"""
    )
    done = suite("")
    done.assert_outcomes(passed=1, failed=1)
    done.stdout.fnmatch_lines(["E *CaptureError: no capture 'none.pcap' in *sub or in *"])


def test_the_marker_captures_and_judges(suite, pytester, allowed):
    pytest.importorskip("tcpscope.check")
    (pytester.path / "strict.toml").write_text(
        'version = 1\n[[rules]]\nid = "short"\ntitle = "no data"\nmax.client_bytes = 10\n'
    )
    done = suite(
        """
@pytest.mark.tcpscope(True, interface="lo", filter="tcp")
def test_whole():
    talk()

@pytest.mark.tcpscope(policy="strict.toml")
def test_strict(tcp_capture):
    with tcp_capture("lo"):
        talk()

@pytest.mark.tcpscope(policy={"version": 1, "rules": [{"id": "no-reset", "forbid": {"close": "reset"}}]})
def test_empty(tcp_capture):
    with tcp_capture("lo", port=9):
        pass

@pytest.mark.tcpscope(policy="none.toml")
def test_none(tcp_capture):
    with tcp_capture("lo", port=9):
        pass
""",
        "--strict-markers",
    )
    done.assert_outcomes(passed=1, failed=3)
    done.stdout.fnmatch_lines(["policy 'strict.toml': * short: connection *client_bytes 100*", "*── SYN seq=0*"])
    done.stdout.fnmatch_lines(["the policy is inconclusive: *"])
    done.stdout.fnmatch_lines(["no policy 'none.toml' in *"])
    done.stdout.no_fnmatch_line("*During handling*")
    assert len(kept(pytester)) == 3


def test_a_test_that_did_not_pass_is_not_judged_as_well(suite, allowed):
    done = suite(
        """
POLICY = {"version": 1, "rules": [{"id": "short", "max": {"client_bytes": 10}}]}

@pytest.mark.tcpscope(policy=POLICY)
def test_skipped(tcp_capture):
    with tcp_capture("lo"):
        talk()
    pytest.skip("not here")

@pytest.mark.tcpscope(policy=POLICY)
def test_failing(tcp_capture):
    with tcp_capture("lo"):
        talk()
    assert False

@pytest.mark.tcpscope(policy=POLICY)
def test_violating(tcp_capture):
    for _ in range(2):
        with tcp_capture("lo"):
            talk()

@pytest.fixture
def late(tcp_capture):
    with tcp_capture("lo"):
        yield

@pytest.mark.tcpscope(policy=POLICY)
def test_ending_late(late, tcp_capture):
    with tcp_capture("lo", port=talk()):
        pass

@pytest.mark.tcpscope(policy=POLICY)
def test_only_late(late):
    talk()
"""
    )
    done.assert_outcomes(skipped=1, failed=3, passed=1, errors=1)


def test_what_does_not_fail_is_no_violation(tmp_path):
    from tcpscope.testing.policies import judge
    from tcpscope.testing.recording import Recording

    recording = Recording(SAMPLES / "short_connections.pcap", "it")
    recording.ended = True
    rules = [
        {"id": "told", "severity": "warning", "max": {"packets": 1}},
        {"id": "short", "max": {"client_data_packets": 0}, "select": {"client_port": 40003}},
    ]
    with pytest.raises(AssertionError, match=r"^the policy: 1 violation: short: connection 3") as failed:
        judge(recording, {"version": 1, "rules": rules}, [tmp_path])
    assert "told" not in str(failed.value)
    judge(recording, {"version": 1, "rules": rules[:1]}, [tmp_path])


def test_a_wrong_marker_is_told(suite):
    done = suite("@pytest.mark.tcpscope(polici='x')\ndef test_it(): pass")
    assert done.ret != 0
    done.stdout.fnmatch_lines(["*the marker tcpscope has no polici; there are: policy, interface, filter, port*"])


def test_ports_stand_before_the_filter():
    assert words("lo", "", 80)[0] == "tcp port 80"
    assert words("lo", "host ::1", [80, 81])[0] == "(tcp port 80 or tcp port 81) and (host ::1)"
    assert words(["lo", "any"], "", None) == ("", "lo, any")
    for wrong in (0, 65536, "80", True):
        with pytest.raises(UsageError, match="no port"):
            words("lo", "", [wrong])
    for wrong in ("80", 1.5, True):
        with pytest.raises(UsageError, match=f"no port: {wrong!r}"):
            words("lo", "", wrong)


def test_no_other_program_captures():
    with pytest.raises(UsageError, match="no program 'nope' to capture with; there are: tcpdump, dumpcap"):
        choose(False, "nope")


def test_a_policy_without_a_capture_fails(suite):
    done = suite("@pytest.mark.tcpscope(policy=True)\ndef test_it(): pass")
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["nothing was captured that the policy could be held against*"])
