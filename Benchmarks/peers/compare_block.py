#!/usr/bin/env python3
# Part of Inkstone. Licence: see LICENSE.
"""One block of Z-Image's size in all precisions beside PyTorch and OpenVINO, in one run on this machine.

    compare_block.py [--isa avx2] [--tokens 1088] [--rounds 3] [--repeat 2] [--threads 2]
                     [--inkstone PATH] [--kernels] [--json FILE]

All contenders take turns in every round, so that a slow minute of the machine hits all of them; ratios are taken
round by round. Each is a process of its own. GOP/s counts two operations a multiply-add, products and attention only.
Shares of PyTorch and OpenVINO are of inkstone's peak in f32 or, in W8A8, int8: loops of multiply-adds on registers alone.

--isa avx2 restricts them by INKSTONE_KERNELS, ATEN_CPU_CAPABILITY, ONEDNN_MAX_CPU_ISA and MKL_ENABLE_INSTRUCTIONS. What
they report of it is printed: the capability of PyTorch, and the kernels that OpenVINO selected for its products. On a
processor with AVX-512, OpenVINO 2026.4 computes f32 by MLAS (`gemm_mlas_f32`), which obeys no variable and uses AVX-512;
and it does not load int8 weights with AVX2 alone, so that these have AVX2_VNNI, and products in f32 (`brgemm_avx2_f32`).

--kernels adds each kind of product, and attention. Needs torch and diffusers; rows of OpenVINO appear where openvino
and nncf are installed. Random weights.
"""

import argparse
import collections
import importlib.util
import json
import os
import pathlib
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
RESTRICTED = {
    "INKSTONE_KERNELS": "avx2", "ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
}


