# cython: wraparound=False, freethreading_compatible=True
"""Packet records get their states and corrections when the whole of each connection is known."""
from libc.stdint cimport uint8_t, uint64_t

from tcpscope.replay.lifecycle cimport Step
from tcpscope.replay.rows cimport PacketRow
from tcpscope.replay.store cimport Store


cdef void settle_states(const Store *pasts, const Store *all_steps, PacketRow *p, Py_ssize_t count) noexcept nogil:
    """Both endpoints' states after each packet."""
    cdef uint64_t n = <uint64_t>pasts.size // sizeof(Past)
    cdef Past *past
    cdef Step *steps
    cdef Py_ssize_t i
    for i in range(count):
        if p[i].connection >= n:
            continue
        past = <Past *>pasts.data + p[i].connection
        steps = <Step *>all_steps.data + past.first
        p[i].client_state = state_at(steps, past.counts[0], past.initial[0], &p[i])
        p[i].server_state = state_at(steps + past.counts[0], past.counts[1], past.initial[1], &p[i])


cdef inline uint8_t state_at(const Step *steps, int count, uint8_t initial, const PacketRow *p) noexcept nogil:
    cdef uint8_t state = initial
    cdef int i
    for i in range(count):
        if (steps[i].order <= p.order) if steps[i].frame else (steps[i].time_ns <= p.time_ns):
            state = steps[i].new
        else:
            break
    return state


cdef void settle_patches(const Store *patches, PacketRow *p, Py_ssize_t count) noexcept nogil:
    """Patches are few and unordered: each finds its row by bisection."""
    cdef Patch *patch = <Patch *>patches.data
    cdef Py_ssize_t n = patches.size // <Py_ssize_t>sizeof(Patch), i, low, high, middle
    for i in range(n):
        if patch[i].order < p[0].order or patch[i].order > p[count - 1].order:
            continue
        low, high = 0, count
        while low < high:
            middle = (low + high) // 2
            if p[middle].order < patch[i].order:
                low = middle + 1
            else:
                high = middle
        if low < count and p[low].order == patch[i].order:
            p[low].annotations |= patch[i].bits
