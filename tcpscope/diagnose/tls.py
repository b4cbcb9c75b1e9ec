"""TLS that does not come about: refused by the server in clear (RFC 8446, 6.2), ended by the client, or not spoken."""

from __future__ import annotations

from collections import defaultdict

from tcpscope.diagnose.facts import MANY, Facts, about, beginning, by_server, times
from tcpscope.diagnose.finding import Finding

FATAL = b"alert: "  # as wire/tls.pyx has it
HELLO, CHOSEN, PLAIN = b"ClientHello", b"TLS ", b"HTTP/"
ALERT = (7, 40)  # bytes of an alert in clear, and more than of one in TLS 1.3 behind a change_cipher_spec
CERTIFICATE = 500  # bytes of a server's first words that may hold one; a session resumed takes less

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
    """TLS handshakes that came to nothing, service by service."""
    return [*_refused(found), *_given_up(found), *_not_spoken(found)]


def _hint(f: Facts) -> str:
    return f.common["server_hint"].split(b"\0", 1)[0].decode("latin-1")  # type: ignore[no-any-return]


def _refused(found: list[Facts]) -> list[Finding]:
    findings = []
    for server, group in by_server(beginning(found, "server_hint", FATAL)).items():
        reasons: dict[str, list[Facts]] = defaultdict(list)
        for f in group:
            reasons[_hint(f)[len(FATAL) :]].append(f)
        for reason, refused in reasons.items():
            findings.append(about(
                refused, "tls_refused", "error", "server",
                f"{server} refused the TLS handshake of {times(len(refused))}: alert {reason}",
                ADVICE.get(reason, OTHERWISE),
            ))  # fmt: skip
    return findings


def _ends_at_certificate(f: Facts) -> bool:
    """All that the client said to the server's hello and certificate is as long as an alert; then it reset.

    To finish the handshake takes more (RFC 8446, 4.4.4; RFC 5246, 7.4.9).
    """
    said = f.client["unique_bytes"] - f.client["max_segment"]
    return bool(
        f.reset_by == "client" and f.client["data_packets"] == 2 and ALERT[0] <= said <= ALERT[1]
        and f.server["unique_bytes"] >= CERTIFICATE and f.server["last_data_ns"] < f.client["last_data_ns"]
        and f.common["server_hint"].startswith(CHOSEN)
    )  # fmt: skip


def _given_up(found: list[Facts]) -> list[Finding]:
    findings = []
    for server, group in by_server(
        f for f in beginning(found, "client_hint", HELLO) if _ends_at_certificate(f)
    ).items():
        finding = about(
            group, "tls_given_up", "warning", "client",
            f"the client ended the TLS handshake of {times(len(group))} with {server} when it had the server's hello "
            "and certificate",
            "most likely it does not believe the certificate (its issuer, its name, its dates): see the client's log, "
            "and try: openssl s_client -connect HOST:PORT -servername NAME -verify_return_error",
        )  # fmt: skip
        finding.frames = [f.common["reset_frame"] for f in group[:MANY]]
        finding.doubt("a monitor that only looks at the certificate does the same")
        findings.append(finding)
    return findings


def _not_spoken(found: list[Facts]) -> list[Finding]:
    plain = beginning(beginning(found, "client_hint", HELLO), "server_hint", PLAIN)
    return [
        about(
            group, "tls_not_spoken", "error", "server",
            f"the client of {times(len(group))} said hello in TLS to {server}, which does not speak it on this port: "
            f"it answered {_hint(group[0])}",
            "http:// instead of https://, another port, or TLS that is not switched on in the server's configuration",
        )
        for server, group in by_server(plain).items()
    ]  # fmt: skip
