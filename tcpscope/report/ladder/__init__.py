"""The ladder of one connection: a model, and a renderer for each medium.

    from tcpscope.report.ladder import Options, ladder, render

    drawing = ladder(connection_row, packets, events, Options(handshake=True))
    text = render(drawing, "text")

Rows come from the tables (`tcpscope.tables.rows`), packets and events those of this connection in
order of time.  Nothing here reads or writes a file.
"""

from tcpscope.report.ladder.assemble import ladder
from tcpscope.report.ladder.build import COLUMNS
from tcpscope.report.ladder.focus import Options
from tcpscope.report.ladder.model import Ladder
from tcpscope.report.ladder.render import FORMATS, MOST_ROWS, render

__all__ = ["COLUMNS", "FORMATS", "MOST_ROWS", "Ladder", "Options", "ladder", "render"]
