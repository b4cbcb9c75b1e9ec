# cython: wraparound=False, freethreading_compatible=True
"""TLS: what the hellos say in clear (RFC 8446, RFC 5246): versions, server name, ALPN, cipher.

A hello may lie in several segments; what is not there yet leaves the frame short.
"""
from libc.stdint cimport uint8_t

from tcpscope.capture.frame cimport Frame, has, u8, u16, u32
from tcpscope.wire.hints cimport (
    ALPN_ROOM, CERTAIN, DETAIL_ROOM, NAME_ROOM, S_TLS, SHORT, Hint, Text, put_bytes, put_char, put_hex,
    put_word, starts, text,
)

cdef enum:
    ALERT = 21
    HANDSHAKE = 22
    CLIENT_HELLO = 1
    SERVER_HELLO = 2
    LARGEST = (1 << 14) + 256     # a record (RFC 5246, 6.2.3)
    BODY = 9                      # of the hello: behind the record's and the handshake's header

cdef enum:                        # extensions
    SERVER_NAME = 0
    ALPN = 16
    SUPPORTED_VERSIONS = 43

cdef const char **VERSIONS = [b"SSL 3.0", b"TLS 1.0", b"TLS 1.1", b"TLS 1.2", b"TLS 1.3"]   # layout.TLS_VERSIONS

# RFC 8446, 6 and RFC 5246, 7.2
cdef int *ALERTS = [0, 10, 20, 22, 30, 40, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 70, 71, 80, 86, 90, 100, 109, 110,
                    112, 113, 115, 116, 120]
cdef const char **ALERT_NAMES = [
    b"close_notify", b"unexpected_message", b"bad_record_mac", b"record_overflow", b"decompression_failure",
    b"handshake_failure", b"bad_certificate", b"unsupported_certificate", b"certificate_revoked",
    b"certificate_expired", b"certificate_unknown", b"illegal_parameter", b"unknown_ca", b"access_denied",
    b"decode_error", b"decrypt_error", b"protocol_version", b"insufficient_security", b"internal_error",
    b"inappropriate_fallback", b"user_canceled", b"no_renegotiation", b"missing_extension",
    b"unsupported_extension", b"unrecognized_name", b"bad_certificate_status_response", b"unknown_psk_identity",
    b"certificate_required", b"no_application_protocol",
]
cdef enum:
    N_ALERTS = 29

# those that servers choose today; others are shown as numbers
cdef int *CIPHERS = [
    0x0004, 0x0005, 0x000A, 0x002F, 0x0033, 0x0035, 0x0039, 0x003C, 0x003D, 0x0067, 0x006B, 0x009C, 0x009D, 0x009E,
    0x009F, 0x1301, 0x1302, 0x1303, 0x1304, 0xC009, 0xC00A, 0xC011, 0xC013, 0xC014, 0xC023, 0xC024, 0xC027, 0xC028,
    0xC02B, 0xC02C, 0xC02F, 0xC030, 0xCCA8, 0xCCA9, 0xCCAA,
]
cdef const char **CIPHER_NAMES = [
    b"TLS_RSA_WITH_RC4_128_MD5", b"TLS_RSA_WITH_RC4_128_SHA", b"TLS_RSA_WITH_3DES_EDE_CBC_SHA",
    b"TLS_RSA_WITH_AES_128_CBC_SHA", b"TLS_DHE_RSA_WITH_AES_128_CBC_SHA", b"TLS_RSA_WITH_AES_256_CBC_SHA",
    b"TLS_DHE_RSA_WITH_AES_256_CBC_SHA", b"TLS_RSA_WITH_AES_128_CBC_SHA256", b"TLS_RSA_WITH_AES_256_CBC_SHA256",
    b"TLS_DHE_RSA_WITH_AES_128_CBC_SHA256", b"TLS_DHE_RSA_WITH_AES_256_CBC_SHA256",
    b"TLS_RSA_WITH_AES_128_GCM_SHA256", b"TLS_RSA_WITH_AES_256_GCM_SHA384",
    b"TLS_DHE_RSA_WITH_AES_128_GCM_SHA256", b"TLS_DHE_RSA_WITH_AES_256_GCM_SHA384", b"TLS_AES_128_GCM_SHA256",
    b"TLS_AES_256_GCM_SHA384", b"TLS_CHACHA20_POLY1305_SHA256", b"TLS_AES_128_CCM_SHA256",
    b"TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA", b"TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    b"TLS_ECDHE_RSA_WITH_RC4_128_SHA", b"TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
    b"TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", b"TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256",
    b"TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA384", b"TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256",
    b"TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384", b"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    b"TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", b"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    b"TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", b"TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    b"TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", b"TLS_DHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
]
cdef enum:
    N_CIPHERS = 35

