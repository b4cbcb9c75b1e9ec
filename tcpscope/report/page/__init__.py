"""The report: one HTML file that needs no network.

    from tcpscope.report.page import Wanted, gather, render

    gathered = gather(found, Wanted())   # the captures are read once
    page = render(gathered)              # and once more, for the connections shown in detail

`gathered` reads, `choose` picks the connections worth a closer look, `detail` draws them, `document` writes the page.
"""

from tcpscope.report.page.document import render
from tcpscope.report.page.gathered import Gathered, Wanted, gather

__all__ = ["Gathered", "Wanted", "gather", "render"]
