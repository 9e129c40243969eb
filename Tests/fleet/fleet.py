#!/usr/bin/env python3
# Part of Inkstone. Licence: see LICENSE.
"""A fleet under kill -9, cut cables and restarts of NATS: every job ends once, every picture is right.

Needs root, iproute2, nats-server, openssl, for the last two parts nginx and PyYAML, and a program built
with --traits Fleet.

    Tests/fleet/fleet.py [--only chaos,cluster] [--jobs 300] [--program FILE]
    Tests/fleet/fleet.py --only devices [--software-gpu FOLDER] [--device vulkan:0]

The part devices needs a GPU, or a folder of Scripts/software-gpu, and is run only where it is named.
"""

import argparse
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from deploy_files import balancer, deploy  # noqa: E402
from devices import devices  # noqa: E402
from fleet_jobs import alone, check, hashes, kinds, look, submit, submit_all, wait_for  # noqa: E402
from fleet_net import Disturbance, Fleet  # noqa: E402
from nats_kinds import cluster, creds  # noqa: E402
from running_server import ROOT  # noqa: E402
from sharing import beside, keys, lora, priority  # noqa: E402


def first(program):
    """One gateway, one worker, one picture."""
    request = {"prompt": "a red apple", "seed": 5, "steps": 8}
    [expected] = alone(program, [request])
    with Fleet(program, gateways=1, workers=1) as fleet:
        fleet.start()
        base = fleet.bases[0]
        status, _, body = fleet.ask(base, "/v1/images/generations", request | {"response_format": "b64_json"})
        check("a call that waits gets its picture", status == 200, body[:200] if status != 200 else "")
        job = submit(fleet, request, "one", lambda: base)
        [answer] = wait_for(fleet, [job], lambda: base, 30).values()
        check("the picture is the one made alone", hashes(answer) == expected, answer["state"])
        again = submit(fleet, request, "one", lambda: base)
        check("an idempotency key means one job", again == job)
        status, _, body = fleet.ask(base, f"/api/jobs/{job}/images/0")
        check("the picture is served", status == 200 and body.startswith(b"\x89PNG"))
        text = fleet.ask(base, "/metrics")[2].decode()
        check("metrics name gateway and worker", 'inkstone_fleet_worker_jobs_finished_total{gateway="' in text
              and 'worker="' in text)
        status, _, body = fleet.ask(base, f"/api/jobs/{job}/events")
        check("events are streamed", status == 200 and b"event: image" in body and b"event: done" in body)
        check.failed and fleet.show()


def chaos(program, count):
    """Kill -9 of workers and gateways and a restart of NATS while many jobs run."""
    requests = list(kinds(count))
    begin = time.monotonic()
    expected = alone(program, requests)
    print(f"     {count} references in {time.monotonic() - begin:.0f} s", flush=True)
    dice = random.Random(11)
    with Fleet(program, gateways=2, workers=3, jobs=3) as fleet:
        fleet.start()
        choose = lambda: dice.choice(fleet.bases)  # noqa: E731
        refusals = []
        begin = time.monotonic()
        with Disturbance(fleet) as disturbance:
            # A pause, so that there are jobs in work for as long as things are ended.
            jobs = submit_all(fleet, requests, choose, 8, 2, refusals)
            sent = time.monotonic() - begin
            final = wait_for(fleet, jobs, choose, 600)
        print(f"     {count} jobs sent in {sent:.0f} s, done in {time.monotonic() - begin:.0f} s;"
              f" kills: {disturbance.kills}; refusals {len(refusals)}", flush=True)
        check("every job was accepted once", len(set(jobs)) == count)
        check("every job ended", len(final) == count, f"{len(final)} of {count}")
        bad = [job for job in final.values() if job["state"] != "succeeded"]
        check("every job succeeded", not bad, [(job["state"], job["failure"]) for job in bad[:3]])
        wrong = [number for number in range(count)
                 if jobs[number] in final and hashes(final[jobs[number]]) != expected[number]]
        check("every picture equals the one made alone", not wrong, wrong[:5])
        print("     attempts:", {n: sum(job["attempts"] == n for job in final.values())
                                 for n in sorted({job["attempts"] for job in final.values()})})
        fleet.wait_until_ready()
        later = [{job: look(fleet, job, lambda: base) for job in jobs} for base in fleet.bases]
        check("both gateways tell the same of every job, now and when it ended",
              later[0] == later[1] == {job: final.get(job) for job in jobs})
        if check.failed:
            fleet.show()


