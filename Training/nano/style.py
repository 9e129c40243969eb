# Part of Inkstone. Licence: see LICENSE.
"""Style LoRAs: low-rank additions that redraw everything the model knows in another manner.

The styles are filters over the same scenes, so no drawings of artists are needed: `pixel` is a mosaic of 4
pixels in a small palette, `sketch` is a pencil drawing on tinted paper.
"""

import random

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.nn.utils.parametrize as parametrize
from PIL import Image, ImageFilter
from safetensors.torch import save_file

from . import prompts, world
from .autoencoder import encode, load_autoencoder, to_tensor
from .joint import JointStage, add_noise
from .optimizer import Optimizer
from .stage import Stage
from .text import make_nano, scale_at

RANK = 16
TARGETS = ("attention.to_q", "attention.to_k", "attention.to_v", "attention.to_out.0",
           "feed_forward.w1", "feed_forward.w2", "feed_forward.w3")
SCENES = 3000


def pixel(picture):
    """Blocks of 4 pixels, six levels a channel."""
    side = picture.shape[0]
    small = Image.fromarray(picture).resize((side // 4, side // 4), Image.BOX)
    levels = np.round(np.asarray(small, np.float32) / 51) * 51
    return np.asarray(Image.fromarray(levels.astype(np.uint8)).resize((side, side), Image.NEAREST))


def sketch(picture):
    """Pencil outlines on paper, with a light shading: each pixel over its blurred surroundings."""
    grey = Image.fromarray(picture).convert("L")
    value = np.asarray(grey, np.float32) + 24
    blurred = np.asarray(grey.filter(ImageFilter.GaussianBlur(2)), np.float32) + 24
    strokes = np.clip(value / blurred, 0.35, 1) ** 2
    shade = 0.86 + 0.14 * value / 279
    paper = np.array((250, 246, 236), np.float32)
    return (paper * (shade * strokes)[..., None]).clip(0, 255).round().astype(np.uint8)


STYLES = {"pixel": pixel, "sketch": sketch}


class LowRank(nn.Module):
    """`weight + up · down`; `up` starts at zero, so that training starts from the model as it is."""

    def __init__(self, weight):
        super().__init__()
        rows, columns = weight.shape
        self.down = nn.Parameter(torch.randn(RANK, columns) / columns ** 0.5)
        self.up = nn.Parameter(torch.zeros(rows, RANK))

    def forward(self, weight):
        return weight + self.up @ self.down


class StyleStage(Stage):
    def __init__(self, run, style):
        self.name, self.filter = f"style-{style}", STYLES[style]
        super().__init__(run, steps=run.budget.style_steps)
        self.style = style
        self.tokens, nano = make_nano(run)
        base = next(n for n in ("distillation.pt", "joint.pt") if run.path(n).exists())
        nano.load_state_dict(torch.load(run.path(base), map_location="cpu"))
        nano.requires_grad_(False)
        self.adapted = []
        for name, module in list(nano.transformer.named_modules()):
            if name.startswith(("layers.", "noise_refiner.")) and name.endswith(TARGETS):
                parametrize.register_parametrization(module, "weight", LowRank(module.weight))
                self.adapted.append((name, module.parametrizations.weight[0]))
        earlier = run.earlier_weights("loras", f"{style}.safetensors")
        for name, pair in self.adapted:
            if earlier:
                pair.down.data.copy_(earlier[f"transformer.{name}.lora_A.weight"])
                pair.up.data.copy_(earlier[f"transformer.{name}.lora_B.weight"])
        self.model = nano
        for _, pair in self.adapted:
            pair.requires_grad_(True)
        self.make_average(nano, 0.97)
        trained = [p for _, pair in self.adapted for p in (pair.down, pair.up)]
        self.optimizer = Optimizer([], trained, 0, 3e-3)
        self.forward = torch.compile(nano, dynamic=False) if run.compile else nano
        self.autoencoder = load_autoencoder(run)
        self.latents, self.scenes = self.styled_scenes()

    @torch.no_grad()
    def styled_scenes(self):
        count = min(SCENES, self.run.budget.cached_scenes)
        rng = random.Random(f"{self.run.seed} {self.name} scenes")
        scenes = [prompts.training_scene(rng, 128, fresh=self.run.fresh_things()) for _ in range(count)]
        parts = []
        for start in range(0, count, 32):
            pictures = [self.filter(world.render(s)) for s in scenes[start:start + 32]]
            with self.run.autocast():
                x = to_tensor(np.stack(pictures)).to(self.run.device)
                parts.append(encode(self.autoencoder, x).bfloat16())
        return torch.cat(parts), scenes

    def batch(self, step):
        rng = random.Random(f"{self.run.seed} {self.name} {step}")
        chosen = [rng.randrange(len(self.scenes)) for _ in range(self.run.budget.batch // 2)]
        texts = [prompts.training_caption(self.scenes[i], rng, self.tokens)[0] for i in chosen]
        ids, mask = self.tokens.batch(texts, 32)
        return self.latents[torch.tensor(chosen)], ids, mask

    def train_step(self, step, batch):
        x0, ids, mask = (part.to(self.run.device) for part in batch)
        x0 = x0.float()
        mixed, noise, sigma = add_noise(self, step, x0)
        with self.run.autocast():
            velocity, _ = self.forward(mixed, 1 - sigma, ids, mask)
        loss = F.mse_loss(velocity, x0 - noise)
        loss.backward()
        self.optimizer.step(scale_at(step, self.steps, 20, 0.7))
        return {"loss": loss.item()}

    report = JointStage.report

    def finish(self):
        """PEFT's layout: `transformer.<layer>.lora_A.weight` is down, `lora_B` is up, alpha is the rank."""
        averaged = dict(self.average.transformer.named_modules())
        tensors = {}
        for name, _ in self.adapted:
            pair = averaged[name].parametrizations.weight[0]
            tensors[f"transformer.{name}.lora_A.weight"] = pair.down.detach().bfloat16().cpu().contiguous()
            tensors[f"transformer.{name}.lora_B.weight"] = pair.up.detach().bfloat16().cpu().contiguous()
        save_file(tensors, self.run.path(f"{self.style}.safetensors"), metadata={
            "format": "pt", "modelspec.title": f"Emoji Nano {self.style}",
            "modelspec.architecture": "z-image/lora", "modelspec.license": "Apache-2.0",
            "modelspec.description": (self.filter.__doc__ or "").split("\n")[0]})
