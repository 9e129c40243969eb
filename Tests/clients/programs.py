#!/usr/bin/env python3
# Part of Inkstone. Licence: see LICENSE.
"""curl's versions of HTTP, and calls that other programs make, as they send them.

    programs.py [--inkstone .build/release/inkstone]

curl with Expect, HTTP/1.0 and HTTP/2 with prior knowledge; Open WebUI's calls of both its engines (0.12.4) and
SillyTavern's (2024-09), written after their sources; litellm and langchain if they are installed. One line a check; exits
with 1 when one fails.
"""

import argparse
import base64
import importlib.util
import io
import json
import pathlib
import subprocess
import sys
import urllib.request

from PIL import Image

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

from running_server import PROGRAM, Checks, RunningServer

REQUEST = {"prompt": "a cat", "num_inference_steps": 2}


def curl(*arguments, body=None):
    return subprocess.run(
        ["curl", "-sS", "-i", *arguments], input=body, capture_output=True, text=True, check=False, timeout=120).stdout


def size(b64):
    image = Image.open(io.BytesIO(base64.b64decode(b64)))
    image.load()
    return image.size


def picture(width=128, height=128):
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), (220, 40, 40)).save(buffer, "PNG")
    return buffer.getvalue()


def protocols(server, check):
    url, body = server.base + "/v1/images/generations", ["-d", json.dumps(REQUEST)]
    answer = curl("-H", "Expect: 100-continue", *body, url)
    check("Expect: continued, then answered", answer.startswith("HTTP/1.1 100") and "HTTP/1.1 200" in answer, answer[:200])
    answer = curl("-H", "Expect: 100-continue", "--data-binary", "@-", url, body="x" * (2 << 20))
    check("Expect: refused before the body", "HTTP/1.1 413" in answer and "HTTP/1.1 100" not in answer, answer[:200])
    answer = curl("--http1.0", *body, url)
    check("HTTP/1.0", answer.startswith("HTTP/1.0 200") and "chunked" not in answer.lower(), answer[:200])
    for arguments in (body, [], ["-H", "x: " + "y" * 5000]):
        answer = curl("--http2-prior-knowledge", *arguments, url)
        check("HTTP/2 is refused in words", answer.startswith("HTTP/2 505") and "use HTTP/1.1" in answer, answer[:300])
    answer = curl("--http2", *body, url)
    check("an upgrade to HTTP/2 is not taken", "HTTP/1.1 200" in answer, answer[:200])
    answer = curl("--compressed", "-H", "Content-Encoding: gzip", "--data-binary", "@/dev/null", url)
    check("a compressed body is named", "unsupported_encoding" in answer, answer[:300])


def open_webui(server, check):
    """The engine 'openai', and the engine 'automatic1111' with an empty header of authorization."""
    status, _, answer = server.ask("/v1/images/generations", {
        "model": "emoji-nano", "prompt": "a cat", "n": 1, "size": "128x128", "response_format": "b64_json"},
        authorization="Bearer ", x_openwebui_user_name="a")
    check("Open WebUI, openai", status == 200 and size(json.loads(answer)["data"][0]["b64_json"]) == (128, 128), answer[:200])
    image = "data:image/png;base64," + base64.b64encode(picture()).decode()
    status, _, answer = server.ask("/v1/images/edits", {
        "model": "emoji-nano", "prompt": "a cat", "images": [{"image_url": image}], "size": "128x128", "response_format": ""})
    check("an edit in JSON", status == 200 and "url" in json.loads(answer)["data"][0], answer[:200])
    options = json.loads(server.ask("/sdapi/v1/options", authorization="")[2])
    models = json.loads(server.ask("/sdapi/v1/sd-models", authorization="")[2])
    options["sd_model_checkpoint"] = models[0]["title"]
    check("Open WebUI, options", server.ask("/sdapi/v1/options", options, authorization="")[0] == 200)
    for steps in (4, "4"):
        status, _, answer = server.ask("/sdapi/v1/txt2img", {
            "prompt": "a cat", "batch_size": 1, "width": 120, "height": 136, "steps": steps, "cfg_scale": "1.0",
            "sampler_name": "Euler", "scheduler": "Automatic"}, authorization="")
        check("Open WebUI, automatic1111", status == 200 and size(json.loads(answer)["images"][0]) == (120, 136), answer[:200])


