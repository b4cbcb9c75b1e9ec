"""The bridge to Wireshark: the tshark that pyshark finds, its fields, and where tcpscope differs.

Only `tshark.py` imports pyshark, and only when a command needs it.
"""
