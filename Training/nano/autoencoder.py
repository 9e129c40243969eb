# Part of Inkstone. Licence: see LICENSE.
"""The autoencoder: diffusers' `AutoencoderKL` with 16 latent channels at an eighth of the side."""

import math
import random

import numpy as np
import torch
from diffusers import AutoencoderKL

from . import world
from .optimizer import Optimizer
from .stage import Stage, generator_for

SCALING, SHIFT = 0.3611, 0.1159  # Z-Image's own, kept; see `fold_scale`
CHANNELS = (16, 32, 64, 96)
KL_WEIGHT = 4e-4


def make_autoencoder():
    return AutoencoderKL(
        in_channels=3, out_channels=3, latent_channels=16, block_out_channels=CHANNELS,
        layers_per_block=1, down_block_types=["DownEncoderBlock2D"] * len(CHANNELS),
        up_block_types=["UpDecoderBlock2D"] * len(CHANNELS), norm_num_groups=8, sample_size=128,
        scaling_factor=SCALING, shift_factor=SHIFT, use_quant_conv=False, use_post_quant_conv=False,
        mid_block_add_attention=True)


def to_tensor(pictures):
    """uint8 `[n, h, w, 3]` to float `[n, 3, h, w]` in -1...1."""
    return torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1


def to_pictures(tensor):
    """The reverse, clamped and rounded."""
    return ((tensor.float().clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()


def encode(model, pictures):
    """Model latents `[n, 16, h / 8, w / 8]` of tensors in -1...1."""
    return (model.encode(pictures).latent_dist.mode().float() - SHIFT) * SCALING


def decode(model, latents):
    return model.decode(latents / SCALING + SHIFT).sample


def psnr(a, b):
    """Per picture, of tensors in -1...1."""
    return 10 * torch.log10(4 / (a - b).square().mean((1, 2, 3)))


def training_picture(rng, side):
    """Three in four a scene of the world or a crop of one; the rest anything anywhere, so that the
    autoencoder also holds what the transformer never draws (styles, other sizes, other colours)."""
    if rng.random() < 0.75:
        scene = world.random_scene(rng, rng.choice(world.SIDES))
        dx, dy = (rng.randint(0, (scene.side - side) // 8) * 8 for _ in range(2))
        placed = [(world.emoji_of(t), size, x - dx, y - dy)
                  for t, (size, x, y) in zip(scene.things, scene.places)]
        back = world.backdrop(scene.background, scene.side)
        if isinstance(back, np.ndarray):
            back = back[dy:dy + side, dx:dx + side]
        return world.compose(side, back, placed)
    colour = tuple(rng.randrange(256) for _ in range(3))
    placed = [(rng.choice(world.things()).emoji, rng.choice((48, 64, 80, 96, 112, 128)),
               rng.randint(-64, side - 32), rng.randint(-64, side - 32)) for _ in range(2)]
    return world.compose(side, colour, placed)


def gradients(x):
    return x[..., 1:, :] - x[..., :-1, :], x[..., 1:] - x[..., :-1]


class AutoencoderStage(Stage):
    """L1, L1 of the gradients and MSE, with a small KL; crops first, whole pictures for the last part
    (group norm's statistics of a crop are not those of a picture)."""

    name = "autoencoder"

    def __init__(self, run):
        super().__init__(run, steps=run.budget.autoencoder_steps)
        self.model = make_autoencoder()
        earlier = run.earlier_weights("vae")
        if earlier:
            self.model.load_state_dict(earlier)
        matrices = [p for p in self.model.parameters() if p.ndim >= 2]
        others = [p for p in self.model.parameters() if p.ndim < 2]
        self.optimizer = Optimizer(matrices, others, rate=3e-3 if earlier else 6e-3,
                                   other_rate=1e-3 if earlier else 2e-3)
        self.make_average(self.model, 0.999)


    def forward(self, x, noise):
        """Reconstruction from a drawn latent, and the mean and log variance it was drawn by."""
        moments = self.model.encoder(x).float()
        mean, logvar = moments.chunk(2, 1)
        logvar = logvar.clamp(-30, 20)
        return self.model.decoder(mean + noise * (0.5 * logvar).exp()).float(), mean, logvar

    def batch(self, step):
        rng = random.Random(f"{self.run.seed} {self.name} {step}")
        side, count = (64, 16) if step < 0.6 * self.steps else (128, 4)
        return to_tensor(np.stack([training_picture(rng, side) for _ in range(count)]))

    def train_step(self, step, x):
        noise = torch.randn(len(x), 16, x.shape[2] // 8, x.shape[3] // 8,
                            generator=generator_for(self, step)).to(x.device)
        with self.run.autocast():
            y, mean, logvar = self.forward(x, noise)
        absolute, squared = (y - x).abs().mean(), (y - x).square().mean()
        edges = sum((a - b).abs().mean() for a, b in zip(gradients(y), gradients(x)))
        kl = 0.5 * (mean.square() + logvar.exp() - 1 - logvar).mean()
        loss = absolute + 0.5 * edges + 4 * squared + KL_WEIGHT * kl
        loss.backward()
        progress = step / self.steps
        self.optimizer.step(min(1, (step + 1) / 50) * (0.01 + 0.495 * (1 + math.cos(math.pi * progress))))
        return {"loss": loss.item(), "psnr": 10 * math.log10(4 / squared.item()), "kl": kl.item()}

    @torch.no_grad()
    def report(self, model=None):
        model = model or self.average
        rng = random.Random("autoencoder validation")
        x = to_tensor(np.stack([world.render(world.random_scene(rng, 128)) for _ in range(64)]))
        y = torch.cat([model.decode(model.encode(part).latent_dist.mode()).sample.clamp(-1, 1)
                       for part in x.to(self.run.device).split(16)]).cpu()
        self.run.save_grid(f"autoencoder-{self.done:06d}.png",
                           to_pictures(torch.stack([x[:16], y[:16]], 1).flatten(0, 1)), columns=8)
        return {"validation_psnr": psnr(x, y).mean().item()}

    def finish(self):
        model = self.average
        if self.steps:
            fold_scale(model, self.run.device)
        torch.save(model.state_dict(), self.run.path("autoencoder.pt"))


@torch.no_grad()
def fold_scale(model, device="cpu"):
    """Give model latents a standard deviation of 1 in every channel under Z-Image's scaling and shift,
    by folding a factor into the encoder's last and the decoder's first convolution. Only a factor
    folds exactly; the zero padding of the decoder's convolution spoils a shift."""
    rng = random.Random("autoencoder scale")
    x = to_tensor(np.stack([world.render(world.random_scene(rng, 128)) for _ in range(256)]))
    z = torch.cat([model.encode(part).latent_dist.mode() for part in x.to(device).split(16)])
    factor = 1 / (SCALING * z.std((0, 2, 3)))
    last, first = model.encoder.conv_out, model.decoder.conv_in
    last.weight[:16] *= factor[:, None, None, None]
    last.bias[:16] *= factor
    last.bias[16:] += 2 * factor.log()
    first.weight /= factor[None, :, None, None]


def load_autoencoder(run):
    model = make_autoencoder()
    model.load_state_dict(torch.load(run.path("autoencoder.pt"), map_location="cpu"))
    return model.to(run.device).eval().requires_grad_(False)