cdef struct Said:                 # by a hello's extensions
    int version                   # 0x0300 to 0x0304; 0: none
    bint whole                    # all extensions were there


cdef int place_of(const int *table, int n, int value) noexcept nogil:
    cdef int i
    for i in range(n):
        if table[i] == value:
            return i
    return -1


cdef inline bint is_version(int v) noexcept nogil:
    return 0x0300 <= v <= 0x0304


cdef inline int known_version(int v) noexcept nogil:
    """0x0300 to 0x0304, drafts of TLS 1.3 as 1.3 (RFC 8446, 4.2.1.1); 0 for others, GREASE (RFC 8701) among them."""
    if v >> 8 == 0x7F:
        return 0x0304
    return v if is_version(v) else 0


cdef bint tls(Frame *f, Hint *out) noexcept nogil:
    """A record with a hello, or with an alert in its place."""
    cdef Frame hello
    cdef Py_ssize_t record, length
    cdef int kind
    if f.size < 6 or u8(f, 1) != 3 or u8(f, 2) > 4:
        return False
    record = u16(f, 3)
    if u8(f, 0) == ALERT:
        return record == 2 and f.size >= 7 and alert(f, out)
    kind = u8(f, 5)
    if u8(f, 0) != HANDSHAKE or not 4 < record <= LARGEST or (kind != CLIENT_HELLO and kind != SERVER_HELLO):
        return False
    length = u32(f, 5) & 0xFFFFFF
    if f.size >= BODY and (length < 38 or not is_version(u16(f, BODY) if f.size > BODY + 1 else 0x0300)):
        return False
    if f.size > BODY + 34 and u8(f, BODY + 34) > 32:              # of the session's identifier
        return False
    # what the hello's message holds of this record; a hello in several records is read as far as the first goes
    hello.data, hello.short = f.data, False
    hello.size = min(f.size, min(5 + record, BODY + length))
    out.service = S_TLS
    if f.size >= BODY + 2:
        out.flags |= CERTAIN
    if kind == CLIENT_HELLO:
        client_hello(&hello, length, out)
    else:
        server_hello(&hello, length, out)
    if hello.size < BODY + length:
        out.flags |= SHORT
    return True


cdef bint alert(Frame *f, Hint *out) noexcept nogil:
    cdef int level = u8(f, 5), at = place_of(ALERTS, N_ALERTS, u8(f, 6))
    cdef Text t = text(out.detail, DETAIL_ROOM)
    if at < 0 or (level != 1 and level != 2):
        return False
    out.service = S_TLS
    put_word(&t, b"alert: " if level == 2 else b"warning alert: ")        # RFC 5246, 7.2: a warning ends nothing
    put_word(&t, ALERT_NAMES[at])
    return True


cdef Py_ssize_t behind_session(Frame *h) noexcept nogil:
    """Where the cipher suites begin."""
    return BODY + 35 + u8(h, BODY + 34)


