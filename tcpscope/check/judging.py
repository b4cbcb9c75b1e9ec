"""Judging: a capture and a policy in, a verdict out.  Column by column; only the worst are told singly."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from fnmatch import fnmatchcase
from functools import partial
from typing import TYPE_CHECKING, Any

from tcpscope.check.assertions import Test
from tcpscope.check.gate import gate
from tcpscope.check.holds import complies, holding, missing, together, within
from tcpscope.check.named import Named
from tcpscope.check.observed import Captured, Observed, of_capture
from tcpscope.check.policy import Allow, Policy, Rule, load_policy
from tcpscope.check.proof import NEVER_OPEN, proof
from tcpscope.check.units import apart, written
from tcpscope.check.verdict import (
    FAIL,
    INCONCLUSIVE,
    PASS,
    SEVERITIES,
    SKIPPED,
    AllowResult,
    RuleResult,
    Verdict,
    Violation,
    fingerprint,
)  # fmt: skip
from tcpscope.diagnose import Finding, findings
from tcpscope.diagnose.facts import times
from tcpscope.diagnose.finding import worst_first
from tcpscope.errors import UsageError
from tcpscope.replay.layout import CLOSED_BY
from tcpscope.report.named import ending
from tcpscope.tables.overview import overview

if TYPE_CHECKING:
    from tcpscope.check.baseline import Baseline

LISTED = 100  # violations of a rule that are told singly, the worst ones; the others are counted
EXCUSED = 20  # of those that do not count
NAMED = 20  # connections of a violation that is about several


def judge(
    capture: Captured | Observed,
    policy: Any = None,
    *,
    baseline: Baseline | None = None,
    fail_on: str = "error",
    today: date | None = None,
) -> Verdict:
    """Judge a capture by a policy.

    capture: what `tcpscope.read()` gives, or what `check.observe()` read for this very policy.  policy: all that
    `load_policy` takes.  baseline: what is known already; only what is new or worse counts.  fail_on: the least
    severity that makes the verdict "fail": error, warning or note.  today: by which allowances expire, UTC.
    """
    if fail_on not in SEVERITIES:
        raise UsageError(f"no severity {fail_on!r}; there are: {', '.join(SEVERITIES)}")
    policy = load_policy(policy)
    observed = capture if isinstance(capture, Observed) else of_capture(capture, policy)
    judging = _Judging(observed, policy, baseline, today or datetime.now(UTC).date())
    rules = [judging.rule(rule) for rule in policy.rules]
    gates = gate(observed, policy)
    serious = [it for it in rules if SEVERITIES.index(it.severity) <= SEVERITIES.index(fail_on)]
    result = PASS
    if not all(it.ok for it in gates) or any(it.status == INCONCLUSIVE for it in serious):
        result = INCONCLUSIVE
    if any(it.status == FAIL for it in serious):
        result = FAIL
    return Verdict(
        result, rules, gates, [it.told() for it in judging.allows], observed.result.names, policy.path, policy.title,
        overview(observed.result), observed.result.warnings,
        baseline.fixed(rules) if baseline is not None else [],
    )  # fmt: skip


@dataclass
class _Excuse:
    """An entry of the allow-list at work."""

    allow: Allow
    expired: bool
    mask: Any
    excused: int = 0

    def told(self) -> AllowResult:
        until = self.allow.until
        return AllowResult(list(self.allow.rules), self.allow.reason, None if until is None else until.isoformat(),
                           self.expired, self.excused)  # fmt: skip

    def about(self, rule: str) -> bool:
        return not self.expired and any(fnmatchcase(rule, pattern) for pattern in self.allow.rules)

    def touches(self, rows: Any) -> bool:
        """Whether any of these connections is excused; where there is none, only what is not about certain ones."""
        return bool(self.mask[rows].any()) if len(rows) else not self.allow.select.parts


class _Judging:
    def __init__(self, observed: Observed, policy: Policy, baseline: Baseline | None, today: date) -> None:
        self.observed, self.baseline = observed, baseline
        self.named = Named(observed, policy.names)
        fields, start = observed.fields, observed.start_ns
        self._fields, self._start = fields, start
        self.allows = [
            _Excuse(it, it.until is not None and it.until < today, it.select.mask(fields, start))
            for it in policy.allows
        ]

    # ------------------------------------------------------------ a rule

    def rule(self, rule: Rule) -> RuleResult:
        import numpy

        mask = rule.select.mask(self._fields, self._start)
        among = bool(rule.where) and bool(mask.any())
        if rule.where:
            mask &= holding(rule.where, self._fields)
        rows = numpy.flatnonzero(mask)
        result = RuleResult(
            rule.id, rule.title, rule.severity, selected=len(rows), why=rule.why.strip(), line=rule.line
        )
        counts = any(test.measure.name == "connections" for test in rule.totals)
        if not len(rows) and not counts:
            result.status = SKIPPED if rule.empty == PASS else rule.empty
            chosen = f" of {rule.select}" if rule.select.parts else ""
            there = "meets the rule's where" if among else "was there to judge"
            result.note = f"no connection{chosen} {there}"
            if rule.empty == FAIL:
                none = self._of_group(rule, "connections", "0", "at least 1", "all connections", rows)
                self._add(result, rule, rows, lambda _: none)
                result.status = SKIPPED
                self._conclude(rule, result, [])
                _number_alike(result.violations)
            return result
        unknown = [self._single(rule, rows, result)] if rule.tests else []
        unknown += [self._together(rule, test, rows, result) for test in rule.totals]
        if rule.findings:
            self._findings(rule, mask, result)
        self._conclude(rule, result, [] if rule.unknown == FAIL else unknown)
        _number_alike(result.violations)
        return result

    def _conclude(self, rule: Rule, result: RuleResult, unknown: list[Any]) -> None:
        """unknown: the connections of which something is not known, by the single tests and by each of groups."""
        result.unknown = max(map(len, unknown), default=0)
        if result.total > result.excused + result.known:
            result.status = FAIL
        elif rule.unknown == INCONCLUSIVE and any(self._counting(rule, rows) for rows in unknown):
            result.status, result.note = (
                INCONCLUSIVE,
                f"not known of {result.unknown:,} of {result.selected:,} connections",
            )
        elif result.unknown and result.unknown >= result.selected > 0 and rule.unknown == "skip":
            result.status = SKIPPED if rule.empty == PASS else rule.empty
            result.note = "not known of any of the connections"
        elif result.unknown:
            result.note = f"not known of {result.unknown:,} of {result.selected:,} connections, which are left out"

    def _counting(self, rule: Rule, rows: Any) -> bool:
        """Whether any of these, of which something is not known, is not excused."""
        excuses = [it for it in self.allows if it.about(rule.id) and len(rows) and it.touches(rows)]
        for excuse in excuses:
            excuse.excused += int(excuse.mask[rows].sum())
        return not _excused(excuses, rows).all()

    # ------------------------------------------------------------ connection by connection

    def _single(self, rule: Rule, rows: Any, result: RuleResult) -> Any:
        """Judge each; gives those of which something is not known."""
        import numpy

        known, good = numpy.ones(len(rows), bool), numpy.ones(len(rows), bool)
        each = rule.holds.each and rule.per == "connection"
        for test in rule.tests:
            series = self.observed.read(test.measure.name)
            fine = complies(test, series)[rows]
            if series.words is None:  # a word that is not known is none
                has = series.known()[rows]
                fine = numpy.where(has, fine, rule.unknown != FAIL)
                known &= has
            good &= fine
            if each:
                self._each(rule, test, rows[~fine], result)
        if not each:
            judged = known | (rule.unknown == FAIL)
            self._share(rule, rows[judged], good[judged], result)
        return rows[~known]

    def _each(self, rule: Rule, test: Test, bad: Any, result: RuleResult) -> None:
        """A violation for each connection; of many, the worst."""
        import numpy

        if not len(bad):
            return
        series = self.observed.read(test.measure.name)
        excused = numpy.full(len(bad), -1)
        for at, excuse in enumerate(self.allows):
            if excuse.about(rule.id):
                mine = excuse.mask[bad] & (excused < 0)
                excused[mine] = at
                excuse.excused += int(mine.sum())
        values = None if series.words is not None else series.values[bad]
        keys, codes = self.named.keys(rule.id, test.name, bad)
        status = self._statuses(keys, codes, values, test, excused >= 0)
        known = numpy.array([it == "known" for it in status], bool)[codes] & (excused < 0)
        result.total += len(bad)
        result.excused += int((excused >= 0).sum())
        result.known += int(known.sum())
        order = numpy.argsort(values if test.op == "min" else -values, kind="stable") if values is not None else (
            numpy.arange(len(bad)))  # fmt: skip
        counting = (excused < 0) & ~known
        places = [*order[counting[order]][:LISTED].tolist(), *order[~counting[order]][:EXCUSED].tolist()]
        for at in places:
            row = int(bad[at])
            value = series.at(row)
            one = Violation(
                rule.id, rule.title, rule.severity, int(self._fields["connection"][row]), self.named.end("client", row),
                self.named.end("server", row), test.name, *self._words(value, test, row), keys[codes[at]],
                value=value if isinstance(value, float) else None, bound=_number(test),
                status=status[codes[at]], excused=self._reason(int(excused[at])),
            )  # fmt: skip
            proof(self.observed, test, one, row, str(value))
            result.violations.append(one)

    def _words(self, value: float | str | None, test: Test, row: int) -> tuple[str, str]:
        """What was measured, what is allowed."""
        bound = _number(test)
        if isinstance(value, float) and bound is not None and test.kind != "bool":
            return _side_by_side(value, bound, test)
        return self._told(value, test, row), test.allowed

    def _told(self, value: float | str | None, test: Test, row: int) -> str:
        if value is None and test.measure.kind in ("word", "text"):
            return "none"
        if test.kind == "bool" and value is not None:
            return "true" if value else "false"
        if test.measure.name == "close" and value not in ("open", *NEVER_OPEN):
            closed, reset = (CLOSED_BY.get(int(self._fields[name][row])) for name in ("closed_by", "reset_by"))
            return ending(str(value), closed, reset)
        return written(value, test.kind)

    def _reason(self, at: int) -> str:
        return self.allows[at].allow.reason if at >= 0 else ""

    def _statuses(self, keys: list[str], codes: Any, values: Any, test: Test, excused: Any) -> list[str]:
        """new, worse or known of each key, and what there is of it for the next baseline."""
        import numpy

        if self.baseline is None:
            return [""] * len(keys)
        order = numpy.argsort(codes, kind="stable")
        ends = numpy.searchsorted(codes[order], numpy.arange(len(keys) + 1))
        found = []
        for at, key in enumerate(keys):
            mine = order[ends[at] : ends[at + 1]]
            mine = mine[~excused[mine]]
            if not len(mine):
                found.append("")
                continue
            worst = None
            if values is not None and not numpy.isnan(values[mine]).all():
                worst = float((numpy.nanmin if test.op == "min" else numpy.nanmax)(values[mine]))
            found.append(self.baseline.status(key, len(mine), worst, test.op == "min"))
        return found

    # ------------------------------------------------------------ several together

    def _groups(self, rule: Rule, rows: Any) -> Iterable[tuple[str, Any]]:
        if rule.per in ("connection", "capture"):
            return [(str(rule.select), rows)]
        return self.named.groups(rule.per, rows)

    def _share(self, rule: Rule, rows: Any, good: Any, result: RuleResult) -> None:
        """For how many of each group the tests hold."""
        import numpy

        fine = numpy.zeros(self.observed.count, bool)
        fine[rows] = good
        for group, mine in self._groups(rule, rows) if len(rows) else ():
            self._add(result, rule, mine, partial(self._share_of, rule, group, fine))

    def _share_of(self, rule: Rule, group: str, fine: Any, rows: Any) -> Violation | None:
        names = " and ".join(f"{it.name} {it.allowed}" for it in rule.tests)
        holds = int(fine[rows].sum())
        counted = holds if rule.holds.counted else holds / len(rows) if len(rows) else 1.0
        if rule.holds.low - 1e-12 <= counted <= rule.holds.high + 1e-12:
            return None
        odd = rows[~fine[rows]] if counted < rule.holds.low else rows[fine[rows]]
        told = f"holds for {holds:,} of {len(rows):,}" + (f" ({holds / len(rows):.1%})" if len(rows) else "")
        allowed = rule.holds.text + ("" if rule.holds.text.startswith("at") else " of them")
        one = self._of_group(rule, names, told, allowed, group, odd, rule.tests[0])
        one.value, one.bound = counted, rule.holds.low if counted < rule.holds.low else rule.holds.high
        return one

    def _together(self, rule: Rule, test: Test, rows: Any, result: RuleResult) -> Any:
        """One number for each group; gives the connections of which it is not known."""
        import numpy

        unknown = [rows[:0]]
        for group, mine in self._groups(rule, rows):
            value = together(test, self.observed.read, mine)
            unknown.append(mine if value is None else missing(test, self.observed.read, mine))
            self._add(result, rule, mine, partial(self._number_of, rule, test, group))
        return numpy.concatenate(unknown)

    def _number_of(self, rule: Rule, test: Test, group: str, rows: Any) -> Violation | None:
        import numpy

        value = together(test, self.observed.read, rows)
        if value is not None and not within(test, value):
            worst = rows
            if test.measure.name != "connections" and (them := self.observed.read(test.measure.name)).words is None:
                worst = rows[numpy.argsort((1 if test.op == "min" else -1) * them.values[rows], kind="stable")]
            bound = _number(test)
            told, allowed = (
                (written(value, test.kind), test.allowed) if bound is None else _side_by_side(value, bound, test)
            )
            one = self._of_group(rule, test.name, told, allowed, group, worst, test)
            one.value, one.bound = value, bound
            return one
        unknown = rows if value is None else missing(test, self.observed.read, rows)
        if rule.unknown != FAIL or not len(unknown):
            return None
        told = f"not known of {len(unknown):,} of {times(len(rows))}"
        return self._of_group(rule, test.name, told, test.allowed, group, unknown, test)

    def _of_group(
        self, rule: Rule, measure: str, measured: str, allowed: str, group: str, rows: Any, test: Test | None = None
    ) -> Violation:
        key = " | ".join((rule.id, measure, self.named.stable(group)))
        few = [int(self._fields["connection"][at]) for at in rows[:NAMED]]
        one = Violation(rule.id, rule.title, rule.severity, None, "", "", measure, measured, allowed, key, group, few,
                        count=max(len(rows), 1))  # fmt: skip
        if len(rows) and test is not None:
            proof(self.observed, test, one, int(rows[0]), "")
        return one

    def _add(self, result: RuleResult, rule: Rule, rows: Any, wrong: Callable[[Any], Violation | None]) -> None:
        """What is wrong with these connections together, if anything, without those that are excused.

        An allowance makes no rule fail that holds without it: a number too small is not made of what it takes out.
        """
        one = wrong(rows)
        if one is None:
            return
        excuses = [it for it in self.allows if it.about(rule.id) and it.touches(rows)]
        left = rows[~_excused(excuses, rows)]
        rest = wrong(left) if excuses and len(left) else None
        for excuse in excuses:
            excuse.excused += 1
        if excuses and rest is None:
            one.excused = _reasons(excuses)
        self._tell(result, rest or one)

    def _tell(self, result: RuleResult, one: Violation) -> None:
        """A violation that is about several connections at once."""
        if self.baseline is not None and not one.excused:
            # a number of theirs says how bad it is, how many they are says no more than how much traffic there was
            count = one.count if one.value is None else 1
            least = one.value is not None and one.bound is not None and one.value < one.bound
            one.status = self.baseline.status(one.key, count, one.value, least)
        result.total += 1
        result.excused += bool(one.excused)
        result.known += one.status == "known"
        if sum(it.counts for it in result.violations) < LISTED or not one.counts:
            result.violations.append(one)

    # ------------------------------------------------------------ findings

    def _findings(self, rule: Rule, mask: Any, result: RuleResult) -> None:
        """Those that there are without the excused connections, too; the others are told as excused."""
        import numpy

        rows = numpy.flatnonzero(mask)
        excuses = [it for it in self.allows if it.about(rule.id) and it.touches(rows)]
        left = mask.copy()
        left[rows] = ~_excused(excuses, rows)
        whole = self._found(rule, mask, result)
        standing = whole
        if any(not it.allow.select.parts for it in excuses):
            standing = []
        elif excuses and whole:
            standing = [*(it for it in whole if not it.connections), *self._found(rule, left, result)]
        if whole and not standing and self.observed.odd.beyond and left.any():  # nobody knows of which they would be
            result.status = INCONCLUSIVE
        for found in worst_first(standing):
            self._tell(result, self._of_finding(rule, found))
        for found in whole:
            about = numpy.array(found.connections, numpy.int64)
            mine = [it for it in excuses if it.touches(about) or found.count > len(about)]
            for excuse in mine:
                excuse.excused += 1
            if not any(_alike(found, it) for it in standing):
                one = self._of_finding(rule, found)
                one.excused = _reasons(mine or excuses)
                self._tell(result, one)

    def _of_finding(self, rule: Rule, found: Finding) -> Violation:
        rows = found.connections
        single = rows[0] if len(rows) == 1 == found.count else None
        services = ", ".join(sorted({self.named.service(row) for row in rows}))
        text = found.text + (f" ({found.confidence}: {'; '.join(found.doubts)})" if found.doubts else "")
        key = " | ".join((rule.id, found.id, found.side, self.named.stable(services)))
        file, frames = next(iter(found.by_file()), ("", []))
        one = Violation(
            rule.id, rule.title, rule.severity, single, "", "", f"finding {found.id}", text, "none", key,
            services or "the capture", found.connections, None, None, frames,
            self.observed.result.names.index(file) if file else 0, count=max(found.count, 1),
        )  # fmt: skip
        if single is not None:
            one.client, one.server = self.named.end("client", single), self.named.end("server", single)
        return one

    def _found(self, rule: Rule, mask: Any, result: RuleResult) -> list[Finding]:
        """The findings about these connections that the rule forbids, as if there were no others."""
        odd, files, names = self.observed.odd, self.observed.result.files, self.observed.result.names
        if mask.all():
            found = findings(odd, files, names)
        else:
            found = findings(self.observed.part(mask), [], names)
            if odd.beyond:
                result.note = f"findings are of the first {len(odd.facts):,} odd connections only"
        return [it for it in found if _meant(it, rule.findings) and not _meant(it, rule.spared)]


def _alike(one: Finding, other: Finding) -> bool:
    """Whether they say the same of the same service, perhaps of fewer connections."""
    return (one.id, one.side) == (other.id, other.side) and one.server in ("", other.server)


def _excused(excuses: list[_Excuse], rows: Any) -> Any:
    """Which of these connections the allowances take out."""
    import numpy

    return numpy.logical_or.reduce([numpy.zeros(len(rows), bool), *(it.mask[rows] for it in excuses)])


def _reasons(excuses: list[_Excuse]) -> str:
    return "; ".join(dict.fromkeys(it.allow.reason for it in excuses))


def _number_alike(violations: list[Violation]) -> None:
    """Violations of one key (the client's port tells them apart) have fingerprints of their own, in order."""
    seen: dict[str, int] = {}
    for one in sorted(violations, key=lambda it: it.connection or 0):
        at = seen[one.key] = seen.get(one.key, 0) + 1
        one.fingerprint = fingerprint(one.key, *([str(at)] if at > 1 else []))


def _meant(found: Finding, wanted: tuple[str, ...]) -> bool:
    levels = [SEVERITIES.index(it) for it in wanted if it in SEVERITIES]
    return found.id in wanted or any(SEVERITIES.index(found.severity) <= it for it in levels)


def _side_by_side(value: float, bound: float, test: Test) -> tuple[str, str]:
    """What was measured, and what is allowed."""
    told, limit = apart(value, bound, test.kind)
    return told, f"at {'most' if test.op == 'max' else 'least'} {limit}"


def _number(test: Test) -> float | None:
    return test.bounds[0] if test.op in ("max", "min") else None