class Inkstone:
    """`inkstone benchmark`, a process in each round."""

    def __init__(self, arguments, subject, precision):
        self.name = f"inkstone {precision}"
        self.precision, self.operations = precision, None
        self.command = [
            arguments.inkstone, "benchmark", subject, "--tokens", str(arguments.tokens), "--precision",
            precision, "--threads", str(arguments.threads), "--repeat", str(arguments.repeat), "--json"]
        self.reports = []

    def round(self):
        """Seconds of the median run."""
        done = subprocess.run(self.command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{' '.join(self.command)}: {done.stderr.strip()}")
        report = json.loads(done.stdout)
        self.operations = sum(part["operations"] for part in report["results"])
        self.reports.append(report)
        return report["seconds"]


class Peer:
    """Another library, in a process that runs a round for each line that it reads."""

    def __init__(self, arguments, name, precision, **environment):
        self.name, self.precision = name, precision
        command = [sys.executable, __file__, "--peer", name, "--tokens", str(arguments.tokens),
                   "--threads", str(arguments.threads), "--repeat", str(arguments.repeat)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        env={**os.environ, **environment})
        for line in self.process.stdout:
            if line.startswith("ready"):
                print(f"{name}: {line[6:].strip()}", flush=True)
                return
        raise SystemExit(f"{name} ended with {self.process.wait()}")

    def round(self):
        """Seconds of the median run."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def serve_peer(arguments):
    """The process of a peer."""
    import torch
    from time_peers import DIM, HEADS, Block, median_seconds
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    torch.set_grad_enabled(False)
    half_head = DIM // HEADS // 2
    inputs = [torch.randn(1, arguments.tokens, DIM), torch.randn(1, arguments.tokens, 1, half_head),
              torch.randn(1, arguments.tokens, 1, half_head)]
    library, kind = arguments.peer.split(" ", 1)
    block = Block().eval()
    if library == "torch":
        dtype = {"f32": torch.float32, "bf16": torch.bfloat16}[kind]
        block, values = block.to(dtype), [t.to(dtype) for t in inputs]
        work = lambda: block(*values)
        about = f"{torch.__version__}, {torch.backends.cpu.get_cpu_capability()}"
    else:
        work, about = openvino_work(arguments, block, inputs, kind)
    print(f"ready {about}", flush=True)
    for _ in sys.stdin:
        print(median_seconds(work, arguments.repeat), flush=True)


def selected_kernels(compiled):
    """The kernels of products and attention, with their numbers, as OpenVINO's runtime reports them."""
    kinds = collections.Counter()
    for node in compiled.get_runtime_model().get_ops():
        info = {key: str(node.rt_info[key].value if hasattr(node.rt_info[key], "value")
                         else node.rt_info[key])
                for key in ("layerType", "primitiveType") if key in node.rt_info}
        kind = info.get("layerType", "")
        if kind in ("FullyConnected", "MatMul", "ScaledDotProductAttention", "ScaledAttn", "MHA"):
            kinds[f"{kind} {info.get('primitiveType')}"] += 1
    return ", ".join(f"{count} {name}" for name, count in sorted(kinds.items()))


def openvino_work(arguments, block, inputs, kind):
    """A call of an inference, and the kernels that it uses."""
    import logging
    import nncf
    import openvino
    nncf.set_log_level(logging.ERROR)
    arrays = [t.numpy() for t in inputs]
    # With its shapes, kernels are selected when the model is compiled.
    model = openvino.convert_model(block, example_input=tuple(inputs),
                                   input=[list(a.shape) for a in arrays])
    if kind == "int8 weights":
        model = nncf.compress_weights(model, mode=nncf.CompressWeightsMode.INT8_ASYM)
    elif kind == "W8A8 calibrated":
        model = nncf.quantize(model, nncf.Dataset([arrays]), subset_size=1,
                              model_type=nncf.ModelType.TRANSFORMER)
    is_restricted = "ONEDNN_MAX_CPU_ISA" in os.environ
    compiled = openvino.Core().compile_model(model, "CPU", {
        "INFERENCE_NUM_THREADS": arguments.threads,
        "INFERENCE_PRECISION_HINT": "f32" if kind == "f32" or is_restricted else "bf16"})
    request = compiled.create_infer_request()
    return lambda: request.infer(arrays), f"{openvino.__version__}: {selected_kernels(compiled)}"


def make_peers(arguments):
    found = importlib.util.find_spec
    peers = []
    if found("torch") and found("diffusers"):
        peers.append(Peer(arguments, "torch f32", "f32"))
        if not arguments.isa:  # a twentieth of the rate in f32 without instructions for it
            peers.append(Peer(arguments, "torch bf16", "bf16"))
    if found("openvino") and found("nncf"):
        precision = "f32" if arguments.isa else "bf16"
        peers.append(Peer(arguments, f"openvino {precision}", precision))
        isa = {"ONEDNN_MAX_CPU_ISA": "AVX2_VNNI"} if arguments.isa else {}
        peers.append(Peer(arguments, "openvino int8 weights", precision, **isa))
        peers.append(Peer(arguments, "openvino W8A8 calibrated", "int8"))
    return peers


def spread(values, digits=0):
    return (f"{statistics.median(values):.{digits}f}"
            f" ({min(values):.{digits}f} to {max(values):.{digits}f})")


def print_table(contenders, seconds, operations, own):
    """A row for each contender; the last column is inkstone's int8 over it, round by round."""
    peaks = collections.defaultdict(list)
    for contender in own:
        for report in contender.reports:
            for precision, rate in report["peaks_gops"].items():
                peaks[precision].append(rate)
    print("\n" + ", ".join(f"peak {p} {spread(rates)} GOP/s" for p, rates in sorted(peaks.items())))
    print("\n| Contender | GOP/s | of peak | int8 of inkstone is faster by |\n|---|---|---|---|")
    best = next(c for c in own if c.precision == "int8")
    for contender in contenders:
        rates = [operations / s / 1e9 for s in seconds[contender]]
        peak = max(peaks[contender.precision])
        ratios = [a / b for a, b in zip(seconds[contender], seconds[best])]
        print(f"| {contender.name} | {spread(rates)} | {100 * statistics.median(rates) / peak:.0f} % "
              f"| {spread(ratios, 2)} |")


def print_kernels(reports):
    print("\n| Kernel | Precision | GOP/s | of peak |\n|---|---|---|---|")
    for precision, report in reports.items():
        for part in report["results"]:
            print(f"| {part['name']} | {precision} | {part['gops']:.0f} | {100 * part['share']:.0f} % |")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--isa", choices=["avx2"])
    parser.add_argument("--tokens", type=int, default=1088)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--repeat", type=int, default=2, help="runs in a round; the median counts")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--inkstone", default=str(ROOT / ".build" / "release" / "inkstone"))
    parser.add_argument("--kernels", action="store_true")
    parser.add_argument("--peer", help=argparse.SUPPRESS)
    parser.add_argument("--json", type=pathlib.Path, help="write all seconds here")
    arguments = parser.parse_args()
    if arguments.peer:
        serve_peer(arguments)
        return
    if arguments.isa:
        os.environ.update(RESTRICTED)
    load = os.getloadavg()[0]
    own = [Inkstone(arguments, "block", p) for p in ("f32", "bf16", "int8")]
    peers = make_peers(arguments)
    contenders = own + peers
    seconds = {contender: [] for contender in contenders}
    for index in range(arguments.rounds):
        # Alternate the order so that no contender always follows the same one.
        for contender in contenders if index % 2 == 0 else contenders[::-1]:
            seconds[contender].append(contender.round())
    print(f"\nkernels {own[0].reports[0]['kernels']}, {arguments.tokens} tokens, {arguments.threads} threads,"
          f" {arguments.rounds} rounds; load average {load:.1f} before, {os.getloadavg()[0]:.1f} after")
    for peer in peers:
        peer.end()
    print_table(contenders, seconds, own[0].operations, own)
    if arguments.kernels:
        reports = {}
        for contender in (Inkstone(arguments, "kernels", p.precision) for p in own):
            contender.round()
            reports[contender.precision] = contender.reports[0]
        print_kernels(reports)
    if arguments.json:
        arguments.json.write_text(json.dumps({c.name: v for c, v in seconds.items()}, indent=1) + "\n")


if __name__ == "__main__":
    main()
