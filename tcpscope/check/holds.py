"""Whether tests hold: of single connections, and of several together."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from tcpscope.check.measures import Series

if TYPE_CHECKING:
    from tcpscope.check.assertions import Test
    from tcpscope.tables.values import Columns

SLACK = 1e-9  # of a bound: what decimal fractions lose in binary
MOMENT = 1e-6  # seconds since the epoch are so large that a double has no more


def slack(test: Test, bound: float) -> float:
    """By how much a value may miss a bound of this test."""
    return MOMENT if test.measure.kind == "moment" else abs(bound) * SLACK


def complies(test: Test, found: Series) -> Any:
    """For each connection whether its value is as it should be; meaningless where it is not known."""
    import numpy

    if test.op == "max":
        return found.values <= test.bounds[0] + slack(test, test.bounds[0])
    if test.op == "min":
        return found.values >= test.bounds[0] - slack(test, test.bounds[0])
    if found.words is not None:
        wanted = [at for at, word in enumerate(found.words) if word in test.bounds]
        inside = numpy.isin(found.values, wanted)
    else:
        inside = numpy.logical_or.reduce([numpy.isclose(found.values, float(b), 0, slack(test, float(b)))
                                          for b in test.bounds])  # fmt: skip
    return ~inside if test.op == "forbid" else inside


def holding(tests: Iterable[Test], fields: Columns) -> Any:
    """For which connections all of this is true and known."""
    import numpy

    answers = []
    for test in tests:
        found = test.measure.compute(fields)
        answers.append(complies(test, found) & (found.known() | (test.op == "forbid")))
    return numpy.logical_and.reduce(answers)


def within(test: Test, value: float) -> bool:
    """Whether one number complies with a max or a min."""
    bound: float = test.bounds[0]
    return value <= bound + slack(test, bound) if test.op == "max" else value >= bound - slack(test, bound)


def together(test: Test, read: Callable[[str], Series], rows: Any) -> float | None:
    """The value that a test of several connections compares: of those at `rows`; None: not known.

    read: gives a measure of all connections by its name.
    """
    import numpy

    if test.measure.name == "connections":
        return float(len(rows))
    if test.aggregate == "total" and test.measure.parts:
        above, below = (float(numpy.nansum(read(name).values[rows])) for name in test.measure.parts)
        return above / below if below else None
    found = read(test.measure.name)
    known = rows[found.known()[rows]]
    if test.aggregate == "count":
        return float((found.values[known] != 0).sum() if test.measure.kind == "bool" else len(known))
    if not len(known):
        return 0.0 if test.aggregate == "sum" and not len(rows) else None
    values = found.values[known]
    if test.aggregate.startswith("p"):
        return float(numpy.percentile(values, float(test.aggregate[1:])))
    how: dict[str, Callable[[Any], Any]] = {
        "max": numpy.max, "min": numpy.min, "mean": numpy.mean, "share": numpy.mean,
    }  # fmt: skip
    return float(how.get(test.aggregate, numpy.sum)(values))


def missing(test: Test, read: Callable[[str], Series], rows: Any) -> Any:
    """Those at `rows` that `together` leaves out, because the measure is not known of them."""
    import numpy

    if test.measure.name == "connections" or (test.aggregate == "count" and test.measure.kind != "bool"):
        return rows[:0]
    names = test.measure.parts if test.aggregate == "total" and test.measure.parts else (test.measure.name,)
    return rows[~numpy.logical_and.reduce([read(name).known()[rows] for name in names])]
