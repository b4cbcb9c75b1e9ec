# cython: wraparound=False, freethreading_compatible=True
"""Both endpoints' states, with the whole of the connection's marks in view.

Each endpoint is replayed on its own, through the table of `states.py`: what it sent, and what
of the peer's reached it, in the order in which *it* saw them.  Reading that order from a
capture taken elsewhere is what this module does, and `delivery` tells what reached whom.

An acknowledgment that covers less than a FIN proves that the FIN had not been taken in when it
was sent.  So FINs that cross are seen as such (CLOSING), and a FIN behind a hole counts when the
hole is filled.
"""
from libc.stdint cimport INT64_MIN, int64_t, uint8_t, uint32_t, uint64_t

from tcpscope.replay import states
from tcpscope.replay.delivery cimport (
    acknowledged, arrival, arrives_whole, covers, end_of, find, goes_on, heard, is_connected, is_plain, is_syn,
    is_syn_ack, under_way,
)
from tcpscope.replay.marks cimport MARK_EXACT, MARK_REUSE, MARK_UNREACHABLE, MARK_UNSEEN, MOST, Mark, Marks
from tcpscope.replay.seq cimport before
from tcpscope.replay.unseen cimport with_unseen_fin
from tcpscope.wire.segment cimport ACK, FIN, RST, SYN

cdef enum State:
    CLOSED, LISTEN, SYN_SENT, SYN_RECEIVED, ESTABLISHED, FIN_WAIT_1, FIN_WAIT_2, CLOSE_WAIT
    CLOSING, LAST_ACK, TIME_WAIT, UNKNOWN
    N_STATES

cdef enum Event:
    PASSIVE_OPEN, SENT_SYN, GOT_SYN, GOT_SYN_ACK, GOT_ACK_OF_SYN, SEEN_OPEN, SENT_FIN, GOT_FIN
    GOT_ACK_OF_FIN, SENT_RST, GOT_RST, TIMEOUT_2MSL, REUSED, SOCKET_GONE, UNREACHABLE
    N_EVENTS

cdef enum:
    STAY = 0xFF
    SOON_NS = 2_000_000_000      # a RST this soon answers the handshake, later it may answer anything

assert [s.name for s in states.State] == (
    "CLOSED LISTEN SYN_SENT SYN_RECEIVED ESTABLISHED FIN_WAIT_1 FIN_WAIT_2 CLOSE_WAIT CLOSING LAST_ACK "
    "TIME_WAIT UNKNOWN").split()
assert len(states.State) == N_STATES and len(states.Event) == N_EVENTS
assert states.Event.UNREACHABLE == UNREACHABLE and states.Event.GOT_FIN == GOT_FIN

cdef uint8_t NEXT[N_STATES][N_EVENTS]
cdef bytes cells = states.table()
for _s in range(N_STATES):
    for _e in range(N_EVENTS):
        NEXT[_s][_e] = cells[_s * N_EVENTS + _e]


# ---------------------------------------------------------------- moving

cdef void happened(Life *e, int event, int64_t when, uint64_t order, uint64_t frame, bint inferred) noexcept nogil:
    """Move e along the table; nothing where the RFC has no arrow."""
    cdef uint8_t goes_to = NEXT[e.state][event]
    cdef Step *step
    if goes_to == STAY or goes_to == e.state or e.count == MOST_STEPS:
        return
    step = &e.steps[e.count]
    e.count += 1
    step.time_ns, step.order, step.frame = when, order, frame
    step.old, step.new, step.event, step.inferred = e.state, goes_to, <uint8_t>event, inferred != 0
    e.state = goes_to


cdef inline void by(Life *e, int event, const Mark *k) noexcept nogil:
    happened(e, event, k.time_ns, k.order, k.frame, k.bits & MARK_UNSEEN)


# ---------------------------------------------------------------- one endpoint

cdef struct Plan:                # where in the marks things happen to one endpoint; -1: they do not
    int syn                      # own first SYN
    int fin                      # own first FIN
    int fin_at                   # the mark by which it had been sent, though the capture may have missed it
    int got_syn                  # the peer's SYN (or SYN-ACK) that it took in
    int got_syn_at               # the mark after which that is in force
    int syn_acked
    bint syn_late                # ... and in force only after that mark
    int got_fin
    int got_fin_at
    int fin_acked
    int got_rst                  # the peer's RST that ended it, in force only after ...
    int got_rst_at               # ... this mark: what it had sent before the RST came


