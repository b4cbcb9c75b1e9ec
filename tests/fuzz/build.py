"""Builds the compiled core with clang's sanitizers and libFuzzer's coverage, beside the ordinary build.

The sources are copied, so that nothing here changes a working tree.  In the copy the bounds of LIMITS are made
small: what a limit cuts off then happens within a few hundred bytes of input.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
CORE = "fuzz_core"
DRIVER = "libdriver.so"
SANITIZE = "address,undefined,float-cast-overflow"
# -fno-wrapv: an overflow of signed numbers is an error here, though the ordinary build wraps.
# Not asked for: NULL + 0, which Cython writes and every compiler takes for NULL.
# The coverage is that of edges alone: to trace comparisons as well halves the speed, and the seeds know the magics.
FLAGS = (f"-O2 -g1 -fno-omit-frame-pointer -fno-wrapv -fsanitize={SANITIZE} -fno-sanitize=pointer-overflow,null "
         "-fno-sanitize-recover=all -fsanitize-coverage=inline-8bit-counters,pc-table -Wno-everything")  # fmt: skip
COVERED = "src:*\nfun:__pyx_f_*\n"  # our functions, not what Cython wraps around them

LIMITS = {
    "replay/flows.pyx": {"FIRST_SLOTS": "8", "FIRST_ENDED": "4", "MOST_ENDED": "1 << 5"},
    "replay/pool.pyx": {"SMALL_ARENA": "1 << 14"},
    "replay/bodies.pyx": {"SMALL": "4"},
    "replay/store.pxd": {"FIRST": "1 << 10"},
    "replay/calm.pyx": {"LOOKS": "2", "LOOKS_MOST": "16"},
    "replay/copies.pyx": {"EXPECTED": "1", "MANY_LEAST": "2", "MANY_MOST": "8"},
    "replay/chunks.pxd": {"ROOM_MOST": "32", "ROOM_KEPT": "4", "LEAST_SPARE": "2"},
    "replay/resting.pyx": {"ARRAYS_MOST": "1 << 10"},
    "replay/sacks.pxd": {"SPARE": "4"},
    "replay/wireshark.pxd": {"QUEUE_MOST": "24"},
    "replay/unacked.pyx": {"BUNCH": "4"},
    "replay/ranges.pxd": {"MAX_RANGES": "8"},
    "replay/rtt.pxd": {"MAX_CANDIDATES": "32", "MAX_UNANSWERED": "16", "FIRST_SAMPLES": "8"},
    "replay/marks.pxd": {"MOST": "24"},
    "replay/marks.pyx": {"MOST_CLOSING": "8"},
    "replay/stream.pyx": {"MOST": "1 << 14", "MOST_HELD": "16", "MOST_SHOWN": "64"},
    "replay/line.pxd": {"HOLES": "4", "SACKED": "4", "ORIGINS": "8", "HISTORY": "1 << 10"},
    "wire/firsts.pxd": {"FLOWS": "1 << 6", "GATHERED": "512", "GATHERS": "4"},
    "wire/fragments.pxd": {"MAX_PIECES": "4", "SETS": "2", "WAYS": "2"},
    "wire/pieces.pyx": {"DATAGRAMS": "8", "MOST_BYTES": "1 << 12"},
    "capture/container.pyx": {"MAX_INTERFACES": "64", "MAX_BLOCK": "1 << 20"},
}


def usable() -> str | None:
    """Why this machine cannot build it; None if it can."""
    if sys.platform != "linux":
        return "sanitizers are used on Linux only"
    if shutil.which(compiler()) is None:
        return "no clang: apt-get install clang libclang-rt-dev, or set CLANG"
    try:
        runtime("asan"), runtime("fuzzer_no_main")
    except FileNotFoundError as error:
        return f"{error}: apt-get install libclang-rt-dev"
    return None


def compiler() -> str:
    return os.environ.get("CLANG", "clang")


def runtime(name: str) -> Path:
    """A library of clang's: asan is shared, the rest are archives."""
    end = "so" if name == "asan" else "a"
    for machine in (f"-{os.uname().machine}", ""):
        file = f"libclang_rt.{name}{machine}.{end}"
        found = subprocess.run([compiler(), f"-print-file-name={file}"], capture_output=True, text=True).stdout.strip()
        if os.path.isfile(found):
            return Path(found)
    raise FileNotFoundError(f"clang has no {name} runtime")


