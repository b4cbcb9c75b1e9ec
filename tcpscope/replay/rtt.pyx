# cython: wraparound=False, freethreading_compatible=True
"""Candidates for round-trip samples in a ring; the samples' sums, RFC 6298 estimator and percentiles."""
from libc.math cimport sqrt
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc

from tcpscope.replay.seq cimport after

cdef extern from *:
    int leading_zeros "__builtin_clzll" (unsigned long long) noexcept nogil

cdef int64_t K_GRANULARITY_NS = 1_000_000           # RFC 6298's G: a kernel's clock tick
cdef int64_t K_MIN_RTO_NS = 1_000_000_000           # RFC 6298, 2.4 (Linux takes 200 ms)
cdef int64_t K_MAX_RTO_NS = 60_000_000_000          # RFC 6298, 2.5


cdef int grow(Candidates *c) noexcept nogil:
    cdef uint32_t wider = c.capacity * 2 if c.capacity else 4 * FEW
    cdef uint32_t i
    cdef Sent *bigger = <Sent *>malloc(wider * sizeof(Sent))
    if bigger == NULL:
        return -1
    for i in range(c.count):
        bigger[i] = candidates_at(c, i)[0]
    free(c.items)
    c.items = bigger
    c.capacity = wider
    c.head = 0
    return 0


cdef int candidates_add(
    Candidates *c, uint32_t start, uint32_t end, int64_t time_ns, bint answered
) noexcept nogil:
    """[start, end), above all candidates, was sent now.  `answered`: the peer has acknowledged before."""
    cdef Sent *sent
    if c.count == (c.capacity if c.capacity else <uint32_t>FEW):
        if c.capacity >= (<uint32_t>MAX_CANDIDATES if answered else <uint32_t>MAX_UNANSWERED):
            c.untracked += 1
            return 0
        if grow(c) < 0:
            return -1
    sent = candidates_at(c, c.count)
    sent.time_ns = time_ns
    sent.start = start
    sent.end = end
    c.count += 1
    return 0


cdef void candidates_strike(Candidates *c, uint32_t position) noexcept nogil:
    """Something from `position` on is sent again: whatever ends above gives no sample."""
    while c.count and after(candidates_at(c, c.count - 1).end, position):
        c.count -= 1


cdef bint candidates_acknowledge(Candidates *c, uint32_t ack, int64_t *sent_ns) noexcept nogil:
    """Drop what `ack` covers, even in part.  True where a segment ends there; sent_ns: when it was sent."""
    cdef bint found = False
    cdef Sent *oldest
    while c.count:
        oldest = candidates_at(c, 0)
        if not after(ack, oldest.start):
            break
        if oldest.end == ack:
            found, sent_ns[0] = True, oldest.time_ns
        c.head += 1
        c.count -= 1
    if c.count == 0 and c.capacity > 512:       # a burst is over: give the ring back
        candidates_free(c)
    return found


cdef void candidates_free(Candidates *c) noexcept nogil:
    free(c.items)
    c.items = NULL
    c.capacity = 0
    c.head = 0
    c.count = 0


cdef inline uint32_t bucket(int64_t rtt_ns) noexcept nogil:
    cdef uint32_t octave
    if rtt_ns < 1 << LOWEST_OCTAVE:
        return 0
    octave = <uint32_t>(63 - LOWEST_OCTAVE - leading_zeros(<uint64_t>rtt_ns))
    if octave >= OCTAVES:
        return BUCKETS - 1
    return octave * STEPS + <uint32_t>(<uint64_t>rtt_ns >> (octave + LOWEST_OCTAVE - 3) & 7)