cdef bint no_socket(const Marks *m, int since, int e) noexcept nogil:
    """e's first word after the mark `since` is a bare RST: it had no connection to take it in."""
    cdef int i
    for i in range(since + 1, m.count):
        if m.items[i].sender == e:
            return m.items[i].flags & (RST | ACK) == RST
    return False


cdef void plan_syn(const Marks *m, const Surroundings *w, int e, Plan *p) noexcept nogil:
    """When e took in the peer's SYN, and when its own was acknowledged."""
    cdef int peer_syn = find(m, 0, 1 - e, SYN | RST, SYN)
    cdef int answer = -1, i
    cdef uint32_t end
    cdef const Mark *k
    p.syn = find(m, 0, e, SYN | RST, SYN)
    p.got_syn = p.got_syn_at = p.syn_acked = -1
    p.syn_late = False
    if peer_syn >= 0:
        end = m.items[peer_syn].seq + 1
        for i in range(m.count):
            k = &m.items[i]
            if k.sender == e and covers(k, end) and not (i < p.syn and is_syn_ack(&m.items[p.syn])):
                answer = i              # before its SYN-ACK it may have answered for an old connection (5961, 4)
                break
        if p.syn >= 0 and is_syn(&m.items[p.syn]) and no_socket(m, peer_syn, e):
            pass                            # whoever asked has gone meanwhile
        elif answer > peer_syn:
            p.got_syn = arrival(m, w, peer_syn, answer, e, SYN | RST, SYN, end, False)
        elif answer < 0 and is_syn_ack(&m.items[peer_syn]) and w.point == 1 + e:
            p.got_syn = peer_syn            # it came in here, though nothing was answered
            answer = peer_syn
        p.got_syn_at = p.got_syn
        if p.got_syn >= 0 and p.syn > p.got_syn and is_syn(&m.items[p.syn]):
            p.got_syn_at = p.syn            # SYNs that crossed: its own, without ACK, was sent before
    if p.syn >= 0:
        end = m.items[p.syn].seq + 1
        p.syn_acked = acknowledged(m, w, 0, e, end, SYN | ACK, m.items[p.syn].flags & (SYN | ACK))
        answer = find(m, p.syn, e, SYN | ACK | RST, SYN | ACK)
        if is_syn(&m.items[p.syn]) and answer > p.syn_acked >= 0:
            p.syn_acked = answer            # simultaneous open: a SYN-ACK comes from SYN_RECEIVED (fig. 7)
            p.syn_late = True


