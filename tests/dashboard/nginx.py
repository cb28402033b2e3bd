"""Debian's nginx as one user runs it: pages of its own and a block of docs/web-app.md."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2

from dashboard.browsing import FOLDER

NGINX = "/usr/sbin/nginx"
CONFIGURATION = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        root {folder}/pages;
        {block}
    }}
}}
"""


@contextmanager
def nginx(folder: Path, block: str) -> Iterator[str]:
    """The address of nginx with this block in its server, for the time of the block; / is a page of
    its own. `folder` is empty before."""
    subprocess.run([FOLDER / "install_nginx.sh"], check=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (folder / "pages").mkdir()
    (folder / "pages" / "index.html").write_text("<!doctype html><title>Platform</title>")
    configuration = folder / "nginx.conf"
    configuration.write_text(CONFIGURATION.format(folder=folder, port=port, block=block))
    log = folder / "error.log"
    process = subprocess.Popen([NGINX, "-p", str(folder), "-e", str(log), "-c", str(configuration)])
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 20
        while True:
            try:
                httpx2.get(url)
                break
            except httpx2.TransportError:
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, "nginx did not start in 20 s"
                time.sleep(0.05)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=10)
