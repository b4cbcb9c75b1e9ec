"""`tcpscope check`: whether captured traffic is as a policy wants it."""

from __future__ import annotations

import os
import sys
from io import TextIOWrapper
from typing import TYPE_CHECKING, Any

import click

from tcpscope.cli.common import common, progress, refuse_overwriting, warn
from tcpscope.cli.forms import format_option
from tcpscope.errors import UsageError
from tcpscope.tables.analysis import locate, readable_once
from tcpscope.tables.output import destination

if TYPE_CHECKING:
    from tcpscope.capture.sources import Sources
    from tcpscope.check import Baseline, Policy, Verdict
    from tcpscope.check.formats.checked import Checked

SIDES = ("json", "junit", "sarif", "gitlab", "markdown")
BASELINE = "tcpscope-baseline.json"


def _sides(command: Any) -> Any:
    for form in reversed(SIDES):
        command = click.option(f"--{form}", metavar="FILE", help=f"Also write {form} to FILE.")(command)
    return command


@click.command("check")
@click.argument("files", nargs=-1, metavar="FILE…", type=click.Path())
@click.option("-p", "--policy", metavar="FILE", help="TOML or YAML: docs/check.md.  [default: tcpscope's own]")
@format_option("table", "json", "junit", "sarif", "github", "gitlab", "markdown")
@_sides
@click.option("--github", is_flag=True, help="Also annotations on standard output, and the step's summary.")
@click.option("--each", is_flag=True, help="Judge each capture on its own, not all as one timeline.")
@click.option("--baseline", metavar="FILE", help="Only what is new or worse than in FILE fails.")
@click.option("--update-baseline", is_flag=True, help=f"Write what is found to the baseline ({BASELINE}), and exit 0.")
@click.option(
    "--tolerance",
    default="10%",
    show_default=True,
    metavar="SHARE",
    help="How much a number may be worse than the baseline's.",
)
@click.option(
    "--fail-on",
    type=click.Choice(("error", "warning", "note")),
    default="error",
    show_default=True,
    help="The least severity that fails.",
)
@click.option("--exit-zero", is_flag=True, help="Exit with 0 whatever the result.")
@click.option(
    "--ladders",
    type=click.IntRange(0, 100),
    default=3,
    show_default=True,
    metavar="N",
    help="Draw the ladders of N violations.",
)
@click.option(
    "--explain", metavar="RULE", help="What a rule means, and why it is there (all: every rule); reads no capture."
)
@click.option("--print-policy", is_flag=True, help="The default policy, to start one's own from.")
@click.option("--print-schema", is_flag=True, help="The JSON Schema of policies, for editors.")
@common
def command(files: tuple[str, ...], policy: str | None, **options: Any) -> None:
    """Whether captured traffic is as a policy wants it: pass (exit code 0), fail (1) or inconclusive (3).

    \b
    Examples:
      tcpscope check capture.pcap
      tcpscope check capture.pcap --policy tcpscope.toml --junit junit.xml --sarif tcpscope.sarif
      tcpscope check *.pcap --each --baseline tcpscope-baseline.json
      tcpscope check --policy tcpscope.toml --explain no-resets
      tcpscope check --print-policy > tcpscope.toml

    Inconclusive: the capture is empty, lossy or cut beyond the policy's quality gate, or a rule found nothing to judge.
    Exit code 2: wrong usage, a policy that is wrong, or input that cannot be read.
    """
    from tcpscope.check.policy import default_text, load_policy

    if options["print_policy"] or options["print_schema"]:
        _print(default_text() if options["print_policy"] else _schema(), options["output"])
        return
    loaded = load_policy(policy)
    if options["explain"] is not None:
        from tcpscope.check.explain import explained

        wanted = loaded.rules if options["explain"] == "all" else [loaded.rule(options["explain"])]
        _print("\n".join(explained(loaded, rule) for rule in wanted), options["output"])
        return
    if not files:
        raise click.UsageError("Missing argument 'FILE…'", click.get_current_context())
    _check(files, loaded, options)


def _check(files: tuple[str, ...], policy: Policy, options: dict[str, Any]) -> None:
    from tcpscope.check.formats.checked import Checked, overall
    from tcpscope.check.judging import judge
    from tcpscope.check.observed import observe
    from tcpscope.check.verdict import EXIT

    found = locate(files)
    written = (options["baseline"] or BASELINE) if options["update_baseline"] else None
    outputs = [it for it in (options["output"], written, *(options[form] for form in SIDES)) if it not in (None, "-")]
    for path in outputs:
        refuse_overwriting(found, path)
    _refuse_twice(outputs, policy.path)
    baseline = _baseline(options)
    checks: list[Checked] = []
    spools = []
    for sources in _apart(found) if options["each"] else [found]:
        if readable_once(sources):  # it is read again for the ladders
            from tcpscope.report.page.gathered import readable_twice

            sources, held = readable_twice(sources)
            spools += held
        with progress(options["quiet"]) as show:
            observed = observe(
                sources, policy, msl=_msl(options), by_tunnel=options["by_tunnel"], threads=options["threads"],
                progress=show,
            )  # fmt: skip
        observed.again = not readable_once(sources) or bool(spools)
        warn(observed.result, options)
        verdict = judge(observed, policy, baseline=baseline, fail_on=options["fail_on"])
        if options["each"]:
            _tell_apart(verdict)
        checks.append(Checked(observed, verdict, options["ladders"]))
    if options["update_baseline"]:
        assert baseline is not None
        _write_baseline(baseline, options)
        return
    _write(checks, options)
    if not options["exit_zero"]:
        raise click.exceptions.Exit(EXIT[overall(checks)])


