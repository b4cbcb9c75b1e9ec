"""How much of a stream is known: up to a sequence number, and a few pieces beyond the holes that follow it.

Small and without allocation, for observers that live in every connection; `ranges.pxd` remembers more.
Invariants: upto < islands[0] < islands[1] < islands[2] …, modulo 2**32.
"""
from libc.stdint cimport uint8_t, uint32_t

from tcpscope.replay.seq cimport after

cdef enum:
    ISLANDS = 4                  # of more pieces, the two closest are taken for one

cdef struct Known:
    uint32_t upto                # the first sequence number not known
    uint32_t islands[2 * ISLANDS]           # [start, end) of the pieces beyond, ascending, apart
    uint8_t count                # of pieces

cdef void known_absorb(Known *k) noexcept nogil
cdef void known_add_beyond(Known *k, uint32_t start, uint32_t end) noexcept nogil


cdef inline void known_add(Known *k, uint32_t start, uint32_t end) noexcept nogil:
    """Add [start, end); what lies below `upto` is known already."""
    if after(start, k.upto):
        known_add_beyond(k, start, end)
    elif after(end, k.upto):
        k.upto = end
        if k.count:
            known_absorb(k)
