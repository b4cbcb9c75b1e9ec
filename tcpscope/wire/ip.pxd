# cython: wraparound=False
"""IPv4, IPv6 and the headers that may follow them."""
from tcpscope.wire.walk cimport Walk

cdef enum:                    # IP protocol numbers, those that lead to TCP or end the walk for a reason of their own
    P_HOP_BY_HOP = 0
    P_ICMP = 1
    P_IPV4 = 4
    P_TCP = 6
    P_UDP = 17
    P_IPV6 = 41
    P_ROUTING = 43
    P_FRAGMENT = 44
    P_GRE = 47
    P_ENCRYPTED = 50
    P_AUTHENTICATION = 51
    P_ICMP_V6 = 58
    P_DESTINATION_OPTIONS = 60
    P_ETHER_IN_IP = 97
    P_MPLS = 137
    P_SHIM6 = 140
    P_ETHERNET = 143

cdef int ip(Walk *w) noexcept nogil
cdef int ipv4(Walk *w) noexcept nogil
cdef int ipv6(Walk *w) noexcept nogil
cdef int extension(Walk *w) noexcept nogil
