# cython: wraparound=False, freethreading_compatible=True
"""Fragments of IP datagrams (RFC 791, 3.2; RFC 8200, 4.5), joined for their length.

Payloads are not kept: a datagram is its first bytes (headers), the ranges seen and
the total length.  The table is small and fixed; when a set is full its oldest entry
makes room.  A datagram whose rest never comes is counted and is no segment: its receiver has none either.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc
from libc.string cimport memcmp, memcpy, memmove, memset

from tcpscope.wire.walk cimport Walk


cdef bint add(Fragments *f, Walk *w) noexcept nogil:
    """Note the fragment at w; True when f.complete now holds its whole datagram."""
    cdef uint32_t start = w.fragment_at
    cdef Py_ssize_t length = w.end - w.at
    cdef Datagram *d
    if length <= 0 or start + length > 0x10000 + 60:
        return False
    d = find(f, w)
    if d == NULL:
        return False
    if not w.fragment_more and (d.total == 0 or start + length > d.total):
        d.total = <uint32_t>(start + length)
    keep_head(d, w, start, length)
    f.last.born, f.last.start, f.last.data = d.born, start, w.frame.data + w.at
    f.last.size = max(<Py_ssize_t>0, min(length, w.frame.size - w.at))
    if start == 0 and not d.has_first:
        d.has_first = True
        d.first = w.segment[0]
        d.first.payload_at += w.at
        d.first_captured = <uint32_t>max(0, min(length, w.frame.size - w.at))
        d.notes = w.notes
    if not join(d, start, <uint32_t>(start + length)):
        d.used = False
        f.given_up += d.has_first
        return False
    if d.total and d.n_pieces == 1 and d.pieces[0].start == 0 and d.pieces[0].end >= d.total and d.has_first:
        f.complete = d[0]
        d.used = False
        return True
    return False


cdef Datagram *find(Fragments *f, Walk *w) noexcept nogil:
    """The entry of w's datagram, a fresh one if there is none."""
    cdef Datagram *found
    cdef Datagram *d
    cdef uint32_t key, word
    cdef int i
    if f.table == NULL:
        f.table = <Datagram *>calloc(SETS * WAYS, sizeof(Datagram))
        if f.table == NULL:
            return NULL
    key = w.fragment_id * <uint32_t>0x9E3779B1 ^ w.outer
    for i in range(4):
        memcpy(&word, w.segment.src + 4 * i, 4)
        key = (key ^ word) * <uint32_t>0x85EBCA6B
        memcpy(&word, w.segment.dst + 4 * i, 4)
        key = (key ^ word) * <uint32_t>0xC2B2AE35
        key ^= key >> 15
    found = &f.table[key % SETS * WAYS]
    f.clock += 1
    for i in range(WAYS):
        d = &f.table[key % SETS * WAYS + i]
        if (d.used and d.identification == w.fragment_id and d.proto == w.proto and d.outer == w.outer
                and d.version == w.segment.ip_version
                and memcmp(d.src, w.segment.src, 16) == 0 and memcmp(d.dst, w.segment.dst, 16) == 0):
            d.touched = f.clock
            return d
        if not d.used or (found.used and d.touched < found.touched):
            found = d
    f.given_up += found.used and found.has_first
    memset(found, 0, sizeof(Datagram))
    found.used = True
    found.touched = found.born = f.clock
    found.identification = w.fragment_id
    found.outer = w.outer
    found.proto = w.proto
    found.version = w.segment.ip_version
    memcpy(found.src, w.segment.src, 16)
    memcpy(found.dst, w.segment.dst, 16)
    return found


cdef void keep_head(Datagram *d, Walk *w, uint32_t start, Py_ssize_t length) noexcept nogil:
    """Copy what this piece holds of the datagram's first bytes; the first copy of a byte stays."""
    cdef Py_ssize_t have = min(length, w.frame.size - w.at), at = 0, n
    cdef uint32_t unit
    while at < have and start + at < HEAD_BYTES:
        unit = (start + <uint32_t>at) // 8
        n = min(<Py_ssize_t>8, have - at)
        if n > d.known[unit]:
            memcpy(&d.head[unit * 8], w.frame.data + w.at + at, n)
            d.known[unit] = <uint8_t>n
        at += 8


cdef bint join(Datagram *d, uint32_t start, uint32_t end) noexcept nogil:
    """Add a range; False when there are more holes than a table entry holds."""
    cdef int i = 0, j
    while i < d.n_pieces and d.pieces[i].end < start:
        i += 1
    j = i
    while j < d.n_pieces and d.pieces[j].start <= end:
        start = min(start, d.pieces[j].start)
        end = max(end, d.pieces[j].end)
        j += 1
    if i == j and d.n_pieces == MAX_PIECES:
        return False
    memmove(&d.pieces[i + 1], &d.pieces[j], (d.n_pieces - j) * sizeof(Piece))
    d.n_pieces += 1 - (j - i)
    d.pieces[i].start = start
    d.pieces[i].end = end
    return True


cdef uint64_t unfinished(const Fragments *f) noexcept nogil:
    """Datagrams whose beginning was seen, and whose rest has not come."""
    cdef uint64_t count = f.given_up
    cdef int i
    if f.table != NULL:
        for i in range(SETS * WAYS):
            count += f.table[i].used and f.table[i].has_first
    return count


cdef Py_ssize_t head_size(Datagram *d) noexcept nogil:
    """Bytes of the head known from its start without a gap."""
    cdef Py_ssize_t size = 0
    cdef int i
    for i in range(HEAD_UNITS):
        size += d.known[i]
        if d.known[i] < 8:
            break
    return size


cdef uint32_t extent(Datagram *d) noexcept nogil:
    """The datagram's length as far as known."""
    return max(d.total, d.pieces[d.n_pieces - 1].end)
