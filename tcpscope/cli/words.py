"""What the shell completes beside options and files."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


class Words(click.ParamType):  # type: ignore[type-arg, unused-ignore]  # generic since click 8.3
    """A word out of a list, in any case and with - for _; completed by the shell, judged by who takes it.

    words: or what gives them, where to know them takes time.
    """

    name = "word"

    def __init__(self, words: Iterable[str] | Callable[[], Iterable[str]]) -> None:
        self.words = words

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        start = incomplete.upper().replace("-", "_")
        words = self.words() if callable(self.words) else self.words
        return [CompletionItem(it) for it in words if it.upper().replace("-", "_").startswith(start)]


class FilesOrWords(click.Path):
    """Files, and one of these words among them."""

    def __init__(self, words: Iterable[str]) -> None:
        super().__init__()
        self.among = Words(words)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return [*self.among.shell_complete(ctx, param, incomplete), *super().shell_complete(ctx, param, incomplete)]
