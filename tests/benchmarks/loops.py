"""The peers that are Python libraries, each in the shortest loop that reads every TCP header: `… loops NAME FILE`."""

from __future__ import annotations

import sys


def dpkt(path: str) -> int:
    import dpkt

    packets: dict[tuple[bytes, bytes, int, int], int] = {}
    with open(path, "rb") as file:
        for _, frame in dpkt.pcap.Reader(file):
            ip = dpkt.ethernet.Ethernet(frame).data
            if isinstance(ip, dpkt.ip.IP) and isinstance(ip.data, dpkt.tcp.TCP):
                flow = ip.src, ip.dst, ip.data.sport, ip.data.dport
                packets[flow] = packets.get(flow, 0) + 1
    return sum(packets.values())


def scapy(path: str) -> int:
    from scapy.layers.inet import IP, TCP
    from scapy.layers.l2 import Ether  # noqa: F401  (decodes the link)
    from scapy.utils import PcapReader

    packets: dict[tuple[str, str, int, int], int] = {}
    with PcapReader(path) as reader:
        for packet in reader:
            if TCP in packet:
                ip, tcp = packet[IP], packet[TCP]
                flow = ip.src, ip.dst, tcp.sport, tcp.dport
                packets[flow] = packets.get(flow, 0) + 1
    return sum(packets.values())


def pyshark(path: str) -> int:
    import pyshark

    marked = 0
    with pyshark.FileCapture(path, keep_packets=False) as capture:
        for packet in capture:
            marked += hasattr(packet.tcp, "analysis")
    return marked


def nfstream(path: str) -> int:
    from nfstream import NFStreamer

    flows = NFStreamer(source=path, n_dissections=0, statistical_analysis=False)
    return sum(flow.bidirectional_packets for flow in flows)


if __name__ == "__main__":
    name, path = sys.argv[1:]
    print({"dpkt": dpkt, "scapy": scapy, "pyshark": pyshark, "nfstream": nfstream}[name](path))