def cut(program):
    """A worker that is cut off in mid-step and joined again."""
    request = {"prompt": "a blue house", "seed": 77, "steps": 50, "size": "128x128", "n": 4}
    [expected] = alone(program, [request])
    with Fleet(program, gateways=1, workers=2) as fleet:
        fleet.start()
        base = fleet.bases[0]
        # Others beside it, so that it takes a while.
        others = [submit(fleet, request | {"seed": 500 + 10 * n}, f"other-{n}", lambda: base)
                  for n in range(5)]
        job = submit(fleet, request, "cut", lambda: base)
        while not (answer := look(fleet, job, lambda: base)) or answer["state"] != "running" \
                or not answer["progress"] or answer["progress"]["steps_done"] < 2:
            time.sleep(0.005)
        busy = next(node for node in fleet.workers if job in node.text())
        fleet.network.cut(busy.name)
        at = look(fleet, job, lambda: base)
        final = wait_for(fleet, [job], lambda: base, 120)
        answer = final.get(job)
        check("another worker ended the job", bool(answer) and answer["state"] == "succeeded",
              f"it was at step {at['progress'] and at['progress']['steps_done']} of 200")
        check("it was begun twice", bool(answer) and answer["attempts"] == 2,
              answer and answer["attempts"])
        check("its pictures are right", bool(answer) and hashes(answer) == expected)
        held = wait_for(fleet, others, lambda: base, 120)
        check("so did the other jobs of the first one", len(held) == 5 and all(
            one["state"] == "succeeded" for one in held.values()))
        fleet.network.join(busy.name)
        time.sleep(15)
        check("nothing changed when the first one came back", look(fleet, job, lambda: base) == answer)
        check("it lives", busy.is_running())
        jobs = [submit(fleet, {"prompt": "a star", "seed": n, "steps": 8}, f"after-{n}", lambda: base)
                for n in range(12)]
        after = wait_for(fleet, jobs, lambda: base, 60)
        check("the fleet goes on", len(after) == 12 and all(
            job["state"] == "succeeded" for job in after.values()))
        if check.failed:
            fleet.show()


def outage(program, seconds=60):
    """NATS is away for a minute."""
    requests = list(kinds(24))
    expected = alone(program, requests)
    with Fleet(program, gateways=2, workers=2) as fleet:
        fleet.start()
        choose = lambda: random.choice(fleet.bases)  # noqa: E731
        jobs = [submit(fleet, request, f"o-{n}", choose) for n, request in enumerate(requests)]
        fleet.nats.kill(signal.SIGTERM)
        time.sleep(2)
        answers = []
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            begin = time.monotonic()
            status, headers, _ = fleet.ask(choose(), "/api/jobs", requests[0], timeout=30)
            answers.append((status, headers.get("retry-after"), time.monotonic() - begin))
            time.sleep(1)
        check("clients receive 503 with Retry-After", all(
            status == 503 and retry for status, retry, _ in answers), answers[:3])
        print(f"     slowest refusal {max(took for _, _, took in answers):.2f} s")
        fleet.nats.start()
        begin = time.monotonic()
        fleet.wait_until_ready()
        print(f"     ready {time.monotonic() - begin:.1f} s after NATS")
        final = wait_for(fleet, jobs, choose, 180)
        check("nothing that was accepted is lost", len(final) == 24 and all(
            job["state"] == "succeeded" for job in final.values()), f"{len(final)} of 24")
        check("the pictures are right", all(
            hashes(final[job]) == known for job, known in zip(jobs, expected) if job in final))
        if check.failed:
            fleet.show()


def drain(program):
    """SIGTERM, cancel, deadline, dead letters."""
    with Fleet(program, gateways=2, workers=1, arguments=["--queue-attempts", "2"]) as fleet:
        fleet.workers[0].words += ["--queue-attempts", "2"]
        fleet.start()
        [one, two] = fleet.bases
        long = {"prompt": "a fish", "seed": 3, "steps": 50, "n": 2}
        job = submit(fleet, long, "drain", lambda: one)
        while (look(fleet, job, lambda: two) or {}).get("state") != "running":
            time.sleep(0.01)
        begin = time.monotonic()
        fleet.workers[0].kill(signal.SIGTERM)
        answer = look(fleet, job, lambda: two)
        check("a worker finishes its job after SIGTERM", answer["state"] == "succeeded",
              f"{answer['state']} after {time.monotonic() - begin:.1f} s, exit {fleet.workers[0].process.returncode}")
        check("and ends with status 0", fleet.workers[0].process.returncode == 0)

        waiting = submit(fleet, long, "waits", lambda: one)
        status, _, _ = fleet.ask(two, f"/api/jobs/{waiting}/cancel", {}, method="POST")
        [answer] = wait_for(fleet, [waiting], lambda: one, 10).values()
        check("any gateway cancels what waits", status == 202 and answer["state"] == "cancelled")
        late = submit(fleet, long | {"deadline": 1}, "late", lambda: one)
        [answer] = wait_for(fleet, [late], lambda: two, 10).values()
        check("a deadline holds while no worker lives", answer["state"] == "cancelled"
              and "time was over" in (answer["failure"] or ""), answer["failure"])

        fleet.workers[0].start()
        running = submit(fleet, long, "runs", lambda: one)
        while (look(fleet, running, lambda: one) or {}).get("state") != "running":
            time.sleep(0.01)
        fleet.ask(two, f"/api/jobs/{running}/cancel", {}, method="POST")
        quick = submit(fleet, {"prompt": "a star", "seed": 1, "steps": 4}, "quick", lambda: one)
        answers = wait_for(fleet, [running, quick], lambda: two, 30)
        check("any gateway cancels what runs", answers[running]["state"] == "cancelled"
              and answers[quick]["state"] == "succeeded")

        poison = submit(fleet, long, "poison", lambda: one)
        for _ in range(2):
            while (look(fleet, poison, lambda: one) or {}).get("state") != "running" \
                    or look(fleet, poison, lambda: one)["attempts"] <= _:
                time.sleep(0.01)
            fleet.workers[0].kill()
            fleet.workers[0].start()
        [answer] = wait_for(fleet, [poison], lambda: two, 60).values()
        check("a job that ends its workers is given up", answer["state"] == "failed"
              and answer["attempts"] == 2, (answer["state"], answer["attempts"], answer["failure"]))
        status, _, body = fleet.ask(one, "/api/jobs?state=failed")
        check("the API shows it", poison in [row["id"] for row in json.loads(body)["data"]])
        status, _, body = fleet.ask(two, "/api/jobs?given_up=true")
        check("among those that were given up", [row["id"] for row in json.loads(body)["data"]] == [poison])
        if check.failed:
            fleet.show()


