# cython: wraparound=False, freethreading_compatible=True
"""What the first bytes of a side say of the application.

Small parsers, told apart by the first bytes; each takes what is surely its own and leaves the rest.  They see
at most the first few segments, and never a connection: who keeps the hint knows which side said it.
"""
from libc.stdint cimport uint8_t

from tcpscope.capture.frame cimport Frame
from tcpscope.wire.binary_services cimport binary
from tcpscope.wire.http cimport http2, http_request, http_response
from tcpscope.wire.layout import SERVICES, TLS_VERSIONS
from tcpscope.wire.text_services cimport lines, ssh
from tcpscope.wire.tls cimport tls

if len(SERVICES) != N_SERVICES - 1:
    raise ImportError("hints.pxd and layout.py disagree on the services")


cdef bint hint_of(const uint8_t *data, Py_ssize_t size, int peer, Hint *out) noexcept nogil:
    """Whether the bytes say anything; `out` is what.  peer: the service that the other side's bytes told, 0: none."""
    cdef Frame f
    cdef uint8_t first
    out.service = out.flags = 0
    out.size = 0
    out.tls_version = NO_VERSION
    out.name[0] = out.detail[0] = out.alpn[0] = 0
    if size < 1:
        return False
    f.data, f.size, f.short = data, size, False
    first = data[0]
    if first == 22 or first == 21:
        return tls(&f, out)
    if c'A' <= first <= c'Z':
        if first == c'S' and ssh(&f, out):
            return True
        if first == c'P' and http2(&f, out):
            return True
        if http_response(&f, out) if starts(&f, 0, b"HTTP/", 5) else http_request(&f, out):
            return True
    elif first == 0 and http2(&f, out):
        return True
    if 0x20 <= first < 0x7F and lines(&f, first, peer, out):
        return True
    out.service = out.flags = 0                   # of those that looked at it in vain
    f.short = False
    return binary(&f, first, peer, out)


def hint(bytes data, peer=None):
    """What bytes say, as a dict; None where they say nothing.

    peer: the service (a word of `layout.SERVICES`) that the other side's first bytes told.
    """
    cdef Hint found
    if not hint_of(data, len(data), SERVICES.index(peer) + 1 if peer else 0, &found):
        return None
    return {
        "service": SERVICES[found.service - 1] if 0 < found.service < N_SERVICES else None,
        "name": found.name.decode("ascii") or None,
        "detail": found.detail.decode("ascii") or None,
        "alpn": found.alpn.decode("ascii") or None,
        "tls_version": TLS_VERSIONS[found.tls_version] if found.tls_version != NO_VERSION else None,
        "certain": bool(found.flags & CERTAIN),
        "short": bool(found.flags & SHORT),
    }
