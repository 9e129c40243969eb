#!/usr/bin/env python3
# Part of Inkstone. Licence: see LICENSE.
"""The slowest bodies that the limits allow, from eight clients, while `/livez` is polled every 20 ms.

    worst_bodies.py [--inkstone PROGRAM] [--seconds 5] [--clients 8] [--goal 50] [BODY...]

Prints a line for each body: requests answered, and percentiles of the time that `/livez` took. Fails if
a poll has no answer within 5 s, or if 99.9 % of all polls took longer than ten times the goal. The clients
run at the lowest priority, so that they do not compete with the server for the processors.
"""

import argparse
import base64
import os
import pathlib
import struct
import sys
import zlib

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

from polling import Clients, Polls
from running_server import PROGRAM, Checks, RunningServer

UPLOAD = 64 << 20  # bytes of the largest body with an image
PLAIN = 1 << 20  # bytes of the largest other body
MARGIN = 4096
BOUNDARY = "worst"


# --- Bodies

def filled(piece, size, separator=b","):
    """Pieces with a separator between them, of `size` bytes at most."""
    count = (size - MARGIN) // (len(piece) + len(separator))
    return (piece + separator) * (count - 1) + piece


def document(value, **fields):
    """A JSON object with a prompt and a large last field."""
    head = b"".join(b'"%s":%s,' % (name.encode(), text) for name, text in fields.items())
    return b'{"prompt":"x",%s"extra":%s}' % (head, value)


