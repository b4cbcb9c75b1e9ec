"""The command line: one file a command, loaded when it is called."""

from __future__ import annotations

import contextlib
import errno
import importlib
import os
import sys

import click

from tcpscope import __version__
from tcpscope.cli.encoding import plainly
from tcpscope.errors import TcpscopeError
from tcpscope.report.text import safe

COMMANDS = {
    "analyze": "What happened: overview, connections with both end states, what is odd.",
    "connections": "The table of connections.",
    "packets": "The table of packets, with both endpoints' states.",
    "events": "Every change of state of every endpoint.",
    "sockets": "Both hosts' sockets at a moment, as ss lists them.",
    "diagram": "The ladder of one connection, with both state columns.",
    "plot": "A connection or the whole capture as a picture: SVG, PNG, interactive HTML.",
    "follow": "The bytes each side of a connection sent, in order, gaps marked.",
    "exchanges": "Requests and responses of one connection: network time, server time.",
    "extract": "Packets of chosen connections into a pcap or pcapng file.",
    "live": "What is happening now on an interface: both endpoints' states as they change.",
    "interfaces": "What can be captured on, and what is missing where nothing can.",
    "report": "All that was found as one HTML file: findings, connections, ladders, plots.",
    "explain": "What a finding means: the mechanism, the rule, the RFC, a ladder.",
    "check": "Whether traffic is as a policy wants it: pass, fail or inconclusive, for CI.",
    "diff": "How the TCP behaviour of two captures differs.",
    "compare": "Agreement with Wireshark's own analysis, and the reasons for the differences.",
    "dissect": "One packet in full, through Wireshark.",
}


class Lazy(click.Group):
    """Commands by name; a module of this package each."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"tcpscope.cli.{name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from tcpscope.tables.filters import nearest

            hint = nearest(args[0], COMMANDS)
            if not hint and os.path.exists(args[0]):
                hint = f" (did you mean tcpscope analyze {args[0]}?)"
            raise click.UsageError(f"no command {args[0]!r}{hint}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; what click would answer in its own words is answered in ours."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise click.exceptions.Exit(130) from None
        except OSError as error:
            if error.errno != errno.EPIPE:
                raise
            quiet_pipe()
            raise click.exceptions.Exit(0) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command(cls=Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="tcpscope %(version)s")
def group() -> None:
    """Reads packet captures and replays the TCP state machine of both endpoints.

    \b
    Examples:
      tcpscope analyze capture.pcap
      tcpscope packets capture.pcapng.gz --port 443 --annotation retransmission
      tcpscope connections folder/ --format csv -o connections.csv
      tcpdump -w - | tcpscope events - --format jsonl

    FILE is a capture (pcap or pcapng, also gzip, zstd, lz4, xz, bzip2), several, a folder, a
    pattern, or - for standard input. Several are read as one timeline.

    Shell completion: eval "$(_TCPSCOPE_COMPLETE=bash_source tcpscope)" (or zsh_source, fish_source).

    Exit codes: 0 done, 1 a check or a comparison failed, 2 wrong usage or unusable input, 3 a check was inconclusive.
    """


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; every failure is one line on stderr."""
    if sys.stderr is None:  # closed by whoever started us
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115 (until exit)
    plainly()
    try:
        given = sys.argv[1:] if arguments is None else arguments
        code = group.main(given or ["--help"], prog_name="tcpscope", standalone_mode=False)
        if sys.stdout is not None:
            sys.stdout.flush()
        code = 0 if code is None else code
    except click.exceptions.Exit as done:
        code = done.exit_code
    except click.ClickException as error:
        where = getattr(error, "ctx", None)
        hint = f" (try: {where.command_path} --help)" if where is not None else ""
        code = failed(error.format_message().rstrip(".") + hint)
    except TcpscopeError as error:
        code = failed(str(error))
    except (KeyboardInterrupt, click.Abort):
        code = 130
    except BrokenPipeError:
        quiet_pipe()
        code = 0
    except OSError as error:
        code = failed(f"{error.filename or 'output'}: {error.strerror or error}")
    except MemoryError:
        code = failed("out of memory; try a smaller capture, or split it by time")
    sys.exit(code)


def failed(message: str) -> int:
    """Say on stderr, in one line, why nothing came of it; exit code 2."""
    with contextlib.suppress(OSError):  # nobody reads stderr
        click.echo(f"Error: {safe(message)}", err=True)
    return 2


def quiet_pipe() -> None:
    """The reader of our output has gone: nothing more is written, not even at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
