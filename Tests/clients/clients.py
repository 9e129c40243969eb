#!/usr/bin/env python3
# Part of Inkstone. Licence: see LICENSE.
"""Real client packages against a running server, unmodified.

    clients.py [--inkstone .build/release/inkstone]

Runs smoke.py without and with API keys, then what it leaves out: OpenAI's asynchronous client, edits,
a call that is cancelled elsewhere and must not be repeated, Xinference's launch and image to image,
previews and cancelling through Gradio, interrupt and img2img through A1111. One line a check; exits
with 1 when one fails.
"""

import argparse
import asyncio
import base64
import io
import json
import os
import pathlib
import subprocess
import sys
import threading
import time
import urllib.request

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

from PIL import Image

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))

from running_server import PROGRAM, ROOT, RunningServer

failures = 0


def check(name, body):
    global failures
    start = time.monotonic()
    try:
        note = body()
        print(f"ok   {name} {time.monotonic() - start:.2f} s {note or ''}", flush=True)
    except Exception as error:  # one line a check
        failures += 1
        print(f"FAIL {name} {type(error).__name__}: {str(error)[:300]}", flush=True)


def picture(size=(128, 128)):
    buffer = io.BytesIO()
    Image.new("RGB", size, (220, 40, 40)).save(buffer, "PNG")
    buffer.seek(0)
    buffer.name = "red.png"
    return buffer


def opened(b64):
    image = Image.open(io.BytesIO(base64.b64decode(b64)))
    image.load()
    return image


def openai_checks(base, key):
    import openai
    client = openai.OpenAI(base_url=base + "/v1", api_key=key, max_retries=2)

    def edits():
        for image in (picture(), [picture()]):
            answer = client.images.edit(
                model="emoji-nano", image=image, prompt="a cat", response_format="b64_json",
                extra_body={"seed": 3, "num_inference_steps": 4, "strength": 0.8})
            assert opened(answer.data[0].b64_json).size == (128, 128)
        return "file and list"
    check("openai edits", edits)

    def mask():
        # Transparent where the image is generated again: on the right.
        image = Image.new("RGBA", (128, 128), (0, 0, 0, 255))
        image.paste((0, 0, 0, 0), (64, 0, 128, 128))
        file = io.BytesIO()
        image.save(file, "PNG")
        file.seek(0)
        file.name = "mask.png"
        answer = client.images.edit(
            model="emoji-nano", image=picture(), mask=file, prompt="a panda on a blue background",
            response_format="b64_json", extra_body={"seed": 3})
        drawn = opened(answer.data[0].b64_json).convert("RGB")
        kept, new = drawn.crop((0, 0, 48, 128)), drawn.crop((80, 0, 128, 128))
        def distance(part):
            pixels = list(part.getdata())
            return sum(abs(v - w) for p in pixels for v, w in zip(p, (220, 40, 40))) / len(pixels)
        assert distance(kept) < 40 < distance(new), (distance(kept), distance(new))
        return "kept on the left, drawn on the right"
    check("openai mask", mask)

    async def many():
        async_client = openai.AsyncOpenAI(base_url=base + "/v1", api_key=key, max_retries=0)
        async def one(seed):
            kinds = []
            stream = await async_client.images.generate(
                model="emoji-nano", prompt="a dog", stream=True, partial_images=2, size="128x128",
                extra_body={"seed": seed, "num_inference_steps": 6})
            async for event in stream:
                kinds.append(event.type.split(".")[1])
                opened(event.b64_json)
            return kinds
        for kinds in await asyncio.gather(*(one(seed) for seed in range(4))):
            assert kinds == ["partial_image", "partial_image", "completed"], kinds
        return "4 streams at once"
    check("openai asynchronous", lambda: asyncio.run(many()))

    def cancelled():
        """A cancelled call is not repeated by the client."""
        stop = threading.Timer(0.4, lambda: urllib.request.urlopen(urllib.request.Request(
            base + "/v1/models/emoji-nano/requests/cancel-me/abort", b"{}",
            {"Authorization": f"Bearer {key}"})).read())
        stop.start()
        try:
            client.images.generate(
                model="emoji-nano", prompt="a cat", size="256x256",
                extra_body={"num_inference_steps": 200, "request_id": "cancel-me"})
        except openai.APIStatusError as error:
            assert error.status_code == 499, error.status_code
        else:
            raise AssertionError("it was not cancelled")
        rows = json.load(urllib.request.urlopen(urllib.request.Request(
            base + "/api/jobs?state=cancelled", headers={"Authorization": f"Bearer {key}"})))["data"]
        assert [row["request_id"] for row in rows].count("cancel-me") == 1, rows
        return "499, once"
    check("openai cancelled call", cancelled)


