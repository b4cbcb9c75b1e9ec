"""The keys of a policy, each declared once: what it takes, what it means.

The loader refuses what is not here, and the JSON Schema and docs/policy.md are written from the same declarations.
"""

from __future__ import annotations

from typing import NamedTuple

SEVERITIES = ("error", "warning", "note")
PER = ("connection", "capture", "service", "server", "client", "pair", "file")
UNKNOWN = ("skip", "fail", "inconclusive")
EMPTY = ("inconclusive", "pass", "fail")
ASSERTIONS = ("max", "min", "require", "forbid")
AGGREGATES = {
    "p50": "the median; any percentile may stand: p5, p95, p99.9",
    "max": "the largest",
    "min": "the smallest",
    "mean": "the mean",
    "sum": "the sum",
    "count": "of how many connections it is known; of a bool: true",
    "share": "of a bool, the share of connections for which it is true",
}
PERCENTILE = r"p(\d{1,2}(?:\.\d+)?)"
HOLDS = r"all|any|none|at (?:least|most) \d+(?:\.\d+)?%?"


class Key(NamedTuple):
    """name.  kind: what stands there (a name of schema.KINDS).  meaning.  required.  choices, of kind choice."""

    name: str
    kind: str
    meaning: str
    required: bool = False
    choices: tuple[str, ...] = ()


TESTS = (
    Key("max", "bounds", "measures with the most that is allowed"),
    Key("min", "bounds", "measures with the least that is allowed"),
    Key("require", "values", "measures with the value that they must have, or a list of which one"),
    Key("forbid", "values", "measures with the value that they must not have, or a list of such"),
)

SELECTION = (
    Key("host", "hosts", "either end: address, network, or a name of `names`; a list for several"),
    Key("net", "hosts", "the same, for those who like to call a network so"),
    Key("role", "choice", "which end the `host` must be", choices=("client", "server")),
    Key("client", "hosts", "the client: address, network, name, or address:port"),
    Key("server", "hosts", "the server: address, network, name, or address:port"),
    Key("port", "ports", 'either port: 80, "8000-8099", or a list'),
    Key("client_port", "ports", "the client's port"),
    Key("server_port", "ports", "the server's port"),
    Key("service", "texts", "application protocol as in the column `service`, or the server's port or address:port"),
    Key("server_name", "texts", "host that the client asked for (TLS server name, HTTP Host); * and ? stand for any"),
    Key("from", "time", 'connections that lived at or after this time: "+2s" from the start, or ISO 8601'),
    Key("to", "time", "connections that lived at or before this time"),
    Key("where", "assertions", "only connections of which this is true: max, min, require, forbid"),
)

SECTIONS: dict[str, tuple[Key, ...]] = {
    "policy": (
        Key("version", "version", "of the grammar: 1", True),
        Key("title", "text", "what is checked"),
        Key("profile", "profile", "how the captures are read"),
        Key("names", "names", "addresses and networks by name"),
        Key("select", "selects", "selections of connections, by name"),
        Key("rules", "rules", "what must be true", True),
        Key("allow", "allows", "violations that are excused"),
        Key("quality", "quality", "what a capture must have to be judged at all; else the result is inconclusive"),
    ),
    "profile": (Key("msl", "span", "maximum segment lifetime; TIME_WAIT lasts twice as long"),),
    "select": (Key("name", "text", "what rules call it", True), *SELECTION),
    "selection": SELECTION,
    "rules": (
        Key("id", "id", "stable name: letters, digits, - _ .", True),
        Key("title", "text", "one sentence that says what must be true"),
        Key("why", "text", "why, and what to do; shown by --explain"),
        Key("severity", "choice", "error: the check fails; warning, note: told only", choices=SEVERITIES),
        Key("select", "selection", "which connections: a name of `select`, several, or a selection; all without it"),
        Key("where", "assertions", "only connections of which this is true: max, min, require, forbid"),
        Key("per", "choice", "judged one by one, or together: all, or those of one service (server and port), "
            "server, client, pair of hosts, or file", choices=PER),
        Key("holds_for", "quantifier", "for how many connections require and forbid (and, one by one, max and min) "
            'must hold: all, any, none, "at least 99%", "at most 3"'),
        *TESTS,
        Key("findings", "findings", "findings that there must not be: ids of `tcpscope explain`, or error, warning, "
            "note: all of this severity and worse"),
        Key("except", "findings", "findings that are allowed all the same"),
        Key("unknown", "choice", "what if a value is not known: skip the connection, fail, or inconclusive",
            choices=UNKNOWN),
        Key("empty", "choice", "what if nothing is selected", choices=EMPTY),
    ),
    "assertions": TESTS,
    "allow": (
        Key("rule", "texts", "the rules' ids; * stands for any text", True),
        Key("reason", "text", "why this is all right", True),
        Key("select", "selection", "only for these connections"),
        Key("until", "date", "last day on which it is excused: 2027-01-31; without it for ever"),
    ),
    "quality": (
        Key("max", "gate", "the most that is allowed"),
        Key("min", "gate", "the least that is needed"),
    ),
}  # fmt: skip


class Gate(NamedTuple):
    """What the quality gate measures of a capture: kind as of a measure, and the bounds without a policy's own."""

    name: str
    kind: str
    meaning: str
    most: float | None = None
    least: float | None = None


GATES = (
    Gate("packets", "number", "packets of any protocol"),
    Gate("tcp_packets", "number", "TCP packets"),
    Gate("connections", "number", "TCP connections", least=1),
    Gate("damaged", "number", "files that are cut off or damaged", most=0),
    Gate("dropped", "number", "packets that the capturing system says it dropped (pcapng)"),
    Gate("dropped_rate", "share", "the same, of all packets", most=0.001),
    Gate("missed_rate", "share", "bytes of the streams that were acknowledged and never captured", most=0.001),
    Gate("one_direction", "share", "connections that were answered, of which one side only was captured", most=0.1),
    Gate("mid_stream", "share", "connections that had begun before the capture"),
    Gate("unfinished", "share", "connections still open at its end"),
    Gate("duplicates", "share", "packets that the capture holds twice"),
    Gate("bad_checksums", "share", "packets with a wrong TCP checksum", most=0.1),
    Gate("cut_packets", "share", "packets cut by the snaplen"),
    Gate("clock_steps", "number", "times that the clock was set back", most=0),
)