cdef bint closed_before(const Marks *m, const Surroundings *w, int e, int acked, const Plan *p) noexcept nogil:
    """e had sent its FIN before the acknowledgment of its SYN reached it, as it may after a Fast Open (RFC 7413)."""
    return (p.fin > acked and w.point != 1 + e
            and m.items[p.fin].time_ns - m.items[acked].time_ns < w.reach_ns[e] * 6 // 10)


cdef bint took_no_notice(const Marks *m, int e, int since) noexcept nogil:
    """After the handshake's last ACK, e never spoke but for a bare RST, or the peer repeated in vain."""
    cdef const Mark *k
    cdef int i, repeats = 0
    cdef bint reset = False
    cdef uint32_t last = 0
    for i in range(since + 1, m.count):
        k = &m.items[i]
        if k.sender == e:
            if is_plain(k) or k.flags & (RST | ACK) == RST | ACK:
                return False                # such a RST aborts a connection; what has none answers an ACK without
            if k.flags & (RST | ACK) == RST and k.time_ns - m.items[since].time_ns < SOON_NS:
                reset = True
        elif k.length or k.flags & FIN:
            repeats += k.seq == last
            last = k.seq
    return reset or repeats >= 2


cdef bint gone_before(const Marks *m, const Surroundings *w, int e, const Plan *p) noexcept nogil:
    """When the acknowledgment of its FIN came, e was gone: data sent before it met a RST of their ACK's number."""
    cdef const Mark *k
    cdef int i
    for i in range(p.fin_acked + 1, m.count):
        k = &m.items[i]
        if k.time_ns - m.items[p.fin_acked].time_ns > under_way(w, e):
            break
        if k.sender == e and k.flags & (RST | ACK) == RST and before(k.seq, end_of(&m.items[p.fin])):
            return True
    return False


cdef bint not_repeated(const Marks *m, const Surroundings *w, int e, int fin) noexcept nogil:
    """No acknowledgment of e's FIN, which is at `fin`, was captured, and yet it was not sent again: one has come."""
    cdef const Mark *k
    cdef int i
    if fin < 0 or not heard(m, 1 - e) or w.reused_ns >= 0:
        return False
    for i in range(fin, m.count):
        k = &m.items[i]
        if k.flags & RST or i > fin and k.sender == e and k.flags & FIN:
            return False
        if k.sender != e and covers(k, end_of(&m.items[fin])):
            return False
    return w.now_ns - m.items[fin].time_ns > UNREPEATED_NS


cdef int fin_shown(const Marks *m, const Surroundings *w, int e, const Plan *p) noexcept nogil:
    """The first mark by which e had sent its FIN: where that was lost on its way to the capture, what it sent next.

    That has the number after the FIN.  Does it acknowledge the peer's FIN at once, e's own was on its way before.
    Or the peer acknowledges it before it comes, where each direction has a clock or a queue of its own.
    """
    cdef const Mark *k
    cdef uint32_t end = end_of(&m.items[p.fin])
    cdef int i
    for i in range(p.fin):
        k = &m.items[i]
        if k.sender == e and is_plain(k) and k.flags & ACK and k.seq == end:
            if 0 <= p.got_fin == p.got_fin_at < i and covers(k, end_of(&m.items[p.got_fin])) and (
                    k.time_ns - m.items[p.got_fin].time_ns <= under_way(w, e)):
                return p.got_fin
            return i
        if k.sender != e and k.flags & (ACK | RST) == ACK and k.ack == end and is_plain(k):
            return i
    return p.fin


cdef void plan_fin(const Marks *m, const Surroundings *w, int e, Plan *p) noexcept nogil:
    """When e took in the peer's FIN, and when its own was acknowledged."""
    cdef int peer_fin = find(m, 0, 1 - e, FIN | RST, FIN)
    cdef int answer = -1, stale = -1, i, copies = 0
    cdef uint32_t end
    cdef const Mark *k
    p.got_fin = p.got_fin_at = p.fin_acked = p.fin_at = -1
    p.fin = find(m, 0, e, FIN | RST, FIN)
    if peer_fin >= 0:
        end = end_of(&m.items[peer_fin])
        for i in range(peer_fin + 1, m.count):
            k = &m.items[i]
            if k.sender != e:
                copies += (k.flags & FIN) != 0
                continue
            if covers(k, end):
                answer = i
                break
            if k.flags & RST:
                stale = -2                  # aborted before it came, or no socket that could take it in
                break
            if k.flags & ACK:
                stale = i
        if answer >= 0:
            p.got_fin = arrival(m, w, peer_fin, answer, e, FIN | RST, FIN, end, True)
            p.got_fin_at = max(p.got_fin, stale)
        elif stale == -1 and copies == 0 or w.point == 1 + e and stale == -1:
            # the last word: nothing says that it was lost
            if arrives_whole(&m.items[peer_fin], w):
                p.got_fin = p.got_fin_at = peer_fin
    if p.fin >= 0:
        p.fin_at = fin_shown(m, w, e, p)
        p.fin_acked = acknowledged(m, w, p.fin_at + (m.items[p.fin_at].sender == e), e, end_of(&m.items[p.fin]),
                                   FIN | RST, FIN)
        if p.fin_acked >= 0 and gone_before(m, w, e, p):
            p.fin_acked = -1


cdef uint8_t beginning(const Marks *m, int e, const Plan *p) noexcept nogil:
    """The state before the first mark."""
    cdef int peer_syn = find(m, 0, 1 - e, SYN | ACK | RST, SYN)
    cdef int spoke
    if p.syn >= 0:
        return CLOSED if is_syn(&m.items[p.syn]) else LISTEN
    if peer_syn < 0:
        return UNKNOWN
    spoke = find(m, 0, e, 0, 0)
    if spoke >= 0 and m.items[spoke].flags & RST:
        return CLOSED                        # nobody listens
    return UNKNOWN


cdef void endpoint(const Marks *m, const Surroundings *w, int e, Life *life) noexcept nogil:
    cdef Plan p
    cdef const Mark *k
    cdef int i
    plan_syn(m, w, e, &p)
    plan_fin(m, w, e, &p)
    p.got_rst = p.got_rst_at = -1
    life.count = 0
    life.state = beginning(m, e, &p)
    if p.syn >= 0 and is_syn_ack(&m.items[p.syn]) and p.syn_acked >= 0 and took_no_notice(m, e, p.syn_acked):
        p.syn_acked = -1
    for i in range(m.count):
        k = &m.items[i]
        if k.bits & MARK_UNREACHABLE:
            if k.sender != e and not goes_on(m, i, e, under_way(w, e)):
                by(life, UNREACHABLE, k)    # else it took it for a soft error (RFC 1122, 4.2.3.9)
            continue
        if k.bits & MARK_REUSE:
            if k.sender == e:               # a socket that asks anew: whatever it had here is gone
                by(life, REUSED if life.state == TIME_WAIT else SOCKET_GONE, k)
            continue
        if k.sender == e:
            own(m, w, e, i, &p, life)
        else:
            got(m, w, e, i, &p, life)
        if i == p.got_syn_at:
            take_syn(m, &p, life)
        if i == p.syn_acked and life.state == SYN_RECEIVED and not closed_before(m, w, e, i, &p):
            happened(life, GOT_ACK_OF_SYN, k.time_ns, k.order + p.syn_late, k.frame, False)
        if i == p.fin_at != p.fin:
            happened(life, SENT_FIN, k.time_ns, k.order, k.frame, True)       # the FIN itself came later, or never
        if i == p.fin_acked:
            by(life, GOT_ACK_OF_FIN, k)
        if i == p.got_fin_at:
            if life.state == UNKNOWN:
                happened(life, SEEN_OPEN, k.time_ns, k.order, k.frame, True)
            # what was under way while the endpoint still spoke holds from the next packet on
            happened(life, GOT_FIN, max(m.items[p.got_fin].time_ns, last_time(life)),
                     k.order + (p.got_fin_at != p.got_fin), m.items[p.got_fin].frame,
                     m.items[p.got_fin].bits & MARK_UNSEEN)
        if i == p.got_rst_at:
            happened(life, GOT_RST, max(m.items[p.got_rst].time_ns, last_time(life)),
                     k.order + (p.got_rst_at != p.got_rst), m.items[p.got_rst].frame, False)
    if not_repeated(m, w, e, p.fin):
        k = &m.items[p.fin]
        happened(life, GOT_ACK_OF_FIN, max(k.time_ns + w.reach_ns[1 - e], last_time(life)), 0, 0, True)
    if p.got_fin < 0:
        i = find(m, 0, 1 - e, FIN | RST, FIN)
        if not_repeated(m, w, 1 - e, i):
            happened(life, GOT_FIN, max(m.items[i].time_ns + w.reach_ns[e], last_time(life)), 0, 0, True)
    after_the_marks(m, w, e, life)


cdef inline int64_t last_time(const Life *life) noexcept nogil:
    return life.steps[life.count - 1].time_ns if life.count else INT64_MIN


cdef void own(const Marks *m, const Surroundings *w, int e, int i, const Plan *p, Life *life) noexcept nogil:
    """The endpoint sent the mark at i."""
    cdef const Mark *k = &m.items[i]
    if k.flags & RST:
        if not goes_on(m, i, e, 0):
            by(life, SENT_RST, k)
        return
    if i == p.syn:
        if is_syn(k):
            by(life, SENT_SYN, k)
        elif p.got_syn < 0 and life.state == LISTEN:
            happened(life, GOT_SYN, k.time_ns, k.order, k.frame, True)    # the SYN itself was not captured
        return
    if k.flags & SYN:
        return
    if life.state == UNKNOWN:
        happened(life, SEEN_OPEN, k.time_ns, k.order, k.frame, True)
    if life.state == SYN_SENT and is_plain(k) and k.flags & ACK and p.got_syn < 0:
        happened(life, GOT_SYN_ACK, k.time_ns, k.order, k.frame, True)    # the SYN-ACK was not captured
    if life.state == SYN_RECEIVED and p.syn_acked < 0 and (i == p.fin and k.flags & ACK or not heard(m, 1 - e)
                                                           and is_connected(m, k)):
        happened(life, GOT_ACK_OF_SYN, k.time_ns, k.order, k.frame, True)
    if i == p.fin:
        by(life, SENT_FIN, k)


cdef int last_word(const Marks *m, const Surroundings *w, int e, int rst) noexcept nogil:
    """The last mark that e sent before the RST reached it, though it passed here later; the RST itself if none did."""
    cdef int i, last = rst
    for i in range(rst + 1, m.count):
        if m.items[i].time_ns - m.items[rst].time_ns > under_way(w, e):
            break
        if m.items[i].sender == e and is_plain(&m.items[i]):
            last = i
    return last


cdef void got(const Marks *m, const Surroundings *w, int e, int i, Plan *p, Life *life) noexcept nogil:
    """The peer sent the mark at i; SYN, FIN and their acknowledgments are placed by the plan."""
    cdef const Mark *k = &m.items[i]
    if not arrives_whole(k, w):
        return
    if k.flags & RST:
        if p.got_rst < 0 and reset_counts(m, w, e, i, p, life):
            p.got_rst, p.got_rst_at = i, last_word(m, w, e, i)
        return
    if life.state == UNKNOWN and is_plain(k) and k.flags & ACK and p.syn < 0:
        happened(life, SEEN_OPEN, k.time_ns, k.order, k.frame, True)      # its peer is in the middle of a connection
    if life.state == UNKNOWN and is_syn_ack(k):
        happened(life, SENT_SYN, k.time_ns, k.order, k.frame, True)
    elif life.state == SYN_SENT and not heard(m, e) and is_connected(m, k):
        happened(life, GOT_SYN_ACK, k.time_ns, k.order, k.frame, True)


cdef void take_syn(const Marks *m, const Plan *p, Life *life) noexcept nogil:
    cdef const Mark *k = &m.items[p.got_syn]
    cdef const Mark *at = &m.items[p.got_syn_at]
    cdef int64_t when = max(k.time_ns, last_time(life))
    cdef uint64_t order = at.order + (p.got_syn_at != p.got_syn)
    if life.state == SYN_SENT and is_syn_ack(k):
        happened(life, GOT_SYN_ACK, when, order, k.frame, False)
    elif life.state == SYN_SENT or life.state == LISTEN:
        happened(life, GOT_SYN, when, order, k.frame, False)


cdef bint reset_counts(const Marks *m, const Surroundings *w, int e, int i, const Plan *p,
                       const Life *life) noexcept nogil:
    """Whether the peer's RST at i ended e's connection (RFC 9293, 3.5.3; RFC 5961, 3.2)."""
    cdef const Mark *k = &m.items[i]
    if life.state == TIME_WAIT and not k.bits & MARK_EXACT:
        return False                           # Linux: only the exact number ends TIME_WAIT, if any (RFC 1337)
    if life.state == SYN_SENT:
        if not k.flags & ACK or p.syn < 0 or not covers(k, m.items[p.syn].seq + 1):
            return False
    return not goes_on(m, i, e, under_way(w, e)) and not challenged(m, e, i)


cdef bint challenged(const Marks *m, int e, int rst) noexcept nogil:
    """e asked the sender of this RST to repeat it with the right number, and got that (RFC 5961, 3.2)."""
    cdef int i
    cdef bint asked = False
    if m.items[rst].bits & MARK_EXACT:
        return False
    for i in range(rst + 1, m.count):
        if m.items[i].sender == e:
            asked |= is_plain(&m.items[i])
        elif m.items[i].flags & RST and m.items[i].bits & MARK_EXACT:
            return asked
    return False


cdef void after_the_marks(const Marks *m, const Surroundings *w, int e, Life *life) noexcept nogil:
    """2 MSL run out, or the four-tuple is used again."""
    cdef int64_t since, expires
    cdef int i
    if life.state != TIME_WAIT:
        return
    since = last_time(life)
    for i in range(m.count):              # a repeated FIN starts the time anew (RFC 9293, 3.10.7.4)
        if m.items[i].sender != e and m.items[i].flags & FIN and m.items[i].time_ns > since:
            since = m.items[i].time_ns
    expires = since + 2 * w.msl_ns
    if w.reused_ns >= 0 and w.reused_ns < expires:
        happened(life, REUSED, w.reused_ns, w.reused_order, w.reused_frame, False)
    elif w.now_ns >= expires:
        happened(life, TIMEOUT_2MSL, expires, 0, 0, False)


cdef void live(const Marks *m, const Surroundings *w, Life *lives) noexcept nogil:
    """Fill lives[0] (client) and lives[1] (server)."""
    cdef Mark room[MOST + 1]
    cdef Marks whole
    whole.items = room
    if with_unseen_fin(m, w, &whole):
        m = &whole
    endpoint(m, w, 0, &lives[0])
    endpoint(m, w, 1, &lives[1])
