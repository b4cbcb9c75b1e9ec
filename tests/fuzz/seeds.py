"""Inputs to begin with, from the sample captures and, where it is there, from a folder of more."""

from __future__ import annotations

import struct
from pathlib import Path

LINK_TYPES = (1, 113, 276, 12, 101, 228, 229, 0, 108, 9, 166, 51, 104, 205, 107, 206, 105, 119, 127, 163, 192, 8, 10, 6,
              7, 129, 100, 106, 123, 122, 109, 117, 226, 239, 242, 240, 197, 219, 284, 285, 258, 149, 178, 180, 181,
              182, 50, 14, 204, 65535)  # fmt: skip
MAGICS = (b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\xc3\xd4", b"\x4d\x3c\xb2\xa1", b"\n\r\r\n")
MOST = 2500  # bytes of a capture that serves as a seed
FRAMES = 12  # of each capture that serve as frames
ACK, PUSH, SYN, SYN_ACK, FIN, RST = 0, 1, 3, 4, 5, 7  # places in fuzz_core.FLAG_SETS
MSS = 8  # place in fuzz_core.LENGTHS


def segment(side: int, flags: int, length: int = 0, seq: int = 0, step: int = 40, options: int = 17) -> bytes:
    """As fuzz_core.make_segments reads it: of the first flow, `step` telling the time since the one before."""
    return bytes((side << 2, flags, seq, 0, length, 16, step, options))


def conversations() -> list[bytes]:
    """Connections of several kinds: what libFuzzer is to vary."""
    opening = segment(0, SYN, options=29) + segment(1, SYN_ACK, options=29) + segment(0, ACK)
    closing = segment(0, FIN) + segment(1, ACK) + segment(1, FIN) + segment(0, ACK)
    data = segment(0, PUSH, MSS) + segment(1, ACK)
    late = segment(0, PUSH, MSS, seq=96 + 15)  # one MSS further back: again, or out of order
    ahead = segment(0, PUSH, MSS, seq=96 + 17)
    blocks = segment(1, ACK, options=17 + 32) + bytes((0x81, 4, 0x92, 4))
    return [
        opening + data * 3 + closing,
        opening + data + ahead + blocks + late + segment(1, ACK) + closing,
        opening + segment(0, PUSH, MSS) * 4 + late * 3 + data + segment(0, RST),
        segment(0, SYN) * 4 + segment(1, RST),
        segment(0, SYN) + segment(1, SYN) + segment(0, SYN_ACK) + segment(1, SYN_ACK) + closing,
        data * 4 + segment(1, PUSH, MSS) * 4 + segment(0, ACK),
        opening + (ahead + blocks) * 6 + late * 6 + closing,
        (opening + closing) * 3,
    ]


def payloads(data: bytes) -> list[bytes]:
    """Of an Ethernet capture's first TCP segments with data what they carry."""
    found, at = [], 24
    while at + 70 < len(data) and len(found) < 4:
        captured = struct.unpack_from("<I", data, at + 8)[0]
        frame = data[at + 16 : at + 16 + captured]
        if frame[12:14] == b"\x08\x00" and frame[23:24] == b"\x06":
            start = 14 + (frame[14] & 15) * 4
            start += (frame[start + 12] >> 4) * 4 if len(frame) > start + 12 else len(frame)
            end = 14 + struct.unpack_from(">H", frame, 16)[0]
            if payload := frame[start:end]:
                found.append(payload[:600])
        at += 16 + captured
    return found


def write(folder: Path, places: list[Path]) -> None:
    """A folder of seeds for each target that has any; places: folders of captures."""
    for target in ("container", "pipeline", "decoder", "replay", "streams", "hints"):
        (folder / target).mkdir(parents=True, exist_ok=True)
    files = sorted(it for place in places for it in place.rglob("*") if it.is_file())
    for number, capture in enumerate(files):
        with capture.open("rb") as stream:
            data = stream.read(1 << 16)
        if data[:4] in MAGICS and len(data) <= MOST:
            for target in ("container", "pipeline"):
                (folder / target / f"{number:05}").write_bytes(b"\xff" + data)
        if data[:4] == MAGICS[0] and (frames := _frames(data)):
            (folder / "decoder" / f"{number:05}").write_bytes(frames)
            for at, payload in enumerate(payloads(data)):
                (folder / "hints" / f"{number:05}-{at}").write_bytes(b"\0" + payload)
    for target in ("replay", "streams"):
        for number, letters in enumerate(conversations()):
            (folder / target / f"{number:05}").write_bytes(b"\x3f\x01" + letters)


def _frames(data: bytes) -> bytes:
    """As the target `decoder` reads them."""
    link = struct.unpack_from("<I", data, 20)[0] & 0xFFFF
    if link not in LINK_TYPES:
        return b""
    out, at = bytearray((LINK_TYPES.index(link), 0)), 24
    for _ in range(FRAMES):
        if at + 16 > len(data):
            break
        captured, wire = struct.unpack_from("<II", data, at + 8)
        kept = data[at + 16 : at + 16 + min(captured, 200)]
        out += bytes((len(kept), 0, min(max(wire - len(kept), 0), 239))) + kept
        at += 16 + captured
    return bytes(out)