cdef void client_hello(Frame *h, Py_ssize_t length, Hint *out) noexcept nogil:
    cdef Py_ssize_t at = behind_session(h)
    cdef Text t = text(out.detail, DETAIL_ROOM)
    cdef int version = known_version(u16(h, BODY))
    cdef Said said
    at += 2 + u16(h, at)                                          # cipher suites
    at += 1 + u8(h, at)                                           # compression methods
    extensions(h, at, min(BODY + length, at + 2 + u16(h, at)), True, out, &said)
    put_word(&t, b"ClientHello")
    if said.version:
        version = said.version
    elif not said.whole:
        return                                                    # whether it offers TLS 1.3 is not known
    if version:
        put_word(&t, b", up to ")
        put_word(&t, VERSIONS[version - 0x0300])


cdef void server_hello(Frame *h, Py_ssize_t length, Hint *out) noexcept nogil:
    cdef Py_ssize_t at = behind_session(h)
    cdef Text t = text(out.detail, DETAIL_ROOM)
    cdef int version = known_version(u16(h, BODY)), cipher, known
    cdef Said said
    if starts(h, BODY + 2, b"\xcf\x21\xad\x74\xe5\x9a\x61\x11", 8):       # RFC 8446, 4.1.3
        put_word(&t, b"HelloRetryRequest, ")
    extensions(h, at + 3, min(BODY + length, at + 5 + u16(h, at + 3)), False, out, &said)
    if said.version:
        version = said.version
    elif not said.whole and version == 0x0303:
        version = 0                                               # it may be TLS 1.3, which an extension says
    if version:
        out.tls_version = <uint8_t>(version - 0x0300)
        put_word(&t, VERSIONS[version - 0x0300])
    else:
        put_word(&t, b"ServerHello")
    if not has(h, at, 2):
        return
    cipher = u16(h, at)
    known = place_of(CIPHERS, N_CIPHERS, cipher)
    put_word(&t, b", ")
    if known >= 0:
        put_word(&t, CIPHER_NAMES[known])
    else:
        put_word(&t, b"cipher 0x")
        put_hex(&t, cipher, 4)


cdef void extensions(Frame *h, Py_ssize_t at, Py_ssize_t end, bint client, Hint *out, Said *said) noexcept nogil:
    """at: of their length in all; end: behind the last."""
    cdef int kind
    cdef Py_ssize_t size, inner
    said.version, said.whole = 0, end <= h.size
    at += 2
    while at + 4 <= end and has(h, at, 4):
        kind, size = u16(h, at), u16(h, at + 2)
        at += 4
        if kind == SERVER_NAME and client and size >= 5 and u8(h, at + 2) == 0 and has(h, at, 5):
            server_name(h, at + 5, min(<Py_ssize_t>u16(h, at + 3), size - 5), out)
        elif kind == ALPN and size >= 3:
            protocols(h, at + 2, at + size, out)
        elif kind == SUPPORTED_VERSIONS and not client and size == 2:
            said.version = known_version(u16(h, at))
        elif kind == SUPPORTED_VERSIONS and client:
            for inner in range(at + 1, at + 1 + min(<Py_ssize_t>u8(h, at), size - 1) - 1, 2):
                said.version = max(said.version, known_version(u16(h, inner)))
        at += size


cdef void server_name(Frame *h, Py_ssize_t at, Py_ssize_t size, Hint *out) noexcept nogil:
    cdef Text t = text(out.name, NAME_ROOM)
    if t.size == 0 and has(h, at, size):                          # part of a name would be another name
        put_bytes(&t, h, at, size)


cdef void protocols(Frame *h, Py_ssize_t at, Py_ssize_t end, Hint *out) noexcept nogil:
    cdef Text t = text(out.alpn, ALPN_ROOM)
    cdef Py_ssize_t size
    if t.size:
        return
    while at < end and has(h, at, 1):
        size = u8(h, at)
        if size == 0 or at + 1 + size > end or not has(h, at + 1, size):
            return
        if u8(h, at + 1) & 0x0F != 0x0A or size != 2:             # not GREASE (RFC 8701)
            if t.size:
                put_char(&t, c",")
            put_bytes(&t, h, at + 1, size)
        at += 1 + size
