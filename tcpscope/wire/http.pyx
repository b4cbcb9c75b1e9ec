# cython: wraparound=False, freethreading_compatible=True
"""HTTP (RFC 9112, RFC 9113), and those that look like it: RTSP (RFC 7826) and SIP (RFC 3261)."""
from libc.stdint cimport uint8_t

from tcpscope.capture.frame cimport Frame, u8, u16, u32
from tcpscope.wire.hints cimport (
    CERTAIN, DETAIL_ROOM, NAME_ROOM, S_HTTP, S_HTTP2, S_RTSP, S_SIP, S_WEBSOCKET, SHORT, Hint, Text, put_bytes, starts,
    text,
)

cdef enum:
    LONGEST_METHOD = 17           # BASELINE-CONTROL
    LINE = 8192                   # bytes of a request line or a header that are looked at

# A line that is not all there is believed only with one of these.
cdef const char **METHODS = [b"GET ", b"POST ", b"HEAD ", b"PUT ", b"DELETE ", b"OPTIONS ", b"PATCH ", b"CONNECT "]
cdef enum:
    N_METHODS = 8


cdef inline uint8_t lower(uint8_t c) noexcept nogil:
    return c | 0x20 if c'A' <= c <= c'Z' else c


cdef Py_ssize_t line_end(const Frame *f, Py_ssize_t at) noexcept nogil:
    """Of the line at `at`, the place of its LF; -1: not there."""
    cdef Py_ssize_t i
    for i in range(at, min(f.size, at + LINE)):
        if f.data[i] == c'\n':
            return i
    return -1


cdef inline Py_ssize_t without_cr(const Frame *f, Py_ssize_t at, Py_ssize_t end) noexcept nogil:
    return end - 1 if end > at and f.data[end - 1] == c'\r' else end


cdef bint plain(const Frame *f, Py_ssize_t at, Py_ssize_t end) noexcept nogil:
    """No control characters."""
    cdef Py_ssize_t i
    for i in range(at, end):
        if f.data[i] < 0x20 or f.data[i] == 0x7F:
            return False
    return True


cdef int version_at(const Frame *f, Py_ssize_t at, Py_ssize_t end) noexcept nogil:
    """The service whose version stands there; 0: none."""
    if end - at < 7 or f.data[end - 2] != c'.' or not c'0' <= f.data[end - 1] <= c'9':
        return 0
    if end - at == 8 and starts(f, at, b"HTTP/1", 6):
        return S_HTTP
    if end - at == 8 and starts(f, at, b"RTSP/", 5) and (f.data[at + 5] == c'1' or f.data[at + 5] == c'2'):
        return S_RTSP
    return S_SIP if end - at == 7 and starts(f, at, b"SIP/2", 5) else 0


cdef bint known_method(const Frame *f) noexcept nogil:
    cdef int i
    cdef Py_ssize_t n
    for i in range(N_METHODS):
        n = 0
        while METHODS[i][n]:
            n += 1
        if starts(f, 0, METHODS[i], n):
            return True
    return False


cdef bint http_request(Frame *f, Hint *out) noexcept nogil:
    """METHOD target HTTP/1.x, and of its headers Host."""
    cdef Py_ssize_t method = 0, target, end, line
    cdef Text t = text(out.detail, DETAIL_ROOM)
    while method < f.size and method <= LONGEST_METHOD and (c'A' <= f.data[method] <= c'Z' or f.data[method] in b"-_"):
        method += 1
    if not 3 <= method <= LONGEST_METHOD or method + 1 >= f.size or f.data[method] != c' ':
        return False
    target = method + 1
    line = line_end(f, target)
    if line < 0:
        if not known_method(f) or not (f.data[target] in b"/*" or c'a' <= lower(f.data[target]) <= c'z'):
            return False
        if not plain(f, 0, f.size) or f.size >= LINE:
            return False
        out.service = S_HTTP
        out.flags |= SHORT
        put_bytes(&t, f, 0, f.size)
        return True
    line = without_cr(f, target, line)
    end = line
    while end > target and f.data[end - 1] != c' ':
        end -= 1
    out.service = <uint8_t>version_at(f, end, line) if end > target + 1 else 0
    if not out.service or not plain(f, 0, line):
        out.service = 0
        return False
    out.flags |= CERTAIN
    put_bytes(&t, f, 0, line)
    if out.service != S_SIP:
        headers(f, line_end(f, line) + 1, out)
    if out.name[0] == 0:
        of_target(f, target, end - 1, starts(f, 0, b"CONNECT ", 8), out)
    return True


