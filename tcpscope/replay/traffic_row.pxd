"""The record of a side's traffic."""
from tcpscope.replay.rows cimport SideRow
from tcpscope.replay.traffic cimport Traffic

cdef void traffic_row(const Traffic *me, const Traffic *peer, SideRow *out) noexcept nogil
