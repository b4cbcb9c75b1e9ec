from collections.abc import Sequence
from typing import BinaryIO

from tcpscope.replay.layout import Layout, Raw
from tcpscope.tables.schema import Column

class Formatter:
    def __init__(self, layout: Layout, columns: Sequence[Column], form: str) -> None: ...
    @property
    def lines(self) -> int: ...
    def write(self, raw: Raw, stream: BinaryIO) -> None: ...
