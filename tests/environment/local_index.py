"""A package index of our own, on this machine: what it has, and what it was asked, is in the test's hands."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import threading
import time
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from bnmatrix.environment import Settings, Wanted, uv

LONG_AGO = "2019-01-01"


@dataclass
class File:
    name: str
    content: bytes
    uploaded: str
    python: str | None


@dataclass
class Index:
    """An index as PEP 691 has it; without `times` as old ones are. `delay`: seconds before a file is sent."""

    times: bool = True
    delay: float = 0.0
    projects: dict[str, dict[str, File]] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    server: ThreadingHTTPServer | None = None

    def add(
        self,
        name: str,
        version: str,
        *,
        uploaded: str = LONG_AGO,
        needs: Sequence[str] = (),
        tag: str = "py3-none-any",
        python: str | None = None,
        modules: Mapping[str, str] | None = None,
        ballast: int = 0,
    ) -> File:
        """A wheel. Its module is named as the package and knows its version."""
        modules = modules or {f"{name}/__init__.py": f"__version__ = {version!r}\n"}
        inside = {**modules, **({f"{name}/ballast.txt": "x" * ballast} if ballast else {})}
        info = f"{name}-{version}.dist-info"
        inside[f"{info}/METADATA"] = self._metadata(name, version, needs, python)
        inside[f"{info}/WHEEL"] = f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n"
        record = [f"{path},,{len(text)}" for path, text in inside.items()]
        inside[f"{info}/RECORD"] = "\n".join([*record, f"{info}/RECORD,,"]) + "\n"
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for path, text in inside.items():
                archive.writestr(path, text)
        return self._put(name, File(f"{name}-{version}-{tag}.whl", buffer.getvalue(), uploaded, python))

    def add_source(self, name: str, version: str, *, uploaded: str = LONG_AGO) -> File:
        """A source distribution that says what it needs without being built."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
            for path, text in {
                "PKG-INFO": self._metadata(name, version, (), None),
                "pyproject.toml": f"[project]\nname = '{name}'\nversion = '{version}'\n",
            }.items():
                entry = tarfile.TarInfo(f"{name}-{version}/{path}")
                entry.size = len(text)
                archive.addfile(entry, io.BytesIO(text.encode()))
        return self._put(name, File(f"{name}-{version}.tar.gz", buffer.getvalue(), uploaded, None))

    @staticmethod
    def _metadata(name: str, version: str, needs: Sequence[str], python: str | None) -> str:
        lines = ["Metadata-Version: 2.2", f"Name: {name}", f"Version: {version}"]
        lines += [f"Requires-Dist: {each}" for each in needs]
        lines += [f"Requires-Python: {python}"] if python else []
        return "\n".join(lines) + "\n"

    def _put(self, project: str, file: File) -> File:
        self.projects.setdefault(project.replace("_", "-"), {})[file.name] = file
        return file

    def start(self) -> str:
        """Serve. Its address."""
        index = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                index.requests.append(self.path)
                status, kind, body = index.answer(self.path)
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(body)

            do_HEAD = do_GET

            def log_message(self, *_arguments: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(
            target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        ).start()
        return f"http://127.0.0.1:{self.server.server_port}/simple"

    def stop(self) -> None:
        if self.server is not None:
            self.server.shutdown()
            self.server.server_close()
            self.server = None

    def answer(self, path: str) -> tuple[int, str, bytes]:
        place, name = path.strip("/").split("/")[-2:]
        if place == "simple":
            if name not in self.projects:
                return 404, "text/plain", b"none"
            return self._page(name)
        file = self.projects.get(place, {}).get(name)
        if file is None:
            return 404, "text/plain", b"none"
        time.sleep(self.delay)
        return 200, "application/octet-stream", file.content

    def _page(self, project: str) -> tuple[int, str, bytes]:
        files = []
        for file in self.projects[project].values():
            entry: dict[str, object] = {
                "filename": file.name,
                "url": f"/files/{project}/{file.name}",
                "hashes": {"sha256": hashlib.sha256(file.content).hexdigest()},
            }
            if file.python:
                entry["requires-python"] = file.python
            if self.times:
                entry |= {"upload-time": f"{file.uploaded}T00:00:00Z", "size": len(file.content)}
            files.append(entry)
        page = {"meta": {"api-version": "1.1" if self.times else "1.0"}, "name": project, "files": files}
        return 200, "application/vnd.pypi.simple.v1+json", json.dumps(page).encode()


def forget() -> None:
    """What uv was told is read anew."""
    for each in (uv._environment, uv._default_index):
        each.cache_clear()


@dataclass
class Place:
    """A folder for environments, and what was told."""

    root: Path
    told: list[str] = field(default_factory=list)

    def settings(self, offline: bool = False, yes: bool = False) -> Settings:
        return Settings(root=self.root, offline=offline, yes=yes, tell=self.told.append)


def wanted(*requirements: str, python: str | None = None) -> Wanted:
    """What gives a version is named."""
    names = [each.replace(">", "=").replace("<", "=").partition("=")[0] for each in requirements]
    named = tuple(name for name, each in zip(names, requirements, strict=True) if name != each)
    return Wanted(" ".join(requirements), requirements, named, python)


def until(condition: Callable[[], object], seconds: float = 20.0) -> None:
    """Wait for the condition to hold."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "in vain"
        time.sleep(0.02)
