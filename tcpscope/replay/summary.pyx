# cython: wraparound=False, freethreading_compatible=True
"""What is said of a connection as a whole, when it has ended or the capture has."""
from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.string cimport memcpy, memset, strncmp

from tcpscope.replay.chunks cimport chunk
from tcpscope.replay.connection cimport (
    N_AGAIN, N_CAPTURED_TWICE, N_CHALLENGES, N_DELAYED, N_FAST, N_FIN, N_FULL, N_HOLES, N_NETWORK_TWICE, N_PIGGYBACKED,
    N_PROBE, N_PROBE_ACKS, N_RECOVERY, N_SPURIOUS, N_SYN, N_TIMEOUT, N_UPDATES, Connection, Side,
)
from tcpscope.replay.course cimport FAST_OPEN_REFUSED, RESET_OPENING, RESET_REPLACED, RESET_SPOKE, REUSE_RISKY
from tcpscope.replay.flight cimport Flight
from tcpscope.replay.lifecycle cimport (
    POINT_CLIENT, POINT_MIDDLE, POINT_SERVER, POINT_UNKNOWN, Life, Step, Surroundings, live,
)
from tcpscope.replay.marks cimport MARK_ASIDE
from tcpscope.replay.rows cimport HISTORY_ROOM, NONE, ConnectionRow, SideRow
from tcpscope.replay.services cimport said_row
from tcpscope.replay.spending_row cimport spending_row
from tcpscope.replay.traffic cimport BARE_SYN, DATA_SEEN, Traffic, traffic_end
from tcpscope.replay.traffic_row cimport traffic_row
from tcpscope.replay.wireshark cimport COMPLETE_DATA, COMPLETE_RST, COMPLETE_SYN_ACK, Wireshark
from tcpscope.replay.zeek cimport zeek_conn_state, zeek_history
from tcpscope.wire.hints cimport S_DNS, S_HTTP
from tcpscope.wire.segment cimport OPT_CUT, OPT_SACK_PERMITTED, OPT_TIMESTAMPS, OPT_WSCALE, file_at

cdef enum:
    ANSWERS = OPT_WSCALE | OPT_SACK_PERMITTED | OPT_TIMESTAMPS     # options of a SYN-ACK that answer the SYN's

cdef enum:                       # states, as in states.State
    CLOSED = 0
    SYN_RECEIVED = 3
    FIN_WAIT_1 = 5
    CLOSE_WAIT = 7
    TIME_WAIT = 10

cdef enum:                       # events, as in states.Event
    SENT_FIN = 6
    GOT_ACK_OF_FIN = 8
    SENT_RST = 9
    GOT_RST = 10

cdef enum:                       # close kinds, as in layout.CLOSE_KINDS
    CLOSE_OPEN = 0
    CLOSE_FIN = 1
    CLOSE_RESET = 2
    CLOSE_REFUSED = 3
    CLOSE_UNANSWERED = 4
    CLOSE_TIMEOUT = 5
    CLOSE_HALF_CLOSED = 6
    CLOSE_HALF_OPEN = 7
    CLOSE_UNREACHABLE = 8

cdef uint8_t *WEIGHTS = [0, 0, 40, 50, 60, 70, 10, 30, 60]       # of the close kinds, for `oddness`

cdef int64_t SLOW_NS = 200_000_000      # what a person may notice
cdef int64_t LONG_NS = 1_000_000_000    # of a transfer, a time worth a word
cdef int64_t LARGE = 500_000          # bytes that make one
cdef int64_t MANY = 100

cdef enum:
    NOBODY = 255
    BOTH = 2
    SEVERAL = 20                 # segments
    DEFAULT_MSS = 536
    BEATS = 3                    # pauses of about one length that make a heartbeat
    FAR_NS = 10_000_000
    IN_VAIN = 3                  # repetitions without an answer that mean the peer is gone


# ---------------------------------------------------------------- where the capture was taken

cdef inline bint fresh_ttl(uint8_t ttl) noexcept nogil:
    """No router has counted this TTL down: the usual initial values."""
    return ttl == 64 or ttl == 128 or ttl == 255


cdef inline bint far(const Connection *c, int asked, int64_t there, int64_t beyond) noexcept nogil:
    """Who answers is another host, whatever its TTL: a kernel answers in the handshake at once.

    asked: the side that it answers; there: how long that took; beyond: the same, of the other one.
    """
    return (there >= FAR_NS and 0 < beyond <= there
            and (c.flight[asked].rtt_min_ns == 0 or c.flight[asked].rtt_min_ns >= FAR_NS))


