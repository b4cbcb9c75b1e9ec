from typing import Any

DAMAGE_TEXT: dict[int, str]

class Container:
    position: int
    frames: int
    big_endian: bool
    sections: int
    comments: int
    @property
    def format(self) -> str: ...
    @property
    def damage(self) -> str | None: ...
    @property
    def inside_block(self) -> bool: ...
    @property
    def packets(self) -> int: ...
    def described_interfaces(self) -> list[dict[str, Any]]: ...
