# cython: wraparound=False, freethreading_compatible=True
"""The secret that keys the flows' hash."""
import os

SECRET = int.from_bytes(os.urandom(8), "little") | 1
