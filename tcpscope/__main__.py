"""`tcpscope` as a process of its own, also as `python -m tcpscope`."""

import gc

gc.set_threshold(100_000, 20, 20)  # few cycles are made, and much else: looking for them costs a twentieth

from tcpscope.cli import main  # noqa: E402 (what it imports is much, and no garbage)


def run() -> None:
    """The command line; ends the process."""
    try:
        main()
    finally:
        gc.freeze()  # what is left goes with the process: no last search through it


if __name__ == "__main__":
    run()