cdef uint8_t capture_point(const Connection *c) noexcept nogil:
    """From hop counts, and from how the handshake's round trip divides at the capture point."""
    cdef bint client = fresh_ttl(c.side[0].ttl), server = fresh_ttl(c.side[1].ttl)
    cdef int64_t to_server = c.syn_rtt_ns, to_client = c.ack_rtt_ns
    if to_server <= 0:
        to_server = c.flight[0].rtt_min_ns
    if to_client <= 0:
        to_client = c.flight[1].rtt_min_ns
    if far(c, 1, c.ack_rtt_ns, c.syn_rtt_ns):              # one hop away from it: an access point, a hypervisor
        client = False
    if far(c, 0, c.syn_rtt_ns, c.ack_rtt_ns):
        server = False
    if client != server and c.side[0].ttl and c.side[1].ttl:
        return POINT_CLIENT if client else POINT_SERVER
    if not client and not server and c.side[0].ttl and c.side[1].ttl:
        return POINT_MIDDLE                                # however near one of them is: on a router, in front of it
    if to_server > 0 and to_client > 0:
        if to_client <= (to_server - 1) >> 3:              # eight times and more, without an overflow
            return POINT_CLIENT
        if to_server <= (to_client - 1) >> 3:
            return POINT_SERVER
    return POINT_UNKNOWN


cdef inline uint32_t unseen_at_end(const Flight *f) noexcept nogil:
    """How many numbers the peer has acknowledged behind all that the capture holds of this side."""
    cdef uint32_t count = f.old + f.live
    return f.max - chunk(f, count - 1).end if not f.fin_sent and count and f.una == f.max else 0


cdef void tell(const Connection *c, int64_t now, int64_t msl, Told *out) noexcept nogil:
    """The states of both ends, with all that is known now."""
    cdef Surroundings w
    cdef int side
    w.point = out.point = capture_point(c)
    w.from_start = c.from_start
    w.now_ns, w.msl_ns = now, msl
    w.reused_ns, w.reused_frame, w.reused_order = c.reused_ns, c.reused_frame, c.reused_order
    for side in range(2):
        # what one side sent, the other acknowledged: the shortest time that took
        w.reach_ns[side] = c.flight[1 - side].rtt_min_ns
        w.unseen[side] = unseen_at_end(&c.flight[side])
        w.unseen_end[side] = c.flight[side].max
    live(&c.marks, &w, out.lives)
    for side in range(2):
        out.initial[side] = out.lives[side].steps[0].old if out.lives[side].count else out.lives[side].state


# ---------------------------------------------------------------- how it closed

cdef const Step *step_of(const Life *life, int event) noexcept nogil:
    cdef int i
    for i in range(life.count):
        if life.steps[i].event == event:
            return &life.steps[i]
    return NULL


cdef const Step *step_into(const Life *life, int state) noexcept nogil:
    cdef int i
    for i in range(life.count):
        if life.steps[i].new == state:
            return &life.steps[i]
    return NULL


cdef bint was_reset(const Life *life) noexcept nogil:
    return step_of(life, SENT_RST) != NULL or step_of(life, GOT_RST) != NULL


cdef inline bint only_asked(const Traffic *client) noexcept nogil:
    """It sent nothing but SYNs: who acknowledges has an answer, though it was not captured."""
    return not (client.pure_acks or client.data_packets or client.fin_packets) or client.marks & BARE_SYN and (
        client.pure_acks == 0 and client.syn_packets == client.data_packets)


cdef inline bint spoke(const Traffic *t) noexcept nogil:
    """As one who is connected."""
    return t.pure_acks > 0 or t.data_packets > 0


cdef inline bint has_closed(const Connection *c, const Told *told, int side) noexcept nogil:
    """It has sent a FIN, whether the capture holds that or not."""
    return c.flight[side].fin_sent or step_of(&told.lives[side], SENT_FIN) != NULL


