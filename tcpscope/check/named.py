"""What connections and groups of them are called, for people and, without what changes, from run to run."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

from tcpscope.check.observed import Observed
from tcpscope.diagnose.facts import endpoint
from tcpscope.tables.address import address

EPHEMERAL = 32_768  # ports from here on are given out by systems (Linux; IANA: 49152): they change from run to run
_PORT = re.compile(r":(\d+)(?!\d|:|\.)")

_GROUPED = {"service": ("server_addr", "ip_version", "server_port"), "server": ("server_addr", "ip_version"),
            "client": ("client_addr", "ip_version"), "pair": ("client_addr", "server_addr", "ip_version"),
            "file": ("file",)}  # fmt: skip


class Named:
    """Names of the connections of one capture.  names: the policy's, of addresses."""

    def __init__(self, observed: Observed, names: Mapping[str, tuple[str, ...]]) -> None:
        self._observed = observed
        self._fields = observed.fields
        self._called = {one: name for name, places in names.items() for one in places}

    def end(self, role: str, row: int) -> str:
        """`10.0.0.1:40000`."""
        it = self._fields
        return endpoint(bytes(it[f"{role}_addr"][row]), int(it["ip_version"][row]), int(it[f"{role}_port"][row]))

    def service(self, row: int) -> str:
        """The server's end."""
        return self.end("server", row)

    def host(self, role: str, row: int) -> str:
        """The address, or what the policy calls it."""
        text = address(bytes(self._fields[f"{role}_addr"][row]), int(self._fields["ip_version"][row]))
        return self._called.get(text, text)

    def keys(self, rule: str, measure: str, rows: Any) -> tuple[list[str], Any]:
        """What stays of these connections from run to run (hosts, the service's port), and the number of each one's."""
        import numpy

        it = self._fields
        ports = it["server_port"][rows].astype(numpy.int64)
        ports[ports >= EPHEMERAL] = -1
        parts = numpy.empty(len(rows), [("c", "V16"), ("s", "V16"), ("v", "u1"), ("p", "i8")])
        parts["c"], parts["s"], parts["v"] = it["client_addr"][rows], it["server_addr"][rows], it["ip_version"][rows]
        parts["p"] = ports
        _, first, codes = numpy.unique(parts.view(f"V{parts.dtype.itemsize}"), return_index=True, return_inverse=True)
        keys = []
        for at in first.tolist():
            port = "" if ports[at] < 0 else f":{ports[at]}"
            row = int(rows[at])
            keys.append(f"{rule} | {measure} | {self.host('client', row)} → {self.host('server', row)}{port}")
        return keys, codes.reshape(-1)

    def stable(self, group: str) -> str:
        """A group's name without ports that change from run to run."""
        return _PORT.sub(lambda it: "" if int(it[1]) >= EPHEMERAL else it[0], group)

    def groups(self, per: str, rows: Any) -> Iterator[tuple[str, Any]]:
        """The connections of each service, server, client, pair of hosts, or file, with what it is called."""
        import numpy

        it = self._fields
        columns = [it[name][rows] for name in _GROUPED[per]]
        parts = numpy.empty(len(rows), [(f"f{at}", column.dtype) for at, column in enumerate(columns)])
        for at, column in enumerate(columns):
            parts[f"f{at}"] = column
        whole = parts.view(f"V{parts.dtype.itemsize}")
        _, first, codes = numpy.unique(whole, return_index=True, return_inverse=True)
        codes = codes.reshape(-1)
        order = numpy.argsort(codes, kind="stable")
        ends = numpy.searchsorted(codes[order], numpy.arange(len(first) + 1))
        for group in numpy.argsort(first, kind="stable").tolist():
            yield self._group(per, int(rows[first[group]])), rows[order[ends[group] : ends[group + 1]]]

    def _group(self, per: str, row: int) -> str:
        if per == "service":
            return self.service(row)
        if per == "pair":
            return f"{self.host('client', row)} → {self.host('server', row)}"
        if per == "file":
            return os.path.basename(self._observed.result.names[int(self._fields["file"][row])])
        return self.host(per, row)
