"""Each link layer and each encapsulation leads to the TCP header behind it."""

from __future__ import annotations

import struct

import pytest
from packet_builder import ethernet, ipv4, ipv6, kinds, one, pcap, read, tcp, tcp6

NOTE_TUNNEL = 0x08
PAYLOAD = b"hello"
IP4 = ipv4(tcp(PAYLOAD))
IP6 = ipv6(tcp6(PAYLOAD))
SNAP = b"\xaa\xaa\x03\0\0\0"
WLAN_DATA = b"\x08\x01" + bytes(22)
WLAN_QOS = b"\x88\x02" + bytes(22) + b"\0\0"


def snap(kind: int = 0x0800) -> bytes:
    return SNAP + struct.pack(">H", kind)


def label(value: int, bottom: bool) -> bytes:
    return struct.pack(">I", value << 12 | bottom << 8 | 64)


def udp(payload: bytes, dport: int) -> bytes:
    return ipv4(struct.pack(">HHHH", 40000, dport, 8 + len(payload), 0) + payload, 17)


def fcs_radiotap(flags: int) -> bytes:
    return struct.pack("<BBHIB", 0, 0, 9, 2, flags)


PPPOE = struct.pack(">BBHHH", 0x11, 0, 5, len(IP4) + 2, 0x21)
PKTAP = struct.pack("<III", 108, 1, 1) + bytes(96)
ERF = bytes(8) + struct.pack(">BBHHH", 2, 4, 0, 0, len(ethernet(IP4)))
NFLOG = b"\x02\0\0\0" + struct.pack("<HH", 8, 1) + bytes(4) + struct.pack("<HH", 4 + len(IP4), 9)