cdef uint8_t kind_of_end(const Connection *c, const Told *told) noexcept nogil:
    if c.fins == 3:
        return CLOSE_FIN
    if c.reset and (was_reset(&told.lives[0]) or was_reset(&told.lives[1]) or c.syn_ns[1] < 0):
        if c.side[c.reset_by].unanswered >= IN_VAIN:
            return CLOSE_TIMEOUT                # it gave up
        if (c.syn_ns[0] >= 0 and c.syn_ns[1] < 0 and c.reset_by == 1 and not c.fin_seen
                and not (spoke(&c.traffic[0]) and spoke(&c.traffic[1]))):
            return CLOSE_REFUSED
        return CLOSE_RESET
    if c.syn_ns[0] >= 0 and c.syn_ns[1] < 0 and c.icmp_type != NOBODY:
        return CLOSE_UNREACHABLE
    if c.syn_ns[0] >= 0 and c.syn_ns[1] < 0 and c.side[1].last_ns < 0 and only_asked(&c.traffic[0]):
        return CLOSE_UNANSWERED
    if c.syn_ns[1] >= 0 and c.ack_ns < 0 and told.lives[1].state == SYN_RECEIVED:
        return CLOSE_HALF_OPEN
    if c.side[0].unanswered >= IN_VAIN or c.side[1].unanswered >= IN_VAIN:
        return CLOSE_TIMEOUT
    if has_closed(c, told, 0) and has_closed(c, told, 1):
        return CLOSE_FIN                        # the last acknowledgment was not seen, or not a FIN itself
    if c.fin_seen:
        return CLOSE_HALF_CLOSED
    return CLOSE_OPEN


cdef int first_to_close(const Connection *c, const Told *told) noexcept nogil:
    """The side that had sent its FIN first, though the capture may show the other's before."""
    cdef const Step *client = step_of(&told.lives[0], SENT_FIN)
    cdef const Step *server = step_of(&told.lives[1], SENT_FIN)
    if client == NULL or server == NULL:
        return c.first_fin
    if client.order == server.order:        # one of them is inferred from the other, which acknowledged it
        return server.inferred
    return client.order > server.order


cdef inline int64_t after_fin(const Connection *c, int d) noexcept nogil:
    """Bytes that d sent after the peer's FIN had reached it, without repetitions."""
    return <int64_t>c.traffic[d].unique_bytes - c.side[d].at_fin if c.side[d].at_fin >= 0 else 0


cdef void closing(const Connection *c, const Told *told, int64_t msl, ConnectionRow *row) noexcept nogil:
    """Kind of the end, who began it, the half-close, and who holds TIME_WAIT until when."""
    cdef const Step *own
    cdef const Step *fin
    cdef const Step *acked
    cdef const Step *wait
    cdef int side, first = first_to_close(c, told), owners = 0
    row.closed_by = row.time_wait_owner = NOBODY
    row.half_close_ns = row.half_close_bytes = row.time_wait_start_ns = row.time_wait_end_ns = row.refused_ns = NONE
    for side in range(2):
        wait = step_into(&told.lives[side], TIME_WAIT)
        if wait != NULL:
            owners |= 1 << side
            row.time_wait_start_ns = wait.time_ns
            row.time_wait_end_ns = wait.time_ns + 2 * msl
    if owners:
        row.time_wait_owner = <uint8_t>(owners - 1)
    row.close_kind = kind_of_end(c, told)
    if c.fin_seen:
        acked = step_of(&told.lives[first], GOT_ACK_OF_FIN)
        own = step_of(&told.lives[first], SENT_FIN)
        fin = step_of(&told.lives[1 - first], SENT_FIN)
        # the other side's FIN left from ESTABLISHED: it had not taken in the first one
        row.closed_by = BOTH if fin != NULL and fin.new == FIN_WAIT_1 else <uint8_t>first
        if acked != NULL and fin != NULL and row.closed_by != BOTH and fin.time_ns > acked.time_ns:
            row.half_close_ns = fin.time_ns - acked.time_ns
            row.half_close_bytes = after_fin(c, 1 - first)
        if row.close_kind == CLOSE_RESET and own != NULL and c.reset_ns < own.time_ns:
            row.closed_by = c.reset_by           # by a RST that was lost: the FIN came later, and met another
    elif c.reset and row.close_kind != CLOSE_OPEN:
        row.closed_by = c.reset_by
    if row.close_kind == CLOSE_REFUSED:
        row.refused_ns = c.reset_ns - c.start_ns


