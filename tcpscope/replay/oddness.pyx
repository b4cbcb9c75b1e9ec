# cython: wraparound=False, freethreading_compatible=True
"""Which of many packed connection records are odd, and which the oddest: a look at each, of captures with millions."""
from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.string cimport memmove

from tcpscope.replay.rows cimport ConnectionRow

cdef enum:
    MOST = 64


cdef struct Rank:
    Py_ssize_t at
    uint32_t number
    uint8_t odd


cdef inline bint odder(const Rank *a, const Rank *b) noexcept nogil:
    return a.odd > b.odd if a.odd != b.odd else a.number < b.number


def odd_ones(const unsigned char[::1] records not None, int64_t below=1 << 32):
    """The places of those in which anything is odd, in their order; of those with a number less than `below`."""
    cdef Py_ssize_t at, count = len(records) // <Py_ssize_t>sizeof(ConnectionRow)
    cdef const ConnectionRow *row = <const ConnectionRow *>&records[0] if count else NULL
    return [at for at in range(count) if row[at].odd and row[at].connection < below]


def oddest(const unsigned char[::1] records not None, Py_ssize_t most):
    """(oddness, number, place) of the `most` oddest, worst first; of those equally odd the first by number."""
    cdef Py_ssize_t i, at, kept = 0, count = len(records) // <Py_ssize_t>sizeof(ConnectionRow)
    cdef const ConnectionRow *row = <const ConnectionRow *>&records[0] if count else NULL
    cdef Rank best[MOST]
    cdef Rank it
    if not 0 < most <= MOST:
        raise ValueError(f"between one and {MOST}")
    with nogil:
        for at in range(count):
            it.at, it.number, it.odd = at, row[at].connection, row[at].odd
            if kept == most and not odder(&it, &best[kept - 1]):
                continue
            i = kept
            while i > 0 and odder(&it, &best[i - 1]):
                i -= 1
            kept = min(kept + 1, most)
            memmove(&best[i + 1], &best[i], (kept - 1 - i) * sizeof(Rank))
            best[i] = it
    return [(best[i].odd, best[i].number, best[i].at) for i in range(kept)]