LINKS = {
    "ethernet": (1, ethernet(IP4)),
    "ethernet ipv6": (1, ethernet(IP6, 0x86DD)),
    "802.3 snap": (1, ethernet(snap() + IP4, 8 + len(IP4))),
    "802.3 llc ip": (1, ethernet(b"\x06\x06\x03" + IP4, 3 + len(IP4))),
    "vlan": (1, ethernet(b"\0\x05\x08\0" + IP4, 0x8100)),
    "qinq": (1, ethernet(b"\0\x05\x81\0\0\x06\x08\0" + IP4, 0x88A8)),
    "802.1ah": (1, ethernet(b"\0\0\0\x07" + ethernet(IP4), 0x88E7)),
    "vn-tag": (1, ethernet(bytes(4) + b"\x08\0" + IP4, 0x8926)),
    "fabricpath": (1, ethernet(b"\x12\x34" + ethernet(IP4), 0x8903)),
    "mpls": (1, ethernet(label(16, False) + label(17, True) + IP4, 0x8847)),
    "mpls ipv6": (1, ethernet(label(17, True) + IP6, 0x8847)),
    "mpls pseudowire": (1, ethernet(label(17, True) + bytes(4) + ethernet(IP4), 0x8847)),
    "mpls pseudowire bare": (1, ethernet(label(17, True) + ethernet(IP4), 0x8847)),
    "pppoe": (1, ethernet(PPPOE + IP4, 0x8864)),
    "pppoe link": (51, PPPOE + IP4),
    "nsh": (1, ethernet(b"\x0f\xc2\x01\x01" + bytes(4) + IP4, 0x894F)),
    "null little": (0, struct.pack("<I", 2) + IP4),
    "null big": (0, struct.pack(">I", 2) + IP4),
    "null ipv6 macos": (0, struct.pack("<I", 30) + IP6),
    "loop": (108, struct.pack(">I", 2) + IP4),
    "raw 12": (12, IP4),
    "raw 14": (14, IP6),
    "raw": (101, IP6),
    "ipv4": (228, IP4),
    "ipv6": (229, IP6),
    "ppp": (9, b"\xff\x03\x00\x21" + IP4),
    "ppp bare": (9, b"\x21" + IP4),
    "ppp ipv6": (9, b"\xff\x03\x00\x57" + IP6),
    "ppp hdlc": (50, b"\xff\x03\x00\x21" + IP4),
    "ppp hdlc cisco": (50, b"\x0f\0\x08\0" + IP4),
    "ppp direction": (204, b"\0\xff\x03\x00\x21" + IP4),
    "chdlc": (104, b"\x0f\0\x08\0" + IP4),
    "slip": (8, bytes(16) + IP4),
    "cooked": (113, struct.pack(">HHH8sH", 0, 1, 6, b"", 0x0800) + IP4),
    "cooked ppp": (113, struct.pack(">HHH8sH", 0, 512, 0, b"", 0x0800) + IP4),
    "cooked v2": (276, struct.pack(">HHIHBB8s", 0x86DD, 0, 1, 1, 0, 6, b"") + IP6),
    "frame relay": (107, b"\x18\x41\x03\xcc" + IP4),
    "frame relay snap": (107, b"\x18\x41\x03\x00\x80\0\0\0\x08\0" + IP4),
    "frame relay cisco": (107, b"\x18\x41\x08\0" + IP4),
    "fddi": (10, b"\x50" + bytes(12) + snap() + IP4),
    "token ring": (6, b"\x10\x40" + bytes(12) + snap() + IP4),
    "token ring routed": (6, b"\x10\x40" + bytes(6) + b"\x80" + bytes(5) + b"\x04\0\0\0" + snap() + IP4),
    "arcnet": (7, b"\x01\x02\xf0" + IP4),
    "arcnet linux": (129, b"\x01\x02\0\0\xd4\0\0\1" + IP4),
    "atm rfc1483": (100, snap() + IP4),
    "atm clip": (106, snap() + IP4),
    "sunatm": (123, b"\x02\0\0\x20" + snap() + IP4),
    "ip over fc": (122, bytes(16) + snap() + IP4),
    "enc": (109, struct.pack("<III", 2, 1, 0) + IP4),
    "pflog": (117, b"\x3d\x02" + bytes(62) + IP4),
    "ipnet": (226, b"\x01\x02" + bytes(22) + IP4),
    "nflog": (239, NFLOG + IP4),
    "ipoib": (242, bytes(40) + b"\x08\0\0\0" + IP4),
    "netanalyzer": (240, bytes(4) + ethernet(IP4) + b"fcs!"),
    "erf": (197, ERF + b"\0\0" + ethernet(IP4)),
    "mpls link": (219, label(17, True) + IP4),
    "dsa": (284, ethernet(b"", 0)[:12] + b"\xc0\0\0\0\x08\0" + IP4),
    "edsa": (285, ethernet(b"", 0)[:12] + b"\xda\xda\0\0\xc0\0\0\0\x08\0" + IP4),
    "pktap": (258, PKTAP + ethernet(IP4)),
    "pktap user2": (149, PKTAP + ethernet(IP4)),
    "juniper ether": (178, b"MGC\0" + ethernet(IP4)),
    "juniper no l2": (178, b"MGC\x82\0\x02ab" + b"\x02\0\0\0" + IP4),
    "802.11": (105, WLAN_DATA + snap() + IP4),
    "802.11 qos": (105, WLAN_QOS + snap() + IP4),
    "802.11 four addresses": (105, b"\x08\x03" + bytes(28) + snap() + IP4),
    "802.11 aggregate": (
        105,
        WLAN_QOS[:24] + b"\x80\0" + bytes(12) + struct.pack(">H", 8 + len(IP4)) + snap() + IP4,
    ),
    "radiotap": (127, fcs_radiotap(0) + WLAN_DATA + snap() + IP4),
    "radiotap fcs": (127, fcs_radiotap(0x10) + WLAN_DATA + snap() + IP4 + b"fcs!"),
    "radiotap pad": (127, fcs_radiotap(0x20) + WLAN_QOS + b"\0\0" + snap() + IP4),
    "radiotap time": (127, struct.pack("<BBHIQB", 0, 0, 17, 3, 1, 0x10) + WLAN_DATA + snap() + IP4 + b"fcs!"),
    "ppi": (192, struct.pack("<BBHI", 0, 0, 8, 105) + WLAN_DATA + snap() + IP4),
    "prism": (119, struct.pack("<II", 0x44, 144) + bytes(136) + WLAN_DATA + snap() + IP4),
    "avs": (163, struct.pack(">II", 0x80211001, 64) + bytes(56) + WLAN_DATA + snap() + IP4),
}

TUNNELS = {
    "ipip": ipv4(IP4, 4),
    "6in4": ipv4(IP6, 41),
    "4in6": ipv6(IP4, 4),
    "gre": ipv4(b"\0\0\x08\0" + IP4, 47),
    "gre key sequence": ipv4(b"\x30\0\x08\0" + bytes(8) + IP4, 47),
    "gre ethernet": ipv4(b"\0\0\x65\x58" + ethernet(IP4), 47),
    "erspan 1": ipv4(b"\0\0\x88\xbe" + ethernet(IP4), 47),
    "erspan 2": ipv4(b"\x10\0\x88\xbe" + bytes(4) + bytes(8) + ethernet(IP4), 47),
    "erspan 3": ipv4(b"\x10\0\x22\xeb" + bytes(4) + bytes(12) + ethernet(IP4), 47),
    "pptp": ipv4(b"\x30\x01\x88\x0b" + struct.pack(">HHI", len(IP4) + 4, 1, 1) + b"\xff\x03\x00\x21" + IP4, 47),
    "etherip": ipv4(b"\x30\0" + ethernet(IP4), 97),
    "mpls in ip": ipv4(label(20, True) + IP4, 137),
    "vxlan": udp(b"\x08\0\0\0\0\0\x07\0" + ethernet(IP4), 4789),
    "vxlan gpe": udp(b"\x0c\0\0\x01\0\0\x07\0" + IP4, 4790),
    "geneve": udp(b"\x01\0\x65\x58\0\0\x07\0" + bytes(4) + ethernet(IP4), 6081),
    "gtp": udp(b"\x30\xff" + struct.pack(">HI", len(IP4), 9) + IP4, 2152),
    "gtp extension": udp(b"\x34\xff" + struct.pack(">HI", len(IP4) + 8, 9) + b"\0\0\0\x85\x01\0\0\0" + IP4, 2152),
    "teredo": udp(IP6, 3544),
    "l2tp": udp(b"\0\x02\0\1\0\2" + b"\xff\x03\0\x21" + IP4, 1701),
    "mpls in udp": udp(label(20, True) + IP4, 6635),
    "gre in udp": udp(b"\0\0\x08\0" + IP4, 4754),
    "twice": ipv4(ipv4(IP4, 4), 4),
}


