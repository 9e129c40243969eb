# Part of Inkstone. Licence: see LICENSE.
"""Run the reference pipelines on a checkpoint folder and keep what an engine must reproduce.

A run is a dictionary, the same that `case.json` holds (fields: `RUN_DEFAULTS`). The result is a
dictionary of tensors under the names of `README.md`, which are also those of
`inkstone generate --trace`.
"""

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy
import torch
from diffusers import ZImageImg2ImgPipeline, ZImagePipeline
from PIL import Image

RUN_DEFAULTS = {
    "name": "", "prompt": "", "negative_prompt": "", "width": 64, "height": 64, "steps": 4,
    "guidance_scale": 0.0, "cfg_normalization": 0.0, "cfg_truncation": 1.0, "seed": 0,
    "strength": None,
}


def load(folder, dtype=torch.float32):
    """The text-to-image pipeline with every part in `dtype`."""
    pipeline = ZImagePipeline.from_pretrained(folder, torch_dtype=dtype)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def make_image(width, height):
    """A fixed picture for the encoder: smooth ramps, a hard edge and a little texture.

    - Shapes: `[height, width, 3]`, unsigned bytes.
    """
    y, x = numpy.mgrid[0:height, 0:width]
    red = 255 * x // max(width - 1, 1)
    green = 255 * y // max(height - 1, 1)
    blue = numpy.where((x - width // 2) ** 2 + (y - height // 2) ** 2 < (height // 3) ** 2, 230, 40)
    texture = (x * 7 + y * 13) % 11
    pixels = numpy.stack([red, green, blue], -1) - texture[..., None]
    return pixels.clip(0, 255).astype(numpy.uint8)


def input_ids(pipeline, prompt):
    """Token ids of the templated prompt, cut at 512 and without padding."""
    chat = pipeline.tokenizer.apply_chat_template(
        [{"role": "user", "content": prompt}], tokenize=False, add_generation_prompt=True,
        enable_thinking=True,
    )
    encoded = pipeline.tokenizer([chat], max_length=512, truncation=True, return_tensors="pt")
    return encoded.input_ids[0].to(torch.int32)


class Recorder:
    """Collects raw outputs of every transformer call and the parts of the first one."""

    def __init__(self, transformer):
        self.calls, self.parts = [], {}
        self._transformer, self._forward = transformer, transformer.forward
        named = {
            "t_emb": transformer.t_embedder,
            "x_embedded": transformer.all_x_embedder["2-1"],
            "cap_embedded": transformer.cap_embedder,
            "final_layer": transformer.all_final_layer["2-1"],
        }
        for group in ("noise_refiner", "context_refiner", "layers"):
            for index, block in enumerate(getattr(transformer, group)):
                named[f"{group}.{index}"] = block
        self._hooks = [m.register_forward_hook(self._keep(n)) for n, m in named.items()]

    def _keep(self, name):
        def hook(module, inputs, output):
            # No return value: a hook's return value would replace the module's output.
            self.parts.setdefault(name, output.detach().clone())
        return hook

    def __enter__(self):
        def forward(*args, **kwargs):
            output = self._forward(*args, **kwargs)
            samples = output[0] if isinstance(output, tuple) else output.sample
            self.calls.append(torch.stack([s.detach().clone() for s in samples]))
            return output

        self._transformer.forward = forward
        return self

    def __exit__(self, *exception):
        self._transformer.forward = self._forward
        for hook in self._hooks:
            hook.remove()


@torch.no_grad()
def run_reference(pipeline, run, latents=None):
    """All tensors of one run, text features to pixels.

    - Shapes: see `README.md`. `latents` replaces the drawn noise, `[1, C, H/8, W/8]`.
    """
    run = {**RUN_DEFAULTS, **run}
    tensors = {}
    texts = {"pos": run["prompt"]}
    if run["guidance_scale"] > 0:
        texts["neg"] = run["negative_prompt"]
    for branch, text in texts.items():
        tensors[f"{branch}.input_ids"] = input_ids(pipeline, text)
        features = pipeline.encode_prompt(text, do_classifier_free_guidance=False)[0][0]
        tensors[f"{branch}.text_features"] = features.float()

    steps = []

    def keep(_, index, timestep, values):
        steps.append(values["latents"].detach().clone())
        return {}

    shape = (1, pipeline.transformer.config.in_channels,
             2 * (run["height"] // 16), 2 * (run["width"] // 16))
    generator = torch.Generator("cpu").manual_seed(run["seed"])
    common = {
        "prompt": run["prompt"], "negative_prompt": run["negative_prompt"],
        "height": run["height"], "width": run["width"], "num_inference_steps": run["steps"],
        "guidance_scale": run["guidance_scale"],
        "cfg_normalization": run["cfg_normalization"] or False,
        "cfg_truncation": run["cfg_truncation"], "output_type": "latent",
        "callback_on_step_end": keep,
    }
    with Recorder(pipeline.transformer) as recorder:
        if run["strength"] is None:
            noise = torch.randn(shape, generator=generator) if latents is None else latents
            tensors["latents.init"] = noise
            pipeline(**common, latents=noise.clone())
        else:
            tensors.update(run_image_to_image(pipeline, run, common, generator, shape))
    tensors["sigmas"] = pipeline.scheduler.sigmas.clone()
    for index, output in enumerate(recorder.calls):
        tensors[f"transformer_out.{index}"] = output.float()
    for name, output in recorder.parts.items():
        tensors[f"trace.{name}"] = output.float()
    tensors["latents"] = torch.cat(steps)
    scaled = steps[-1].to(pipeline.vae.dtype) / pipeline.vae.config.scaling_factor
    decoded = pipeline.vae.decode(scaled + pipeline.vae.config.shift_factor, return_dict=False)[0]
    tensors["decoded"] = decoded.float()
    picture = pipeline.image_processor.postprocess(decoded.float(), output_type="np")[0]
    tensors["rgb8"] = torch.from_numpy((picture * 255).round().astype("uint8"))
    return tensors


def run_image_to_image(pipeline, run, common, generator, shape):
    """Start from `make_image`: the tensors that only this kind of run has.

    The generator is used for the autoencoder's sample first and for the noise second.
    """
    pixels = make_image(run["width"], run["height"])
    tensors = {"image": torch.from_numpy(pixels)}
    source = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255 * 2 - 1
    distribution = pipeline.vae.encode(source).latent_dist
    tensors["vae.encode_moments"] = distribution.parameters
    twin = torch.Generator("cpu").manual_seed(run["seed"])
    sample = distribution.sample(twin)
    config = pipeline.vae.config
    clean = (sample - config.shift_factor) * config.scaling_factor
    noise = torch.randn(shape, generator=twin)
    tensors["image_latents"], tensors["noise"] = clean, noise
    other = ZImageImg2ImgPipeline(**pipeline.components)
    other.set_progress_bar_config(disable=True)
    other(**common, image=Image.fromarray(pixels), strength=run["strength"], generator=generator)
    keep = min(run["steps"] * run["strength"], run["steps"])
    sigma = pipeline.scheduler.sigmas[int(max(run["steps"] - keep, 0))]
    tensors["latents.init"] = sigma * noise + (1 - sigma) * clean
    return tensors