cdef double bucket_start(uint32_t i) noexcept nogil:
    cdef uint64_t octave = <uint64_t>1 << (i // STEPS + LOWEST_OCTAVE)
    return octave * (1.0 + (i % STEPS) / <double>STEPS)


cdef int count_sample(RoundTrips *r, int64_t rtt_ns) noexcept nogil:
    cdef uint32_t i
    cdef float *wider
    if r.histogram == NULL:
        if r.count < FIRST_SAMPLES:
            if r.count == r.room:
                wider = <float *>realloc(r.firsts, max(2 * r.room, <uint32_t>LEAST_SAMPLES) * sizeof(float))
                if wider == NULL:
                    return -1
                r.firsts, r.room = wider, max(2 * r.room, <uint32_t>LEAST_SAMPLES)
            r.firsts[r.count] = rtt_ns
            return 0
        r.histogram = <uint32_t *>calloc(BUCKETS, sizeof(uint32_t))
        if r.histogram == NULL:
            return -1
        for i in range(FIRST_SAMPLES):
            r.histogram[bucket(<int64_t>r.firsts[i])] += 1
    r.histogram[bucket(rtt_ns)] += 1
    return 0


cdef int rtt_add(RoundTrips *r, int64_t rtt_ns) noexcept nogil:
    """One sample; -1 when memory fails."""
    cdef int64_t off
    if rtt_ns < 0:
        rtt_ns = 0                          # the capture's clock stepped back
    if count_sample(r, rtt_ns) < 0:
        return -1
    if r.count == 0:
        r.first_ns = r.min_ns = r.max_ns = r.srtt_ns = rtt_ns
        r.rttvar_ns = rtt_ns // 2           # RFC 6298, 2.2
    else:
        off = r.srtt_ns - rtt_ns            # RFC 6298, 2.3: alpha 1/8, beta 1/4
        r.rttvar_ns += ((off if off >= 0 else -off) - r.rttvar_ns) >> 2
        r.srtt_ns -= off >> 3
        r.min_ns = min(r.min_ns, rtt_ns)
        r.max_ns = max(r.max_ns, rtt_ns)
    r.sum += rtt_ns - r.first_ns
    r.squares += <double>(rtt_ns - r.first_ns) * <double>(rtt_ns - r.first_ns)
    r.count += 1
    return 0


cdef double rtt_mean(const RoundTrips *r) noexcept nogil:
    return r.first_ns + r.sum / r.count if r.count else -1.0


cdef double rtt_std(const RoundTrips *r) noexcept nogil:
    """Standard deviation of the samples (divisor n - 1), ns; -1 below two of them."""
    cdef double variance
    if r.count < 2:
        return -1.0
    variance = (r.squares - r.sum * r.sum / r.count) / (r.count - 1)
    return sqrt(variance) if variance > 0 else 0.0


cdef int64_t nth_of_few(const RoundTrips *r, uint64_t rank) noexcept nogil:
    """The sample of that rank, 0 the smallest, found by counting: there are at most FIRST_SAMPLES."""
    cdef uint64_t i, j, below, same
    for i in range(r.count):
        below = same = 0
        for j in range(r.count):
            below += r.firsts[j] < r.firsts[i]
            same += r.firsts[j] == r.firsts[i]
        if below <= rank < below + same:
            return <int64_t>r.firsts[i]
    return r.max_ns


cdef int64_t rtt_percentile(const RoundTrips *r, double share) noexcept nogil:
    """The smallest sample that at least `share` (0 to 1) of all do not exceed, ns; -1 without samples."""
    cdef uint64_t rank, below = 0
    cdef double place
    cdef int64_t value
    cdef uint32_t i
    if r.count == 0:
        return -1
    place = share * r.count
    rank = <uint64_t>place
    if rank == place and rank:
        rank -= 1
    if rank >= r.count:
        rank = r.count - 1
    if r.histogram == NULL:
        value = nth_of_few(r, rank)
    else:
        for i in range(BUCKETS):
            if rank < below + r.histogram[i]:
                break
            below += r.histogram[i]
        place = (rank - below + 0.5) / r.histogram[i] if r.histogram[i] else 0.0
        value = <int64_t>(bucket_start(i) + place * (bucket_start(i + 1) - bucket_start(i)))
    return min(max(value, r.min_ns), r.max_ns)


cdef int64_t rtt_rto(const RoundTrips *r) noexcept nogil:
    """RFC 6298, 2.2 to 2.5: SRTT + max(G, 4 RTTVAR), between one second and sixty; -1 without samples."""
    if r.count == 0:
        return -1
    return min(max(min(r.srtt_ns, K_MAX_RTO_NS) + max(K_GRANULARITY_NS, 4 * min(r.rttvar_ns, K_MAX_RTO_NS)),
                   K_MIN_RTO_NS), K_MAX_RTO_NS)


cdef void rtt_shed(RoundTrips *r) noexcept nogil:
    free(r.histogram)
    r.histogram = NULL


cdef void rtt_free(RoundTrips *r) noexcept nogil:
    rtt_shed(r)
    free(r.firsts)
    r.firsts, r.room = NULL, 0
