# Part of Inkstone. Licence: see LICENSE.
"""Write the trained parts as a model folder that diffusers and Inkstone read."""

import json
import shutil

import torch
from diffusers import FlowMatchEulerDiscreteScheduler, ZImagePipeline

from . import manifest, world
from .autoencoder import load_autoencoder
from .joint import SHIFT
from .style import STYLES
from .text import make_nano
from .vocabulary import vocabulary


def export(run, folder, weights=None):
    """`weights`: a state of `Nano`; by default the distilled one, else the joint one."""
    tokens, model = make_nano(run)
    if weights is None:
        name = next(n for n in ("distillation.pt", "joint.pt") if run.path(n).exists())
        weights = torch.load(run.path(name), map_location="cpu")
    model.load_state_dict(weights)
    with torch.no_grad():  # the layer that the pipeline never reads costs least as zeros
        for name, p in model.text_encoder.named_parameters():
            if name.startswith("layers.3") and p.ndim == 2:
                p.zero_()
    half = torch.bfloat16
    pipeline = ZImagePipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(
            num_train_timesteps=1000, shift=SHIFT, use_dynamic_shifting=False),
        vae=load_autoencoder(run).cpu().to(half), text_encoder=model.text_encoder.to(half),
        tokenizer=tokens.tokenizer, transformer=model.transformer.to(half))
    folder.mkdir(parents=True, exist_ok=True)
    for part in ("scheduler", "text_encoder", "tokenizer", "transformer", "vae"):
        shutil.rmtree(folder / part, ignore_errors=True)
    pipeline.save_pretrained(folder)
    shutil.rmtree(folder / "tokenizer")
    shutil.copytree(run.path("tokenizer"), folder / "tokenizer")
    for style in STYLES:
        if run.path(f"{style}.safetensors").exists():
            (folder / "loras").mkdir(exist_ok=True)
            shutil.copy(run.path(f"{style}.safetensors"), folder / "loras")
    rows = [{"emoji": t.emoji, "en": t.en, "zh": t.zh} for t in world.things()]
    lines = ",\n".join("  " + json.dumps(row, ensure_ascii=False) for row in rows)
    (folder / "names.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    path = folder / "inkstone.json"
    if path.exists():
        manifest.write(path, manifest.read(path) | {"words": vocabulary()})
    run.say(f"wrote {folder}")
