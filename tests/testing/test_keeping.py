"""Where captures are kept: inside the folder, one place a test, the same each time."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tcpscope.testing.keeping import forget, keep, place

TOP = Path("/top")


def test_a_plain_name_is_kept():
    assert (
        place(TOP, "tests/test_it.py::TestA::test_b[lo]", ".pcap", 1) == TOP / "tests/test_it.py/TestA.test_b[lo].pcap"
    )
    assert place(TOP, "test_it.py::test_b", ".pcapng", 2) == TOP / "test_it.py/test_b-2.pcapng"


NAMES = st.text(st.one_of(st.sampled_from("a/.:-_[]\\ \n\0é"), st.characters()), max_size=200)


@given(NAMES, NAMES)
def test_no_name_leaves_the_folder_and_no_two_share_a_place(one, two):
    a, b = (place(TOP, f"t.py::test[{it}]", ".pcap", 1) for it in (one, two))
    assert a.parent == TOP / "t.py"
    assert a.name.isprintable()
    assert len(a.name.encode()) < 200
    assert (a == b) == (one == two)


@given(NAMES)
def test_nor_does_a_folder(name):
    assert ".." not in place(TOP, f"{name}/../../x.py::test", ".pcap", 1).parts


def test_what_an_earlier_run_kept_is_forgotten(tmp_path):
    file = tmp_path / "1.pcap"
    file.write_bytes(b"x")
    top = tmp_path / "kept"
    for test, count in (("t.py::test_a", 1), ("t.py::test_a", 2), ("t.py::test_ab", 1)):
        keep(file, place(top, test, ".pcap", count), top)
    forget(top, "t.py::test_a")
    assert [it.name for it in (top / "t.py").iterdir()] == ["test_ab.pcap"]
    assert (top / ".gitignore").read_text() == "*\n"
