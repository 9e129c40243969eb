# Part of Inkstone. Licence: see LICENSE.
"""Part of fleet.py: a worker on the processor and one on a GPU."""

import random
import tempfile
import time

from fleet_jobs import alone, check, hashes, kinds, look, submit, submit_all, wait_for
from fleet_net import Disturbance, Fleet
from gpu_program import gpu_program
from running_server import TIMEOUT_FACTOR


def small(count):
    """The mixed requests of the other parts with fewer steps and pixels: a software GPU takes long for each."""
    dice = random.Random(24)
    for request in kinds(count):
        yield request | {"steps": dice.randint(2, 8), "size": dice.choice(["64x64", "64x64", "96x64", "128x128"])}


def origins(job):
    """What generated the images of a job: device, kernels and precision of each."""
    return [image.get("origin") or {} for image in job["images"]]


def compare(requests, answers, programs):
    """Compares images with those that their device makes of the same request alone; checks one device after the other."""
    for device, program in programs.items():
        chosen = [number for number, answer in answers.items() if origins(answer)[0].get("device") == device]
        begin = time.monotonic()
        expected = alone(program, [requests[number] for number in chosen])
        wrong = [number for number, known in zip(chosen, expected) if hashes(answers[number]) != known]
        check(f"every image of {device} equals the one made alone on it", chosen and not wrong,
              f"{len(chosen)} jobs, references in {time.monotonic() - begin:.0f} s; wrong {wrong[:5]}")


def devices(program, count, software_gpu=None, device="vulkan:0"):
    """Kill -9 of gateways, of a worker on the processor and of one on a GPU, which serve one queue."""
    requests = list(small(count))
    dice = random.Random(12)
    with tempfile.TemporaryDirectory(prefix="inkstone-gpu-") as folder:
        on_gpu = gpu_program(folder, program, software_gpu, device)
        with Fleet(program, gateways=2, workers=2, jobs=3) as fleet:
            fleet.workers[1].words[0] = on_gpu
            fleet.start()
            choose = lambda: dice.choice(fleet.bases)  # noqa: E731
            begin = time.monotonic()
            # The processor can be so much faster than a GPU of software that it ends all others.
            fleet.workers[0].kill()
            first = [submit(fleet, request, f"key-{number}", choose)
                     for number, request in enumerate(requests[:max(2, count // 25)])]
            on_device = wait_for(fleet, first, choose, 600 * TIMEOUT_FACTOR)
            check("the GPU alone ends the first jobs", len(on_device) == len(first), f"{len(on_device)} of {len(first)}")
            fleet.workers[0].start()
            # A GPU takes seconds to start, and one of software for each image: time for some jobs between two ends, and
            # no queue that the processor empties alone.
            period, pause = (30, 8) if software_gpu else (8, 1)
            with Disturbance(fleet, period) as disturbance:
                jobs = submit_all(fleet, requests, choose, 8, pause)
                final = wait_for(fleet, jobs, choose, 1800 * TIMEOUT_FACTOR)
            print(f"     {count} jobs in {time.monotonic() - begin:.0f} s; kills: {disturbance.kills}", flush=True)
            check("every job was accepted once", len(set(jobs)) == count)
            check("every job ended", len(final) == count, f"{len(final)} of {count}")
            bad = [job for job in final.values() if job["state"] != "succeeded"]
            check("every job succeeded", not bad, [(job["state"], job["failure"]) for job in bad[:3]])
            again = sum(job["attempts"] > 1 for job in final.values())
            check("some were begun again", again > 0, f"{again} jobs")
            fleet.wait_until_ready()
            later = [{job: look(fleet, job, lambda: base) for job in jobs} for base in fleet.bases]
            check("both gateways report the same of every job",
                  later[0] == later[1] == {job: final.get(job) for job in jobs})
            if check.failed:
                fleet.show()
        answers = {number: final[job] for number, job in enumerate(jobs)
                   if job in final and final[job]["state"] == "succeeded"}
        named = {origin.get("device") for answer in answers.values() for origin in origins(answer)}
        check("answers name both devices", named == {"cpu", device}, named)
        mixed = [number for number, answer in answers.items()
                 if len({(origin.get("kernels"), origin.get("precision")) for origin in origins(answer)}) != 1]
        check("all images of a job have the same kernels", not mixed, mixed[:5])
        compare(requests, answers, {"cpu": program, device: on_gpu})
