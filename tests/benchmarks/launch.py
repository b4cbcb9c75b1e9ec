"""Start a program, wait for its end, tell its cost: `python -I -S launch.py FD COMMAND…` writes numbers to FD.

As small as a Python process can be, since a child's peak memory, as the kernel counts it, begins
with that of the process that started it.
"""

import os
import sys
from time import perf_counter

to, words = int(sys.argv[1]), sys.argv[2:]
os.set_inheritable(to, False)
began = perf_counter()
child = os.posix_spawnp(words[0], words, os.environ)
_, status, usage = os.wait4(child, 0)
wall = perf_counter() - began
told = os.waitstatus_to_exitcode(status), wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss
os.write(to, " ".join(map(str, told)).encode())
