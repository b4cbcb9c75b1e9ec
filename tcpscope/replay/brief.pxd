"""What the census wants of a connection that has ended: a thirtieth of its record."""
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from tcpscope.replay.rows cimport ConnectionRow, SideRow

cdef struct Brief:
    uint8_t client[16]
    uint8_t server[16]
    int64_t start_ns
    uint64_t first_frame
    int64_t packets
    int64_t overhead             # of these, that opened and closed
    int64_t bytes                # payload, both ways
    int64_t idle_end_ns          # as in the row
    uint32_t connection
    uint16_t port                # of the service
    uint8_t version
    uint8_t close_kind
    uint8_t opened               # with a whole handshake
    uint8_t time_wait            # the client's end was left in TIME_WAIT
    uint8_t one_direction
    uint8_t closed_by
    uint8_t untold               # something is odd about it, and it has no record


cdef inline int64_t each_once(const SideRow *side) noexcept nogil:
    """Packets without the copies that a capture on several interfaces has."""
    return side.packets - side.duplicate_captures - side.network_duplicates


cdef inline void brief_of(const ConnectionRow *row, Brief *b) noexcept nogil:
    cdef const SideRow *client = &row.side[0]
    cdef const SideRow *server = &row.side[1]
    cdef int64_t fins = client.fin_packets + server.fin_packets
    cdef int64_t overhead = (client.syn_packets + server.syn_packets + fins + client.rst_packets + server.rst_packets
                             + (row.ack_ns > 0) + (fins > 0))
    memcpy(b.client, row.client_addr, 16)
    memcpy(b.server, row.server_addr, 16)
    b.start_ns, b.first_frame, b.idle_end_ns = row.start_ns, row.first_frame, row.idle_end_ns
    b.packets = each_once(client) + each_once(server)
    b.overhead = min(overhead, b.packets)
    b.bytes = client.unique_bytes + server.unique_bytes
    b.connection, b.port, b.version, b.close_kind = row.connection, row.server_port, row.ip_version, row.close_kind
    b.opened = row.syn_ack_ns > 0 and row.ack_ns > 0
    b.time_wait = row.time_wait_owner == 0 or row.time_wait_owner == 2
    b.one_direction, b.closed_by, b.untold = row.one_direction, row.closed_by, False
