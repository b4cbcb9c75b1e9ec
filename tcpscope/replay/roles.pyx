# cython: wraparound=False, freethreading_compatible=True
"""Client or server, from a connection's first segment: by its flags (RFC 9293, 3.5), else by its ports.

Where a capture begins in the middle of a connection, the ports decide: as in Zeek, whose list of services is short,
then by the ranges of RFC 6335, section 6.
"""
from libc.stdint cimport uint8_t, uint16_t
from libc.string cimport memset

from tcpscope.wire.batch cimport SegmentBatch
from tcpscope.wire.segment cimport ACK, SYN, Segment

# TCP ports of Zeek's analyzers (likely_server_ports)
LIKELY_SERVER_PORTS = (
    21, 22, 25, 53, 79, 80, 81, 88, 135, 139, 143, 389, 443, 445, 502, 563, 585, 587, 614, 631, 636, 989,
    990, 992, 993, 995, 1080, 1434, 1883, 2811, 3128, 3268, 3306, 3389, 5222, 5223, 5269, 5432, 6379, 6666,
    6667, 6668, 6669, 8000, 8080, 8888, 20000,
)  # fmt: skip
cdef enum:
    FIRST_USER = 1024
    FIRST_EPHEMERAL = 32768      # Linux; 49152 by RFC 6335, and elsewhere

cdef uint8_t likely[65536]
memset(likely, 0, sizeof(likely))
for _port in LIKELY_SERVER_PORTS:
    likely[<uint16_t>_port] = 1


cdef bint zeek_flips(const Segment *s) noexcept nogil:
    """Zeek takes the first segment's receiver for the originator: no plain SYN, and by port from a server."""
    if s.flags & (SYN | ACK) == SYN or not likely[s.sport]:
        return False
    return not likely[s.dport] or (not s.flags & SYN and s.sport < s.dport)


cdef inline int range_of(uint16_t port) noexcept nogil:
    """0 a system port, 1 a service's, 2 one that systems give to clients."""
    return (port >= FIRST_USER) + (port >= FIRST_EPHEMERAL)


cdef bint ports_differ(const Segment *s) noexcept nogil:
    """One of the ports is rather a server's."""
    return likely[s.sport] or likely[s.dport] or range_of(s.sport) != range_of(s.dport)


cdef int role_of_first(const Segment *s) noexcept nogil:
    """The role of the sender of a connection's first segment: 0 client, 1 server.

    A SYN comes from the client, a SYN-ACK from the server (RFC 9293, 3.5); in between it is a guess by port, else
    the client is who is heard first.
    """
    if s.flags & SYN:
        return 1 if s.flags & ACK else 0
    if likely[s.sport] or likely[s.dport]:
        return zeek_flips(s)
    return range_of(s.sport) < range_of(s.dport)


def first_role(SegmentBatch batch not None, Py_ssize_t index):
    """`role_of_first` of `batch`'s segment at `index`: 0 its sender is the client, 1 the server."""
    if not 0 <= index < batch.size:
        raise IndexError("no such segment")
    return role_of_first(&batch.items[index])
