# Part of Inkstone. Licence: see LICENSE.
"""Parts of fleet.py: who draws what, who goes first, and how much each may ask for."""

import json
import re
import shutil
import signal
import subprocess
import time

from fleet_jobs import alone, check, hashes, submit, wait_for
from fleet_net import Fleet
from running_server import ROOT

LORA = ROOT / "Models/emoji-nano/loras"


def lora(program):
    """Jobs go where their LoRA files are, first of all where these are in memory."""
    known = sorted(LORA.glob("*.safetensors"))[0]
    jobs = [{"prompt": "a red apple", "seed": n, "steps": 6, "loras": [{"name": "mine", "scale": 0.7}]}
            for n in range(20)]
    with Fleet(program, gateways=1, workers=3) as fleet:
        folder = fleet.place / "files"
        folder.mkdir()
        shutil.copy(known, folder / "mine.safetensors")
        expected = alone(program, [job | {"loras": [{"name": known.stem, "scale": 0.7}]} for job in jobs])
        fleet.workers[1].words += ["--lora-folder", folder]
        fleet.start()
        base = fleet.bases[0]
        names, end = [], time.monotonic() + 10
        while "mine" not in names and time.monotonic() < end:
            names = [row["name"] for row in json.loads(fleet.ask(base, "/api/loras")[2])["loras"]]
        check("a gateway offers what its workers have", "mine" in names and known.stem in names, names)
        status, _, body = fleet.ask(base, "/api/jobs", jobs[0] | {"loras": ["nobodys"]})
        check("a file that no worker has is refused", status == 400, body[:200])
        ids = [submit(fleet, job, f"lora-{n}", lambda: base) for n, job in enumerate(jobs)]
        done = wait_for(fleet, ids, lambda: base, 120)
        check("all are drawn", [done[job]["state"] for job in ids] == ["succeeded"] * len(ids))
        check("and right", [hashes(done[job]) for job in ids] == expected)
        check("by the worker that has the file", {who(fleet, job) for job in ids} == {"w2"},
              {job: who(fleet, job) for job in ids})
        # All have this one; after the first job one has it in memory.
        first = submit(fleet, {"prompt": "a fish", "seed": 1, "steps": 4, "loras": [known.stem]}, "w-0",
                       lambda: base)
        wait_for(fleet, [first], lambda: base, 60)
        time.sleep(2.5)  # until its next heartbeat
        warm = who(fleet, first)
        ids = []
        for n in range(12):
            ids.append(submit(fleet, {"prompt": "a fish", "seed": n, "steps": 4, "loras": [known.stem]},
                              f"w-{n + 1}", lambda: base))
            wait_for(fleet, ids[-1:], lambda: base, 60)
        there = [who(fleet, job) for job in ids]
        check("jobs go where their file is in memory", there.count(warm) >= 8, f"{warm}: {there}")
        upload = fleet.ask(base, "/api/loras?name=other", {"no": "file"})
        check("a gateway without workers takes no file", upload[0] == 409, upload[2][:200])
        if check.failed:
            fleet.show()


def who(fleet, job):
    """The worker that a job began on last."""
    return next((node.name for node in fleet.workers if job in node.text()), None)


def priority(program):
    """High goes before normal before low, and after four that overtook it one of low."""
    with Fleet(program, gateways=2, workers=1, jobs=1) as fleet:
        fleet.start()
        [one, two] = fleet.bases

        # The first one keeps the worker busy while the others come.
        submit(fleet, {"prompt": "a star", "seed": 99, "steps": 50, "n": 4}, "first", lambda: one)
        low, normal, high = (send(fleet, 3, priority, base)
                             for priority, base in (("low", one), ("normal", two), ("high", one)))
        done = wait_for(fleet, low + normal + high, lambda: two, 120)
        order = sorted(done, key=lambda job: done[job]["finished"])
        kinds = "".join("l" if job in low else "n" if job in normal else "h" for job in order)
        check("the order is that of the priorities", kinds[:3] == "hhh"
              and kinds[:7].count("l") == 1, kinds)
        check("all end", len(done) == 9 and all(job["state"] == "succeeded" for job in done.values()))
        submit(fleet, {"prompt": "a star", "seed": 98, "steps": 50, "n": 4}, "second", lambda: one)
        [last] = send(fleet, 1, "low", one, start=50)
        many = send(fleet, 12, "high", two, start=50)
        done = wait_for(fleet, [last, *many], lambda: two, 120)
        place = sorted(done, key=lambda job: done[job]["finished"]).index(last)
        check("one of low priority has its turn among many of high", place < 10, f"place {place} of 13")
        if check.failed:
            fleet.show()


def send(fleet, count, priority, base, start=0):
    """Jobs of one priority."""
    return [submit(fleet, {"prompt": "a star", "seed": n, "steps": 20, "priority": priority},
                   f"{priority}-{n}", lambda: base) for n in range(start, start + count)]


