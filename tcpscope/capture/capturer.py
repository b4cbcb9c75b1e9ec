"""The capturer: dumpcap or tcpdump as a process of its own, the only part that needs rights.

It writes a capture to a descriptor it is given, a pipe or a file.  Started is it when it says so itself, which both
do once the interface is open and the filter set.  Stopped it is when all that was sent before has been written:
both leave behind, at their end, what still waits in the kernel's ring, so we first wait until nothing does.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

from tcpscope.capture.rights import choose, grant, path_of
from tcpscope.capture.sudo import Caller, capturing
from tcpscope.errors import CaptureError, UsageError

WHOLE = 262_144  # bytes of a packet: all there can be
HEADERS = 256  # bytes of a packet: all headers, tunnels included
START = 20.0  # seconds in which a capturer says that it runs
STOP = 10.0  # seconds in which it ends when it is told to
RING_WAIT = {"dumpcap": 0.25, "tcpdump": 1.0}  # seconds that a packet waits in a block of the ring that is not full
TOLD = 20  # lines of what it said that are kept

READY = ("listening on ", "File: ")
CHATTER = ("Capturing on", "File:", "Packets", "tcpdump: listening", "tcpdump: data link", "tcpdump: verbose",
           "dropped privs", "Please check")  # fmt: skip
COUNTS = re.compile(
    r"(?:(\d+) packets? captured)?(?:, )?(?:(\d+) packets? received by filter)?(?:, )?"
    r"(?:(\d+) packets? dropped by kernel)?(?:, )?(?:(\d+) packets? dropped by interface)?$"
)
DUMPCAP_COUNTS = re.compile(r"received/dropped on interface '.*': (\d+)/(\d+) .*ps_ifdrop:(\d+)")


class Drops(NamedTuple):
    """Packets, since the start; None: the capturer has not said (dumpcap says it at its end)."""

    by_kernel: int | None
    by_interface: int | None


@dataclass(frozen=True)
class Wish:
    """What to capture.

    interfaces: by name; `any` is all of them.  filter: in pcap-filter(7)'s language.  snaplen: bytes kept of a
    packet.  buffer: MiB of the kernel's ring.  immediate: a packet is handed on at once, which costs several times the
    work and a place of snaplen bytes in the ring each; else within a second (tcpdump) or a quarter (dumpcap, which
    knows nothing else).  program: tcpdump or dumpcap; None: whichever may, see `rights.choose`.  packets: after which
    it ends; 0: it does not.
    """

    interfaces: tuple[str, ...]
    filter: str = ""
    snaplen: int = WHOLE
    promiscuous: bool = False
    buffer: int = 32
    immediate: bool = False
    program: str | None = None
    caller: Caller | None = None  # captures as this user
    packets: int = 0

    def command(self, program: str, pipe: bool) -> list[str]:
        """pipe: somebody waits for each packet."""
        path = path_of(program) or program
        promiscuous = [] if self.promiscuous else ["-p"]
        if program == "dumpcap":  # what stands before the interfaces holds for all of them
            words = [path, "-B", str(self.buffer), "-s", str(self.snaplen), *promiscuous]
            words += ["-f", self.filter] if self.filter else []
            words += ["-c", str(self.packets)] if self.packets else []
            return [*words, *(word for name in self.interfaces for word in ("-i", name)), "-w", "-"]
        words = [path, "-n", "-B", str(self.buffer * 1024), "-s", str(self.snaplen), *promiscuous]
        words += ["--immediate-mode"] if self.immediate else []
        words += ["-U"] if pipe else []
        words += ["-c", str(self.packets)] if self.packets else []
        words += ["--time-stamp-precision=nano", "-i", self.interfaces[0], "-w", "-"]
        return [*words, "--", self.filter] if self.filter else words

    def held_back(self, program: str) -> float:
        """Seconds that a packet may wait in the ring."""
        return 0.02 if self.immediate and program == "tcpdump" else RING_WAIT[program] * 1.1


class Capturer:
    """A running capture.  Raises CaptureError, one line that says what to do, where it cannot be.

    drops: what it dropped, as far as it has said; `ask` has tcpdump say it.
    """

    def __init__(self, wish: Wish, output: int, *, pipe: bool = False) -> None:
        if not wish.interfaces:
            raise UsageError("no interface: name one, or any for all of them (tcpscope interfaces lists them)")
        self.wish, self.name = wish, choose(len(wish.interfaces) > 1, wish.program)
        self.drops = Drops(None, None)
        self._said: deque[str] = deque(maxlen=TOLD)
        self._started, self._stopping = threading.Event(), False
        command = wish.command(self.name, pipe)
        if wish.caller is not None:
            command = capturing(command, wish.caller)
        try:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.PIPE,
                start_new_session=True,  # Ctrl-C is for us: what is on its way is still wanted
                env={**os.environ, "LC_ALL": "C"},
            )  # fmt: skip
        except OSError as error:
            raise CaptureError(f"{command[0]} does not start: {error.strerror or error}") from error
        self._ears = threading.Thread(target=self._listen, name="tcpscope-capturer", daemon=True)
        self._ears.start()
        self._await_start()

    # ------------------------------------------------------------ start

    def _await_start(self) -> None:
        deadline = time.monotonic() + START
        while not self._started.wait(0.01):
            if not self._ears.is_alive():
                self.process.wait()
                raise CaptureError(self._refusal())
            if time.monotonic() > deadline:
                self.kill()
                raise CaptureError(f"{self.name} did not start within {START:.0f} s: {'; '.join(self._said)}")

    def _refusal(self) -> str:
        """Why it did not start, in one line that says what to do."""
        said = [line for line in self._said if not line.startswith(CHATTER)]
        whole = " ".join(said)
        where = ", ".join(self.wish.interfaces)
        if "ermission" in whole or "not permitted" in whole:
            return f"{where}: no right to capture; grant it once: {grant(self.name)}"
        if "apture filter" in whole or "filter expression" in whole or "parse filter" in whole:
            found = re.search(r"(?:tcpdump: |\()([^()]*(?:expression|error|filter)[^()]*(?:: [^()]*)?)\)?", whole)
            return f"filter {self.wish.filter!r}: {(found.group(1) if found else whole).strip()}"
        if "o such device" in whole:
            return f"{where}: no such interface; tcpscope interfaces lists them"
        first = next(iter(said), f"{self.name} ended with exit code {self.process.returncode}")
        if self.wish.filter and self.name == "tcpdump" and self.process.returncode == 1 and len(said) == 1:
            return f"filter {self.wish.filter!r}: {first.removeprefix('tcpdump: ')}"
        return f"{where}: {first.removeprefix(self.name + ': ')}"

    # ------------------------------------------------------------ while it runs

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def ask(self) -> None:
        """Have tcpdump tell what it dropped; the answer comes a moment later.  dumpcap tells it at its end.

        SIGUSR1 waits, there, for the packet at hand; SIGUSR2 (flush) does not, and breaks the stream: hence -U.
        """
        number = getattr(signal, "SIGUSR1", None)
        if self.name == "tcpdump" and number is not None and self.alive:
            with contextlib.suppress(OSError):  # it runs as another user, or is gone
                self.process.send_signal(number)

    def _listen(self) -> None:
        """Take in what it says on stderr."""
        assert self.process.stderr is not None
        with self.process.stderr as said:
            for raw in said:
                for line in raw.decode("utf-8", "replace").replace("\r", "\n").split("\n"):
                    self._hear(line.strip())

    def _hear(self, line: str) -> None:
        if not line:
            return
        if any(word in line for word in READY):
            self._started.set()
        found = COUNTS.match(line.removeprefix("tcpdump: "))
        if found and line:
            kernel, interface = found.group(3), found.group(4)
            if kernel is not None:
                self.drops = Drops(int(kernel), int(interface or 0))
            elif interface is not None:
                self.drops = self.drops._replace(by_interface=int(interface))
            return
        if found := DUMPCAP_COUNTS.search(line):
            self.drops = Drops(
                (self.drops.by_kernel or 0) + int(found.group(2)), (self.drops.by_interface or 0) + int(found.group(3))
            )
            return
        if not line.startswith("Packets"):
            self._said.append(line)

    # ------------------------------------------------------------ the end

    def stop(self, drained: threading.Event | None = None) -> None:
        """End the capture when all that was sent before this call has been written; what it dropped is known then.

        drained: set by who reads the pipe while the pipe is empty; None: the output is a file.
        """
        self._stopping = True
        if self.alive:
            self._settle(drained)
            with contextlib.suppress(OSError):
                self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(STOP)
        except subprocess.TimeoutExpired:
            self.kill()
        self._ears.join(STOP)

    def kill(self) -> None:
        """At once, whatever is lost."""
        self._stopping = True
        with contextlib.suppress(OSError):
            self.process.kill()
        self.process.wait()
        self._ears.join(STOP)

    def _settle(self, drained: threading.Event | None) -> None:
        """Wait until nothing is left in the ring: a capturer that sleeps, when no packet can be held back, has all."""
        time.sleep(self.wish.held_back(self.name))
        if not os.path.exists("/proc/self/stat"):
            time.sleep(0.2)
            return
        before, deadline = None, time.monotonic() + STOP
        while time.monotonic() < deadline and self.alive:
            if drained is None or drained.is_set():
                now = _at_rest(self.process.pid)
                if now is not None and now == before:
                    return
                before = now
            time.sleep(0.01)

    @property
    def reason(self) -> str | None:
        """Why it ended though nobody had asked; None: it runs, or was stopped."""
        if self._stopping or self.alive:
            return None
        self._ears.join(STOP)
        code = self.process.returncode
        if code == 0 and self.wish.packets:
            return None  # it has all that it was to take
        if code < 0:
            name = signal.Signals(-code).name if -code in signal.valid_signals() else f"signal {-code}"
            return f"{self.name}, which captures, was ended by {name}"
        said = [line.removeprefix(self.name + ": ") for line in self._said if not line.startswith(CHATTER)]
        where = ", ".join(self.wish.interfaces)
        if any("disappeared" in line or "no longer attached" in line for line in said):
            return f"the interface {where} is gone"
        if any("went down" in line or "is down" in line for line in said):
            return f"the interface {where} went down"
        return f"{self.name}, which captures, ended with exit code {code}" + (f": {said[-1]}" if said else "")


def _at_rest(process: int) -> tuple[int, int] | None:
    """The time a process has used if it sleeps now, None if it does not."""
    try:
        with open(f"/proc/{process}/stat", encoding="ascii", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return None
    return (int(fields[11]), int(fields[12])) if fields[0] == "S" else None
