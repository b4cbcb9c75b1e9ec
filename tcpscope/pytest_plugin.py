"""The pytest plugin: fixtures `tcp_capture`, `pcap`, `assert_tcp`, the marker `tcpscope`, captures of failed tests.

docs/testing.md tells how it is used.  Every pytest run of an environment in which tcpscope is installed imports this
file: what is heavier than pytest is imported by what uses it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tcpscope.errors import TcpscopeError

if TYPE_CHECKING:
    from tcpscope.testing.claims import Claims
    from tcpscope.testing.fixtures import PcapReader, TcpCapture
    from tcpscope.testing.recording import Recording

FOLDER = "tcpscope-captures"
MARKER = (
    "tcpscope(policy=None, interface=None, filter='', port=None): captures made in the test must keep this policy "
    "(a file beside the test or below the root folder); with interface, filter or port the whole test is captured"
)
MAKER = pytest.StashKey["TcpCapture"]()
FAILED = pytest.StashKey[bool]()
PASSED = pytest.StashKey[bool]()  # the test's body, and the policy held against what it captured
KEPT = pytest.StashKey[list[Path]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("tcpscope", "captures of TCP traffic (tcpscope)")
    group.addoption(
        "--tcpscope-keep", choices=("failed", "all", "none"), default="failed",
        help="whose captures to keep: of failed tests (default), of all, of none",
    )  # fmt: skip
    group.addoption(
        "--tcpscope-dir", metavar="DIR", default=None,
        help=f"folder for kept captures, a file a test (default: {FOLDER} in the root folder)",
    )  # fmt: skip
    group.addoption(
        "--tcpscope-require", action="store_true",
        help="where capturing is not allowed, fail the tests that need it instead of skipping them",
    )  # fmt: skip


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", MARKER)


# ---------------------------------------------------------------- fixtures


@pytest.fixture
def tcp_capture(request: pytest.FixtureRequest) -> Iterator[TcpCapture]:
    """A factory of captures: `with tcp_capture("lo", port=8080) as capture:`; after the block, a tcpscope Capture.

    Capturing when the block begins, every packet in it when it ends.  Skips where capturing is not allowed.
    """
    maker = _maker(request.node)
    maker.check_right()
    judged = len(maker.recordings)
    yield maker
    if request.node.stash.get(PASSED, False):  # of a test that failed or was skipped all has been said
        _judge(request.node, maker.recordings[judged:])


@pytest.fixture
def pcap(request: pytest.FixtureRequest) -> PcapReader:
    """`pcap("file")`: a tcpscope Capture of a file beside the test file, or below the root folder."""
    from tcpscope.testing.fixtures import PcapReader

    return PcapReader(request.path.parent, request.config.rootpath)


@pytest.fixture
def assert_tcp() -> Callable[[Any], Claims]:
    """`assert_tcp(capture).connection(port=80).handshake_ok().no_retransmissions().closed_by("client")`."""
    from tcpscope.testing.claims import assert_tcp

    return assert_tcp


# ---------------------------------------------------------------- the marker


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    __tracebackhide__ = True
    item.stash[PASSED] = False  # an earlier run of the same test says nothing
    mark = _mark(item)
    capture = {name: mark[name] for name in ("interface", "filter", "port") if mark.get(name) is not None}
    with contextlib.ExitStack() as stack:
        if capture:
            maker = _maker(item)
            maker.check_right()
            stack.enter_context(maker(**capture))
        result = yield
    recordings = item.stash[MAKER].recordings if MAKER in item.stash else []
    if mark.get("policy") is not None and not recordings:
        pytest.fail("nothing was captured that the policy could be held against: use tcp_capture, or name a port",
                    pytrace=False)  # fmt: skip
    _judge(item, recordings)
    item.stash[PASSED] = True
    return result


def _mark(item: pytest.Item) -> dict[str, Any]:
    """The marker's arguments; the nearest marker counts."""
    mark = item.get_closest_marker("tcpscope")
    if mark is None:
        return {}
    known = ("policy", "interface", "filter", "port")
    wrong = [f"argument {len(mark.args)}"] if len(mark.args) > 1 else [it for it in mark.kwargs if it not in known]
    if wrong:
        raise pytest.UsageError(f"the marker tcpscope has no {wrong[0]}; there are: {', '.join(known)}")
    return {"policy": mark.args[0] if mark.args else None, **mark.kwargs}


def _judge(item: pytest.Item, recordings: list[Recording]) -> None:
    """Hold what has been captured against the marker's policy, each capture once."""
    __tracebackhide__ = True
    policy = _mark(item).get("policy")
    if policy is None:
        return
    from tcpscope.testing.policies import judge

    for recording in recordings:
        if recording.ended and not recording.judged:
            recording.judged = True
            try:
                judge(recording, policy, [item.path.parent, item.config.rootpath])
                wrong = ""
            except (AssertionError, TcpscopeError) as error:
                wrong = str(error)
            if wrong:
                pytest.fail(wrong, pytrace=False)


# ---------------------------------------------------------------- captures of failed tests


def _maker(item: pytest.Item) -> TcpCapture:
    """The test's own, made when it is first needed."""
    if MAKER not in item.stash:
        from tcpscope.testing.fixtures import TcpCapture
        from tcpscope.testing.keeping import forget, place

        config, keeps = item.config, item.config.getoption("tcpscope_keep") != "none"
        folder = _folder(config)

        def shown(suffix: str, count: int) -> Path | None:
            return place(folder, item.nodeid, suffix, count) if keeps else None

        if keeps:
            forget(folder, item.nodeid)
        item.stash[MAKER] = TcpCapture(shown, config.getoption("tcpscope_require"))
    return item.stash[MAKER]


def _folder(config: pytest.Config) -> Path:
    given = config.getoption("tcpscope_dir")
    return config.invocation_params.dir / given if given else config.rootpath / FOLDER


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if MAKER in item.stash:
        item.stash[FAILED] = item.stash.get(FAILED, False) or report.failed
        _keep(item, report)
    return report


def _keep(item: pytest.Item, report: pytest.TestReport) -> None:
    """Copy what is to be kept and say where; what is not, remove at the test's end."""
    from tcpscope.testing.keeping import keep

    when = item.config.getoption("tcpscope_keep")
    wanted = when == "all" or (when == "failed" and item.stash[FAILED])
    last = report.when == "teardown"
    told = []
    for recording in item.stash[MAKER].recordings if wanted else []:
        at = recording.shown
        if recording.kept or at is None:
            continue
        if recording.ended and (last or report.failed):
            try:
                keep(recording.file, at, _folder(item.config))
            except OSError as error:
                told.append(f"{recording.label}: not kept: {error}")
                continue
            recording.kept = True
            told.append(f"{recording.label}: kept in {_short(at, item.config)}")
            for properties in (item.user_properties, report.user_properties):  # the report has its own already
                properties.append(("tcpscope_capture", str(at)))
        elif report.failed:
            told.append(f"{recording.label}: still capturing, will be kept in {_short(at, item.config)}")
    if told:
        report.sections.append(("tcpscope captures", "\n".join(told)))
    if last:
        item.stash[MAKER].clear()


def _short(path: Path, config: pytest.Config) -> str:
    with contextlib.suppress(ValueError):
        return str(path.relative_to(config.invocation_params.dir))
    return str(path)
