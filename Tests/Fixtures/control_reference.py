# Part of Inkstone. Licence: see LICENSE.
"""The transformer with side networks (ControlNets), written from its description and not from a library's code.

It evaluates what the authors' code does: the hints of a side network's refiner stage are added to the base's own
image stream as well. `make_control_fixtures.py` first compares it with the pipelines of diffusers, whose side
network it has to agree with, and then computes with it the cases that those pipelines do not have: several side
networks, and a part of the schedule.
"""

import json
import math

import torch
import torch.nn.functional as F
from safetensors.torch import load_file


def linear(tensors, x, name):
    return F.linear(x, tensors[name + ".weight"], tensors.get(name + ".bias"))


def rms(x, weight, epsilon):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + epsilon) * weight


def patches(latents):
    channels, h, w = latents.shape
    split = latents.view(channels, h // 2, 2, w // 2, 2)
    return split.permute(1, 3, 2, 4, 0).reshape(-1, 4 * channels)


def rotate(x, angles):
    cos, sin = angles.cos()[:, None], angles.sin()[:, None]
    p, q = x[..., 0::2], x[..., 1::2]
    return torch.stack([p * cos - q * sin, p * sin + q * cos], -1).flatten(-2)


class SideNetwork:
    """A side network with its version told from its tensors."""

    def __init__(self, tensors, layers):
        self.tensors = {k: v.float() for k, v in tensors.items()}
        own = [int(k.split(".")[1]) for k in tensors if k.startswith("control_layers.")]
        self.count = 1 + max(own)
        self.every = round(layers / self.count)
        after = "control_noise_refiner.0.after_proj.weight"
        if after not in tensors and "control_noise_refiner.0.attention.to_q.weight" in tensors:
            self.kind = "plain"
        else:
            self.kind = "own" if after in tensors and tensors[after].any() else "layers"

    def block(self, base, c, name, time, angles, x=None):
        """The control stream after a block, given the base's tokens before the stage for the first."""
        if x is not None:
            c = linear(self.tensors, c, name + "before_proj") + x
        return base.block(self.tensors, name, c, angles, time)

    def hint(self, c, name):
        return linear(self.tensors, c, name + "after_proj")


class Reference:
    """The transformer of a checkpoint folder."""

    def __init__(self, folder):
        self.tensors = {}
        for path in sorted((folder / "transformer").glob("*.safetensors")):
            self.tensors |= {k: v.float() for k, v in load_file(path).items()}
        self.config = json.loads((folder / "transformer/config.json").read_text())

    def block(self, tensors, name, x, angles, time=None):
        epsilon, heads = self.config["norm_eps"], self.config["n_heads"]
        width = self.config["dim"] // heads
        scale1 = scale2 = 0.0
        gate1 = gate2 = 1.0
        if time is not None:
            parts = linear(tensors, time, name + "adaLN_modulation.0").chunk(4)
            scale1, gate1, scale2, gate2 = parts[0], parts[1].tanh(), parts[2], parts[3].tanh()
        h = rms(x, tensors[name + "attention_norm1.weight"], epsilon) * (1 + scale1)
        q, k, v = (linear(tensors, h, f"{name}attention.to_{t}").view(-1, heads, width)
                   for t in "qkv")
        q, k = (rotate(rms(t, tensors[f"{name}attention.norm_{m}.weight"], 1e-5), angles)
                for t, m in ((q, "q"), (k, "k")))
        q, k, v = (t.transpose(0, 1) for t in (q, k, v))
        h = F.scaled_dot_product_attention(q, k, v).transpose(0, 1).flatten(1)
        h = linear(tensors, h, name + "attention.to_out.0")
        x = x + gate1 * rms(h, tensors[name + "attention_norm2.weight"], epsilon)
        h = rms(x, tensors[name + "ffn_norm1.weight"], epsilon) * (1 + scale2)
        gate = F.silu(linear(tensors, h, name + "feed_forward.w1"))
        h = linear(tensors, gate * linear(tensors, h, name + "feed_forward.w3"),
                   name + "feed_forward.w2")
        return x + gate2 * rms(h, tensors[name + "ffn_norm2.weight"], epsilon)

    def angles(self, positions):
        parts = []
        for axis, width in enumerate(self.config["axes_dims"]):
            powers = -torch.arange(0, width, 2).double() / width
            waves = self.config["rope_theta"] ** powers
            parts.append((positions[:, axis : axis + 1].double() * waves).float())
        return torch.cat(parts, 1)

    def embed_time(self, time):
        waves = torch.exp(-math.log(10000) * torch.arange(128).float() / 128)
        a = time * self.config["t_scale"] * waves
        hidden = linear(self.tensors, torch.cat([a.cos(), a.sin()]), "t_embedder.mlp.0")
        return linear(self.tensors, F.silu(hidden), "t_embedder.mlp.2")

    def __call__(self, latents, time, features, sides=()):
        """The raw output; `sides` are triples of a side network, its input and its strength."""
        own, epsilon = self.tensors, self.config["norm_eps"]
        e = self.embed_time(time)
        channels, h, w = latents.shape
        rows, columns = h // 2, w // 2
        count, length = rows * columns, len(features)
        padding, padded = -count % 32, length + -length % 32
        pads = own["x_pad_token"].expand(padding, -1)
        x = torch.cat([linear(own, patches(latents), "all_x_embedder.2-1"), pads])
        yy, xx = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
        grid = torch.stack([torch.full((count,), padded + 1), yy.flatten(), xx.flatten()], 1)
        image_angles = self.angles(torch.cat([grid, torch.zeros(padding, 3).long()]))
        zeros = torch.zeros(padded).long()
        text_angles = self.angles(torch.stack([torch.arange(1, padded + 1), zeros, zeros], 1))
        y = linear(own, rms(features, own["cap_embedder.0.weight"], epsilon), "cap_embedder.1")
        y = torch.cat([y, own["cap_pad_token"].expand(padded - length, -1)])
        streams, refiner = [], []
        for side, given, scale in sides:
            c = linear(side.tensors, patches(given), "control_all_x_embedder.2-1")
            c, hints = torch.cat([c, pads]), []
            total = side.count if side.kind == "layers" else self.config["n_refiner_layers"]
            for k in range(total):
                name = ("control_layers" if side.kind == "layers" else "control_noise_refiner")
                name = f"{name}.{k}."
                seen = x if k == 0 and side.kind != "plain" else None
                c = side.block(self, c, name, e, image_angles, seen)
                if side.kind != "plain":
                    hints.append(scale * side.hint(c, name))
            streams.append(c)
            refiner.append(hints)
        for r in range(self.config["n_refiner_layers"]):
            x = self.block(own, f"noise_refiner.{r}.", x, image_angles, e)
            x = sum((hints[r] for hints in refiner if r < len(hints)), x)
        for r in range(self.config["n_refiner_layers"]):
            y = self.block(own, f"context_refiner.{r}.", y, text_angles)
        angles = torch.cat([image_angles, text_angles])
        u = seen = torch.cat([x, y])
        streams = [torch.cat([c, y]) for c in streams]
        for i in range(self.config["n_layers"]):
            u = self.block(own, f"layers.{i}.", u, angles, e)
            for s, (side, _, scale) in enumerate(sides):
                k = i // side.every
                if i % side.every or k >= side.count:
                    continue
                name = f"control_layers.{k}."
                streams[s] = side.block(
                    self, streams[s], name, e, angles, seen if k == 0 else None)
                u = u + scale * side.hint(streams[s], name)
        u = F.layer_norm(u[:count], (self.config["dim"],), eps=1e-6)
        u = u * (1 + linear(own, F.silu(e), "all_final_layer.2-1.adaLN_modulation.1"))
        u = linear(own, u, "all_final_layer.2-1.linear")
        u = u.view(rows, columns, 2, 2, channels).permute(4, 0, 2, 1, 3)
        return u.reshape(channels, h, w)

    def sample(self, latents, sigmas, positive, negative, guidance, sides, ranges):
        """Latents after each step, and the positive output of each."""
        x, steps, outputs = latents, [], []
        count = len(sigmas) - 1
        for i in range(count):
            time = (1000 - sigmas[i] * 1000) / 1000
            active = [s for s, (start, end) in zip(sides, ranges) if start <= i / count <= end]
            out = self(x, time, positive, active)
            outputs.append(out)
            if guidance > 0:
                out = out + guidance * (out - self(x, time, negative, active))
            x = x - (sigmas[i + 1] - sigmas[i]) * out
            steps.append(x)
        return torch.stack(steps), torch.stack(outputs)