def keys(program):
    """The limits of a key hold for all gateways together."""
    with Fleet(program, gateways=2, workers=1) as fleet:
        folder = fleet.place / "g1"
        made = [subprocess.run([program, "keys", "add", *map(str, words), "--data", folder], check=True,
                               capture_output=True, text=True).stdout.strip()
                for words in (["two", "--concurrency", 2], ["three", "--per-minute", 3],
                              ["root", "--scope", "admin", "--priority", "high"])]
        (fleet.place / "g2").mkdir()
        shutil.copy(folder / "keys.json", fleet.place / "g2")
        fleet.start()

        def send(key, base, **fields):
            status, headers, body = fleet.ask(
                fleet.bases[base], "/api/jobs", {"prompt": "a fish", "steps": 50, "n": 4} | fields,
                authorization=f"Bearer {key}")
            answer = json.loads(body)
            return status, answer.get("error", {}).get("code"), headers.get("retry-after"), answer.get("id")

        two, three, root = made
        first, second = send(two, 0), send(two, 1)
        check("two at once go through two gateways", first[0] == second[0] == 202, (first, second))
        time.sleep(0.5)
        refused = [send(two, base)[:2] for base in (0, 1)]
        check("a third does not, wherever it is asked for", refused == [(429, "concurrency_limit")] * 2, refused)
        for base, answer in ((0, second), (1, first)):
            fleet.ask(fleet.bases[base], f"/api/jobs/{answer[3]}/cancel", {}, method="POST",
                      authorization=f"Bearer {two}")
        time.sleep(1)
        check("places become free", send(two, 1)[0] == 202)
        answers = []
        for base in (0, 1, 0, 1):
            answers.append(send(three, base, steps=1, n=1))
            time.sleep(0.5)
        check("three a minute, through two gateways", [a[0] for a in answers] == [202] * 3 + [429]
              and answers[3][1] == "rate_limit_exceeded" and 50 <= int(answers[3][2]) <= 60, answers)
        check("a priority above the key's limit is refused", send(two, 0, priority="high")[:2] == (403, "priority_not_allowed"))
        check("who may goes first", send(root, 0, priority="high", steps=1, n=1)[0] == 202)
        if check.failed:
            fleet.show()


def beside(program):
    """A gateway with workers of its own, models launched through it, and a configuration read again."""
    request = {"prompt": "a red apple", "seed": 5, "steps": 8}
    [expected] = alone(program, [request])
    with Fleet(program, gateways=2, workers=0) as fleet:
        place = fleet.place
        config = place / "g2.yaml"
        config.write_text("threads: 1\n", encoding="utf-8")
        fleet.gateways[0].words += ["--model", "emoji-nano", "--threads", "1"]
        fleet.gateways[1].words += ["--config", config]
        fleet.start()
        [one, two] = fleet.bases
        job = submit(fleet, request, "beside", lambda: two)
        [answer] = wait_for(fleet, [job], lambda: two, 60).values()
        check("a gateway's own worker draws what another gateway accepted", hashes(answer) == expected)
        own = [int(n) for n in re.findall(r"pid=(\d+)", fleet.gateways[0].text())]
        long = submit(fleet, {"prompt": "a fish", "seed": 3, "steps": 50, "n": 4}, "long", lambda: two)
        while json.loads(fleet.ask(two, f"/api/jobs/{long}")[2])["state"] != "running":
            time.sleep(0.01)
        for process in own or children(fleet.gateways[0].process.pid):
            subprocess.run(["kill", "-9", str(process)], check=False)
        [answer] = wait_for(fleet, [long], lambda: one, 90).values()
        check("a job survives its worker", answer["state"] == "succeeded", answer.get("failure"))
        # Pictures that clients send are read in a process of their own.
        bad = fleet.ask(two, "/api/jobs", request | {"image": "aGVsbG8="})
        check("a gateway without workers reads uploads elsewhere", bad[0] == 400
              and json.loads(bad[2])["error"]["code"] == "invalid_image", bad[2][:200])
        status, _, body = fleet.ask(
            two, "/v1/models", {"model_name": "emoji-nano", "model_uid": "mine"}, timeout=120)
        check("a model is launched through a gateway", status == 200, body[:200])
        end = time.monotonic() + 20
        while b'"mine"' not in fleet.ask(one, "/v1/models")[2] and time.monotonic() < end:
            time.sleep(0.1)
        job = submit(fleet, request | {"model": "mine"}, "mine", lambda: one)
        [answer] = wait_for(fleet, [job], lambda: one, 60).values()
        check("and serves the whole fleet", hashes(answer) == expected, answer.get("failure"))
        ids = [submit(fleet, request | {"model": "mine", "n": 4, "seed": n}, f"t-{n}", lambda: one)
               for n in range(6)]
        status, _, body = fleet.ask(two, "/v1/models/mine", method="DELETE", timeout=60)
        check("it is terminated through it", status == 200, body[:200])
        time.sleep(2)
        fleet.ask(two, "/v1/models", {"model_name": "emoji-nano", "model_uid": "mine"}, timeout=120)
        done = wait_for(fleet, ids, lambda: one, 90)
        check("no job is lost by that", len(done) == 6 and all(
            job["state"] == "succeeded" for job in done.values()),
            [(job["state"], job.get("failure")) for job in done.values()][:3])
        config.write_text("threads: 1\ndeadline: 0.05\n", encoding="utf-8")
        fleet.gateways[1].process.send_signal(signal.SIGHUP)
        end = time.monotonic() + 10
        while "configuration read again" not in fleet.gateways[1].text() and time.monotonic() < end:
            time.sleep(0.05)
        late = submit(fleet, {"prompt": "a fish", "steps": 50, "n": 4}, "late", lambda: two)
        [answer] = wait_for(fleet, [late], lambda: two, 30).values()
        check("SIGHUP reads the configuration again", answer["state"] == "cancelled"
              and "time was over" in (answer.get("failure") or ""), answer.get("failure"))
        text = fleet.ask(two, "/metrics")[2].decode()
        bare = [line for line in text.splitlines() if line and line[0] != "#" and 'gateway="' not in line]
        check("every figure names its gateway", not bare, bare[:3])
        for node in fleet.gateways:
            node.kill(signal.SIGTERM)
        check("SIGTERM ends gateways with workers", [node.process.returncode for node in fleet.gateways]
              == [0, 0])
        if check.failed:
            fleet.show()


def children(process):
    text = subprocess.run(["pgrep", "-P", str(process)], capture_output=True, text=True, check=False).stdout
    return [int(word) for word in text.split()]
