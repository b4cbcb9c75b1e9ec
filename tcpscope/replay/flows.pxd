"""The flow table: from addresses and ports to the flow between them."""
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from tcpscope.replay.connection cimport Flow
from tcpscope.replay.pool cimport Pool
from tcpscope.wire.segment cimport Segment

cdef struct Flows:
    Flow **slots                 # chains; a power of two of them
    uint32_t mask
    uint32_t used
    uint64_t *ended              # full hashes of flows that have ended, so that their four-tuple's reuse is seen
    uint32_t n_ended
    uint32_t ended_mask
    Pool flows
    bint by_outer                # VLAN and tunnel identifiers are part of a flow's identity
    bint dissolved               # no flow is looked up any more

cdef int flows_open(Flows *t, bint by_outer) noexcept nogil
cdef void flows_close(Flows *t) noexcept nogil
cdef Flow *flows_find(Flows *t, const Segment *s, int *sender) noexcept nogil
cdef Flow *flows_add(Flows *t, const Segment *s) noexcept nogil
cdef bint flows_known(const Flows *t, const Segment *s) noexcept nogil
cdef void flows_dissolve(Flows *t) noexcept nogil
cdef void flows_unlink(Flows *t, Flow *f) noexcept nogil
cdef void flows_free(Flows *t, Flow *f) noexcept nogil


cdef inline uint32_t flows_hash(const Flows *t, const Segment *s) noexcept nogil:
    """Its lowest bits are the place of the flow of s, in a table of whatever size."""
    return s.flow ^ s.outer * <uint32_t>0x9E3779B1 if t.by_outer else s.flow
