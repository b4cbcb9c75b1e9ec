"""The record of where a connection's time went."""
from tcpscope.replay.flight cimport Flight
from tcpscope.replay.rows cimport ConnectionRow
from tcpscope.replay.spending cimport Spending

cdef void spending_row(const Spending *l, const Flight *flight, bint answers, ConnectionRow *row) noexcept nogil
