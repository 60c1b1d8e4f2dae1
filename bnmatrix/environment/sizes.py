"""How much there is to fetch: of every package the size of the file that would be taken, where known."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from bnmatrix.environment import index, lock, uv

if TYPE_CHECKING:
    from http.client import HTTPConnection

PATIENCE = 3.0
"""Seconds for all questions together; what is not answered by then stays unknown."""

CONNECTIONS = 8
"""To a server. Each is used for many questions: a new one for each overloads some name servers, which then
take 5 seconds to answer."""


def sizes(packages: Sequence[Mapping[str, Any]], tags: Sequence[str]) -> dict[str, int]:
    """Bytes to fetch of each package of a pylock.toml, for an interpreter that takes these `tags`.

    Nothing of what lies on this machine. What is not known is left out.
    """
    known: dict[str, int] = {}
    unknown: dict[str, str] = {}
    for package in packages:
        file = chosen_file(package, tags)
        if file is None:
            continue
        url = str(file.get("url", ""))
        if not url.startswith("http"):
            known[package["name"]] = 0
        elif "size" in file:
            known[package["name"]] = int(file["size"])
        else:
            unknown[package["name"]] = url
    return known | _asked(unknown)


def chosen_file(package: Mapping[str, Any], tags: Sequence[str]) -> Mapping[str, Any] | None:
    """The wheel that fits best, or else the source."""
    rank = {tag: number for number, tag in enumerate(tags)}
    fitting = [
        (min(ranks), number)
        for number, wheel in enumerate(package.get("wheels", []))
        if (ranks := [rank[tag] for tag in index.tags_of(lock.file_name(wheel)) if tag in rank])
    ]
    if fitting:
        wheel: Mapping[str, Any] = package["wheels"][min(fitting)[1]]
        return wheel
    source: Mapping[str, Any] | None = package.get("sdist")
    return source


def _asked(urls: Mapping[str, str]) -> dict[str, int]:
    """What the servers say of the files."""
    if not urls:
        return {}
    from concurrent.futures import ThreadPoolExecutor, wait

    servers: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for name, url in urls.items():
        parts = urlsplit(url)
        servers.setdefault((parts.scheme, parts.netloc), []).append((name, parts.path))
    deadline = time.monotonic() + PATIENCE
    known: dict[str, int] = {}

    def ask(server: tuple[str, str], files: Sequence[tuple[str, str]]) -> None:
        known.update(_answers(*server, files, deadline))

    pool = ThreadPoolExecutor(2 * CONNECTIONS)
    asking = [
        pool.submit(ask, server, files[number::CONNECTIONS])
        for server, files in servers.items()
        for number in range(min(CONNECTIONS, len(files)))
    ]
    wait(asking, PATIENCE)
    pool.shutdown(wait=False, cancel_futures=True)
    return dict(known)


def _answers(
    scheme: str, server: str, files: Sequence[tuple[str, str]], deadline: float
) -> Iterator[tuple[str, int]]:
    """The sizes of the files of one server, over one connection, until the deadline."""
    from http.client import HTTPException

    try:
        connection = _connection(scheme, server)
        for name, path in files:
            if time.monotonic() >= deadline:
                break
            connection.request("HEAD", path)
            answer = connection.getresponse()
            answer.read()
            size = answer.headers.get("Content-Length", "")
            if answer.status == 200 and size.isdigit():
                yield name, int(size)
        connection.close()
    except (OSError, ValueError, HTTPException):
        return


def _connection(scheme: str, server: str) -> HTTPConnection:
    """To the server, through the proxy if there is one."""
    import ssl
    from http.client import HTTPConnection, HTTPSConnection
    from urllib.request import getproxies, proxy_bypass

    server = server.rpartition("@")[2]
    if scheme == "http":
        return HTTPConnection(server, timeout=PATIENCE)
    variables = uv.environment()
    certificates = variables.get("SSL_CERT_FILE")
    usable = certificates if certificates and os.path.exists(certificates) else None
    context = ssl.create_default_context(cafile=usable)
    proxy = getproxies().get("https") or variables.get("ALL_PROXY")
    if not proxy or proxy_bypass(server):
        return HTTPSConnection(server, context=context, timeout=PATIENCE)
    through = HTTPSConnection(urlsplit(proxy).netloc.rpartition("@")[2], context=context, timeout=PATIENCE)
    through.set_tunnel(server)
    return through
