#!/usr/bin/env python3
# Part of Inkstone. Licence: see LICENSE.
"""Generation parameters read back: files of this server by other programs, and files that others edited by this server.

    parameters.py [--inkstone PROGRAM]

PNG, JPEG and WebP files of several requests are read by Pillow, exiftool and a parser of A1111's text format that follows its
documentation, not this program. The files are then turned, resized and converted by Pillow and ImageMagick; wherever exiftool
still finds the block in the result, /sdapi/v1/png-info must return every parameter. Needs Pillow, and on Debian:
apt-get install libimage-exiftool-perl imagemagick.
"""

import argparse
import base64
import io
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

from PIL import Image, ImageOps, PngImagePlugin

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

from running_server import PROGRAM, Checks, RunningServer

FORMATS = {"png": "PNG", "jpeg": "JPEG", "webp": "WEBP"}

REQUESTS = {
    "plain": {"prompt": "a red apple", "seed": 7},
    "Chinese": {"prompt": "黄色背景上的熊猫🐼, «é»", "seed": 18446744073709551615},
    "guidance": {"prompt": "a cat", "negative_prompt": "dog, \"text\": x", "guidance_scale": 2.5,
                 "sampler": "dpmpp_2m", "scheduler": "karras", "seed": 3, "steps": 5},
    "lines": {"prompt": "a cat,\nSteps: 1, Seed: 2, Size: 3x4\n  in the rain \\o/ \"quoted\"", "seed": 4,
              "negative_prompt": "one\ntwo", "guidance_scale": 1.5},
    "LoRA": {"prompt": "a tiger", "seed": 5, "loras": [
        {"name": "pixel", "scale": 0.8}, {"name": "sketch", "scale": -0.25, "text_scale": 0.5}]},
    "edges": {"prompt": " Negative prompt: none ", "seed": 6, "variation_seed": 9,
              "variation_strength": 0.25},
}


def a1111(text):
    """The fields of a text, as A1111's documentation of the format describes: last line, pairs, JSON strings."""
    *lines, last = text.strip().split("\n")
    pair = re.compile(r'\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)')
    if len(pair.findall(last)) < 3:
        lines.append(last)
        last = ""
    prompts = {"Prompt": [], "Negative prompt": []}
    place = "Prompt"
    for line in lines:
        line = line.strip()
        if line.startswith("Negative prompt:"):
            place, line = "Negative prompt", line[16:].strip()
        prompts[place].append(line)
    fields = {key: "\n".join(value) for key, value in prompts.items()}
    for key, value in pair.findall(last):
        if value.startswith('"') and value.endswith('"'):
            value = json.loads(value)
        if size := re.fullmatch(r"(\d+)x(\d+)", value):
            fields[f"{key}-1"], fields[f"{key}-2"] = size.groups()
        else:
            fields[key] = value
    return fields


def by_pillow(data):
    """The text in a file, as Pillow finds it; None without one."""
    image = Image.open(io.BytesIO(data))
    if text := image.info.get("parameters"):
        return text
    comment = image.getexif().get_ifd(0x8769).get(0x9286)
    if comment is None:
        return None
    assert comment[:8] == b"UNICODE\0", comment[:8]
    return comment[8:].decode("utf-16-be")


def by_exiftool(path):
    """The text in a file, as exiftool finds it; None without one."""
    answer = subprocess.run(
        ["exiftool", "-json", "-Parameters", "-UserComment", "-charset", "utf8", str(path)],
        check=True, capture_output=True)
    found = json.loads(answer.stdout)[0]
    return found.get("Parameters") or found.get("UserComment")


def normal(text):
    """exiftool writes line feeds in its own ways, and drops blanks at the end."""
    return re.sub(r"\s+|\.\.", " ", text or "").strip()


