"""tcpscope: what the two ends of a TCP connection did, from a packet capture."""
