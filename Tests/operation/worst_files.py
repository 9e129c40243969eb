# Part of Inkstone. Licence: see LICENSE.
"""The slowest image files, LoRA files, models and configurations that the limits allow; see worst_bodies.py."""

import base64
import json
import os
import pathlib
import signal
import struct
import sys
import threading
import time
import zlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "Tests/fuzz"))

from seeds import gguf, safetensors, text
from worst_bodies import form, part, request

LIMIT = 60 << 20  # bytes of a file, below those of the largest body
ENTRIES = 100_000  # tensors of a file
SIDE = 4096  # of an image with 16 megapixels, the most that an uploaded image may have


# --- Images

def png(width, height, colour=2, depth=8, interlaced=0, before=b"", rows=None):
    """A PNG file, by default of black pixels; `before` are chunks in front of the pixels."""
    if rows is None:
        channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
        rows = bytes(height * ((width * channels * depth + 7) // 8 + 1))
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + before + chunk(b"IDAT", zlib.compress(rows, 1))
            + chunk(b"IEND", b""))


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def jpeg(scans):
    """A progressive grey JPEG file: a scan of the means, then some of coefficients that are all zero."""
    def segment(marker, data):
        return b"\xff" + bytes([marker]) + struct.pack(">H", len(data) + 2) + data
    file = b"\xff\xd8" + segment(0xDB, bytes([0]) + bytes([1] * 64))
    file += segment(0xC2, struct.pack(">BHHB", 8, SIDE, SIDE, 1) + b"\1\x11\0")
    # One code of one bit each: no difference of the mean; a run of 16,384 blocks without coefficients.
    for table, symbol in [(b"\0", b"\0"), (b"\x10", b"\xe0")]:
        file += segment(0xC4, table + bytes([1] + [0] * 15) + symbol)
    blocks = (SIDE // 8) ** 2
    file += segment(0xDA, b"\1\1\0\0\0\0") + bytes(blocks // 8)
    runs = (blocks + 16383) // 16384
    for scan in range(scans):
        # The code, and 14 bits that are added to 16,384.
        file += segment(0xDA, bytes([1, 1, 0, 1 + scan % 63, 1 + scan % 63, 0])) + bytes((15 * runs + 7) // 8)
    return file + b"\xff\xd9"


def webp(width, height):
    """A lossless WebP file of one colour: five prefix codes of one symbol, which take no bits."""
    bits = [(width - 1, 14), (height - 1, 14), (0, 1), (0, 3), (0, 1), (0, 1), (0, 1)]
    bits += 5 * [(1, 1), (0, 1), (0, 1), (0, 1)]
    value = place = 0
    for number, count in bits:
        value, place = value | number << place, place + count
    data = b"\x2f" + value.to_bytes((place + 7) // 8 + 8, "little")
    data += bytes(len(data) % 2)
    return b"RIFF" + struct.pack("<I", 12 + len(data)) + b"WEBPVP8L" + struct.pack("<I", len(data)) + data


def noise():
    return png(SIDE, SIDE, rows=b"".join(b"\0" + os.urandom(3 * SIDE) for _ in range(SIDE)))


# Functions that make a file, by name: together the files have a gigabyte.
IMAGES = {
    "PNG of 16 megapixels": lambda: png(SIDE, SIDE),
    "PNG of 16 megapixels, 16 bits": lambda: png(SIDE, SIDE, colour=6, depth=16),
    "PNG of 16 megapixels, in passes": lambda: png(SIDE, SIDE, colour=0, interlaced=1, rows=bytes(2 * SIDE * SIDE)),
    "PNG of empty chunks": lambda: png(8, 8, before=chunk(b"teXt", b"") * (LIMIT // 12)),
    "PNG of texts": lambda: png(8, 8, before=chunk(b"tEXt", b"a\0b") * (LIMIT // 15)),
    "PNG of a text that expands": lambda: png(8, 8, before=chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(1 << 28)))),
    "PNG of pixels that expand": lambda: png(8, 8, rows=bytes(1 << 28)),
    "PNG of noise": noise,
    "JPEG of 99 scans": lambda: jpeg(98),
    "JPEG of 1,000 scans": lambda: jpeg(999),
    "JPEG of markers": lambda: b"\xff\xd8" + b"\xff\xe1\0\2" * (LIMIT // 4),
    "JPEG of fill bytes": lambda: b"\xff\xd8" + b"\xff" * LIMIT,
    "WebP of 16 megapixels": lambda: webp(SIDE, SIDE),
    "WebP of chunks": lambda: b"RIFF" + struct.pack("<I", 4 + LIMIT) + b"WEBP" + b"abcd\0\0\0\0" * (LIMIT // 8),
}


# --- LoRA files

LAYER = "layers.0.attention.to_q"


def header(data):
    return struct.pack("<Q", len(data)) + data


def empty_tensors(names):
    entry = '"%s":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}'
    return header(b"{" + ",".join(entry % name for name in names).encode() + b"}")


def described(metadata):
    """A LoRA file that is right, with texts in its header."""
    pair = {f"transformer.{LAYER}.lora_A.weight": ("F8_E4M3", [1, 288], bytes(288)),
            f"transformer.{LAYER}.lora_B.weight": ("F8_E4M3", [288, 1], bytes(288))}
    return safetensors(pair, metadata)


def many_patterns():
    patterns = {f"x{number}": 1 for number in range(2_000_000)}
    return described({"lora_adapter_metadata": json.dumps(
        {"transformer.lora_alpha": 1, "transformer.alpha_pattern": patterns})})


def thumbnail(data):
    return described({"modelspec.thumbnail": "data:image/png;base64," + base64.b64encode(data).decode()})


LORAS = {
    "many tensors": lambda: empty_tensors(f"{LAYER}.{number}.lora_A.weight" for number in range(ENTRIES)),
    "long names": lambda: empty_tensors("x" * 590 + f"{number}.lora_A.a.weight" for number in range(ENTRIES)),
    "one name of 60 MB": lambda: empty_tensors([".lora_A." * (LIMIT // 8) + ".weight"]),
    "one name of marks": lambda: empty_tensors(["e" + "\u0301" * (LIMIT // 2) + ".alpha"]),
    "nested arrays": lambda: header(b'{"a":' + b"[" * LIMIT),
    "a long number": lambda: header(b'{"a":{"shape":[' + b"1" * LIMIT + b"]}}"),
    "blanks": lambda: header(b" " * LIMIT),
    "many texts": lambda: described({str(number): "x" * 500 for number in range(ENTRIES)}),
    "a text named by marks": lambda: described({"e" + "\u0301" * (LIMIT // 6): "x"}),
    "many patterns": many_patterns,
    "JSON of empty objects": lambda: described(
        {"lora_adapter_metadata": '{"transformer.a":[' + "{}," * (LIMIT // 6) + "{}]}"}),
    "a thumbnail of 4 megapixels": lambda: thumbnail(png(2048, 2048)),
    "a thumbnail that is noise": lambda: thumbnail(os.urandom(3 << 20)),
}


# --- Models

TENSOR = [("t", [32], 8, bytes(34))]


def listed(kind, count, data):
    """A GGUF file with a list of values."""
    return gguf([("a", 9, struct.pack("<IQ", kind, count) + data)], TENSOR)


MODELS = {
    "GGUF of many tensors": lambda: gguf([], [(f"blk.{number}.t", [1], 0, b"") for number in range(ENTRIES)]),
    "GGUF of many values": lambda: gguf([(f"k{number}", 0, b"\1") for number in range(ENTRIES)], TENSOR),
    "GGUF of 4 million texts": lambda: listed(8, 4 << 20, text("x") * (4 << 20)),
    "GGUF of 4 million numbers": lambda: listed(0, 4 << 20, bytes(4 << 20)),
    "GGUF of a long text": lambda: gguf([("a", 8, text("\u0301" * (8 << 20)))], TENSOR),
    "safetensors of many tensors": LORAS["many tensors"],
}


def launch(file, data):
    """A request to launch a model that is one file."""
    file.write_bytes(data)
    body = json.dumps({"model_name": "worst", "model_path": str(file), "model_type": "image"})
    return request("/v1/models", body.encode())


def requests(folder):
    """Functions that make a request, by name; the models are files in a folder."""
    for name, make in IMAGES.items():
        yield name, lambda make=make: request(
            "/v1/images/edits", form(part("prompt", b"x"), part("size", b"64x64"), part("steps", b"2"),
                                     part("image", make(), "a.png")),
            "multipart/form-data; boundary=worst")
    for name, make in LORAS.items():
        yield f"LoRA of {name}", lambda make=make: request(
            "/api/loras?name=worst&replace=true", make(), "application/octet-stream")
    for name, make in MODELS.items():
        file = folder / ("worst.gguf" if name.startswith("GGUF") else "worst.safetensors")
        yield f"launch of {name}", lambda make=make, file=file: launch(file, make())


# --- Configurations

CONFIGURATIONS = {
    "nested lists": lambda: "model: " + "[" * 60_000,
    "nested maps": lambda: "".join(" " * depth + "a:\n" for depth in range(300)),
    "aliases of aliases": lambda: "a0: &a0 [x]\n" + "".join(
        f"a{number}: &a{number} [{', '.join([f'*a{number - 1}'] * 10)}]\n" for number in range(1, 30)) + "model: *a29\n",
    "many keys": lambda: "".join(f"k{number}: 1\n" for number in range(7_000)),
    "many anchors": lambda: "model: [" + ", ".join(f"&a{number} x" for number in range(5_000)) + "]\n",
    "a long text": lambda: 'model: "' + "x" * 65_000 + '"\n',
    "a list of options": lambda: "allowed-host: [" + ", ".join("a" for _ in range(990)) + "]\n",
    "8 MB": lambda: "#" + "x" * (8 << 20) + "\n",
}


class Reloading:
    """Replaces a server's configuration every half second, each time with SIGHUP."""

    def __init__(self, server, file, content):
        self.server, self.file, self.content, self.count = server, file, content, 0

    def start(self, seconds):
        self.end = time.monotonic() + seconds
        self.thread = threading.Thread(target=self.reload)
        self.thread.start()

    def reload(self):
        while time.monotonic() < self.end:
            self.file.write_text(self.content, encoding="utf-8")
            self.server.process.send_signal(signal.SIGHUP)
            self.count += 1
            time.sleep(0.5)

    def is_running(self):
        return self.thread.is_alive()

    def finish(self):
        return f"read {self.count} times"