def check_fields(check, name, request, fields):
    """Compares what A1111 would read with what was asked for."""
    tags = re.compile(r" ?<lora:[^>]+>")
    wanted = {"Seed": str(request["seed"]), "Size-1": "128", "Size-2": "128"}
    if "steps" in request:
        wanted["Steps"] = str(request["steps"])
    if "guidance_scale" in request:
        wanted["CFG scale"] = f"{request['guidance_scale'] + 1:g}"
        wanted["Negative prompt"] = request["negative_prompt"]
    if "sampler" in request:
        wanted |= {"Sampler": "DPM++ 2M", "Schedule type": "Karras"}
    if "variation_seed" in request:
        wanted |= {"Variation seed": "9", "Variation seed strength": "0.25"}
    lost = {key: (value, fields.get(key)) for key, value in wanted.items() if fields.get(key) != value}
    prompt = "\n".join(line.strip() for line in request["prompt"].strip().split("\n"))
    # A prompt that the plain form cannot hold is in a pair of its own.
    found = fields.get("Exact prompt", tags.sub("", fields["Prompt"]))
    if found not in (prompt, request["prompt"]):
        lost["Prompt"] = (prompt, found)
    if loras := request.get("loras"):
        written = re.findall(r"<lora:([^:>]+):([^:>]+)(?::([^:>]+))?>", fields["Prompt"])
        expected = [(lora["name"], f"{lora.get('text_scale', lora['scale']):g}",
                     f"{lora['scale']:g}" if "text_scale" in lora else "") for lora in loras]
        if written != expected:
            lost["tags"] = (expected, written)
    check(name, not lost, lost or "")


def edits(data, kind, folder):
    """Names and files: the picture turned and converted by Pillow, resized and converted by ImageMagick."""
    image = Image.open(io.BytesIO(data))
    exif, text = image.getexif(), image.info.get("parameters")
    for target in FORMATS:
        options = {}
        if exif:
            options["exif"] = exif
        if text and target == "png":
            options["pnginfo"] = PngImagePlugin.PngInfo()
            options["pnginfo"].add_text("parameters", text)
        buffer = io.BytesIO()
        turned = ImageOps.mirror(image.convert("RGB").rotate(90)).crop((8, 8, 120, 104))
        turned.save(buffer, FORMATS[target], **options)
        yield f"Pillow {kind} to {target}", buffer.getvalue()
        source, result = folder / f"source.{kind}", folder / f"result.{target}"
        source.write_bytes(data)
        subprocess.run(["convert", source, "-resize", "50%", "-rotate", "90", result], check=True)
        yield f"ImageMagick {kind} to {target}", result.read_bytes()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--inkstone", default=str(PROGRAM))
    arguments = parser.parse_args()
    missing = [name for name in ("exiftool", "convert") if not shutil.which(name)]
    if missing:
        sys.exit(f"these programs are missing: {', '.join(missing)}")
    check, kept, dropped = Checks(), 0, {}
    with RunningServer(arguments.inkstone) as server, tempfile.TemporaryDirectory() as place:
        folder = pathlib.Path(place)

        def info(data):
            body = {"image": base64.b64encode(data).decode()}
            status, _, answer = server.ask("/sdapi/v1/png-info", body)
            return json.loads(answer) if status == 200 else {"info": f"status {status}: {answer}"}

        for name, request in REQUESTS.items():
            for kind in FORMATS:
                status, _, answer = server.ask("/v1/images/generations", request | {
                    "response_format": "b64_json", "output_format": kind, "num_inference_steps":
                    request.get("steps", 2)})
                assert status == 200, answer
                data = base64.b64decode(json.loads(answer)["data"][0]["b64_json"])
                path = folder / f"own.{kind}"
                path.write_bytes(data)
                own = info(data)
                text = by_pillow(data)
                check(f"{name} {kind}: Pillow and this server read the same", text == own["info"])
                check(f"{name} {kind}: exiftool reads it", normal(by_exiftool(path)) == normal(text))
                check_fields(check, f"{name} {kind}: as A1111 reads it", request, a1111(text))
                for title, edited in edits(data, kind, folder):
                    path = folder / f"edited.{title.split()[-1]}"
                    path.write_bytes(edited)
                    if by_exiftool(path) is None:
                        dropped[title] = dropped.get(title, 0) + 1
                        continue
                    kept += 1
                    back = info(edited)
                    check(f"{name}: {title}", back["info"] == text
                          and back["parameters"] == own["parameters"]
                          and back.get("loras") == own.get("loras"), repr(back["info"])[:200]
                          if back["info"] != text else "")
    print(f"{kept} edited files kept the block; without it: "
          + ", ".join(f"{title} ({count})" for title, count in sorted(dropped.items())))
    check.end()


if __name__ == "__main__":
    main()
