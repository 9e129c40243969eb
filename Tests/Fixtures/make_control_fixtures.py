#!/usr/bin/env python3
# Part of Inkstone. Licence: see LICENSE.
"""Write `control/`: tiny side networks (ControlNets) of all versions beside a tiny checkpoint, and what they do.

The side networks are of diffusers' own class, with random weights. Their files have the forms that exist: a folder,
the single file as its authors publish it (that of version 2.0 has a refiner that is never used), and one with the
fused names of converted files. `goldens.safetensors` has the latents after every step of each run in `case.json`.

Runs with one side network over all steps are computed by the pipelines of diffusers, to which the side network's
refiner hints are given that they leave out for the versions 2.x; see `control_reference.py`, which computes the
other runs after it has agreed with all of those. Needs torch, diffusers, transformers and safetensors.
"""

import json
import pathlib
import shutil

import make_parity_fixtures as parity
import numpy
import torch
from control_reference import Reference, SideNetwork
from diffusers import (
    ZImageControlNetInpaintPipeline,
    ZImageControlNetModel,
    ZImageControlNetPipeline,
)
from PIL import Image
from reference_run import load
from safetensors.torch import save_file
from tiny_checkpoint import TinyConfig, build, randomize

FOLDER = pathlib.Path(__file__).resolve().parent / "control"
BASE = TinyConfig(
    seed=9, dim=32, heads=2, axes=(8, 4, 4), layers=6, refiners=2, text_dim=24, text_ffn=48,
    text_layers=2, text_heads=2, text_kv_heads=1, text_head_dim=12, vae_channels=(4, 4, 8, 8))
WIDTH, HEIGHT, STEPS, SEED = 64, 96, 4, 5
PROMPT = "a cat's café, 12 red chairs -- photo of a mountain lake, 4k!!"
REFINERS = dict(control_refiner_layers_places=[0, 1], control_in_dim=33)
VERSIONS = {
    "1.0": dict(control_layers_places=[0, 3], control_in_dim=16),
    "2.0": dict(control_layers_places=[0, 2, 4], add_control_noise_refiner="control_layers",
                **REFINERS),
    "2.1": dict(control_layers_places=[0, 2, 4],
                add_control_noise_refiner="control_noise_refiner", **REFINERS),
    "lite": dict(control_layers_places=[0], add_control_noise_refiner="control_noise_refiner",
                 **REFINERS),
}


def run(name, nets, guidance=0.0, strength=0.75, start=0.0, end=1.0, inpaint=False):
    return dict(name=name, nets=nets, guidance_scale=guidance, strength=strength, start=start,
                end=end, inpaint=inpaint)


RUNS = [run(f"{v}-g{g:g}", [v], guidance=g) for v in VERSIONS for g in (0.0, 5.0)] + [
    run(f"{v}-inpaint", [v], inpaint=True) for v in VERSIONS if v != "1.0"] + [
    run("strength-0.3", ["2.1"], strength=0.3), run("strength-1", ["2.1"], strength=1.0),
    run("range", ["2.1"], guidance=2.0, start=0.25, end=0.5),
    run("two", ["1.0", "lite"], guidance=5.0, strength=0.5)]


def make_net(version, index):
    common = dict(dim=BASE.dim, n_refiner_layers=BASE.refiners, n_heads=BASE.heads,
                  n_kv_heads=BASE.heads)
    net = ZImageControlNetModel(**VERSIONS[version], **common).eval()
    randomize(net, torch.Generator("cpu").manual_seed(1000 + index))
    net.to(torch.bfloat16)
    tensors = dict(net.state_dict())
    own = {k: v for k, v in tensors.items() if k.startswith("control_")}
    if version == "2.0":
        ghost = ZImageControlNetModel(**VERSIONS["2.1"], **common).state_dict()
        for k, v in ghost.items():
            if k.startswith("control_noise_refiner."):
                own[k] = (torch.zeros_like(v) if "_proj" in k else v).bfloat16()
    return net, own


