"""Records to pandas and Arrow, by way of numpy: no Python object a value."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from tcpscope.tables.rows import Raw
from tcpscope.tables.schema import LAYOUTS, TABLES, Column
from tcpscope.tables.values import Array, Columns

if TYPE_CHECKING:
    import pandas
    import pyarrow

GROUP = 65_536  # records turned into columns at a time, and rows of a Parquet row group
CACHED = 1 << 18  # bytes of records that a processor's cache holds


def turned(dtype: Any, chunks: Iterable[Raw]) -> Iterator[Columns]:
    """The fields of packed records, an array each, of GROUP records at a time."""
    import numpy

    step = max(1, CACHED // dtype.itemsize)
    fields, filled = {}, 0
    for chunk in chunks:
        records = numpy.frombuffer(chunk, dtype)
        while len(records):
            if filled == 0:
                fields = {name: numpy.empty(GROUP, dtype[name]) for name in dtype.names}
            few = records[: min(step, GROUP - filled)]
            for name, field in fields.items():
                field[filled : filled + len(few)] = few[name]
            filled += len(few)
            records = records[len(few) :]
            if filled == GROUP:
                yield fields
                filled = 0
    if filled:
        yield {name: field[:filled] for name, field in fields.items()}


def arrays(table: str, chunks: Iterable[Raw]) -> Iterator[list[Array]]:
    """The columns of each group of packed records."""
    for fields in turned(LAYOUTS[table].dtype(), chunks):
        yield [column.value.array(fields) for column in TABLES[table]]


def frame(table: str, chunks: Iterable[Raw]) -> pandas.DataFrame:
    """A DataFrame of packed records of `connections`, `packets` or `events`.

    Whole numbers are Int64 (NA where not known), times and rates float64 (NaN), words
    categories, addresses str, annotations tuples of str.
    """
    import pandas

    declared, schema = TABLES[table], arrow_schema(table)
    parts: list[list[Any]] = [[] for _ in declared]
    for found in arrays(table, chunks):
        for column, kind, array, part in zip(declared, schema.types, found, parts, strict=True):
            part.append(tuples(array) if column.type == "list" else arrow_array(array, kind))
    columns = {}
    for column, kind in zip(reversed(declared), reversed(schema.types), strict=True):
        columns[column.name] = _series(column, parts.pop(), kind)  # one after the other: the parts are let go
    return pandas.DataFrame({column.name: columns.pop(column.name) for column in declared}, copy=False)


def _series(column: Column, parts: list[Any], kind: pyarrow.DataType) -> pandas.Series[Any]:
    import numpy
    import pandas
    import pyarrow

    if column.type == "list":
        return pandas.Series(numpy.concatenate([numpy.empty(0, object), *parts]), dtype=object)
    chunked = pyarrow.chunked_array(parts, kind).unify_dictionaries()
    parts.clear()
    found: pandas.Series[Any] = chunked.to_pandas(types_mapper={pyarrow.int64(): pandas.Int64Dtype()}.get)
    if pyarrow.types.is_string(kind):  # where not one is known it would be a column of objects
        return found.astype(pandas.Series(["text"]).dtype)
    return found


def tuples(array: Array) -> Any:
    """A column of lists as tuples, the same object for the same list."""
    import numpy

    if array.counts is None:
        words = numpy.empty(len(array.words or ()), object)
        words[:] = array.words
        return words[array.values]
    found = numpy.empty(len(array.counts), object)
    found[:] = [()] * len(found)
    ends = array.counts.cumsum()
    for at in numpy.flatnonzero(array.counts).tolist():
        found[at] = tuple(map(tuple, array.values[ends[at] - array.counts[at] : ends[at]].tolist()))
    return found


def arrow_schema(table: str) -> pyarrow.Schema:
    """Names, types, units and meanings of a table's columns for Arrow and Parquet."""
    import pyarrow

    kinds = {
        "int": pyarrow.int64(),
        "float": pyarrow.float64(),
        "str": pyarrow.string(),
        "bool": pyarrow.bool_(),
        "list": pyarrow.list_(pyarrow.string()),
        "word": pyarrow.dictionary(pyarrow.int16(), pyarrow.string()),
        "pairs": pyarrow.list_(pyarrow.list_(pyarrow.int64())),
    }
    fields = []
    for column in TABLES[table]:
        kind = kinds.get(column.value.kind) or kinds[column.type]
        note = {b"unit": column.unit.encode(), b"meaning": column.meaning.encode()}
        fields.append(pyarrow.field(column.name, kind, metadata=note))
    return pyarrow.schema(fields)


def arrow(table: str, chunks: Iterable[Raw]) -> Iterator[pyarrow.RecordBatch]:
    """Arrow batches of packed records, GROUP rows each."""
    import pyarrow

    schema = arrow_schema(table)
    for found in arrays(table, chunks):
        yield pyarrow.record_batch(list(map(arrow_array, found, schema.types)), schema=schema)


def arrow_array(part: Array, kind: pyarrow.DataType) -> pyarrow.Array:
    """A column as an Arrow array of this type."""
    import numpy
    import pyarrow

    if part.counts is not None:
        pairs = _lists(numpy.full(len(part.values), 2), _filled(part.values.ravel(), pyarrow.int64()))
        return _lists(part.counts, pairs)
    if part.words is None:
        return _filled(part.values, kind, part.unknown)
    if pyarrow.types.is_list(kind):
        words = _lists(list(map(len, part.words)), _texts([text for word in part.words for text in word]))
    else:
        words = _texts(part.words)
    if pyarrow.types.is_dictionary(kind):
        codes = _filled(part.values, kind.index_type, part.unknown)
        return pyarrow.DictionaryArray.from_arrays(codes, words, safe=False)
    return words.take(_filled(part.values, pyarrow.int32(), part.unknown))


def _filled(values: Any, kind: pyarrow.DataType, unknown: Any = None) -> pyarrow.Array:
    """Numbers by their buffers: pyarrow.array would import pandas, which takes longer than all the rest."""
    import numpy
    import pyarrow

    mask = None if unknown is None else pyarrow.py_buffer(numpy.packbits(~unknown, bitorder="little"))
    if pyarrow.types.is_boolean(kind):
        raw = numpy.packbits(values, bitorder="little")
    else:
        letter = "f" if pyarrow.types.is_floating(kind) else "i"
        raw = numpy.ascontiguousarray(values, dtype=f"{letter}{kind.bit_width // 8}")
    return pyarrow.Array.from_buffers(kind, len(values), [mask, pyarrow.py_buffer(raw)])


def _texts(texts: Sequence[str]) -> pyarrow.Array:
    import numpy
    import pyarrow

    raw = [text.encode() for text in texts]
    ends = numpy.cumsum([0, *map(len, raw)], dtype=numpy.int32)
    return pyarrow.StringArray.from_buffers(len(raw), pyarrow.py_buffer(ends), pyarrow.py_buffer(b"".join(raw)))


def _lists(counts: Any, values: pyarrow.Array) -> pyarrow.Array:
    import numpy
    import pyarrow

    offsets = numpy.zeros(len(counts) + 1, numpy.int32)
    numpy.cumsum(counts, out=offsets[1:])
    return pyarrow.ListArray.from_arrays(_filled(offsets, pyarrow.int32()), values)
