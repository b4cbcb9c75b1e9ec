"""A script as text, columns aligned: the inverse of `script.parse`."""

from __future__ import annotations

from .script import Check, Icmp, Item, Packet, Remark, Right, Script

COLUMNS = " time      who flags seq:end       ack    options"
RIGHT_COLUMNS = f"{'client':<12} {'server':<12} annotations"


def show(script: Script) -> str:
    """The text of the script; the bar stands right of its longest packet."""
    width = max([len(COLUMNS), *(len(show_left(item)) for item in script.frames)])
    parts = [*script.title, ""]
    if script.header:
        parts += [f"{name}: {value}" for name, value in script.header] + [""]
    parts.append(row(COLUMNS, RIGHT_COLUMNS, width))
    parts += [show_item(item, width) for item in script.items]
    return "\n".join(parts) + "\n"


def show_item(item: Item, width: int) -> str:
    match item:
        case Remark(text):
            return text
        case Check(column, value, scope, number):
            where = "" if (scope, number) == ("connection", 0) else f"{scope} {number}: "
            return f"=> {where}{column} {value}"
        case Icmp():
            return row(show_left(item), "", width)
        case Packet():
            return row(show_left(item), show_right(item.right), width)


def show_left(item: Packet | Icmp) -> str:
    if isinstance(item, Icmp):
        return f"{seconds(item.time_us)} {item.who}   icmp unreachable {item.what}"
    words = []
    if item.window is not None:
        words.append(f"win {item.window}")
    if item.options:
        words.append(f"<{','.join(item.options)}>")
    if item.ident is not None:
        words.append(f"id {item.ident}")
    if item.ttl is not None:
        words.append(f"ttl {item.ttl}")
    if item.bad:
        words.append("bad")
    numbers = f"{item.seq}:{item.end}"
    ack = "" if item.ack is None else str(item.ack)
    left = f"{seconds(item.time_us)} {item.who}   {item.flags:<5} {numbers:<13} {ack:<6} "
    return (left + " ".join(words)).rstrip()


def show_right(right: Right | None) -> str:
    if right is None:
        return ""
    return f"{right.client:<12} {right.server:<12} {', '.join(right.annotations)}"


def row(left: str, right: str, width: int) -> str:
    return f"{left:<{width}} | {right}".rstrip()


def seconds(time_us: int) -> str:
    """Milliseconds where they suffice, else microseconds; the points stand below each other."""
    text = f"{time_us // 1_000_000:>4}.{time_us % 1_000_000:06}"
    return f"{text.removesuffix('000'):<11}"
