# Part of Inkstone. Licence: see LICENSE.
"""Muon for matrices, AdamW for the rest.

Muon (Jordan et al., 2024) replaces the momentum of a matrix by the nearest orthogonal matrix, found
by a Newton-Schulz iteration. Updates are scaled by 0.2 sqrt(max(rows, columns)), so that their root
mean square is that of AdamW and one learning rate serves all shapes (Liu et al., 2025).
"""

import collections
import math

import torch

COEFFICIENTS = (3.4445, -4.7750, 2.0315)


@torch.no_grad()
def orthogonalize(stack, iterations=5):
    """`[n, rows, columns]` to n nearly orthogonal matrices."""
    a, b, c = COEFFICIENTS
    x = stack.bfloat16() if min(stack.shape[-2:]) >= 128 else stack
    tall = x.shape[-2] > x.shape[-1]
    if tall:
        x = x.mT
    x = x / (x.norm(dim=(-2, -1), keepdim=True) * 1.01 + 1e-7)
    for _ in range(iterations):
        gram = x @ x.mT
        x = a * x + (b * gram + c * (gram @ gram)) @ x
    return (x.mT if tall else x).float()


class Optimizer:
    """`matrices` are updated by Muon, `others` by AdamW; `step(scale)` multiplies both rates."""

    def __init__(self, matrices, others, rate, other_rate, momentum=0.95, decay=0.0):
        self.matrices, self.others = list(matrices), list(others)
        self.rate, self.other_rate = rate, other_rate
        self.momentum, self.decay = momentum, decay
        self.buffers = [torch.zeros_like(p) for p in self.matrices]
        self.adam = torch.optim.AdamW(
            self.others, lr=other_rate, betas=(0.9, 0.98), eps=1e-10, weight_decay=0.0, fused=True)
        self.groups = collections.defaultdict(list)
        for index, p in enumerate(self.matrices):
            self.groups[(p.shape[0], p.numel() // p.shape[0])].append(index)

    @torch.no_grad()
    def step(self, scale=1.0):
        for group in self.adam.param_groups:
            group["lr"] = self.other_rate * scale
        self.adam.step()
        for (rows, columns), indices in self.groups.items():
            parameters = [self.matrices[i] for i in indices]
            buffers = [self.buffers[i] for i in indices]
            gradients = [p.grad for p in parameters]
            torch._foreach_lerp_(buffers, gradients, 1 - self.momentum)
            nesterov = torch._foreach_lerp(gradients, buffers, self.momentum)
            update = orthogonalize(torch.stack([u.reshape(rows, columns) for u in nesterov]))
            rate = self.rate * scale
            if self.decay:
                torch._foreach_mul_(parameters, 1 - rate * self.decay)
            torch._foreach_add_(
                parameters, [u.view(p.shape) for u, p in zip(update.unbind(0), parameters)],
                alpha=-rate * 0.2 * math.sqrt(max(rows, columns)))
        for p in self.matrices + self.others:
            p.grad = None

    def state_dict(self):
        return {"buffers": self.buffers, "adam": self.adam.state_dict()}

    def load_state_dict(self, state):
        for mine, saved in zip(self.buffers, state["buffers"]):
            mine.copy_(saved)
        self.adam.load_state_dict(state["adam"])