def xinference_checks(base, key):
    from xinference_client import RESTfulClient
    client = RESTfulClient(base, api_key=key)

    def launch():
        uid = client.launch_model(model_name="emoji-nano", model_type="image")
        assert uid == "emoji-nano", uid
        return uid
    check("xinference launch", launch)

    def second_model():
        uid = client.launch_model(
            model_name="emoji-nano", model_type="image", model_uid="styled", peft_model_config={
                "lora_list": [{"lora_name": "pixel", "local_path": str(
                    ROOT / "Models/emoji-nano/loras/pixel.safetensors")}]})
        assert uid == "styled" and set(client.list_models()) == {"emoji-nano", "styled"}, uid
        digests = []
        for name in ("emoji-nano", "styled"):
            answer = client.get_model(name).text_to_image(
                "a cat", size="128*128", response_format="b64_json", seed=1)
            digests.append(opened(answer["data"][0]["b64_json"]).tobytes())
        assert digests[0] != digests[1]
        assert client.get_launch_model_progress("styled")["progress"] == 1
        client.terminate_model("styled")
        assert set(client.list_models()) == {"emoji-nano"}
    check("xinference second model, launched and terminated", second_model)

    def catalog():
        names = [row["model_name"] for row in client.list_model_registrations("image")]
        assert "emoji-nano" in names, names
        assert "inkstone" in client.query_engine_by_model_name("emoji-nano", "image")
    check("xinference catalog", catalog)

    def image_to_image():
        model = client.get_model("emoji-nano")
        answer = model.image_to_image(picture().getvalue(), "a cat", response_format="b64_json", seed=4,
                                      num_inference_steps=4)
        return opened(answer["data"][0]["b64_json"]).size
    check("xinference image to image", image_to_image)

    def progress():
        model, seen = client.get_model("emoji-nano"), []
        thread = threading.Thread(target=lambda: model.text_to_image(
            "a cat", size="192*192", request_id="watched", num_inference_steps=60))
        thread.start()
        while thread.is_alive():
            try:
                seen.append(client.get_progress("watched")["progress"])
            except RuntimeError:
                pass  # not there yet
            time.sleep(0.02)
        seen.append(client.get_progress("watched")["progress"])
        assert seen == sorted(seen) and seen[-1] == 1 and len(set(seen)) > 3, seen
        return f"{len(set(seen))} values"
    check("xinference progress", progress)


def gradio_checks(base, key):
    from gradio_client import Client
    client = Client(base + "/", verbose=False, analytics_enabled=False,
                    headers={"Authorization": f"Bearer {key}"})

    def previews():
        job = client.submit(prompt="a cat", steps=12, seed=5, api_name="/generate")
        outputs = list(job)
        gallery, seed = job.result()
        assert seed == 5 and len(outputs) > 3, (seed, len(outputs))
        sizes = {Image.open(output[0][0]["image"]).size for output in outputs}
        return f"{len(outputs)} outputs, {sizes}"
    check("gradio previews", previews)

    def cancel():
        job = client.submit(prompt="a cat", steps=200, width=256, height=256, api_name="/generate")
        time.sleep(0.5)
        job.cancel()
        end = time.monotonic() + 20
        while not job.done() and time.monotonic() < end:
            time.sleep(0.05)
        assert job.done()
    check("gradio cancel", cancel)

    def at_once():
        jobs = [client.submit(prompt="a cat", seed=n, api_name="/generate") for n in range(5)]
        assert [job.result()[1] for job in jobs] == list(range(5))
    check("gradio five at once", at_once)

    def error():
        from gradio_client.exceptions import AppError
        try:
            client.predict(prompt="a cat", width=33, api_name="/generate")
        except AppError as error:
            return str(error)[:60]
        raise AssertionError("no error")
    check("gradio error in words", error)


def a1111_checks(base, key):
    import webuiapi
    host, port = base.removeprefix("http://").split(":")
    api = webuiapi.WebUIApi(host=host, port=int(port), username="u", password=key, steps=6)

    def img2img():
        result = api.img2img(images=[Image.open(picture())], prompt="a cat", seed=5, cfg_scale=1.0,
                             width=128, height=128, denoising_strength=0.7)
        info = api.png_info(result.image).info
        assert "Denoising strength" in str(info), info
        return result.image.size
    check("a1111 img2img and png-info", img2img)

    def interrupt():
        outcome = []

        def draw():
            try:
                api.txt2img(prompt="a cat", steps=150, cfg_scale=1.0, width=256, height=256)
                outcome.append("finished")
            except RuntimeError:
                outcome.append("interrupted")
        thread = threading.Thread(target=draw)
        thread.start()
        end = time.monotonic() + 20
        while api.get_progress()["progress"] == 0 and time.monotonic() < end:
            time.sleep(0.02)
        api.interrupt()
        thread.join()
        assert outcome == ["interrupted"], outcome
        progress = api.get_progress()
        assert progress["progress"] == 0 and progress["state"]["job_count"] == 0
    check("a1111 progress and interrupt", interrupt)

    def options():
        api.set_options({"sd_model_checkpoint": "emoji-nano"})
        return api.get_options()["sd_model_checkpoint"]
    check("a1111 options", options)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--inkstone", default=str(PROGRAM))
    arguments = parser.parse_args()
    with RunningServer(arguments.inkstone) as server:
        for key in ("none", None):
            if key is None:
                out = subprocess.run(
                    [arguments.inkstone, "keys", "add", "tests", "--scope", "admin", "--data",
                     str(server.data)], capture_output=True, text=True, check=True)
                key = out.stdout.strip()
                time.sleep(1.2)  # until the running server has heard of it
            smoke = subprocess.run(
                [sys.executable, str(HERE / "smoke.py"), "--base", server.base, "--model",
                 "emoji-nano", "--key", key, "--size", "128x128"])
            check(f"smoke with {'a key' if key != 'none' else 'no key'}",
                  lambda: "" if smoke.returncode == 0 else 1 / 0)
        openai_checks(server.base, key)
        xinference_checks(server.base, key)
        gradio_checks(server.base, key)
        a1111_checks(server.base, key)
    print("all checks passed" if failures == 0 else f"{failures} checks failed")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
