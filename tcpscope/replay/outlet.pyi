# side, kind, offset, length, time_ns, file, frame, other_file, other_frame, note, data
Entry = tuple[int, int, int, int, int, int, int, int, int, int, bytes]

class Outlet:
    def taken(self) -> list[Entry]: ...
