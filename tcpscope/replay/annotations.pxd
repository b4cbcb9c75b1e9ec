"""Positions of tcpscope's annotations: the order of layout.ANNOTATIONS.  The first fifteen are Wireshark's."""
from libc.stdint cimport uint64_t

cdef enum:
    A_RETRANSMISSION, A_FAST_RETRANSMISSION, A_SPURIOUS_RETRANSMISSION, A_OUT_OF_ORDER, A_LOST_SEGMENT
    A_ACK_LOST_SEGMENT, A_DUPLICATE_ACK, A_WINDOW_UPDATE, A_WINDOW_FULL, A_ZERO_WINDOW, A_ZERO_WINDOW_PROBE
    A_ZERO_WINDOW_PROBE_ACK, A_KEEP_ALIVE, A_KEEP_ALIVE_ACK, A_REUSED_PORTS
    A_TIMEOUT_RETRANSMISSION, A_TAIL_LOSS_PROBE, A_SYN_RETRANSMISSION, A_SYN_ACK_RETRANSMISSION
    A_FIN_RETRANSMISSION, A_RTO_RECOVERY, A_DSACK, A_DELAYED_ACK, A_PIGGYBACKED_ACK, A_CHALLENGE_ACK
    A_DUPLICATE_CAPTURE, A_NETWORK_DUPLICATE, A_BAD_CHECKSUM, A_OFFLOAD_CHECKSUM, A_OFFLOADED
    A_TIME_WAIT_ACK, A_SIMULTANEOUS_OPEN, A_FAST_OPEN, A_RESET_REFUSED, A_RESET_ABORT, A_RESET_NO_SOCKET
    A_MALFORMED_OPTIONS, A_ACK_WITHOUT_FLAG, A_URGENT, A_ECN_CE, A_ECN_ECHO, A_CWR, A_DATA_ON_SYN
    A_CLOCK_STEP, A_NAGLE_STALL
    N_ANNOTATIONS

cdef inline uint64_t bit(int position) noexcept nogil:
    return <uint64_t>1 << position


# ---------------------------------------------------------------- sets of them

cdef inline uint64_t twice() noexcept nogil:
    """The same packet once more."""
    return bit(A_DUPLICATE_CAPTURE) | bit(A_NETWORK_DUPLICATE)


cdef inline uint64_t probes() noexcept nogil:
    """A timer sends them; they answer nothing."""
    return bit(A_KEEP_ALIVE) | bit(A_ZERO_WINDOW_PROBE)


cdef inline uint64_t not_new() noexcept nogil:
    """What it carries was sent before, or does not count as sent."""
    return bit(A_RETRANSMISSION) | bit(A_OUT_OF_ORDER) | probes() | twice()


cdef inline uint64_t by_silence() noexcept nogil:
    """Sent again because nothing was heard."""
    return bit(A_TIMEOUT_RETRANSMISSION) | bit(A_TAIL_LOSS_PROBE)


cdef inline uint64_t by_timer() noexcept nogil:
    """... and what the sender then sent again behind it."""
    return by_silence() | bit(A_RTO_RECOVERY)


cdef inline uint64_t causes() noexcept nogil:
    """Why a segment was sent again."""
    return by_timer() | bit(A_FAST_RETRANSMISSION)
