"""What a server says in clear before TLS begins: that it will not have the client (RFC 8446, 6.2)."""

from __future__ import annotations

from collections import defaultdict

from tcpscope.diagnose.facts import Facts, about, by_server, times
from tcpscope.diagnose.finding import Finding

FATAL = b"alert: "  # as wire/tls.pyx has it

ADVICE = {
    "handshake_failure": "no cipher, curve or signature that both know, or the server wants the client's certificate",
    "protocol_version": "the server does not speak the TLS versions that the client offers: compare what both allow",
    "insufficient_security": "the server demands stronger ciphers than the client offers",
    "inappropriate_fallback": "the client tried an older TLS version after a failure: that failure is the cause",
    "unrecognized_name": "the server knows no such name (SNI): check the name asked for and the server's virtual hosts",
    "no_application_protocol": "no protocol that both speak (ALPN): compare what client and server offer",
    "access_denied": "the server's rules shut this client out",
    "internal_error": "the server failed for reasons of its own, a missing key or certificate among them: see its log",
    "missing_extension": "the client leaves out what the server requires, often the server's name (SNI)",
}  # fmt: skip
OTHERWISE = "see the server's log, and try: openssl s_client -connect HOST:PORT -servername NAME"


def tls(found: list[Facts]) -> list[Finding]:
    """TLS handshakes that were refused, service by service."""
    findings = []
    for server, group in by_server(f for f in found if f.common["server_hint"].startswith(FATAL)).items():
        reasons: dict[str, list[Facts]] = defaultdict(list)
        for f in group:
            reasons[f.common["server_hint"].split(b"\0", 1)[0][len(FATAL) :].decode("latin-1")].append(f)
        for reason, refused in reasons.items():
            findings.append(about(
                refused, "tls_refused", "error", "server",
                f"{server} refused the TLS handshake of {times(len(refused))}: alert {reason}",
                ADVICE.get(reason, OTHERWISE),
            ))  # fmt: skip
    return findings
