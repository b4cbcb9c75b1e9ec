"""The captures in `sample_pcaps/`, and how they are made.

`python -m tests.samples` makes all of them again, `python -m tests.samples NAME…` some; it needs root, iproute2,
tcpdump and dumpcap, and half a minute.  The kernel's numbers (ISN, microseconds) differ each time, what happens does
not; where timers race (bulk, slow_reader, syn_ack_lost, network_duplicates) frame numbers may move, and
`test_samples.py` then says which lines of the README to mend.

A kernel capture comes from a scenario: a function that gets a `Lab` of two hosts and talks over plain sockets.

    client (10.1.0.1) ──tap── relay in this process ──tap── server (10.1.0.2)

Each host is a network namespace with one tap interface; the relay carries every packet to the other side after
`delay` seconds and asks the scenario's *rule* first: a rule gets a `Packet` and gives the extra delays of the copies
to deliver: `()` loses the packet, `(0.0,)` delivers it, `(0.0, 0.0002)` duplicates it.  So every loss hits the very
segment it is meant for, and neither netem nor a firewall is needed.  tcpdump listens on one host's interface; taps
without offload show real segments with real checksums.

* `network.py`: namespaces, taps, the relay.  `rules.py`: what is lost, delayed, doubled.
* `recording.py`: tcpdump and dumpcap.  `scenario.py`: the list of samples, and the `@kernel` decorator.
* `opening.py closing.py loss.py flow.py timers.py variety.py`: the scenarios.
* `built.py`: captures written with dpkt, where no kernel will do it.
"""