cdef void headers(Frame *f, Py_ssize_t at, Hint *out) noexcept nogil:
    """Host and Upgrade; short if the headers do not end here."""
    cdef Py_ssize_t end, begin
    while True:
        end = line_end(f, at)
        if end < 0:
            out.flags |= SHORT
            return
        if without_cr(f, at, end) == at:
            return
        begin = at
        at = end + 1
        end = without_cr(f, begin, end)
        if header(f, begin, end, b"host:"):
            host(f, begin + 5, end, out)
            if out.service != S_HTTP:
                return
        elif header(f, begin, end, b"upgrade:"):
            begin += 8
            while begin < end and f.data[begin] == c' ':
                begin += 1
            if header(f, begin, end, b"websocket"):
                out.service = S_WEBSOCKET


cdef bint header(const Frame *f, Py_ssize_t at, Py_ssize_t end, const char *name) noexcept nogil:
    """The bytes begin with the name, in any case."""
    cdef Py_ssize_t i = 0
    while name[i]:
        if at + i >= end or lower(f.data[at + i]) != <uint8_t>name[i]:
            return False
        i += 1
    return True


cdef void host(Frame *f, Py_ssize_t at, Py_ssize_t end, Hint *out) noexcept nogil:
    """`name`, `name:port`, `[address]:port` between at and end: the name."""
    cdef Text t = text(out.name, NAME_ROOM)
    cdef Py_ssize_t i
    while at < end and (f.data[at] == c' ' or f.data[at] == c'\t'):
        at += 1
    while end > at and (f.data[end - 1] == c' ' or f.data[end - 1] == c'\t'):
        end -= 1
    if t.size or at == end:
        return
    i = at
    if f.data[at] == c'[':
        while i < end and f.data[i] != c']':
            i += 1
    while i < end and f.data[i] != c':':
        i += 1
    put_bytes(&t, f, at, i - at)


cdef void of_target(Frame *f, Py_ssize_t at, Py_ssize_t end, bint authority, Hint *out) noexcept nogil:
    """The host of `scheme://host/path`, or of CONNECT's host:port."""
    cdef Py_ssize_t i = at, last
    if not authority:
        while i < end and f.data[i] != c':' and f.data[i] != c'/':
            i += 1
        if not starts(f, i, b"://", 3):
            return
        i += 3
    last = i
    while last < end and f.data[last] != c'/' and f.data[last] != c'?':
        if f.data[last] == c'@':                  # what stands before is no part of the name, and may be a password
            i = last + 1
        last += 1
    host(f, i, last, out)


cdef bint http_response(Frame *f, Hint *out) noexcept nogil:
    """HTTP/1.x status text."""
    cdef Py_ssize_t end, at = 7 if starts(f, 0, b"SIP/", 4) else 8
    cdef Text t = text(out.detail, DETAIL_ROOM)
    cdef int service, i
    if f.size < at + 5:
        return False
    service = version_at(f, 0, at)
    if not service or f.data[at] != c' ':
        return False
    for i in range(3):
        if not c'0' <= f.data[at + 1 + i] <= c'9':
            return False
    if f.data[at + 4] not in b" \r\n":
        return False
    end = line_end(f, at)
    out.service = <uint8_t>service
    out.flags |= CERTAIN
    if end < 0:
        out.flags |= SHORT
        end = f.size
    put_bytes(&t, f, 0, without_cr(f, 0, end))
    if service == S_HTTP and starts(f, at + 1, b"101", 3) and upgraded(f, end):
        out.service = S_WEBSOCKET
    return True


cdef bint upgraded(const Frame *f, Py_ssize_t at) noexcept nogil:
    """A header upgrades to WebSocket (RFC 6455)."""
    while at >= 0 and at < f.size:
        at += 1
        if header(f, at, f.size, b"upgrade: websocket"):
            return True
        at = line_end(f, at)
    return False


cdef bint http2(Frame *f, Hint *out) noexcept nogil:
    """The client's preface (RFC 9113, 3.4), or the SETTINGS that a server begins with."""
    cdef Text t = text(out.detail, DETAIL_ROOM)
    if starts(f, 0, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24):
        out.service = S_HTTP2
        out.flags |= CERTAIN
        put_bytes(&t, f, 0, 14)
        return True
    # length (a multiple of 6, and of few settings), type 4, flags 0, stream 0; the first setting is a known one
    if (f.size >= 9 and u8(f, 0) == 0 and u8(f, 3) == 4 and u8(f, 4) == 0 and u32(f, 5) == 0
            and u16(f, 1) % 6 == 0 and 6 <= u16(f, 1) <= 72 and f.size >= 15 and 1 <= u16(f, 9) <= 8):
        out.service = S_HTTP2
        return True
    return False
