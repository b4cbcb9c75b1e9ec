# cython: wraparound=False
"""What the first bytes of a side say of the application: a fixed record of printable text.

Texts hold nothing but printable ASCII: a byte that is none is written as \\xNN.
"""
from libc.stdint cimport uint8_t, uint16_t
from libc.string cimport memcpy, strlen

from tcpscope.capture.frame cimport Frame

cdef enum:
    NAME_ROOM = 100               # with the NUL
    DETAIL_ROOM = 120
    ALPN_ROOM = 28
    FULL = 4                      # bytes of a text that are kept for "..." where it does not fit

cdef enum:                        # Hint.service: layout.SERVICES; from V_ on: one of several services
    S_NONE
    S_TLS, S_HTTP, S_WEBSOCKET, S_HTTP2, S_SSH, S_DNS, S_POSTGRESQL, S_MYSQL, S_REDIS, S_MONGODB
    S_AMQP, S_MQTT, S_KAFKA, S_SMTP, S_FTP, S_POP3, S_IMAP, S_RDP, S_SMB, S_NETBIOS
    S_BGP, S_LDAP, S_MEMCACHED, S_SIP, S_RTSP, S_BITTORRENT, S_GIT, S_VNC, S_RSYNC, S_NATS
    S_TDS, S_TNS, S_DCERPC, S_KERBEROS, S_SUNRPC, S_XMPP, S_IRC, S_TELNET, S_SOCKS, S_CASSANDRA
    S_DIAMETER, S_X11, S_NNTP
    N_SERVICES

cdef enum:
    V_GREETING_220 = 200          # FTP or SMTP
    V_GREETING_OK                 # POP3, or Redis
    V_GREETING_STAR               # IMAP
    V_SOCKS5
    V_LINE                        # a line of text that only its question explains

cdef enum:                        # Hint.flags
    CERTAIN = 1                   # nothing else looks like it, even in the middle of a stream
    SHORT = 2                     # more bytes would tell more
    FOLLOWS = 4                   # of the same message as an earlier hint, and more of it

cdef enum:                        # Hint.tls_version, layout.TLS_VERSIONS
    NO_VERSION = 255

cdef struct Hint:
    uint8_t service
    uint8_t flags
    uint8_t tls_version           # that the server chose
    uint16_t size                 # bytes that were looked at, all that came; 0: the capture left some out
    char name[NAME_ROOM]          # NUL-terminated, all three
    char detail[DETAIL_ROOM]
    char alpn[ALPN_ROOM]

cdef struct Text:                 # one of these while it is written
    char *to
    Py_ssize_t room
    Py_ssize_t size


cdef inline Text text(char *to, Py_ssize_t room) noexcept nogil:
    cdef Text t
    t.to, t.room, t.size = to, room, strlen(to)
    return t


cdef inline void put_char(Text *t, uint8_t c) noexcept nogil:
    cdef Py_ssize_t need = 1 if 0x20 <= c < 0x7F else 4
    if t.size + need + FULL > t.room:
        if t.size + FULL <= t.room:           # the first that does not fit
            memcpy(t.to + t.size, b"...", 4)
            t.size = t.room
        return
    if need == 1:
        t.to[t.size] = <char>c
    else:
        memcpy(t.to + t.size, b"\\x", 2)
        t.to[t.size + 2] = (b"0123456789abcdef")[c >> 4]
        t.to[t.size + 3] = (b"0123456789abcdef")[c & 15]
    t.size += need
    t.to[t.size] = 0


cdef inline void put_bytes(Text *t, Frame *f, Py_ssize_t at, Py_ssize_t n) noexcept nogil:
    """Bytes at to at + n of the frame, as many as there are."""
    cdef Py_ssize_t i
    for i in range(max(at, 0), min(at + n, f.size)):
        put_char(t, f.data[i])


cdef inline void put_word(Text *t, const char *word) noexcept nogil:
    while word[0]:
        put_char(t, <uint8_t>word[0])
        word += 1


cdef inline void put_decimal(Text *t, unsigned long n) noexcept nogil:
    cdef char digits[20]
    cdef int first = 20
    while True:
        first -= 1
        digits[first] = <char>(48 + n % 10)
        n //= 10
        if n == 0:
            break
    while first < 20:
        put_char(t, <uint8_t>digits[first])
        first += 1


cdef inline void put_hex(Text *t, unsigned long n, int digits) noexcept nogil:
    while digits > 0:
        digits -= 1
        put_char(t, (b"0123456789abcdef")[(n >> (4 * digits)) & 15])


cdef inline bint starts(const Frame *f, Py_ssize_t at, const char *word, Py_ssize_t n) noexcept nogil:
    """The frame holds these bytes at `at`."""
    cdef Py_ssize_t i
    if at < 0 or n > f.size - at:
        return False
    for i in range(n):
        if f.data[at + i] != <uint8_t>word[i]:
            return False
    return True


cdef bint hint_of(const uint8_t *data, Py_ssize_t size, int peer, Hint *out) noexcept nogil