def build(folder: Path, jobs: int = 1) -> Path:
    """Copy what has changed to `folder` and compile it there; the folder to put on sys.path."""
    stamp = folder / "flags"
    if folder.exists() and (not stamp.exists() or stamp.read_text() != FLAGS + COVERED):
        shutil.rmtree(folder)
    copy(folder)
    stamp.write_text(FLAGS + COVERED)
    (folder / "setup.py").write_text(_setup())
    (folder / "covered").write_text(COVERED)
    _driver(folder)
    environment = os.environ | {
        "CC": compiler(),
        "LDSHARED": f"{compiler()} -shared",
        "CFLAGS": f"{FLAGS} -fsanitize-coverage-allowlist={folder.resolve() / 'covered'}",
    }
    command = [sys.executable, "setup.py", "-q", "build_ext", "--inplace", f"-j{jobs}"]
    _run(command, cwd=folder, env=environment)
    return folder


def _run(command: list[str], **settings: Any) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, **settings)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}:\n{done.stdout[-2000:]}{done.stderr[-6000:]}")


def preload(folder: Path) -> dict[str, str]:
    """The environment in which an ordinary Python can import what is built in `folder`."""
    return {
        "LD_PRELOAD": f"{folder.resolve() / DRIVER} {runtime('asan')}",
        "PYTHONMALLOC": "malloc",
        "ASAN_OPTIONS": "verify_asan_link_order=0:detect_leaks=0:allocator_may_return_null=1:quarantine_size_mb=8:"
        "allocator_release_to_os_interval_ms=-1",
        "UBSAN_OPTIONS": "print_stacktrace=1",
    }


def _driver(folder: Path) -> None:
    """libFuzzer as a shared library: an extension module's would come too late to be told of the coverage."""
    archive = runtime("fuzzer_no_main")
    command = [compiler(), "-shared", "-fPIC", "-O1", "-o", str(folder / DRIVER), str(HERE / "driver.cc"),
               "-Wl,--whole-archive", str(archive), "-Wl,--no-whole-archive", "-lstdc++", "-lpthread", "-ldl",
               "-lm"]  # fmt: skip
    _run(command)


def copy(folder: Path) -> None:
    """Sources and nothing else; a file keeps its time unless its text changes, so that little is compiled again."""
    sources = [it for it in (ROOT / "tcpscope").rglob("*") if it.suffix in (".py", ".pyx", ".pxd")]
    for source in [*sources, HERE / f"{CORE}.pyx", HERE / "seeds.py"]:
        target = folder / (source.name if source.parent == HERE else source.relative_to(ROOT))
        text = source.read_text()
        inside = source.relative_to(ROOT).as_posix().removeprefix("tcpscope/")
        for name, value in LIMITS.get(inside, {}).items():
            text, found = re.subn(rf"^(    {name} = )[^#\n]+?( *(?:#.*)?)$", rf"\g<1>{value}\2", text, flags=re.M)
            if found != 1:
                raise RuntimeError(f"{inside} has no {name} to make small (tests/fuzz/build.py)")
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists() or target.read_text() != text:
            target.write_text(text)


def _setup() -> str:
    with (ROOT / "pyproject.toml").open("rb") as stream:
        modules = tomllib.load(stream)["tool"]["setuptools"]["ext-modules"]
    return f"""from setuptools import Extension, setup
from Cython.Build import cythonize
modules = [Extension(it["name"], it["sources"]) for it in {modules!r}]
modules.append(Extension({CORE!r}, ["{CORE}.pyx"]))
setup(name="fuzzed", packages=[], ext_modules=cythonize(modules, quiet=True, language_level=3))
"""
