# cython: wraparound=False, freethreading_compatible=True
"""Words of memory in fewer bytes: most are zero, small, or like one not long before.

Of GROUP words a bit for each that is not zero; then each of these as one byte that says what it is, and up to four that
complete it.  What a connection remembers are numbers of few streams, moments of a few seconds, and small counts:
a general compressor saves hardly more, and takes ten times as long.  Only what `squeeze` has made can be unpacked.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

cdef extern from *:
    int trailing_zeros "__builtin_ctz" (unsigned int) noexcept nogil
    int long_trailing_zeros "__builtin_ctzll" (unsigned long long) noexcept nogil

cdef enum:
    GROUP = 32
    LONG_GROUP = 64

cdef enum:                       # what a byte says; below, where in Recent the word itself is
    NEAR = SETS * WAYS           # ... one that differs in the last byte, which follows
    FAR = 2 * SETS * WAYS        # ... in the last two bytes
    SMALL = 3 * SETS * WAYS      # the word is 1 to SMALL_MOST
    SMALL_MOST = 60
    BYTES = SMALL + SMALL_MOST   # one to four bytes follow, the rest is zero


cdef inline uint32_t set_of(uint32_t upper) noexcept nogil:
    return WAYS * (upper * <uint32_t>0x9E3779B1 >> 28)


cdef inline void meet(uint32_t *ways, uint32_t word) noexcept nogil:
    """The latest comes first."""
    cdef int i
    for i in range(WAYS - 1, 0, -1):
        ways[i] = ways[i - 1]
    ways[0] = word


cdef uint8_t *one(Recent *r, uint32_t word, uint8_t *at) noexcept nogil:
    cdef uint32_t place = set_of(word >> 16), likeness, i
    cdef uint32_t *ways = &r.words[place]
    cdef int size, near = -1, far = -1
    if word <= SMALL_MOST:
        at[0] = <uint8_t>(SMALL + word - 1)
        return at + 1
    for i in range(WAYS):
        likeness = ways[i] ^ word
        if likeness == 0:
            at[0] = <uint8_t>(place + i)
            return at + 1
        if likeness < 1 << 8:
            near = i
        elif likeness < 1 << 16:
            far = i
    meet(ways, word)
    size = 1 + (word > 0xFF) + (word > 0xFFFF) + (word > 0xFFFFFF)
    if near >= 0 and size > 1:
        at[0], size = <uint8_t>(NEAR + place + near), 1
    elif far >= 0 and size > 2:
        at[0], size = <uint8_t>(FAR + place + far), 2
    else:
        at[0] = <uint8_t>(BYTES + size - 1)
    for i in range(size):
        at[1 + i] = <uint8_t>(word >> (8 * i) & 0xFF)
    return at + 1 + size


cdef uint8_t *squeeze(Recent *r, const uint32_t *words, uint32_t count, uint8_t *at) noexcept nogil:
    """Where the next may be put."""
    cdef uint32_t present, n, i
    while count:
        n, present = min(count, <uint32_t>GROUP), 0
        for i in range(n):
            present |= <uint32_t>(words[i] != 0) << i
        for i in range((n + 7) // 8):
            at[i] = <uint8_t>(present >> (8 * i) & 0xFF)
        at += (n + 7) // 8
        while present:
            at = one(r, words[trailing_zeros(present)], at)
            present &= present - 1
        words, count = words + n, count - n
    return at


cdef inline const uint8_t *other(Recent *r, const uint8_t *at, uint32_t *word) noexcept nogil:
    cdef uint32_t code = at[0], place, base = 0, i
    cdef int size
    at += 1
    if code >= BYTES:
        size = code - BYTES + 1
    elif code >= SMALL:
        word[0] = code - SMALL + 1
        return at
    else:
        place = code % NEAR
        base = r.words[place]
        if code < NEAR:
            word[0] = base
            return at
        size = 1 if code < FAR else 2
        base &= ~<uint32_t>0xFF if size == 1 else ~<uint32_t>0xFFFF
    for i in range(size):
        base |= <uint32_t>at[i] << (8 * i)
    meet(&r.words[set_of(base >> 16)], base)
    word[0] = base
    return at + size


cdef const uint8_t *unsqueeze(Recent *r, const uint8_t *at, uint32_t *words, uint32_t count) noexcept nogil:
    """Where the next begins."""
    cdef uint32_t present, n, i
    while count:
        n, present = min(count, <uint32_t>GROUP), 0
        for i in range((n + 7) // 8):
            present |= <uint32_t>at[i] << (8 * i)
        at += (n + 7) // 8
        memset(words, 0, n * sizeof(uint32_t))
        while present:
            at = other(r, at, &words[trailing_zeros(present)])
            present &= present - 1
        words, count = words + n, count - n
    return at


# ---------------------------------------------------------------- in a tenth of the time: only zeros are left out

cdef uint8_t *drop_zeros(const uint64_t *words, uint32_t count, uint8_t *at) noexcept nogil:
    """Where the next may be put."""
    cdef uint64_t present, n, i
    cdef uint8_t *place
    while count:
        n, present = min(count, <uint32_t>LONG_GROUP), 0
        place = at + sizeof(uint64_t)
        for i in range(n):
            memcpy(place, &words[i], sizeof(uint64_t))           # the next one takes its place if it is zero
            place += sizeof(uint64_t) if words[i] else 0
            present |= <uint64_t>(words[i] != 0) << i
        memcpy(at, &present, sizeof(uint64_t))
        at, words, count = place, words + n, count - <uint32_t>n
    return at


cdef const uint8_t *add_zeros(const uint8_t *at, uint64_t *words, uint32_t count) noexcept nogil:
    """Where the next begins."""
    cdef uint64_t present, n
    while count:
        n = min(count, <uint32_t>LONG_GROUP)
        memcpy(&present, at, sizeof(uint64_t))
        at += sizeof(uint64_t)
        memset(words, 0, n * sizeof(uint64_t))
        while present:
            memcpy(&words[long_trailing_zeros(present)], at, sizeof(uint64_t))
            at += sizeof(uint64_t)
            present &= present - 1
        words, count = words + n, count - <uint32_t>n
    return at
