#!/usr/bin/env python3
# Part of Inkstone. Licence: see LICENSE.
"""A second implementation to measure beside inkstone: diffusers behind the OpenAI image dialect.

    diffusers_server.py [--port 9995] [--model Models/emoji-nano] [--threads 2]

One picture at a time, as most such servers do; needs torch, diffusers, Pillow and Flask. Previews are the
latents times the model's own preview matrix, so that they cost next to nothing.
"""

import argparse, base64, io, json, os, pathlib, queue, threading

os.environ.setdefault("HF_HUB_OFFLINE", "1")
import flask, numpy, torch
from diffusers import ZImagePipeline
from PIL import Image

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--port", type=int, default=9995)
parser.add_argument("--model", default=str(ROOT / "Models/emoji-nano"))
parser.add_argument("--threads", type=int, default=os.cpu_count())
arguments = parser.parse_args()

torch.set_num_threads(arguments.threads)
pipeline = ZImagePipeline.from_pretrained(arguments.model, torch_dtype=torch.float32)
pipeline.set_progress_bar_config(disable=True)
colors = json.loads((pathlib.Path(arguments.model) / "inkstone.json").read_text())["preview"]
device, app = threading.Lock(), flask.Flask(__name__)


def png(image):
    file = io.BytesIO()
    image.save(file, "png")
    return base64.b64encode(file.getvalue()).decode()


def preview(latents, size):
    rgb = numpy.einsum("chw,ck->hwk", latents[0].float().numpy(), colors["factors"]) + colors["bias"]
    return Image.fromarray(((rgb.clip(-1, 1) + 1) * 127.5).astype("uint8")).resize(size)


def draw(body, tell):
    """Draws a picture; `tell` gets an event for each preview and for the picture."""
    width, height = map(int, body["size"].split("x"))
    steps, count = body.get("num_inference_steps", 8), body.get("partial_images", 0)
    due = [max(1, (k + 1) * steps // (count + 1)) for k in range(count)]

    def after(_, step, __, values):
        if step + 1 in due:
            tell("partial_image", png(preview(values["latents"], (width, height))))
        return values

    with device, torch.inference_mode():
        image = pipeline(
            prompt=body["prompt"], width=width, height=height, num_inference_steps=steps,
            guidance_scale=body.get("guidance_scale", 0), callback_on_step_end=after,
            generator=torch.Generator("cpu").manual_seed(body["seed"])).images[0]
    tell("completed", png(image))


@app.post("/v1/images/generations")
def generate():
    body, events = flask.request.get_json(), queue.Queue()

    def work():
        try:
            draw(body, lambda kind, data: events.put({"type": "image_generation." + kind, "b64_json": data}))
        except Exception as error:  # told to the client
            events.put({"type": "error", "error": {"message": str(error)}})
        events.put(None)

    threading.Thread(target=work).start()
    rows = iter(events.get, None)
    if not body.get("stream"):
        return {"data": [{"b64_json": list(rows)[-1]["b64_json"]}]}
    return flask.Response((f"event: {row['type']}\ndata: {json.dumps(row)}\n\n" for row in rows),
                          mimetype="text/event-stream")


@app.get("/readyz")
def ready():
    return "ok"


app.run(port=arguments.port, threaded=True)