cdef void dwell(const Life *life, uint8_t initial, int64_t start, int64_t until, SideRow *row) noexcept nogil:
    """Time spent in each state between the connection's first packet and `until`; CLOSED is not counted."""
    cdef int64_t since = start, when
    cdef uint8_t state = initial
    cdef int i
    for i in range(life.count):
        when = max(life.steps[i].time_ns, since)
        if state != CLOSED:
            row.dwell_ns[state] += when - since
        state, since = life.steps[i].new, when
    if state != CLOSED and until > since:
        row.dwell_ns[state] += until - since


# ---------------------------------------------------------------- the record

cdef inline int64_t known(int64_t value) noexcept nogil:
    return value if value > 0 else NONE


cdef void fill_side(const Connection *c, const Told *told, int d, int64_t now, SideRow *row) noexcept nogil:
    cdef const Side *side = &c.side[d]
    cdef int64_t spell
    traffic_row(&c.traffic[d], &c.traffic[1 - d], row)
    row.fast_retransmissions = side.counts[N_FAST]
    row.timeout_retransmissions = side.counts[N_TIMEOUT]
    row.tail_loss_probes = side.counts[N_PROBE]
    row.recovery_retransmissions = side.counts[N_RECOVERY]
    row.spurious_retransmissions = side.counts[N_SPURIOUS]
    row.syn_retransmissions = side.counts[N_SYN]
    row.fin_retransmissions = side.counts[N_FIN]
    row.sent_again = side.counts[N_AGAIN]
    row.duplicate_captures = side.counts[N_CAPTURED_TWICE]
    row.network_duplicates = side.counts[N_NETWORK_TWICE]
    row.lost_segments = side.counts[N_HOLES]
    row.window_updates = side.counts[N_UPDATES]
    row.window_fulls = side.counts[N_FULL]
    row.delayed_acks = side.counts[N_DELAYED]
    row.piggybacked_acks = side.counts[N_PIGGYBACKED]
    row.nagle_stalls, row.nagle_ns = side.nagle_stalls, side.nagle_ns
    row.reply_mean_ns = row.reply_max_ns = row.reply_max_frame = NONE
    row.replies, row.first_data_skipped = c.turns.side[d].count, c.turns.side[d].first_skipped
    if row.replies:
        row.reply_mean_ns = c.turns.side[d].sum_ns // row.replies
        row.reply_max_ns, row.reply_max_frame = c.turns.side[d].longest_ns, c.turns.side[d].longest_frame
        row.reply_max_skipped = c.turns.side[d].longest_skipped
    row.recovery_episodes, row.timeout_episodes = c.flight[d].recoveries, c.flight[d].timeouts
    row.slow_start_exit_bytes = known(c.flight[d].exit_bytes)
    row.challenge_acks, row.zero_window_probe_acks = side.counts[N_CHALLENGES], side.counts[N_PROBE_ACKS]
    row.zero_window_spells = side.zero_spells
    row.zero_window_ns, row.longest_zero_window_ns, row.zero_window_open_ns = side.zero_ns, side.zero_longest_ns, 0
    row.last_ns = side.last_ns
    row.syn_options = c.course.syn_options[d]
    row.after_fin_bytes = after_fin(c, d)
    row.keep_alive_rounds, row.keep_alive_lost = c.course.probes[d].rounds, c.course.probes[d].lost
    if row.keep_alive_lost == 1 and side.unanswered == 0:
        row.keep_alive_lost = 0         # it was answered
    row.keep_alive_idle_ns = known(c.course.probes[d].idle_ns)
    row.keep_alive_interval_ns = known(c.course.probes[d].interval_ns)
    row.heartbeats, row.heartbeat_ns = c.course.beats[d].best, NONE
    if row.heartbeats >= BEATS:
        row.heartbeat_ns = <int64_t>c.course.beats[d].best_ms * 1_000_000
    if side.zero_since_ns:
        spell = c.last_ns - side.zero_since_ns
        row.zero_window_ns += spell
        row.zero_window_open_ns = spell
        row.longest_zero_window_ns = max(row.longest_zero_window_ns, spell)
    dwell(&told.lives[d], told.initial[d], c.start_ns, now if c.reused_ns < 0 else c.reused_ns, row)


