#!/usr/bin/env python3
# Part of Inkstone. Licence: see LICENSE.
"""Malformed and hostile requests from a seeded generator, then the worst bodies and files.

    hostile.py [--inkstone PROGRAM] [--count 1000] [--seed 1] [--seconds 5] [--only generated|worst] [WORST...]

Every generated one must be answered with a status below 500 or 503, or its connection closed; afterwards
the server must still draw the same picture, with the same worker, and without having grown. The worst
ones are sent by eight clients at once, each for some seconds, while `/livez` is polled every 20 ms: the
goal is 99.9 % of the answers within 50 ms, a failure one that is missing or ten times the goal. WORST are
parts of their names, see worst_bodies.py and worst_files.py.
"""

import argparse
import base64
import collections
import json
import random
import re
import socket
import struct
import sys
import tempfile
import pathlib
import zlib

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

import worst_bodies
import worst_files
from polling import Clients, Polls
from running_server import PROGRAM, Checks, RunningServer

JSON_PATHS = ["/v1/images/generations", "/api/estimate", "/api/jobs", "/sdapi/v1/txt2img",
              "/sdapi/v1/img2img", "/sdapi/v1/options", "/sdapi/v1/png-info", "/v1/models",
              "/gradio_api/queue/join", "/gradio_api/call/generate"]
GET_PATHS = ["/", "/assets/app.js", "/files/x.png", "/api/jobs", "/api/jobs/x", "/v1/models",
             "/v1/requests/x/progress", "/metrics", "/sdapi/v1/progress", "/gradio_api/info"]
FIELDS = {"prompt": "a cat", "negative_prompt": "", "n": 1, "size": "64x64", "width": 64, "height": 64,
          "steps": 2, "num_inference_steps": 2, "guidance_scale": 0, "seed": 1, "model": "emoji-nano",
          "response_format": "b64_json", "output_format": "png", "output_compression": 90,
          "stream": False, "partial_images": 0, "kwargs": "{}", "deadline": 5, "batch_size": 1,
          "n_iter": 1, "cfg_scale": 1, "init_images": [], "denoising_strength": 0.5, "mask": None,
          "data": [], "session_hash": "s", "model_name": "emoji-nano", "model_path": "/tmp",
          "image": "", "user": "u", "loras": []}


def values(rng):
    """Something that a field should not be."""
    return rng.choice([
        lambda: None, lambda: True, lambda: -1, lambda: 0, lambda: 2 ** 63, lambda: -2 ** 63 - 1,
        lambda: 10 ** 40, lambda: 1e308, lambda: -1e-320, lambda: 0.5, lambda: "", lambda: "x" * 70000,
        lambda: "\0", lambda: "\ud800", lambda: "猫" * rng.randint(1, 3000),
        lambda: "\u202e\u0300" * 500, lambda: "../../etc/passwd", lambda: "NaN", lambda: "1e999",
        lambda: "64x", lambda: "-64x64", lambda: "99999999999x64", lambda: "0x0", lambda: "64x64x64",
        lambda: [], lambda: [[[[]]]], lambda: {}, lambda: {"a": {"b": 1}}, lambda: ["a cat"] * 50,
        lambda: "data:image/png;base64,AAAA", lambda: base64.b64encode(picture(rng)).decode(),
        lambda: "{" * 300, lambda: "<script>alert(1)</script>", lambda: "'; DROP TABLE job; --",
        lambda: "/dev/zero", lambda: "file:///etc/passwd", lambda: "http://169.254.169.254/",
    ])()


def chunk(kind, data):
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


def picture(rng):
    """An image file with a false header, or a damaged one."""
    width, height = rng.choice([(1, 1), (8, 8), (2 ** 31 - 1, 2 ** 31 - 1), (50000, 50000), (0, 5)])
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    rows = zlib.compress(bytes(min(width * 3 + 1, 25) * min(height, 8)))
    png = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 4000, 4000, 8, 2, 0, 0, 0)) + \
        chunk(b"tEXt", b"parameters\0" + b"a" * 100000) + chunk(b"IEND", b"")
    data = bytearray(rng.choice([
        png, bomb, b"\xff\xd8\xff\xe0" + rng.randbytes(200), b"RIFF\xff\xff\xff\xffWEBPVP8 " + rng.randbytes(99),
        b"RIFF\x20\0\0\0WEBPVP8L" + rng.randbytes(40), b"GIF89a" + rng.randbytes(50), rng.randbytes(300),
        b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"", b"\x89PNG\r\n\x1a\n"]))
    for _ in range(rng.choice([0, 0, 1, 5])):
        if data:
            data[rng.randrange(len(data))] = rng.randrange(256)
    return bytes(data[:rng.randint(0, len(data))] if rng.random() < 0.2 else data)