def png(width=8, height=8):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(height * (3 * width + 1)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def part(name, value, file_name=None):
    file_name = f'; filename="{file_name}"' if file_name else ""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{file_name}\r\n\r\n'
    return head.encode() + value + b"\r\n"


def form(*parts):
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def distinct_keys(size):
    keys, total = [], 0
    while total < size - MARGIN:
        keys.append(b'"%x":0' % len(keys))
        total += len(keys[-1]) + 1
    return b"{" + b",".join(keys) + b"}"


def json_bodies(size):
    """Bodies for the reader of JSON, by name."""
    marks = "\u0323\u0301".encode() * 500
    return {
        "empty objects": document(b"[" + filled(b"{}", size) + b"]"),
        "objects of objects": document(b"[" + filled(b'{"a":{}}', size) + b"]"),
        "arrays in arrays": document(b"[" + filled(b"[" * 29 + b"]" * 29, size) + b"]"),
        "endless nesting": b"[" * size,
        "small numbers": document(b"[" + filled(b"1", size) + b"]"),
        "numbers of 1024 digits": document(b"[" + filled(b"1" * 1024, size) + b"]"),
        "small fractions": document(b"[" + filled(b"0." + b"0" * 900 + b"1e-9", size) + b"]"),
        "escapes": document(b'"' + filled(b"\\u00e9", size, b"") + b'"'),
        "surrogate pairs": document(b'"' + filled(b"\\ud83d\\ude00", size, b"") + b'"'),
        "a long string": b'{"prompt":"' + filled(b"x", size, b"") + b'"}',
        "a size of digits": document(b"0", size=b'"' + filled(b"9", size, b"") + b'"'),
        "combining marks": b'{"prompt":"e' + filled(marks, size, b"") + b'"}',
        "a key of combining marks": b'{"prompt":"x","e' + filled(marks, size, b"") + b'":0}',
        "equal keys": b'{"prompt":"x",' + filled(b'"a":0', size) + b"}",
        "keys of combining marks": b'{"prompt":"x",' + filled(b'"e' + marks + b'":0', size) + b"}",
        "a LoRA list": b'{"prompt":"x","loras":[' + filled(b'"pixel"', size) + b"]}",
        "a size of marks": b'{"prompt":"x","size":"e' + filled(marks, min(size, PLAIN), b"") + b'"}',
        "distinct keys": document(distinct_keys(size)),
        "JSON in kwargs": document(b'"' + filled(b"x", size // 2, b"") + b'"', kwargs=b'"{\\"a\\":['
                                   + filled(b"{}", size // 2) + b']}"'),
        "blanks": b'{"prompt":' + b" " * (size - MARGIN) + b'"x"}',
    }


def image_bodies():
    """Bodies for the reader of base64, by name."""
    noise = base64.b64encode(os.urandom((UPLOAD - MARGIN) // 4 * 3))
    return {
        "base64 of noise": document(b"0", image=b'"' + noise + b'"'),
        "base64 of blanks": document(b"0", image=b'"' + b" " * (UPLOAD - MARGIN) + b'"'),
        "a data URL without an end": document(
            b"0", image=b'"data:' + filled("é".encode(), UPLOAD, b"") + b'"'),
        "base64 of an image and noise": document(
            b"0", image=b'"' + base64.b64encode(png() + os.urandom(UPLOAD // 2)) + b'"'),
    }


def form_bodies():
    """Bodies for the reader of forms, by name."""
    image = part("image", png(), "a.png")
    near = b"\r\n--" + BOUNDARY.encode()[:-1]
    header = b"; ".join(b'%x="\\\\\\"' % number for number in range(800))[:15000]
    return {
        "near boundaries": form(image, part("prompt", filled(near, UPLOAD, b""))),
        "boundaries with a tail": form(image, part("prompt", filled(near + b"t ", UPLOAD, b""))),
        "line ends": form(image, part("prompt", filled(b"\r\n", UPLOAD, b""))),
        "carriage returns": form(image, part("prompt", filled(b"\r", UPLOAD, b""))),
        "200 parts": form(image, *[part("x" * 200, b"y" * (UPLOAD // 200 - 600)) for _ in range(198)]),
        "200 long headers": form(image, *[
            f"--{BOUNDARY}\r\nContent-Disposition: form-data; ".encode() + header
            + b"\r\n\r\n" + b"z" * 1000 + b"\r\n" for _ in range(198)]),
        "a seed of digits": form(image, part("prompt", b"x"), part("seed", filled(b"1", UPLOAD, b""))),
        "a strength of digits": form(
            image, part("prompt", b"x"), part("strength", b"0." + filled(b"0", UPLOAD, b"") + b"1")),
        "JSON of a form": form(
            image, part("prompt", b"x"), part("kwargs", b'{"a":[' + filled(b"{}", UPLOAD) + b"]}")),
        "LoRA names": form(image, part("prompt", b"x"), part("loras", filled(b" a:1 ", UPLOAD))),
        "an image and noise": form(
            part("prompt", b"x"), part("image", png() + os.urandom(UPLOAD - (1 << 16)), "a.png")),
    }


def prompt_bodies():
    """Bodies for the readers of prompts, by path and name."""
    tags = filled(b"<lora:", PLAIN, b"")
    blank = b" " * (PLAIN - MARGIN)
    return {
        ("/sdapi/v1/txt2img", "LoRA tags without an end"): b'{"prompt":"' + tags + b'"}',
        ("/sdapi/v1/txt2img", "LoRA tags"): b'{"prompt":"' + filled(b"<lora:pixel:1>", PLAIN, b"") + b'"}',
        ("/sdapi/v1/txt2img", "a tag of colons"): b'{"prompt":"<lora:' + filled(b":", PLAIN, b"") + b'>"}',
        ("/v1/images/generations", "a size of blanks"): b'{"prompt":"x","size":"' + blank + b'"}',
        ("/v1/images/generations", "a LoRA list of text"):
            b'{"prompt":"x","loras":"' + filled(b"a", PLAIN) + b'"}',
        ("/gradio_api/queue/join", "Gradio inputs"):
            b'{"session_hash":"s","data":[' + filled(b"[]", PLAIN) + b"]}",
    }


def request(path, body, content_type="application/json", method="POST"):
    """The bytes of a request."""
    head = (f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
            f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n")
    return head.encode() + body


def chunked(path, size):
    """A body in chunks of one byte."""
    head = (f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
            "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
    return head.encode() + b"1\r\n[\r\n" * (size // 6) + b"0\r\n\r\n"


def heads():
    """Requests without a body whose heads are as large as the limits allow."""
    query = "&".join(f"{number:x}=%20" for number in range(9000))
    fields = "".join(f"x{number}: {'y' * 60}\r\n" for number in range(900))
    cookies = "cookie: " + "a=b;" * 15000 + "\r\n"
    start = "GET /api/jobs{} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n{}\r\n"
    return {
        "a long query": start.format("?" + query[:70000], "").encode(),
        "many header fields": start.format("", fields).encode(),
        "a long cookie": start.format("", cookies).encode(),
        "a path of slashes": start.replace("/api/jobs{}", "/" * 70000 + "{}").format("", "").encode(),
        "a path of escapes": start.format("/" + "%cc%81%cc%a3" * 5000, "").encode(),
        "a path of marks": start.format("/" + "\u0301\u0323" * 15000, "").encode(),
        "an origin of marks": start.format("", "origin: http://" + "\u0301\u0323" * 15000 + "\r\n").encode(),
    }


def requests():
    """All requests by name, made one after the other: each may have 64 MiB."""
    for name, body in json_bodies(UPLOAD).items():
        yield f"{name}, 64 MiB", request("/api/jobs", body)
    for name, body in json_bodies(PLAIN).items():
        yield f"{name}, 1 MiB", request("/v1/images/generations", body)
    for name, body in image_bodies().items():
        yield name, request("/api/jobs", body)
    for name, body in form_bodies().items():
        yield name, request("/v1/images/edits", body, f"multipart/form-data; boundary={BOUNDARY}")
    for (path, name), body in prompt_bodies().items():
        yield name, request(path, body)
    yield "chunks of a byte", chunked("/api/jobs", UPLOAD // 4)
    yield from heads().items()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--inkstone", default=str(PROGRAM))
    parser.add_argument("--seconds", type=float, default=5.0, help="of each body")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--goal", type=float, default=50, help="milliseconds")
    parser.add_argument("bodies", nargs="*", help="parts of names; all without any")
    arguments = parser.parse_args()
    check = Checks()
    with RunningServer(arguments.inkstone) as server:
        polls = Polls(server.port)
        for name, data in requests():
            if not arguments.bodies or any(part in name for part in arguments.bodies):
                polls.during(name, Clients(server.port, data, arguments.clients), arguments.seconds)
        polls.judge(check, arguments.goal / 1000)
    check.end()


if __name__ == "__main__":
    main()