cdef bint is_odd(const SideRow *s) noexcept nogil:
    """Something that one does not see where all is well."""
    return (s.retransmissions or s.timeout_retransmissions or s.fast_retransmissions or s.tail_loss_probes
            or s.recovery_retransmissions or s.spurious_retransmissions or s.syn_retransmissions
            or s.zero_window_ns > 0 or s.zero_window_spells or s.duplicate_captures or s.network_duplicates
            or s.missed_bytes > 0 or s.bad_checksums or s.nagle_stalls or s.limited_receiver_ns >= SLOW_NS
            or s.limited_congestion_ns >= LONG_NS
            or s.restarts or s.small_segments >= MANY or s.silly_segments or s.overtaken or s.stuck_segment
            or (s.unique_bytes >= LARGE and s.limited_application_ns >= LONG_NS)
            or s.reply_max_ns >= SLOW_NS)


cdef bint is_late(const ConnectionRow *row) noexcept nogil:
    """The connection was open, and whoever spoke first let the other wait."""
    cdef int64_t first = row.side[0].first_data_ns
    if first < 0 or 0 <= row.side[1].first_data_ns < first:
        first = row.side[1].first_data_ns
    return row.initial_rtt_ns >= 0 and first >= 0 and first - row.start_ns - row.initial_rtt_ns >= SLOW_NS


cdef bint unanswered(const ConnectionRow *row) noexcept nogil:
    """The client's last words arrived, and the server said nothing more, or nothing at all."""
    cdef const SideRow *c = &row.side[0]
    cdef const SideRow *s = &row.side[1]
    if c.last_data_ns < 0 or s.last_data_ns > c.last_data_ns or s.last_ns < c.last_data_ns:
        return False
    return (row.end_ns + max(row.idle_end_ns, <int64_t>0) - c.last_data_ns >= LONG_NS
            or s.fin_packets > 0 and (s.unique_bytes == 0
                                      or row.closed_by == 1 and row.end_ns - c.last_data_ns >= SLOW_NS))


cdef inline bint stripped(const SideRow *client, const SideRow *server) noexcept nogil:
    """The SYN-ACK has an option that only a SYN with it allows (RFC 7323, 2.2 and 3.2; RFC 2018, 2)."""
    return (client.packets and server.packets and client.syn_packets and server.syn_packets
            and server.syn_options & ~client.syn_options & ANSWERS)


cdef inline bint cut_short(const SideRow *asked) noexcept nogil:
    """Its SYN was captured, but not its options."""
    return asked.syn_options & OPT_CUT and not asked.syn_options & OPT_WSCALE


cdef inline bint kept_small(const SideRow *asked, const SideRow *sender) noexcept nogil:
    """No MSS was announced, so the peer keeps to the default (RFC 9293, 3.7.1)."""
    return (asked.syn_packets and asked.mss < 0 and sender.data_packets >= SEVERAL
            and sender.max_segment <= DEFAULT_MSS)


cdef inline bint refused_by_tls(const ConnectionRow *row) noexcept nogil:
    """The server's first words are a fatal alert (wire/tls.pyx)."""
    return strncmp(row.server_hint, b"alert: ", 7) == 0


