"""The flow table: from addresses and ports to the open connection between them."""
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from tcpscope.replay.connection cimport Connection
from tcpscope.wire.segment cimport Segment

cdef struct Flows:
    Connection **slots           # chains; a power of two of them
    uint64_t mask
    uint64_t used
    uint64_t key                 # of the hash, so that nobody can prepare collisions
    uint64_t *ended              # hashes of flows that have ended: a cache, newer ones displace older
    Connection *spare            # freed ones, for reuse
    Connection **arenas
    uint32_t n_arenas
    uint32_t left                # unused ones in the newest arena
    bint by_outer                # VLAN and tunnel identifiers are part of a flow's identity

cdef int flows_open(Flows *t, uint64_t key, bint by_outer) noexcept nogil
cdef void flows_close(Flows *t) noexcept nogil
cdef Connection *flows_find(Flows *t, const Segment *s, uint64_t *hash, int *sender) noexcept nogil
cdef Connection *flows_add(Flows *t, uint64_t hash) noexcept nogil
cdef bint flows_known(const Flows *t, uint64_t hash) noexcept nogil
cdef void flows_unlink(Flows *t, Connection *c) noexcept nogil
cdef void flows_remove(Flows *t, Connection *c) noexcept nogil
