"""The bridge to Wireshark: its own analysis beside ours, and one packet in full."""
