# cython: wraparound=False, freethreading_compatible=True
"""DNS over TCP (RFC 1035, 4.2.2): the question, and what became of it."""
from tcpscope.capture.frame cimport Frame, has, u8, u16
from tcpscope.wire.hints cimport (
    DETAIL_ROOM, S_DNS, Hint, Text, put_bytes, put_char, put_decimal, put_word, text,
)

cdef int *TYPES = [1, 2, 5, 6, 12, 15, 16, 28, 33, 35, 41, 43, 46, 47, 48, 50, 52, 64, 65, 251, 252, 255, 257]
cdef const char **TYPE_NAMES = [
    b"A", b"NS", b"CNAME", b"SOA", b"PTR", b"MX", b"TXT", b"AAAA", b"SRV", b"NAPTR", b"OPT", b"DS", b"RRSIG", b"NSEC",
    b"DNSKEY", b"NSEC3", b"TLSA", b"SVCB", b"HTTPS", b"IXFR", b"AXFR", b"ANY", b"CAA",
]
cdef const char **CODES = [b"NOERROR", b"FORMERR", b"SERVFAIL", b"NXDOMAIN", b"NOTIMP", b"REFUSED"]
cdef enum:
    N_TYPES = 23
    N_CODES = 6
    HEADER = 14                   # with the length before it


cdef int type_place(int kind) noexcept nogil:
    cdef int i
    for i in range(N_TYPES):
        if TYPES[i] == kind:
            return i
    return -1


cdef bint dns(Frame *f, Hint *out) noexcept nogil:
    """One question of a known type, class IN or ANY, and a length that agrees."""
    cdef Py_ssize_t at = HEADER, size
    cdef int flags, kind, i
    cdef bint answer
    cdef Text t = text(out.detail, DETAIL_ROOM)
    if f.size < HEADER + 5:
        return False
    size, flags = u16(f, 0), u16(f, 4)
    answer = flags & 0x8000 != 0
    # opcode QUERY, the reserved bit zero, one question; a query has no answer and at most a few additional records
    if flags & 0x7840 or u16(f, 6) != 1 or flags & 15 >= N_CODES or size < 17:
        return False
    if not answer and (flags & 15 or u16(f, 8) or u16(f, 10) > 1 or u16(f, 12) > 4 or size > 1024):
        return False
    if f.size > size + 2 and (answer or f.size < size + 2 + HEADER):
        return False
    while True:
        size = u8(f, at)
        if size == 0 or size > 63 or at > HEADER + 255:
            break
        at += 1 + size
    kind = type_place(u16(f, at + 1))
    if size or not has(f, at, 5) or kind < 0 or (u16(f, at + 3) != 1 and u16(f, at + 3) != 255):
        return False
    out.service = S_DNS
    if answer:
        put_word(&t, CODES[flags & 15])
        put_word(&t, b", ")
        put_decimal(&t, u16(f, 8))
        put_word(&t, b" answer" if u16(f, 8) == 1 else b" answers")
        return True
    put_word(&t, TYPE_NAMES[kind])
    put_char(&t, c' ')
    at = HEADER
    if u8(f, at) == 0:
        put_char(&t, c'.')
    while u8(f, at):
        if at > HEADER:
            put_char(&t, c'.')
        for i in range(u8(f, at)):
            if u8(f, at + 1 + i) == c'.':
                put_char(&t, c'\\')                          # a dot inside a label (RFC 1035, 5.1)
            put_bytes(&t, f, at + 1 + i, 1)
        at += 1 + u8(f, at)
    return True