cdef uint8_t oddness(const ConnectionRow *row) noexcept nogil:
    """How much a connection deserves to be looked at: by its end, then by repetitions, time-outs, a closed window."""
    cdef const SideRow *c = &row.side[0]
    cdef const SideRow *s = &row.side[1]
    cdef int64_t found = WEIGHTS[row.close_kind]
    found += min(c.retransmissions + s.retransmissions, 50)
    found += 5 * min(c.timeout_retransmissions + s.timeout_retransmissions, 10)
    found += min((c.zero_window_ns + s.zero_window_ns) // 200_000_000, 50)
    if found == 0 and (row.one_direction or row.initial_rtt_ns >= SLOW_NS or is_late(row) or is_odd(c) or is_odd(s)
                       or row.client_state == CLOSE_WAIT or row.server_state == CLOSE_WAIT
                       or row.fast_open_outcome == FAST_OPEN_REFUSED - 1 or row.reuse == REUSE_RISKY - 1
                       or unanswered(row) or refused_by_tls(row)
                       or stripped(c, s) or cut_short(c) or cut_short(s) or kept_small(c, s) or kept_small(s, c)
                       or row.reset_bits & (RESET_SPOKE | RESET_OPENING) == RESET_SPOKE):
        found = 1
    return <uint8_t>found


cdef void course(const Connection *c, int64_t now, ConnectionRow *row) noexcept nogil:
    row.syn_ack_ns, row.ack_ns = known(c.course.syn_ack_ns), known(c.ack_ns) if c.ack_rtt_ns >= 0 else NONE
    row.pause_ns, row.pause_end_ns = known(c.course.pause_ns), known(c.course.pause_end_ns)
    row.pause_by = c.course.pause_by
    row.reset_ns, row.reset_frame, row.reset_bits = known(c.reset_ns), c.course.reset_frame, c.course.reset_bits
    if c.reset and 0 <= c.reused_ns <= c.reset_ns:
        row.reset_bits |= RESET_REPLACED
    row.reset_by = c.reset_by if c.reset else NOBODY
    row.reset_ttl, row.echoed, row.ignored = c.course.reset_ttl, c.course.echoed, c.course.ignored
    row.first_flags, row.first_side = c.course.first_flags, c.course.first_side
    row.fast_open_outcome = <uint8_t>(c.course.fast_open - 1)
    row.reuse, row.reuse_gap_ms = <uint8_t>(c.flow.reused - 1), c.flow.reuse_gap_ms
    row.idle_end_ns = NONE if c.reset or c.fins == 3 or c.reused_ns >= 0 else now - c.last_ns


cdef int64_t latest(const Connection *c) noexcept nogil:
    """Time of its last packet; where the clock was set back behind its first, of the latest that is remembered."""
    cdef int64_t found = c.last_ns
    cdef int d, i
    if c.last_ns >= c.start_ns:
        return found
    for i in range(c.marks.count):
        if not c.marks.items[i].bits & MARK_ASIDE:
            found = max(found, c.marks.items[i].time_ns)
    for d in range(2):
        if c.traffic[d].marks & DATA_SEEN:
            found = max(found, c.traffic[d].last_data_ns)
    return max(found, c.start_ns)


cdef inline bint was_refused(const Wireshark *w) noexcept nogil:
    """Nothing but RST answered: to Wireshark that, too, ends a handshake."""
    return w.completeness & (COMPLETE_SYN_ACK | COMPLETE_DATA | COMPLETE_RST) == COMPLETE_RST


cdef inline int64_t opening_rtt(const Connection *c) noexcept nogil:
    """Wireshark's initial round trip; where a SYN was refused and the next one was not, the latter's handshake."""
    if was_refused(&c.wireshark):
        return NONE
    if c.reset and c.reset_ns < c.syn_ns[1]:
        return c.ack_ns - c.syn_ns[0] if c.ack_ns > c.syn_ns[0] else NONE
    return known(c.wireshark.irtt)


cdef void summarize(Connection *c, const Told *told, int64_t now, int64_t msl, ConnectionRow *row) noexcept nogil:
    cdef int d
    memset(row, 0, sizeof(ConnectionRow))
    traffic_end(&c.traffic[0], &c.traffic[1], now)
    row.start_ns, row.end_ns = c.start_ns, latest(c)
    row.first_frame, row.last_frame = c.first_frame, c.last_frame
    row.syn_rtt_ns, row.ack_rtt_ns = known(c.syn_rtt_ns), known(c.ack_rtt_ns)
    row.initial_rtt_ns = opening_rtt(c)
    for d in range(2):
        fill_side(c, told, d, now, &row.side[d])
    memcpy(row.client_addr, c.flow.addr[0], 16)
    memcpy(row.server_addr, c.flow.addr[1], 16)
    row.connection, row.outer, row.file = c.flow.number, c.flow.outer, file_at(c.first_frame)
    row.client_port, row.server_port = c.flow.port[0], c.flow.port[1]
    row.ip_version, row.role_evidence = c.flow.ip_version, c.role_evidence
    row.client_state, row.server_state = told.lives[0].state, told.lives[1].state
    row.conn_state = <uint8_t>zeek_conn_state(&c.zeek)
    zeek_history(&c.zeek, row.history, HISTORY_ROOM)
    row.completeness = c.wireshark.completeness
    row.capture_point = told.point
    row.reused, row.fast_open, row.simultaneous_open = c.flow.reused != 0, c.fast_open, c.simultaneous
    row.one_direction = row.side[0].packets == 0 or row.side[1].packets == 0
    row.icmp_type, row.icmp_code = c.icmp_type, c.icmp_code
    closing(c, told, msl, row)
    said_row(&c.flow.saids, row)
    spending_row(&c.spending, c.flight, row.service == S_HTTP - 1 or row.service == S_DNS - 1, row)
    course(c, now, row)
    row.odd = oddness(row)
