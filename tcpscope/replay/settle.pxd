"""What is remembered of a connection so that its packets can be settled, and the settling."""
from libc.stdint cimport uint8_t, uint64_t

from tcpscope.replay.rows cimport PacketRow
from tcpscope.replay.store cimport Store

cdef struct Patch:               # what a later packet told of an earlier one
    uint64_t order
    uint64_t bits

cdef struct Past:                # where a finished connection's steps stand, for settling rows
    uint64_t first
    uint8_t counts[2]
    uint8_t initial[2]

cdef void settle_states(const Store *pasts, const Store *all_steps, PacketRow *p, Py_ssize_t count) noexcept nogil
cdef void settle_patches(const Store *patches, PacketRow *p, Py_ssize_t count) noexcept nogil