def post(path, body, headers=(), method="POST", length=None):
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", "Connection: close",
             f"Content-Length: {len(body) if length is None else length}", *headers]
    return "\r\n".join(lines).encode("utf-8", "surrogatepass") + b"\r\n\r\n" + body


def bad_field(rng):
    fields = dict(rng.sample(sorted(FIELDS.items()), rng.randint(1, 8)))
    fields.setdefault("prompt", "a cat")
    fields |= {"steps": 2, "num_inference_steps": 2, "size": "64x64"}
    for name in rng.sample(sorted(fields), rng.randint(1, min(3, len(fields)))):
        fields[name] = values(rng)
    return post(rng.choice(JSON_PATHS), json.dumps(fields).encode("utf-8", "surrogatepass"))


def bad_json(rng):
    whole = json.dumps(FIELDS).encode()
    body = rng.choice([
        b"", b"null", b"[]", b"3", b'"text"', b"{", b"}", whole[:rng.randrange(len(whole))],
        b"[" * 100000, b'{"a":' * 5000, b'{"prompt":"\xff\xfe"}', b'{"prompt":"a","prompt":"b"}',
        b'{"prompt":"\\ud800"}', b'{"seed":1e400,"prompt":"a"}', b'{"seed":NaN}', b"\xef\xbb\xbf{}",
        b'{"prompt":"a","steps":' + b"9" * 5000 + b"}", bytes(1000), rng.randbytes(500),
        whole.replace(b":", b"::", 1), whole + whole])
    return post(rng.choice(JSON_PATHS), body)


def bad_form(rng):
    mark = "frontier"
    part = rng.choice(["image", "image[]", "mask", "prompt", "images[]", "x" * 3000, "kwargs", "\0"])
    name = rng.choice(['; filename="a.png"', "", '; filename="../../../etc/cron.d/x"', "; filename=\"\0\""])
    body = (f'--{mark}\r\nContent-Disposition: form-data; name="{part}"{name}\r\n\r\n').encode()
    body += picture(rng) + f"\r\n--{mark}\r\nContent-Disposition: form-data; name=\"prompt\"\r\n\r\na cat\r\n".encode()
    body += rng.choice([f"--{mark}--\r\n".encode(), b"", f"--{mark}".encode(), b"--other--"])
    if rng.random() < 0.3:
        body = body[:rng.randrange(len(body))]
    kind = rng.choice([f"multipart/form-data; boundary={mark}", "multipart/form-data", "text/plain",
                       "multipart/form-data; boundary=", f'multipart/form-data; boundary="{mark}'])
    path = rng.choice(["/v1/images/edits", "/v1/images/variations", "/v1/images/inpainting"])
    return post(path, body, [f"Content-Type: {kind}"])


def bad_path(rng):
    path = rng.choice([
        "/files/../../../etc/passwd", "/files/%2e%2e%2f%2e%2e%2fetc%2fpasswd", "/assets/..%5c..%5cx",
        "/assets/../jobs.sqlite", "//etc/passwd", "/api/jobs/%00", "/api/jobs/" + "a" * 8000,
        "/api/jobs?limit=-1", "/api/jobs?limit=1e9&state=x", "/api/jobs?q=" + "%F0" * 500,
        "/api/jobs?before='%20OR%201=1", "/v1/models/" + "%2F" * 300, "/v1/models/x/requests/y/abort",
        "/v1/requests/" + "é" * 100 + "/progress", "/api/jobs/job-x/images/999999999999999999999",
        "/api/jobs/job-x/images/-1", "/%", "/%zz", "/?" + "&".join("a=b" for _ in range(2000)), "*",
        "http://example.org/", "/v1/images/generations", "/gradio_api/queue/data?session_hash=" + "x" * 5000,
        *GET_PATHS])
    method = rng.choice(["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "get", "FOO", "POST"])
    return post(path, b"", method=method)


def bad_head(rng):
    return rng.choice([
        lambda: b"\r\n\r\n", lambda: b"GET\r\n\r\n", lambda: b"GET / HTTP/9.9\r\nHost: a\r\n\r\n",
        lambda: rng.randbytes(400), lambda: b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" + rng.randbytes(200),
        lambda: b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        lambda: b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"a" * 200000 + b"\r\n\r\n",
        lambda: b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n" + b"A: b\r\n" * 20000 + b"\r\n",
        lambda: b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        lambda: b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: b\r\nConnection: close\r\n\r\n",
        lambda: post("/v1/images/generations", b"{}", length=-1),
        lambda: post("/v1/images/generations", b"{}", length=10 ** 12),
        lambda: post("/v1/images/generations", b'{"prompt":"a"}', ["Transfer-Encoding: chunked"]),
        lambda: b"POST /v1/images/generations HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"
                b"FFFFFFFFFFFFFFFFF\r\n{}\r\n0\r\n\r\n",
        lambda: b"POST /v1/images/generations HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        lambda: post("/v1/images/generations", b'{"prompt":"a cat","steps":2,"size":"64x64"}', [
            rng.choice(["Authorization: Bearer", "Authorization: Basic %%%", "X-Request-Id: " + "a" * 9000,
                        "X-Request-Id: a\tb", "traceparent: 00-zz-yy-01", "Idempotency-Key: " + "k" * 900,
                        "Origin: https://evil.example", "Origin: null", "Content-Encoding: gzip",
                        "Expect: 100-continue", "Expect: 200-ok", "Accept: \x01", "Cookie: " + "a=b;" * 3000])]),
    ])()


