# cython: wraparound=False, freethreading_compatible=True
"""What a connection's record says of where its time went."""
from libc.stdint cimport int64_t

from tcpscope.replay.flight cimport Flight
from tcpscope.replay.rows cimport NONE, ConnectionRow, SideRow
from tcpscope.replay.spending cimport (
    BY_APPLICATION, BY_CLOSING, BY_CONGESTION, BY_LOSS, BY_RECEIVER, REASONS, T_CLIENT, T_CLOSING, T_CONGESTION, T_IDLE,
    T_LOSS, T_NETWORK, T_OPENING, T_RECEIVER, T_SERVER, T_TIMEOUT, WAYS, Pace, Spending,
)


cdef void side_row(const Pace *p, const Flight *f, const Flight *other, SideRow *row) noexcept nogil:
    row.limited_application_ns = p.spent[BY_APPLICATION]
    row.limited_receiver_ns = p.spent[BY_RECEIVER]
    row.limited_congestion_ns = p.spent[BY_CONGESTION]
    row.limited_loss_ns = p.spent[BY_LOSS]
    row.limited_closing_ns = p.spent[BY_CLOSING]
    row.starved_ns = p.starved_ns
    row.slow_start_ns = p.slow_start_ns
    row.congestion_window_bytes = <int64_t>p.round_most if p.round_most else NONE
    row.recovery_cut = <double>f.cut_to / f.cut_from if f.cut_from else NONE
    row.restarts, row.restart_frame = p.restarts, <int64_t>p.restart_frame if p.restarts else NONE
    row.window_edge_frame = <int64_t>p.edge_frame if p.edge_frame else NONE
    row.small_segments_frame = <int64_t>p.small_frame if p.small_frame else NONE
    row.rtt_max_frame = <int64_t>p.slowest_frame if p.slowest_frame else NONE
    row.small_segments, row.silly_segments = p.small, p.silly
    row.lost_before_capture, row.lost_after_capture, row.lost_again = p.lost_before, p.lost_after, p.lost_again
    row.timer_ns = p.timer_ns
    row.back_off_longest, row.back_off_ns = p.chain_longest, p.chain_longest_ns if p.chain_longest else NONE
    row.back_off_open = p.chain
    row.stuck_segment = p.stuck_length if p.stuck_length > f.acked_most else 0
    row.stuck_times, row.stuck_heard, row.acked_segment = p.stuck_times, p.stuck_heard, f.acked_most
    row.spurious_by_delay, row.spurious_by_order, row.spurious_by_acks = f.needless[0], f.needless[1], f.needless[2]
    row.spurious_timeouts = f.needless_rtos
    row.overtaken, row.reordering_bytes, row.reordering_ns = f.n_late, f.late_bytes, f.late_ns
    row.lost_window_updates, row.probe_openings = other.unheard, other.found_open
    row.delayed_ack_mean_ns = row.delayed_ack_max_ns = NONE
    if other.n_delayed:
        row.delayed_ack_mean_ns, row.delayed_ack_max_ns = other.delayed_ns // other.n_delayed, other.delayed_most_ns
    row.reach_samples = p.lag_samples
    row.reach_min_ns = row.reach_mean_ns = row.reach_max_ns = NONE
    if p.lag_samples:
        row.reach_min_ns, row.reach_max_ns = p.lag_least_ns, p.lag_most_ns
        row.reach_mean_ns = p.lag_sum_ns // p.lag_samples


cdef void tidy(int64_t *values, int count) noexcept nogil:
    """A clock that went back may have left less than nothing: the largest pays; where it cannot, nothing is known."""
    cdef int i, most = 0
    for i in range(count):
        if values[i] > values[most]:
            most = i
    for i in range(count):
        if values[i] < 0 and i != most:
            values[most] += values[i]
            values[i] = 0
    if values[most] < 0:
        for i in range(count):
            values[i] = NONE


cdef void spending_row(const Spending *l, const Flight *flight, bint answers, ConnectionRow *row) noexcept nogil:
    """answers: in this service the server answers all that it is asked, so who waited to the end waited for it."""
    cdef int64_t idle = l.spent[T_IDLE] + l.pending_ns, asked = 0
    cdef int x
    if answers and l.speaker == 1:
        asked = l.asked_ns + l.pending_ns
    row.time_opening_ns = l.spent[T_OPENING]
    row.time_client_ns, row.time_server_ns = l.spent[T_CLIENT], l.spent[T_SERVER] + asked
    row.time_network_ns, row.time_congestion_ns = l.spent[T_NETWORK], l.spent[T_CONGESTION]
    row.time_receiver_ns, row.time_loss_ns = l.spent[T_RECEIVER], l.spent[T_LOSS]
    row.time_timeout_ns, row.time_idle_ns = l.spent[T_TIMEOUT], idle - asked
    row.time_closing_ns = l.spent[T_CLOSING]
    tidy(&row.time_opening_ns, WAYS)
    for x in range(2):
        side_row(&l.side[x], &flight[x], &flight[1 - x], &row.side[x])
        # what the opening paid, or owes, where the clock went back
        row.side[x].limited_application_ns += l.spent[T_OPENING] - max(row.time_opening_ns, 0)
        tidy(&row.side[x].limited_application_ns, REASONS)
