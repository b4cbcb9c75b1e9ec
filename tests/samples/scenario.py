"""The list of samples, and what runs a kernel scenario."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .network import Lab
from .recording import recording

FOLDER = Path(__file__).parents[2] / "sample_pcaps"
Scenario = Callable[[Lab], None]


@dataclass(frozen=True)
class Sample:
    """A capture file and what makes it."""

    file: str
    make: Callable[[Path], None]


SAMPLES: dict[str, Sample] = {}


def add(file: str, make: Callable[[Path], None]) -> None:
    SAMPLES[file.split(".")[0]] = Sample(file, make)


def kernel(
    *, at: str = "client", delay: float = 0.005, suffix: str = "pcap", snaplen: int = 262144, nano: bool = False,
    late: bool = False, only: str = "tcp", sysctls: dict[str, object] | None = None,
) -> Callable[[Scenario], Scenario]:  # fmt: skip
    """The sample is named as the scenario.

    at: the host whose interface is captured.  delay: one way, in seconds.  nano: nanosecond time stamps.
    late: the scenario starts the capture itself with `lab.capture`.  only: pcap-filter.  sysctls: of both hosts.
    """

    def register(scenario: Scenario) -> Scenario:
        name = scenario.__name__

        def make(path: Path) -> None:
            lab = Lab(name.replace("_", "")[:12], delay)
            try:
                for key, value in (sysctls or {}).items():
                    lab.client.sysctl(key, value)
                    lab.server.sysctl(key, value)
                lab.capture = lambda: recording(getattr(lab, at), path, snaplen, nano, only)
                if late:
                    scenario(lab)
                else:
                    with lab.capture():
                        scenario(lab)
            finally:
                lab.close()

        add(f"{name}.{suffix}", make)
        return scenario

    return register
