"""uv looks where pip would, and nothing but that is taken from the user's surroundings."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from bnmatrix.environment import uv
from tests.environment.local_index import Index, forget, until


def test_the_settings_of_pip_in_uvs_words(tmp_path: Path) -> None:
    here = tmp_path / "wheels"
    here.mkdir()
    settings = {
        "index-url": ["https://a.invalid/simple"],
        "extra-index-url": ["https://b.invalid/simple", (tmp_path / "gone").as_uri()],
        "find-links": [str(here), str(tmp_path / "gone")],
        "trusted-host": ["a.invalid"],
        "no-index": ["true"],
    }
    assert uv.in_uvs_words(settings) == {
        "UV_DEFAULT_INDEX": "https://a.invalid/simple",
        "UV_INDEX": "https://b.invalid/simple",
        "UV_FIND_LINKS": str(here),
        "UV_INSECURE_HOST": "a.invalid",
        "UV_NO_INDEX": "1",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
    }


def test_pips_files_and_variables_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "pip.conf"
    file.write_text(
        "[global]\nindex-url = https://a.invalid/simple\nno-index = off\n[install]\nretries = 7\n"
    )
    monkeypatch.setenv("PIP_CONFIG_FILE", str(file))
    monkeypatch.setenv("PIP_FIND_LINKS", "/one /two")
    uv.pip_settings.cache_clear()
    found = uv.pip_settings()
    uv.pip_settings.cache_clear()
    assert found["index-url"] == ["https://a.invalid/simple"]
    assert found["find-links"] == ["/one", "/two"]
    assert found["retries"] == ["7"]
    assert "no-index" not in found


def test_what_changes_uvs_decisions_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uv, "pip_settings", lambda: {"index-url": ["https://pip.invalid/simple"]})
    for name in ("UV_RESOLUTION", "UV_EXCLUDE_NEWER", "UV_OVERRIDE", "UV_PYTHON", "VIRTUAL_ENV"):
        monkeypatch.setenv(name, "lowest")
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://uv.invalid/simple")
    forget()
    variables = uv.environment()
    forget()
    assert variables["UV_DEFAULT_INDEX"] == "https://uv.invalid/simple"
    for name in ("UV_RESOLUTION", "UV_EXCLUDE_NEWER", "UV_OVERRIDE", "UV_PYTHON", "VIRTUAL_ENV"):
        assert name not in variables


def test_the_default_index_is_told_without_a_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uv, "pip_settings", dict)
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://me:secret@a.invalid/simple")
    forget()
    found = uv.default_index()
    forget()
    assert found == "https://a.invalid/simple"


def test_a_command_is_told_of_while_it_lasts_and_ends_in_time() -> None:
    told: list[float] = []
    nap = [sys.executable, "-c", "import time; time.sleep(60)"]
    with pytest.raises(uv.TooSlow):
        uv.run_command(nap, "", {}, timeout=2.5, waiting=told.append)
    assert told == [2.0]


def test_its_children_end_with_it(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    grandchild = f"import os, time; open({str(note)!r}, 'w').write(f'{{os.getpid()}}.'); time.sleep(60)"
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {grandchild!r}])"
    command = [sys.executable, "-c", child]

    def run() -> None:
        with contextlib.suppress(uv.Stopped):
            uv.run_command(command, "", {})

    thread = threading.Thread(target=run)
    thread.start()
    until(lambda: note.exists() and note.read_text().endswith("."))
    uv.stop()
    thread.join(5)
    assert not thread.is_alive()
    until(lambda: not Path("/proc", note.read_text().strip(".")).exists(), 5)


def test_a_thread_that_is_to_end_starts_no_further_one() -> None:
    """Between two calls it has none that could be killed, and would go on to the next."""
    ended: list[BaseException] = []
    go = threading.Event()

    def run() -> None:
        go.wait()
        try:
            uv.run_command([sys.executable, "-c", "import time; time.sleep(60)"], "", {}, timeout=5)
        except BaseException as error:
            ended.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    uv.stop()
    go.set()
    thread.join(10)
    assert [type(each) for each in ended] == [uv.Stopped]
    assert uv.run_command([sys.executable, "-c", ""], "", {}).status == 0  # the one that stopped them may


def test_ctrl_c_ends_what_waits_for_an_index_that_never_answers(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        variables = {
            **os.environ,
            "UV_DEFAULT_INDEX": f"http://127.0.0.1:{server.getsockname()[1]}/simple",
            "NO_PROXY": "127.0.0.1",
            "BNMATRIX_HOME": str(tmp_path),
            "UV_CACHE_DIR": str(tmp_path / "cache"),
        }
        command = [sys.executable, "-m", "bnmatrix", "env", "create", "keras==2.2.4"]
        process = subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        server.settimeout(20)
        server.accept()
        started = time.monotonic()
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=20)
    assert time.monotonic() - started < 3
    assert (process.returncode, output.decode().splitlines()[-1]) == (130, "bnmatrix: interrupted")


def test_without_an_index_uv_is_told_so(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    index.add("frame", "1.0")
    monkeypatch.setattr(uv, "pip_settings", lambda: {"no-index": ["1"]})
    forget()
    ask = ("pip", "compile", "-", "--quiet", "--no-header", "--python", sys.executable)
    assert "lookups were disabled" in uv.run(*ask, stdin="frame").errors
    assert uv.run(*ask, "--no-index", stdin="frame").status == 1  # not named twice
    assert uv.run("cache", "dir").status == 0
    assert index.requests == []
