# cython: wraparound=False, freethreading_compatible=True
"""What the first bytes of a connection's sides said: kept out of line, for most connections of a flood say nothing."""
from libc.stdint cimport int64_t, uint8_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset, strlen

from tcpscope.replay.rows cimport ConnectionRow
from tcpscope.wire.hints cimport ALPN_ROOM, CERTAIN, DETAIL_ROOM, FOLLOWS, N_SERVICES, NO_VERSION, SHORT, Hint

cdef const char *CUT = b" [cut]"
cdef const char *UNFINISHED = b" [unfinished]"

cdef enum:
    NOT_TOLD = 255


cdef int said_keep(Saids *w, int d, const Hint *hint, bint first) noexcept nogil:
    """Keep what side d said, if it is the first; -1 when memory runs out.  first: its stream begins with it."""
    cdef Said *old = w.side[d]
    cdef size_t name, detail, alpn
    cdef Said *s
    if old != NULL:
        if not (hint.flags & FOLLOWS and old.flags & SHORT):
            return 0
    elif not first and not hint.flags & (CERTAIN | FOLLOWS):
        return 0
    name, detail, alpn = strlen(hint.name), strlen(hint.detail), strlen(hint.alpn)
    s = <Said *>malloc(sizeof(Said) + name + detail + alpn)
    if s == NULL:
        return -1
    s.service, s.flags, s.tls_version, s.size = hint.service, hint.flags, hint.tls_version, hint.size
    s.name, s.detail, s.alpn = <uint8_t>name, <uint8_t>detail, <uint8_t>alpn
    memcpy(s.texts, hint.name, name)
    memcpy(s.texts + name, hint.detail, detail)
    memcpy(s.texts + name + detail, hint.alpn, alpn)
    free(old)
    w.side[d] = s
    return 0


cdef inline bint names_service(const Said *s) noexcept nogil:
    return s != NULL and 0 < s.service < N_SERVICES


cdef void detail(const Said *s, int64_t sent, char *to) noexcept nogil:
    """The side's text, and whether there was more to it, or should have been.  sent: bytes of the side."""
    cdef const char *why
    cdef size_t size
    if s == NULL:
        return
    size = s.detail
    memcpy(to, s.texts + s.name, size)
    if s.flags & SHORT:
        why = UNFINISHED if s.size and s.size == sent else CUT
        size = min(size, DETAIL_ROOM - 1 - strlen(why))
        memcpy(to + size, why, strlen(why))


cdef void said_row(const Saids *w, ConnectionRow *row) noexcept nogil:
    """Into zeroed fields.  The client names the service, where it does, and what it wants; the server what it chose."""
    cdef const Said *s
    cdef int d
    row.service, row.tls_version = NOT_TOLD, NO_VERSION
    for d in range(2):
        s = w.side[d]
        if s == NULL:
            continue
        if row.service == NOT_TOLD and names_service(s):
            row.service = s.service - 1
        if row.server_name[0] == 0:
            memcpy(row.server_name, s.texts, s.name)
        if s.alpn:
            memset(row.alpn, 0, ALPN_ROOM)                # what the server chose, where it says so
            memcpy(row.alpn, s.texts + s.name + s.detail, s.alpn)
        if s.tls_version != NO_VERSION and row.tls_version == NO_VERSION:
            row.tls_version = s.tls_version
    detail(w.side[0], row.side[0].unique_bytes, row.client_hint)
    detail(w.side[1], row.side[1].unique_bytes, row.server_hint)


cdef void said_free(Saids *w) noexcept nogil:
    free(w.side[0])
    free(w.side[1])
    w.side[0] = w.side[1] = NULL