def tls(program):
    """NATS with TLS, certificates of both sides, and a password."""
    with Fleet(program, gateways=1, workers=1) as fleet:
        place = fleet.place

        def openssl(*words):
            subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True, cwd=place)

        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca-key.pem", "-out", "ca.pem",
                "-subj", "/CN=test", "-days", "2")
        for name in ["server", "client"]:
            openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}-key.pem", "-out",
                    f"{name}.csr", "-subj", f"/CN={name}")
            (place / "names").write_text("subjectAltName=IP:10.77.0.2\n", encoding="utf-8")
            openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca-key.pem",
                    "-CAcreateserial", "-out", f"{name}.pem", "-days", "2", "-extfile", "names")
        (place / "nats.conf").write_text(f"""
            tls {{ cert_file: "{place}/server.pem", key_file: "{place}/server-key.pem",
                   ca_file: "{place}/ca.pem", verify: true }}
            authorization {{ user: "ink", password: "stone" }}
            """, encoding="utf-8")
        fleet.nats.words += ["-c", place / "nats.conf"]
        files = ["--queue-ca", place / "ca.pem", "--queue-certificate", place / "client.pem",
                 "--queue-key", place / "client-key.pem"]

        def address(node, password):
            words = list(node.words)
            words[words.index("--queue") + 1] = f"tls://ink:{password}@10.77.0.2:4222"
            return words + files

        right = [address(node, "stone") for node in [*fleet.gateways, *fleet.workers]]
        wrong = address(fleet.workers[0], "steel")
        for node, words in zip([*fleet.gateways, *fleet.workers], right):
            node.words = words
        fleet.start()
        job = submit(fleet, {"prompt": "a star", "seed": 1, "steps": 4}, "tls", lambda: fleet.bases[0])
        [answer] = wait_for(fleet, [job], lambda: fleet.bases[0], 30).values()
        check("a job goes through", answer["state"] == "succeeded")
        ended = subprocess.run(fleet.network.command("w1", *wrong), capture_output=True, text=True,
                               timeout=90, check=False, cwd=ROOT)
        check("a wrong password is said in a sentence", ended.returncode == 64 and "steel" not in ended.stderr,
              f"{ended.returncode} {ended.stderr.strip()}")
        check("and passwords are not shown", "stone@" not in "".join(
            node.text() for node in [*fleet.gateways, *fleet.workers]))
        if check.failed:
            fleet.show()


PARTS = {part.__name__: part for part in [
    first, chaos, cut, outage, drain, tls, lora, priority, keys, beside, cluster, creds, balancer, deploy]}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default=",".join(PARTS), help="parts, with commas between them")
    parser.add_argument("--jobs", type=int, default=300, help="of the parts chaos and devices")
    parser.add_argument("--software-gpu", metavar="FOLDER")
    parser.add_argument("--device", default="vulkan:0")
    parser.add_argument("--program", type=pathlib.Path, default=ROOT / ".build/release/inkstone")
    options = parser.parse_args()
    parts = PARTS | {
        "chaos": lambda program: chaos(program, options.jobs),
        "devices": lambda program: devices(program, options.jobs, options.software_gpu, options.device)}
    failed = 0
    for name in options.only.split(","):
        print(f"{name}: {(PARTS | {'devices': devices})[name].__doc__}", flush=True)
        # A namespace cannot be left: every part has a process of its own.
        child = os.fork()
        if child == 0:
            parts[name](options.program)
            os._exit(min(check.failed, 100))
        failed += os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
