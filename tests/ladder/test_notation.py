"""The notation itself: parsing and printing are inverse, and what is not in it is refused with its line."""

from __future__ import annotations

import struct

import dpkt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcpscope.replay.layout import ANNOTATIONS, STATES

from .build import encode_option, frames
from .script import (
    SIDE_KEYS,
    UNREACHABLE,
    VANTAGES,
    Check,
    Icmp,
    NotationError,
    Packet,
    Remark,
    Right,
    Script,
    in_order,
    parse,
)
from .show import show

TITLE = "A sentence.\n\n time who flags seq:end\n"

words = st.text("abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=8)
numbers = st.integers(0, 2**32 - 1)
option = st.one_of(
    st.just("sackOK"),
    st.integers(0, 65535).map("mss {}".format),
    st.integers(0, 255).map("wscale {}".format),
    st.tuples(numbers, numbers).map(lambda t: f"TS val {t[0]} ecr {t[1]}"),
    st.lists(st.tuples(numbers, numbers), min_size=1, max_size=3).map(
        lambda blocks: "sack " + " ".join(f"{left}:{right}" for left, right in blocks)
    ),
)
rights = st.builds(
    Right,
    st.sampled_from(STATES),
    st.sampled_from(STATES),
    st.lists(st.sampled_from(ANNOTATIONS), max_size=4, unique=True).map(lambda names: in_order(tuple(names))),
)


@st.composite
def packets(draw: st.DrawFn, time_us: int) -> Packet:
    flags = draw(st.lists(st.sampled_from("FSRPUEW"), unique=True, max_size=3))
    ack = draw(st.none() | st.integers(-(2**31), 2**32))
    text = "".join(flags) + ("" if ack is None else ".")
    seq = draw(st.integers(-(2**31), 2**32))
    return Packet(
        time_us, draw(st.sampled_from("CS")), text or "none", seq, seq + draw(st.integers(0, 65495)), ack,
        draw(st.none() | st.integers(0, 65535)), tuple(draw(st.lists(option, max_size=3))),
        draw(st.none() | st.integers(0, 65535)), draw(st.none() | st.integers(1, 255)), draw(st.booleans()),
        draw(st.none() | rights),
    )  # fmt: skip


@st.composite
def scripts(draw: st.DrawFn) -> Script:
    times = sorted(draw(st.lists(st.integers(0, 10**11), max_size=8)))
    items: list[Packet | Icmp | Remark | Check] = []
    for time_us in times:
        items += draw(st.lists(words.map(lambda text: Remark(f"# {text}")) | st.just(Remark("")), max_size=1))
        icmp = st.builds(Icmp, st.just(time_us), st.sampled_from("CSR"), st.sampled_from(sorted(UNREACHABLE)))
        items.append(draw(packets(time_us) | icmp))
    check = st.builds(Check, words, words, st.sampled_from(["connection", "frame"]), st.integers(0, 99))
    items += draw(st.lists(check, max_size=3))
    side = st.dictionaries(st.sampled_from(SIDE_KEYS), st.integers(0, 9).map(str), min_size=1)
    header = draw(st.fixed_dictionaries({}, optional={
        "vantage": st.sampled_from(VANTAGES),
        "client": side.map(lambda keys: " ".join(f"{key}={value}" for key, value in keys.items())),
        "show": st.just("all"),
    }))  # fmt: skip
    title = draw(st.lists(words, min_size=1, max_size=3))
    return Script(tuple(title), tuple(header.items()), tuple(items))


@given(scripts())
def test_what_is_printed_is_parsed_again(script: Script) -> None:
    assert parse(show(script)) == script


@given(scripts())
def test_printing_settles(script: Script) -> None:
    assert show(parse(show(script))) == show(script)


@pytest.mark.parametrize(
    ("line", "text", "problem"),
    [
        (1, "", "a sentence"),
        (1, " 0.000 C S 0:0 |\n", "a sentence"),
        (1, "vantage: client\n", "a sentence"),
        (1, "A sentence.\n", "no line of column names"),
        (3, "A sentence.\n\nvantage: moon\n time who flags\n", "vantage is one of"),
        (3, "A sentence.\n\ncolour: red\n time who flags\n", "neither a header line"),
        (3, "A sentence.\n\nshow: some\n time who flags\n", "show: all"),
        (4, "A sentence.\n\nshow: all\nclient: speed=9\n time who flags\n", "key=value"),
        (4, TITLE + " 0.000 C S 0:0\n", "not a packet line"),
        (4, TITLE + " 0.000 X S 0:0 |\n", "not a packet line"),
        (5, TITLE + "\n 0.000 C Q 0:0 |\n", "not a packet line"),
        (5, TITLE + "# why\n 0.000 C SS 0:0 |\n", "a flag stands twice"),
        (4, TITLE + " 0.000 C S. 0:0 |\n", "an acknowledgment number"),
        (4, TITLE + " 0.000 C S 0:0 1 |\n", "an acknowledgment number"),
        (4, TITLE + " 0.000 C . 5:1 1 |\n", "-4 bytes"),
        (4, TITLE + " 0.000 C . 0:70000 1 |\n", "70000 bytes"),
        (4, TITLE + " 0.000 C S 0:0 | OPEN CLOSED\n", "two states"),
        (4, TITLE + " 0.000 C S 0:0 | CLOSED\n", "two states"),
        (4, TITLE + " 0.000 C S 0:0 | SYN_SENT LISTEN lost\n", "no annotation is called 'lost'"),
        (4, TITLE + " 0.000 R icmp unreachable moon |\n", "unreachable is one of"),
        (4, TITLE + " 0.000 R icmp unreachable port | SYN_SENT LISTEN\n", "no right half"),
        (5, TITLE + " 1.000 C S 0:0 |\n 0.999 C S 0:0 |\n", "time goes back"),
        (5, TITLE + "=> a b\n 0.999 C S 0:0 |\n", "packets come before"),
        (4, TITLE + "=> conn_state\n", "a check is"),
    ],
)
def test_what_is_no_script_is_refused_with_its_line(line: int, text: str, problem: str) -> None:
    with pytest.raises(NotationError) as caught:
        parse(text)
    assert caught.value.number == line
    assert str(caught.value).startswith(f"line {line}: ")
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("option", "raw"),
    [
        ("mss 1460", "020405b4"),
        ("wscale 7", "030307"),
        ("sackOK", "0402"),
        ("nop", "01"),
        ("TS val 1 ecr 2", "080a0000000100000002"),
        ("sack 1:2 3:4", "0512" + "000000650000006600000067 00000068".replace(" ", "")),
        ("tfo cookiereq", "2202"),
        ("tfo cookie 0102030405060708", "220a0102030405060708"),
    ],
)
def test_options_are_those_of_the_registry(option: str, raw: str) -> None:
    assert encode_option(option, peers=100).hex() == raw


def test_frames_carry_what_the_line_says() -> None:
    script = parse(
        "One segment each way.\n\nvantage: client\nclient: isn=4294967295 mss=1400\n\n time who flags\n"
        " 0.000001 C S 0:0 |\n 0.5 S S. 0:0 1 win 7 |\n 0.6 C P. 1:4 1 <sack 5:6> id 9 ttl 3 bad |\n"
    )
    times, packets = zip(*frames(script), strict=True)
    assert times == (1, 500_000, 600_000)
    first, second, third = (dpkt.ethernet.Ethernet(packet).data for packet in packets)
    assert (first.tcp.seq, first.ttl, first.tcp.opts.hex()) == (2**32 - 1, 64, "02040578")
    assert (second.tcp.ack, second.tcp.win, second.ttl) == (0, 7, 57)
    assert (third.tcp.seq, third.id, third.ttl, len(third.tcp.data)) == (0, 9, 3, 3)
    sums = [dpkt.in_cksum(ip.src + ip.dst + struct.pack("!HH", 6, len(bytes(ip.data))) + bytes(ip.data))
            for ip in (first, second, third)]  # fmt: skip
    assert sums[0] == sums[1] == 0
    assert sums[2] != 0
