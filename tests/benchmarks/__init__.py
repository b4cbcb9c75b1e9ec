"""What tcpscope costs, and what its peers cost in the same run.

    pip install -e '.[benchmark]'          # nfstream, scapy, matplotlib; what is missing is skipped with a word
    python -m tests.benchmarks --quick     # a minute, as root: does everything once, on little
    python -m tests.benchmarks             # an hour, 5 GB: makes docs/performance.md anew
    python -m tests.benchmarks peers document      # some steps only, in this order

* `workload`: `recording.py` has two kernels talk (`traffic.py`) over a relay (`link.py`, from `tests/samples`);
  `synthetic.py` makes floods and other captures of one shape.  All are kept (`--cache`).
* `peers`: programs run in turn, A B C A B C, so that a slow moment of the machine hits all; `peers.py` lists them,
  `measure.py` and `launch.py` run them, `loops.py` are the Python libraries' loops, `table.py` shows the result.
* `curves`: the cost per packet by size and by open connections.
* `instructions`: `core.py` under callgrind, on a capture that `fixed.py` makes.  Counts do not depend on what else
  the machine does; `test_instructions.py` fails where they grow.
* `live`: packets a second over a veth pair, and a day of packets through a pipe; only when it is named.
* `document`: the page and its plots, from the results in docs/performance/.

No test here asserts a time.
"""
