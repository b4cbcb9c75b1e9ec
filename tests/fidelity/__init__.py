"""`python -m tests.fidelity` measures tcpscope against its peers and the kernel, and writes docs/fidelity.md.

The scorers and the captures lie in a folder beside the checkout (`../shared`); without it there is nothing to measure.
"""
