#!/usr/bin/env python3
# Part of Inkstone. Licence: see LICENSE.
"""Debian's nginx before the server, with the configuration of Deploy/.

    nginx.py [--inkstone PROGRAM]

A picture, a stream whose events must not arrive all at once, a client that leaves (its picture is
cancelled), the timed log, the addresses in answers, at the root and below a path, and whether every metric
that the dashboard shows exists.
"""

import argparse
import http.client
import json
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

from running_server import PROGRAM, ROOT, RunningServer, wait


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def is_open(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


def call(port, method, path, body=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    connection.request(method, path, json.dumps(body) if body else None)
    return connection.getresponse()


def fetch(url):
    with urllib.request.urlopen(url, timeout=120) as answer:
        return answer.read()


def check_prefix(port):
    """Every link of answers below a path opens through the proxy."""
    base = f"http://127.0.0.1:{port}"
    request = {"prompt": "a cat", "width": 128, "height": 128, "steps": 2}
    url = json.loads(call(port, "POST", "/ink/v1/images/generations", request).read())["data"][0]["url"]
    assert url.startswith(base + "/ink/v1/images/files/"), url
    assert fetch(url)[:4] == b"\x89PNG", url
    answer = call(port, "POST", "/ink/api/jobs", request)
    location = answer.headers["Location"]
    assert location.startswith("/ink/api/jobs/"), location
    wait("the job", lambda: json.loads(fetch(base + location))["state"] == "succeeded")
    job = json.loads(fetch(base + location))
    assert fetch(base + job["images"][0]["url"])[:4] == b"\x89PNG", job
    event = json.loads(call(port, "POST", "/ink/gradio_api/call/generate", {"data": ["a cat"]}).read())["event_id"]
    frames = fetch(f"{base}/ink/gradio_api/call/generate/{event}").decode()
    file = re.search(r'"url":"([^"]+)"', frames).group(1)
    assert file.startswith(base + "/ink/gradio_api/file="), file
    assert fetch(file)[:4] == b"\x89PNG", file
    assert json.loads(fetch(base + "/ink/api/openapi.json"))["servers"] == [{"url": base + "/ink"}]
    page = fetch(base + "/ink/").decode()
    for name in re.findall(r'(?:href|src)="(assets/[^"]+)"', page):
        assert fetch(f"{base}/ink/{name}"), name
    print("addresses below a path: ok")


def below_path(site):
    """The configuration with its location once more, below /ink/."""
    block = site[site.index("    location / {"):site.index("    }\n") + 6]
    below = block.replace("location / {", "location /ink/ {").replace(
        "proxy_pass http://inkstone;", "proxy_pass http://inkstone/;\n        proxy_set_header X-Forwarded-Prefix /ink;")
    return site.replace(block, block + below)


def check(port, server, log):
    request = {"prompt": "a cat", "width": 128, "height": 128, "steps": 8}
    assert call(port, "GET", "/readyz").status == 200
    answer = call(port, "POST", "/v1/images/generations", request | {"response_format": "url"})
    assert answer.status == 200, answer.read()
    url = json.loads(answer.read())["data"][0]["url"]
    assert url.startswith(f"http://127.0.0.1:{port}/v1/images/files/"), url
    assert fetch(url)[:4] == b"\x89PNG", url
    print("a picture and its address: ok")

    moments = []
    answer = call(port, "POST", "/api/jobs", request | {"steps": 60, "width": 256, "height": 256})
    assert answer.status == 202, answer.read()
    job = json.loads(answer.read())["id"]
    for line in call(port, "GET", f"/api/jobs/{job}/events"):
        if line.startswith(b"event: preview"):
            moments.append(time.monotonic())
    spread = moments[-1] - moments[0]
    assert len(moments) > 5 and spread > 0.2, (len(moments), spread)
    print(f"{len(moments)} previews over {spread:.2f} s: ok")

    before = server.metric("inkstone_requests_cancelled_total")
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    connection.request("POST", "/v1/images/generations", json.dumps(
        request | {"steps": 100, "width": 512, "height": 512, "stream": True, "partial_images": 1}))
    connection.getresponse().readline()
    connection.close()
    wait("the picture to be cancelled",
         lambda: server.metric("inkstone_requests_cancelled_total") == before + 1)
    print("a client that leaves: ok")

    wait("the log", lambda: log.exists() and log.read_text().count("\n") >= 5)
    assert re.search(r"id=\S+ rt=\d+\.\d{3} urt=\d+\.\d{3}", log.read_text()), log.read_text()
    print("the timed log: ok")

    text = call(port, "GET", "/metrics").read().decode()
    dashboard = (ROOT / "Deploy/grafana-dashboard.json").read_text()
    for name in set(re.findall(r"\b(?:inkstone|process)_\w+", dashboard)):
        family = re.sub(r"_(bucket|sum|count)$", "", name)
        assert f"# TYPE {family} " in text or f"# TYPE {name} " in text, f"no metric {name}"
    print("the dashboard's metrics: ok")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--inkstone", default=str(PROGRAM))
    arguments = parser.parse_args()
    nginx = shutil.which("nginx") or "/usr/sbin/nginx"
    if not pathlib.Path(nginx).exists():
        sys.exit("nginx is not installed: apt-get install nginx-light")
    front = free_port()
    with tempfile.TemporaryDirectory(prefix="inkstone-nginx-") as name, \
            RunningServer(arguments.inkstone) as server:
        folder = pathlib.Path(name)
        log = folder / "inkstone.log"
        site = (ROOT / "Deploy/nginx.conf").read_text()
        site = below_path(site).replace("127.0.0.1:9997", f"127.0.0.1:{server.port}").replace(
            "listen 8080", f"listen 127.0.0.1:{front}").replace("/var/log/nginx/inkstone.log", str(log))
        (folder / "site.conf").write_text(site)
        (folder / "nginx.conf").write_text(
            f"pid {folder}/pid; error_log {folder}/error.log; daemon off; events {{}}\n"
            f"http {{ client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;"
            f" fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;"
            f" include {folder}/site.conf; }}\n")
        proxy = subprocess.Popen([nginx, "-p", name, "-c", str(folder / "nginx.conf")])
        try:
            wait("nginx", lambda: is_open(front))
            check(front, server, log)
            check_prefix(front)
        finally:
            proxy.terminate()
            proxy.wait()


if __name__ == "__main__":
    main()