def _refuse_twice(outputs: list[str], policy: str | None) -> None:
    """UsageError where two outputs, or one and the policy, would be the same file."""
    taken = set() if policy is None else {os.path.realpath(policy)}
    for path in outputs:
        if (place := os.path.realpath(path)) in taken:
            raise UsageError(f"{path} would be written over by this very run: name another file")
        taken.add(place)


def _msl(options: dict[str, Any]) -> float | None:
    """The command line's, if it was given."""
    from click.core import ParameterSource

    given = click.get_current_context().get_parameter_source("msl") != ParameterSource.DEFAULT
    return float(options["msl"]) if given else None


def _apart(found: Sources) -> list[Sources]:
    from tcpscope.capture.sources import Sources

    return [found._replace(captures=[it]) if at == 0 else Sources([it], []) for at, it in enumerate(found.captures)]


def _tell_apart(verdict: Verdict) -> None:
    """Fingerprints of a capture's own: the same is wrong in several, and reports take one fingerprint for one thing."""
    from tcpscope.check.formats.checked import relative
    from tcpscope.check.verdict import fingerprint

    name = relative(verdict.files[0])
    for rule in verdict.rules:
        for one in rule.violations:
            one.fingerprint = fingerprint(name, one.fingerprint)


# ---------------------------------------------------------------- baseline


def _baseline(options: dict[str, Any]) -> Baseline | None:
    from tcpscope.check.baseline import Baseline, load_baseline
    from tcpscope.check.units import amount

    tolerance = amount(options["tolerance"], "share", "--tolerance")
    if options["update_baseline"]:
        return Baseline({}, tolerance)
    return load_baseline(options["baseline"], tolerance) if options["baseline"] is not None else None


def _write_baseline(baseline: Baseline, options: dict[str, Any]) -> None:
    from tcpscope.tables.write import write_json

    path = options["baseline"] or BASELINE
    document = baseline.document()
    with destination(path) as stream:
        write_json(document, stream)
    if not options["quiet"]:
        from tcpscope.diagnose.facts import times
        from tcpscope.report.text import safe

        click.echo(f"Written: {safe(path)}, {times(len(document['violations']), 'known violation')}", err=True)


# ---------------------------------------------------------------- output


def _write(checks: list[Checked], options: dict[str, Any]) -> None:
    for form in SIDES:
        if options[form] is not None:
            with destination(options[form]) as stream:
                stream.write(_rendered(form, checks, options))
    with destination(options["output"]) as stream:
        if options["form"] == "table":
            _table(checks, options, stream)
        elif options["form"] != "github":
            stream.write(_rendered(options["form"], checks, options))
        if options["github"] or options["form"] == "github":
            from tcpscope.check.formats import github, markdown

            stream.write(github.commands(checks).encode("utf-8", "backslashreplace"))
            github.summarise(markdown.text(checks))


def _table(checks: list[Checked], options: dict[str, Any], stream: Any) -> None:
    from tcpscope.check.formats.terminal import print_checks

    if options["output"] is None and sys.stdout.isatty():
        print_checks(checks, sys.stdout, options["utc"])
        sys.stdout.flush()
        return
    text = TextIOWrapper(stream, encoding="utf-8", errors="backslashreplace", newline="\n")
    try:
        print_checks(checks, text, options["utc"])
        text.flush()
    finally:
        text.detach()


def _rendered(form: str, checks: list[Checked], options: dict[str, Any]) -> bytes:
    if form == "junit":
        from tcpscope.check.formats.junit import xml

        return xml(checks, options["fail_on"])
    if form == "markdown":
        from tcpscope.check.formats.markdown import text

        return text(checks).encode("utf-8", "backslashreplace")
    if form == "json":
        from tcpscope.check.formats.json import document

        return _json(document(checks))
    if form == "sarif":
        from tcpscope.check.formats import sarif

        return _json(sarif.document(checks, options["fail_on"]))
    from tcpscope.check.formats import gitlab

    return _json(gitlab.document(checks))


def _json(document: Any) -> bytes:
    """As JSON; names of files that are no UTF-8 come escaped."""
    import json

    return (json.dumps(document, indent=2, ensure_ascii=True, allow_nan=False) + "\n").encode()


def _schema() -> str:
    from importlib import resources

    return (resources.files("tcpscope.check") / "policy.schema.json").read_text(encoding="utf-8")


def _print(text: str, output: str | None) -> None:
    with destination(output) as stream:
        stream.write(text.encode("utf-8", "backslashreplace"))