def fused(tensors):
    """The names of converted files."""
    result = {}
    for k, v in tensors.items():
        if ".attention.to_q." in k:
            parts = [tensors[k.replace("to_q", "to_" + t)] for t in "qkv"]
            result[k.replace("to_q", "qkv")] = torch.cat(parts)
        elif ".attention.to_k." not in k and ".attention.to_v." not in k:
            for old, new in ((".to_out.0.", ".out."), (".norm_q.", ".q_norm."),
                             (".norm_k.", ".k_norm.")):
                k = k.replace(old, new)
            result[k] = v
    return result


def pictures():
    y, x = numpy.mgrid[0:HEIGHT, 0:WIDTH].astype(numpy.float32)
    ring = abs(numpy.hypot(y - HEIGHT * 0.45, x - WIDTH * 0.55) - WIDTH * 0.3) < 2.5
    line = abs(y - 0.5 * x - 3) < 1.5
    control = numpy.where(ring | line, 255, 0).astype(numpy.uint8)[..., None].repeat(3, 2)
    image = numpy.stack([255 * y / HEIGHT, 255 * x / WIDTH,
                         127 + 100 * numpy.sin(y / 7) * numpy.cos(x / 5)], 2)
    mask = numpy.zeros((HEIGHT, WIDTH), numpy.uint8)
    mask[HEIGHT // 3 + 3 : HEIGHT - 5, WIDTH // 4 + 2 : WIDTH - WIDTH // 3 - 1] = 255
    return control, image.clip(0, 255).astype(numpy.uint8), mask


class SharedStream:
    """Adds the refiner hints of a side network to the base's own image stream, as its authors do."""

    def __init__(self, net, transformer):
        self.hints, self.scale, self.calls, self.in_base = None, 1.0, 0, False
        kind = net.add_control_noise_refiner
        self.undo = []
        if kind == "control_noise_refiner":
            for block in net.control_noise_refiner:
                self.undo.append(block.register_forward_hook(self.collect).remove)
        if kind == "control_layers":
            for block in net.control_layers:
                hook = lambda m, i, o, n=len(net.control_layers): self.first_pass(o, n)
                self.undo.append(block.register_forward_hook(hook).remove)
        for index, block in enumerate(transformer.noise_refiner):
            hook = lambda m, i, o, r=index: self.inject(r, o)
            self.undo.append(block.register_forward_hook(hook).remove)
        self.forwards = [(net, net.forward), (transformer, transformer.forward)]
        net.forward, transformer.forward = self.side, self.base

    def collect(self, module, inputs, output):
        self.hints = output[:-1].detach()

    def first_pass(self, output, count):
        if self.calls < count:
            self.hints = output[:-1].detach()
        self.calls += 1

    def inject(self, index, output):
        if self.in_base and self.hints is not None:
            return output + self.hints[index] * self.scale
        return None

    def side(self, *arguments, **named):
        self.scale, self.calls = named.get("conditioning_scale", 1.0), 0
        return self.forwards[0][1](*arguments, **named)

    def base(self, *arguments, **named):
        self.in_base = True
        result = self.forwards[1][1](*arguments, **named)
        self.in_base = False
        return result

    def close(self):
        for undo in self.undo:
            undo()
        for module, forward in self.forwards:
            module.forward = forward


def run_pipeline(base, net, case, noise, images):
    """Latents after each step, and the input that the side network was given."""
    kind = ZImageControlNetInpaintPipeline if case["inpaint"] else ZImageControlNetPipeline
    parts = {k: getattr(base, k)
             for k in ("scheduler", "vae", "text_encoder", "tokenizer", "transformer")}
    pipe = kind(controlnet=net, **parts)
    pipe.set_progress_bar_config(disable=True)
    stream, steps, given = SharedStream(net, base.transformer), [], []
    forward = net.forward

    def note(*arguments, **named):
        given.append(arguments[3][0, :, 0].detach().clone())
        return forward(*arguments, **named)

    net.forward = note
    extra = {}
    if case["inpaint"]:
        extra = dict(image=Image.fromarray(images[1]), mask_image=Image.fromarray(images[2]))
    pipe(prompt=PROMPT, negative_prompt="", height=HEIGHT, width=WIDTH,
         num_inference_steps=STEPS, guidance_scale=case["guidance_scale"],
         control_image=Image.fromarray(images[0]), latents=noise[None].clone(),
         controlnet_conditioning_scale=case["strength"], output_type="latent", **extra,
         callback_on_step_end=lambda p, i, t, k: steps.append(k["latents"][0].clone()) or {})
    stream.close()
    return torch.stack(steps), given[0]


def main():
    torch.set_grad_enabled(False)
    torch.set_num_threads(1)
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    build(BASE, FOLDER / "base")
    parity.share_time_embedder(FOLDER / "base/transformer")
    base, reference = load(FOLDER / "base"), Reference(FOLDER / "base")
    images = pictures()
    nets, sides = {}, {}
    for index, version in enumerate(VERSIONS):
        net, own = make_net(version, index)
        if version == "2.1":
            net.save_pretrained(FOLDER / "net-2.1")
            shutil.rmtree(FOLDER / "net-2.1" / ".cache", ignore_errors=True)
        else:
            kept = fused(own) if version == "lite" else own
            save_file({k: v.contiguous() for k, v in kept.items()},
                      FOLDER / f"net-{version}.safetensors", metadata={"format": "pt"})
        sides[version] = SideNetwork(own, BASE.layers)
        nets[version] = ZImageControlNetModel.from_transformer(
            net.float(), base.transformer)
    noise = torch.randn((16, HEIGHT // 8, WIDTH // 8),
                        generator=torch.Generator("cpu").manual_seed(SEED))
    features = [base.encode_prompt(t, do_classifier_free_guidance=False)[0][0]
                for t in (PROMPT, "")]
    goldens, contexts = {}, {}
    for case in RUNS:
        name = case["name"]
        alone = len(case["nets"]) == 1 and (case["start"], case["end"]) == (0, 1)
        wide = lambda net: (net, case["inpaint"])
        if alone:
            steps, contexts[wide(case["nets"][0])] = run_pipeline(
                base, nets[case["nets"][0]], case, noise, images)
        given = [(sides[net], contexts[wide(net)], case["strength"]) for net in case["nets"]]
        own, outputs = reference.sample(
            noise, base.scheduler.sigmas, *features, case["guidance_scale"], given,
            [(case["start"], case["end"])] * len(given))
        if alone:
            error = (own - steps).abs().max().item()
            print(f"{name}: the two references differ by {error:.1e}")
            assert error < 1e-4, name
        goldens[f"{name}.latents"] = steps if alone else own
        goldens[f"{name}.output"] = outputs[0]
    for name, pixels in zip(("control", "image", "mask"), images):
        goldens[name] = torch.from_numpy(pixels)
    goldens["features"] = features[0]
    goldens["context"] = contexts[("2.1", False)]
    goldens["inpaint.context"] = contexts[("2.1", True)]
    parity.save_tensors(FOLDER / "goldens.safetensors", goldens, prompt=PROMPT)
    case = dict(prompt=PROMPT, width=WIDTH, height=HEIGHT, steps=STEPS, seed=SEED, runs=RUNS)
    (FOLDER / "case.json").write_text(json.dumps(case, ensure_ascii=False, indent=1) + "\n")
    for path in FOLDER.rglob("*"):
        if path.is_file() and not path.is_symlink():
            path.chmod(0o644)
    total = sum(p.stat().st_size for p in FOLDER.rglob("*") if p.is_file() and not p.is_symlink())
    print(f"{total / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