@pytest.mark.parametrize("name", LINKS)
def test_each_link_layer_leads_to_tcp(name: str) -> None:
    link, frame = LINKS[name]
    segment = one(frame, link)
    assert (segment["sport"], segment["dport"], segment["seq"], segment["ack"]) == (4000, 80, 1000, 2000)
    assert (segment["length"], segment["captured"], segment["checksum_state"]) == (5, 5, 1)
    at = int(segment["payload_at"]) - 24 - 16
    assert frame[at : at + 5] == PAYLOAD


@pytest.mark.parametrize("name", TUNNELS)
def test_each_tunnel_leads_to_tcp(name: str) -> None:
    segment = one(TUNNELS[name], 101)
    assert (segment["seq"], segment["length"], segment["checksum_state"]) == (1000, 5, 1)
    assert int(segment["notes"]) & NOTE_TUNNEL


@pytest.mark.parametrize("name", [*LINKS, *TUNNELS])
def test_cut_at_every_byte_nothing_is_made_up(name: str) -> None:
    """A frame cut by the snaplen gives its true fields or no segment at all."""
    link, frame = LINKS[name] if name in LINKS else (101, TUNNELS[name])
    whole = one(frame, link)
    for size in range(len(frame)):
        segments, statistics = read(pcap([frame[:size]], link, wire=len(frame)))
        assert sum(statistics["kinds"].values()) == 1
        for segment in segments:
            assert {k: segment[k] for k in ("seq", "ack", "window", "length", "src", "dst")} == {
                k: whole[k] for k in ("seq", "ack", "window", "length", "src", "dst")
            }
            assert segment["captured"] == max(0, min(5, size - (int(whole["payload_at"]) - 40)))


def test_identifiers_around_the_packet_are_told_apart() -> None:
    def outer(frame: bytes) -> object:
        return one(frame)["outer"]

    plain = outer(ethernet(IP4))
    vlan5 = outer(ethernet(b"\0\x05\x08\0" + IP4, 0x8100))
    vlan6 = outer(ethernet(b"\0\x06\x08\0" + IP4, 0x8100))
    priority = outer(ethernet(b"\xe0\x05\x08\0" + IP4, 0x8100))
    assert plain == 0
    assert len({plain, vlan5, vlan6}) == 3
    assert vlan5 == priority


@pytest.mark.parametrize(
    ("link", "frame", "kind"),
    [
        (1, ethernet(bytes(28), 0x0806), "arp"),
        (1, ethernet(udp(b"abcd", 53)), "udp"),
        (1, ethernet(ipv4(b"\x08\0" + bytes(6), 1)), "icmp"),
        (1, ethernet(ipv4(bytes(40), 89)), "ip_other"),
        (1, ethernet(ipv4(bytes(40), 50)), "encrypted"),
        (1, ethernet(bytes(40), 0x88CC), "not_ip"),
        (105, b"\x80\0" + bytes(40), "not_ip"),
        (105, b"\x08\x41" + bytes(60), "encrypted"),
        (105, b"\x08\x05" + bytes(60), "fragment"),
        (127, b"\x01" + bytes(40), "malformed_link"),
        (195, bytes(60), "unsupported_link"),
        (1, ethernet(ipv4(tcp(PAYLOAD, offset=15))), "malformed_tcp"),
        (1, ethernet(b"\x65" + bytes(60)), "malformed_ip"),
    ],
)
def test_what_carries_no_tcp_is_counted(link: int, frame: bytes, kind: str) -> None:
    assert kinds(frame, link) == {kind: 1}


def test_nesting_without_end_stops() -> None:
    assert kinds((b"\x45\0\0\0" + bytes(5) + b"\x04" + bytes(10)) * 200, 101) == {"too_deep": 1}


def test_unsupported_links_are_named() -> None:
    _, statistics = read(pcap([bytes(60)] * 3, 195))
    assert statistics["unsupported_links"] == {195: 3}
