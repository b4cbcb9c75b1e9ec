"""Who may capture, and the exact command that lets one who may not.

On Linux a capturer needs CAP_NET_RAW (capabilities(7)): from its caller, from its file, or as setuid root.
"""

from __future__ import annotations

import os
import pwd
import shutil
import struct
import sys

from tcpscope.errors import CaptureError, UsageError

PROGRAMS = ("tcpdump", "dumpcap")
PLACES = ("/usr/sbin", "/sbin", "/usr/local/sbin", "/usr/local/bin", "/Applications/Wireshark.app/Contents/MacOS")
CAP_NET_RAW = 13
EFFECTIVE = 0x000001  # of the file attribute (linux/capability.h)
PACKAGES = {"tcpdump": "tcpdump", "dumpcap": "wireshark-common"}


def path_of(program: str) -> str | None:
    """Where the program is, also where an ordinary user's PATH does not look."""
    return shutil.which(program) or shutil.which(program, path=os.pathsep.join(PLACES))


def may_capture(program: str) -> bool:
    """Whether the program would be allowed to; where that cannot be told beforehand, True."""
    path = path_of(program)
    if path is None or not os.access(path, os.X_OK):
        return False
    if not sys.platform.startswith("linux"):
        return True
    return _own_right() or bool(os.stat(path).st_mode & 0o4000) or _file_has_right(path)


def choose(several: bool, wanted: str | None = None) -> str:
    """The program to capture with; CaptureError, with the command that helps, where none may.

    tcpdump tells its drops while it runs and costs less than dumpcap; only dumpcap reads several
    interfaces at once, and it is the one that Wireshark's packages give rights to.  tcpdump, started by root, wants
    to become another user, and ends where there is none.
    """
    if wanted and wanted not in PROGRAMS:
        raise UsageError(f"no program {wanted!r} to capture with; there are: {', '.join(PROGRAMS)}")
    order = [wanted] if wanted else ["dumpcap"] if several or confined() else list(PROGRAMS)
    for program in order:
        if may_capture(program):
            return program
    if order == ["dumpcap"] and not several and not wanted and path_of("tcpdump"):
        raise CaptureError(
            "tcpdump cannot run as root of a user namespace: unshare with --map-current-user --keep-caps "
            "instead of -r, or sudo apt install wireshark-common (no right to capture)"
        )
    raise CaptureError(missing(order[-1] if path_of(order[-1]) or len(order) == 1 else order[0]))


def missing(program: str) -> str:
    """What is missing for the program to capture, and the command that mends it, in one line."""
    path = path_of(program)
    if path is None:
        return f"{program} is not installed; it captures for tcpscope: sudo apt install {PACKAGES[program]}"
    return f"no right to capture; grant it once: {grant(program)}"


def grant(program: str) -> str:
    """The command that lets the caller capture with the program, which is installed."""
    path = path_of(program) or program
    if sys.platform == "darwin":
        return "install ChmodBPF from Wireshark's disk image, or: sudo tcpscope live …"
    if not os.access(path, os.X_OK):  # Debian: the group wireshark alone may run dumpcap
        group = _group(path)
        return f"sudo usermod -aG {group} {_user()} && newgrp {group}"
    return f"sudo setcap cap_net_raw,cap_net_admin+eip {os.path.realpath(path)}"


def confined() -> bool:
    """This is root of a user namespace that has no other users (`unshare -r`): nobody can become another one there."""
    if os.geteuid() != 0:
        return False
    try:
        with open("/proc/self/uid_map", encoding="ascii") as file:
            return sum(int(line.split()[2]) for line in file) == 1
    except (OSError, ValueError, IndexError):
        return False


def _user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def _group(path: str) -> str:
    import grp

    number = os.stat(path).st_gid
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)


def _own_right() -> bool:
    """This process, and so what it starts, has CAP_NET_RAW in effect."""
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as file:
            for line in file:
                if line.startswith("CapEff:"):
                    return bool(int(line.split()[1], 16) >> CAP_NET_RAW & 1)
    except (OSError, ValueError, IndexError):
        pass
    return os.geteuid() == 0


def _file_has_right(path: str) -> bool:
    """The file gives CAP_NET_RAW to whoever runs it (setcap)."""
    try:
        value = os.getxattr(os.path.realpath(path), "security.capability")
        flags, permitted = struct.unpack_from("<II", value)
    except (OSError, struct.error):
        return False
    return bool(flags & EFFECTIVE and permitted >> CAP_NET_RAW & 1)
