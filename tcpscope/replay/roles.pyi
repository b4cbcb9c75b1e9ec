from tcpscope.wire.batch import SegmentBatch

LIKELY_SERVER_PORTS: tuple[int, ...]

def first_role(batch: SegmentBatch, index: int) -> int: ...
