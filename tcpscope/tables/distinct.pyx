# cython: wraparound=False, boundscheck=False, freethreading_compatible=True
"""Which different values a field of many records has, and which record has which."""
import os

from libc.stdint cimport int32_t, uint8_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcmp, memcpy, memset

cdef enum:
    WORDS = 16                # of eight bytes, in the longest key
    FIRST_ROOM = 256          # keys; a power of two

cdef struct Table:
    uint64_t *keys            # each `words` long, in the order in which they came
    int32_t *slots            # number of a key; -1: free
    size_t words, count, room  # of a key; keys; slots, a power of two, at least twice the keys

# values come from a capture: whoever made it cannot know which collide
cdef uint64_t SECRET = int.from_bytes(os.urandom(8), "little") | 1


cdef inline size_t place(const uint64_t *key, size_t words, size_t room) noexcept nogil:
    cdef uint64_t h = SECRET
    cdef size_t i
    for i in range(words):
        h = (h ^ key[i]) * SECRET
        h ^= h >> 32
    return h & (room - 1)


cdef int32_t number(Table *t, const uint64_t *key) noexcept nogil:
    """The key's number; a new one is added.  -1: no memory."""
    cdef size_t at
    if 2 * t.count >= t.room and not grown(t):
        return -1
    at = place(key, t.words, t.room)
    while t.slots[at] >= 0:
        if memcmp(t.keys + t.slots[at] * t.words, key, t.words * 8) == 0:
            return t.slots[at]
        at = (at + 1) & (t.room - 1)
    memcpy(t.keys + t.count * t.words, key, t.words * 8)
    t.slots[at] = <int32_t>t.count
    t.count += 1
    return t.slots[at]


cdef bint grown(Table *t) noexcept nogil:
    cdef size_t i, at, room = 2 * t.room if t.room else FIRST_ROOM
    cdef uint64_t *keys = <uint64_t *>realloc(t.keys, room // 2 * t.words * 8)
    cdef int32_t *slots
    if keys == NULL:
        return False
    t.keys = keys
    slots = <int32_t *>malloc(room * sizeof(int32_t))
    if slots == NULL:
        return False
    memset(slots, 0xFF, room * sizeof(int32_t))
    for i in range(t.count):
        at = place(keys + i * t.words, t.words, room)
        while slots[at] >= 0:
            at = (at + 1) & (room - 1)
        slots[at] = <int32_t>i
    free(t.slots)
    t.slots, t.room = slots, room
    return True


cdef bint number_all(Table *t, const char *first, size_t width, const char *second, size_t wider, uint64_t mask,
                     int32_t *numbers, size_t count) noexcept nogil:
    cdef uint64_t[WORDS] key
    cdef size_t i
    memset(key, 0, sizeof(key))
    for i in range(count):
        memcpy(key, first + i * width, width)
        memcpy(<char *>key + width, second + i * wider, wider)
        key[0] &= mask
        numbers[i] = number(t, key)
        if numbers[i] < 0:
            return False
    return True


def distinct(const uint8_t[::1] first, const uint8_t[::1] second, uint64_t mask, int32_t[::1] numbers):
    """The different values of a field, or of two adjoined, as bytes; `numbers` gets which of them each record has.

    first, second: the fields of all records; second may be empty.  mask: bits of the first eight bytes that count.
    """
    cdef Table t
    cdef size_t i, count = numbers.shape[0]
    cdef size_t width = first.shape[0] // count if count else 0, wider = second.shape[0] // count if count else 0
    cdef bint done
    if count == 0:
        return []
    if width + wider > WORDS * 8 or width * count != <size_t>first.shape[0]:
        raise ValueError("no such fields")
    memset(&t, 0, sizeof(t))
    t.words = (width + wider + 7) // 8
    try:
        with nogil:
            done = number_all(&t, <const char *>&first[0], width, <const char *>&second[0], wider, mask, &numbers[0],
                              count)
        if not done:
            raise MemoryError()
        return [(<char *>(t.keys + i * t.words))[:width + wider] for i in range(t.count)]
    finally:
        free(t.keys)
        free(t.slots)
