# Part of Inkstone. Licence: see LICENSE.
"""A program that runs its models on a GPU wherever no device is named, for scripts that know of no device."""

import pathlib
import shlex
import subprocess

from running_server import ROOT

# The commands with --device whose default is the processor.
COMMANDS = "serve|generate|worker"


def gpu_program(folder, program, software_gpu=None, device="vulkan:0"):
    """Writes a script into `folder` that runs `program` with `--device DEVICE`; returns its path.

    `software_gpu` is a folder of Scripts/software-gpu, which is prepared if it does not exist; then that
    device is the only one. Without it the device is one of this machine.
    """
    folder, program = pathlib.Path(folder), pathlib.Path(program).resolve()
    lines = [f"export INKSTONE_MODELS={shlex.quote(str(ROOT / 'Models'))}"]
    if software_gpu:
        def software(*words):
            return subprocess.run([ROOT / "Scripts/software-gpu", software_gpu, *words], check=True,
                                  stdout=subprocess.PIPE, text=True).stdout
        copy = folder / "inkstone-on-software-gpu"
        software("--copy", program, copy)
        lines += [f"export {shlex.quote(line)}" for line in software("--environment").splitlines()]
        program = copy
    lines += [
        'case " $* " in *" --device "*) set -- "$@" ;;',
        f"*) case ${{1:-}} in {COMMANDS}) set -- \"$@\" --device {shlex.quote(device)} ;; esac ;;",
        "esac",
        f'exec {shlex.quote(str(program))} "$@"']
    script = folder / "inkstone"
    script.write_text("#!/bin/sh\n" + "\n".join(lines) + "\n", encoding="utf-8")
    script.chmod(0o755)
    return script