KINDS = [bad_field, bad_field, bad_json, bad_form, bad_form, bad_path, bad_head]


def send(port, data):
    """Status of the answer, or what happened instead."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        try:
            connection.sendall(data)
            # What is cut short would otherwise be waited for.
            connection.shutdown(socket.SHUT_WR)
            answer = b""
            while part := connection.recv(65536):
                answer += part
        except (ConnectionResetError, BrokenPipeError):
            return "closed"
        except TimeoutError:
            return "no answer"
    match = re.match(rb"HTTP/1\.[01] (\d{3})", answer)
    return int(match.group(1)) if match else "closed"


def draw(server):
    answer = server.ask("/v1/images/generations", {
        "prompt": "a cat", "size": "128x128", "seed": 5, "response_format": "b64_json"})
    return answer[0], json.loads(answer[2])["data"][0]["b64_json"]


def generated(program, check, count, seed):
    """Requests of the generator."""
    with RunningServer(program) as server:
        # Caches and the allocator's arenas fill first.
        rng = random.Random(f"warm {seed}")
        for _ in range(2 * count):
            send(server.port, rng.choice(KINDS)(rng))
        rng = random.Random(seed)
        requests = [(kind.__name__, kind(rng)) for kind in (rng.choice(KINDS) for _ in range(count))]
        expected, workers = draw(server), server.workers()
        counts, wrong, sizes = collections.Counter(), [], []
        for number, (kind, data) in enumerate(requests):
            if number % (count // 4 or 1) == 0:
                sizes.append(server.memory())
            status = send(server.port, data)
            counts[status] += 1
            if status == "no answer" or isinstance(status, int) and status >= 500 and status != 503:
                wrong.append((number, kind, status, data[:200]))
        sizes.append(server.memory())
        print(", ".join(f"{status}: {count}" for status, count in sorted(counts.items(), key=str)))
        check("no status 5xx but 503, and always an answer or a closed connection", not wrong, wrong[:3])
        check("the same picture afterwards", draw(server) == expected)
        check("the same workers", server.workers() == workers, server.workers())
        growth = sizes[-1] / sizes[0] - 1
        check("memory is flat", growth < 0.06,
              " ".join(f"{size / 1e6:.1f}" for size in sizes) + f" MB, {100 * growth:+.1f} %")


def worst(program, check, seconds, wanted):
    """The worst bodies and files."""
    def is_wanted(name):
        return not wanted or any(text in name for text in wanted)

    with tempfile.TemporaryDirectory() as place:
        folder = pathlib.Path(place)
        config = folder / "inkstone.yaml"
        config.write_text("keep-days: 1\n", encoding="utf-8")
        with RunningServer(program, "--config", config) as server:
            polls = Polls(server.port)
            for name, make in worst_files.requests(folder):
                if is_wanted(name):
                    polls.during(name, Clients(server.port, make()), seconds)
            for name, make in worst_files.CONFIGURATIONS.items():
                if is_wanted(f"YAML of {name}"):
                    polls.during(f"YAML of {name}", worst_files.Reloading(server, config, make()), seconds)
            for name, data in worst_bodies.requests():
                if is_wanted(name):
                    polls.during(name, Clients(server.port, data), seconds)
            polls.judge(check)
            check("images afterwards", draw(server)[0] == 200)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inkstone", default=str(PROGRAM))
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--only", choices=["generated", "worst"])
    parser.add_argument("worst", nargs="*")
    arguments = parser.parse_args()
    check = Checks()
    if arguments.only != "worst":
        generated(arguments.inkstone, check, arguments.count, arguments.seed)
    if arguments.only != "generated":
        worst(arguments.inkstone, check, arguments.seconds, arguments.worst)
    check.end()


if __name__ == "__main__":
    main()