def silly_tavern(server, check):
    for path in ("options", "sd-models", "samplers", "schedulers", "upscalers", "latent-upscale-modes", "progress", "sd-vae"):
        check(f"SillyTavern, {path}", server.ask("/sdapi/v1/" + path, authorization="Basic Og==")[0] == 200)
    status, _, answer = server.ask("/sdapi/v1/txt2img", {
        "prompt": "a cat", "negative_prompt": "", "sampler_name": "Euler", "scheduler": "automatic", "steps": 4, "cfg_scale": 1,
        "width": 128, "height": 128, "restore_faces": False, "enable_hr": False, "hr_upscaler": "Latent", "hr_scale": 1,
        "hr_additional_steps": 0, "denoising_strength": 0.7, "hr_second_pass_steps": 0, "seed": -1,
        "override_settings": {"CLIP_stop_at_last_layers": 1}, "override_settings_restore_afterwards": True, "clip_skip": 1,
        "save_images": True, "send_images": True, "do_not_save_grid": False, "do_not_save_samples": False},
        authorization="Basic Og==")
    check("SillyTavern, txt2img", status == 200 and size(json.loads(answer)["images"][0]) == (128, 128), answer[:200])
    check("SillyTavern, interrupt", server.ask("/sdapi/v1/interrupt", method="POST", authorization="Basic Og==")[0] == 200)


def litellm_checks(server, check):
    if importlib.util.find_spec("litellm") is None:
        print("litellm is not installed: left out")
        return
    import litellm
    # It passes on what it knows of OpenAI's own models; of others it drops the rest.
    litellm.drop_params = True
    content = lambda image: base64.b64decode(image.b64_json) if image.b64_json else urllib.request.urlopen(image.url).read()
    shape = lambda image: Image.open(io.BytesIO(content(image))).size
    answer = litellm.image_generation(
        prompt="a cat", model="openai/emoji-nano", api_base=server.base + "/v1", api_key="none", n=2, size="128x128",
        response_format="b64_json")
    check("litellm, image_generation", [shape(image) for image in answer.data] == [(128, 128)] * 2)
    answer = litellm.image_edit(
        image=io.BytesIO(picture()), prompt="a cat", model="openai/emoji-nano", api_base=server.base + "/v1", api_key="none",
        size="128x128", response_format="b64_json")
    check("litellm, image_edit", shape(answer.data[0]) == (128, 128))
    try:
        litellm.image_generation(prompt="a cat", model="openai/none", api_base=server.base + "/v1", api_key="none")
        check("litellm, an unknown model", False)
    except litellm.exceptions.NotFoundError as error:
        check("litellm, an unknown model", "emoji-nano" in str(error), str(error))


def langchain_checks(server, check):
    if importlib.util.find_spec("langchain_community") is None:
        print("langchain_community is not installed: left out")
        return
    from langchain_community.utilities.dalle_image_generator import DallEAPIWrapper
    wrapper = DallEAPIWrapper(
        api_key="none", base_url=server.base + "/v1", model="emoji-nano", size="128x128", n=1)
    url = wrapper.run("a cat")
    with urllib.request.urlopen(url, timeout=60) as answer:
        check("langchain, DallEAPIWrapper", answer.read()[:4] == b"\x89PNG", url)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--inkstone", default=str(PROGRAM))
    arguments = parser.parse_args()
    checks = Checks()

    def check(name, is_right, note=""):
        checks(name, is_right, "" if is_right else note)

    with RunningServer(arguments.inkstone) as server:
        for part in (protocols, open_webui, silly_tavern, litellm_checks, langchain_checks):
            part(server, check)
    checks.end()


if __name__ == "__main__":
    main()
