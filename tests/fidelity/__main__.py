"""Run the scorers, keep their summary lines, write the page."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parents[2]
SHARED = HERE.parent / "shared"
PAGE = HERE / "docs" / "fidelity.md"
COMMAND = f"{shlex.quote(sys.executable)} -m tcpscope"


def score(tool: str, *arguments: str, ours: bool = True) -> list[str]:
    """The scorer's output, line by line."""
    command = [sys.executable, str(SHARED / "tools" / tool), *arguments]
    if ours:
        command += ["--command", COMMAND]
    print("running", tool, *arguments, file=sys.stderr)
    done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=False)
    return done.stdout.splitlines()


def version(command: list[str], pattern: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(pattern, done.stdout + done.stderr)
    return found.group(1) if found else "unknown"


def annotations(lines: list[str]) -> list[str]:
    """The table of the Wireshark scorer, as Markdown."""
    rows = ["| annotation | tshark | tcpscope | both | precision | recall | F1 |", "|---|---|---|---|---|---|---|"]
    for line in lines:
        cells = line.split()
        if len(cells) >= 7 and re.fullmatch(r"[a-z_]+", cells[0]) and cells[1].isdigit() and "." in cells[4]:
            rows.append("| " + " | ".join(cells[:7]) + " |")
    return rows


def page() -> str:
    truth = score("score_truth.py", str(SHARED / "truth"))
    peer = score("score_tshark.py", str(SHARED / "truth"), ours=False)
    wireshark = score("score_wireshark.py", str(SHARED / "corpus" / "tcp"))
    zeek = score(
        "score_zeek.py", "--expected", str(SHARED / "corpus/zeek-conn.tsv"), "--captures", str(SHARED / "corpus")
    )
    tcptrace = score("score_tcptrace.py", str(SHARED / "corpus" / "tcp"))
    tshark = version(["tshark", "--version"], r"(\d+\.\d+\.\d+)")
    decode = next(line.strip() for line in wireshark if "all fields equal" in line)
    streams = next(line.strip() for line in wireshark if "exactly one connection" in line)
    return "\n".join([
        "# Fidelity",
        "",
        "Written by `python -m tests.fidelity`; every figure is a scorer's own summary line. The captures and scorers",
        "lie beside the checkout, not in it. Where tcpscope and a peer differ: [why](differences.md).",
        "",
        "## The Linux kernel",
        "",
        "229 captures of real exchanges over an impaired link, with the kernels' own record of every change of state",
        "and every retransmission. `score_truth.py truth`:",
        "",
        f"> {truth[-1]}",
        ">",
        f"> {truth[-2]}",
        "",
        f"tshark {tshark} on the same captures (it has no endpoint states; of causes it knows only `fast`):",
        "",
        f"> {peer[-1]}",
        "",
        "The captures not wholly right, as the scorer names them:",
        "",
        "```text",
        *disagreements(),
        "```",
        "",
        "## Wireshark",
        "",
        f"tshark {tshark}, one pass, default preferences, 323 captures; the column `wireshark` against tshark's marks,",
        "frame by frame. `score_wireshark.py corpus/tcp`:",
        "",
        f"* decode: {decode}",
        f"* grouping: {streams}",
        "",
        *annotations(wireshark),
        "",
        "## Zeek",
        "",
        "conn.log baselines of Zeek's own tests. `score_zeek.py`:",
        "",
        f"> {zeek[-1]}",
        "",
        "## tcptrace",
        "",
        "tcptrace 6.6.7, 323 captures, per direction. `score_tcptrace.py corpus/tcp`:",
        "",
        "```text",
        *[line for line in tcptrace if not line.startswith("      ")],
        "```",
        "",
    ])  # fmt: skip


def disagreements() -> list[str]:
    """What the kernel's scorer says of the captures in which an endpoint's states differ."""
    lines = score("score_truth.py", str(SHARED / "truth"), "--verbose")
    found, name = [], ""
    for line in lines:
        if not line.startswith("    "):
            name = line.split()[0] if line.split() else ""
        elif line.strip().startswith(("states of", "time of", "cause:")):
            found.append(f"{name}: {line.strip()}")
    return found


def main() -> None:
    if not SHARED.is_dir():
        sys.exit("Error: the folder with the captures and scorers (../shared) is not here; nothing to measure")
    PAGE.write_text(page(), encoding="utf-8")
    print(f"wrote {PAGE.relative_to(HERE)}")


if __name__ == "__main__":
    main()
