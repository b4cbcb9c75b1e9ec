"""The sample project of docs/testing: it passes, and with `--careless` each fault of the service is caught."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tcpscope.capture.rights import choose
from tcpscope.errors import CaptureError

ROOT = Path(__file__).parents[2]
CAUGHT = {
    "test_answers_do_not_wait_for_acks": "no_nagle_stalls: ",
    "test_idle_connections_are_given_back": r"closed_by\('server'\): half_closed by server",
    "test_a_large_upload_is_refused_in_peace": r"no_resets: \d+ RSTs? sent by the server, allowed 0",
    "test_keeps_the_policy": "policy 'tcpscope.toml': 1 violation: prompt: ",
}  # what is said of each; a segment that crosses the first RST is answered by a second


@pytest.mark.parametrize("careless", [False, True], ids=["careful", "careless"])
def test_it_catches_the_faults_of_the_service(careless, tmp_path):
    try:
        choose(False)
    except CaptureError as error:
        pytest.skip(str(error))
    project = shutil.copytree(ROOT / "docs/testing", tmp_path / "project", ignore=shutil.ignore_patterns("__pycache__"))
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(ROOT)}
    environment.pop("PYTEST_ADDOPTS", None)
    options = ["--careless"] if careless else []
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tcpscope.pytest_plugin", "-p", "no:cacheprovider", *options],
        cwd=project, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == careless, done.stdout
    kept = {it.stem for it in project.rglob("*.pcap*")}
    assert kept == (set(CAUGHT) if careless else set())
    for test, said in CAUGHT.items():
        assert (f"FAILED test_service.py::{test} " in done.stdout) is careless
        assert bool(re.search(said, done.stdout)) is careless, done.stdout
