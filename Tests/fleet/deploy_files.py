# Part of Inkstone. Licence: see LICENSE.
"""Parts of fleet.py that use the files of Deploy/fleet as they are, but for addresses and folders."""

import json
import re
import subprocess
import sys
import threading
import time
import urllib.request

from fleet_jobs import alone, check, hashes, kinds, look, submit, wait_for
from fleet_net import Fleet
from running_server import ROOT

FILES = ROOT / "Deploy/fleet"


def start_nginx(fleet):
    """nginx with balancer.conf, whose one name stands for every gateway."""
    place = fleet.place
    text = (FILES / "balancer.conf").read_text(encoding="utf-8")
    servers = " ".join(base.replace("http://", "server ") + ";" for base in fleet.bases)
    (place / "balancer.conf").write_text(
        text.replace("server gateway:9997;", servers), encoding="utf-8")
    folders = "".join(f"{kind}_temp_path {place}/nginx-{kind};" for kind in [
        "client_body", "proxy", "fastcgi", "uwsgi", "scgi"])
    # One process, so that it can be ended like the others.
    (place / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {place}/nginx.pid; events {{}}\n"
        f"http {{ access_log off; {folders} include {place}/balancer.conf; }}\n", encoding="utf-8")
    node = fleet.add("balancer", 6, [
        "nginx", "-p", place, "-e", "stderr", "-c", place / "nginx.conf"])
    node.start()
    return f"http://{node.host}:9997"


def gateways_behind(fleet, base, count=20):
    """Names of the gateways that answered some calls."""
    found = set()
    for _ in range(count):
        status, _, body = fleet.ask(base, "/metrics", timeout=10)
        if status == 200:
            found |= set(re.findall(r'inkstone_fleet_up\{gateway="([^"]+)"', body.decode()))
    return found


def events(base, job):
    """Names of a job's events, as they come."""
    with urllib.request.urlopen(f"{base}/api/jobs/{job}/events", timeout=120) as answer:
        for line in answer:
            if line.startswith(b"event: "):
                yield line[7:].strip().decode()


def check_stream(fleet, base):
    """The events of a job arrive while it runs."""
    job = submit(fleet, {"prompt": "a house", "seed": 9, "steps": 50, "n": 4}, "story", lambda: base)
    told, at, state = [], None, None
    begin = time.monotonic()
    for name in events(base, job):
        told.append(name)
        if name == "step" and at is None:
            at, state = time.monotonic() - begin, look(fleet, job, lambda: base)["state"]
    took = time.monotonic() - begin
    check("a job's events come while it is drawn", state == "running" and told[-1] == "done",
          f"the first step after {at or 0:.2f} s, {told.count('step')} steps, done after {took:.2f} s")
    return job


def check_address(fleet, base):
    """A picture's address in an answer is the balancer's, and every gateway has the picture."""
    status, _, body = fleet.ask(base, "/v1/images/generations", {
        "prompt": "a fish", "seed": 4, "steps": 4, "response_format": "url"})
    address = json.loads(body)["data"][0]["url"] if status == 200 else ""
    is_own = address.startswith(base + "/")
    answers = [fleet.ask(address, "") for _ in range(6)] if is_own else []
    check("an address in an answer leads back here, to any gateway",
          is_own and {(status, body) for status, _, body in answers} == {(200, answers[0][2])},
          f"{address} {[status for status, _, _ in answers]}")


def check_kill(fleet, base, requests, expected):
    """A gateway ends while clients wait for their pictures; they ask again with the same key."""
    answers, broken, refused = {}, [], []
    numbers, lock = iter(range(len(requests))), threading.Lock()

    def client():
        while True:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            while number not in answers:
                status, _, body = fleet.ask(
                    base, "/v1/images/generations", requests[number] | {"response_format": "b64_json"},
                    timeout=60, idempotency_key=f"client-{number}")
                if status == 200:
                    answers[number] = hashes({"images": json.loads(body)["data"]})
                elif status in (0, 502, 503, 504):
                    broken.append(status)
                    time.sleep(0.2)
                else:
                    refused.append((status, body))
                    break

    clients = [threading.Thread(target=client) for _ in range(8)]
    for thread in clients:
        thread.start()
    time.sleep(1)
    before = len(answers)
    fleet.gateways[0].kill()
    for thread in clients:
        thread.join()
    check("some calls were broken", bool(broken) and before < len(requests),
          f"{len(broken)}: {sorted(set(broken))}; {before} had ended before")
    check("all clients got their pictures", not refused and [
        answers.get(number) for number in range(len(requests))] == expected, refused[:2])


def balancer(program):
    """nginx with Deploy/fleet/balancer.conf in front of two gateways."""
    requests = [request | {"steps": 40} for request in kinds(56) if "image" not in request]
    expected = alone(program, requests)
    with Fleet(program, gateways=2, workers=2) as fleet:
        base = start_nginx(fleet)
        fleet.start()
        check("calls go to both gateways", len(gateways_behind(fleet, base)) == 2)
        check_stream(fleet, base)
        check_address(fleet, base)
        check_kill(fleet, base, requests, expected)
        status, _, body = fleet.ask(base, "/api/jobs?limit=200")
        count = len(json.loads(body)["data"]) if status == 200 else status
        check("no job was made twice", count == len(requests) + 2, count)
        fleet.gateways[0].start()
        fleet.wait_until_ready()
        time.sleep(11)  # nginx leaves one that failed alone for ten seconds
        check("the gateway that came back is asked again", len(gateways_behind(fleet, base)) == 2)
        # A machine that is gone says nothing at all.
        fleet.network.cut("g2")
        slowest = 0.0
        for number in range(6):
            begin = time.monotonic()
            job = submit(fleet, {"prompt": "a star", "seed": number, "steps": 4}, f"gone-{number}",
                         lambda: base, passing=(0, 502, 503, 504))
            answer = wait_for(fleet, [job], lambda: base, 60).get(job)
            slowest = max(slowest, time.monotonic() - begin)
            check.failed += not answer or answer["state"] != "succeeded"
        check("a gateway whose machine is gone is soon left alone", slowest < 10,
              f"the slowest of 6 pictures took {slowest:.1f} s")
        if check.failed:
            fleet.show()


def read_yaml(name):
    try:
        import yaml
    except ImportError:
        sys.exit("this part reads YAML: it needs the Python package PyYAML, which is not installed")
    return list(yaml.safe_load_all((FILES / name).read_text(encoding="utf-8")))


def unknown_flags(program, words):
    """Flags of a command line that its command does not have."""
    known = subprocess.run([program, words[0], "--help-hidden"], capture_output=True, text=True,
                           check=True).stdout
    flags = [word.split("=")[0] for word in words if word.startswith("--")]
    return [flag for flag in flags if not re.search(rf"^\s*(-\w, )?{flag}\b(?!-)", known, re.MULTILINE)]


def deploy(program):
    """The files of Deploy/fleet: NATS's configuration, and command lines of containers."""
    [compose] = read_yaml("compose.yaml")
    kubernetes = read_yaml("kubernetes.yaml")
    services = compose["services"]
    containers = [container for document in kubernetes if document["kind"] == "Deployment"
                  for container in document["spec"]["template"]["spec"]["containers"]]
    lines = [services["gateway"]["command"], services["worker"]["command"],
             *(container["args"] for container in containers)]
    unknown = [flag for words in lines for flag in unknown_flags(program, words)]
    check(f"{len(lines)} command lines have flags that exist", len(lines) == 4 and not unknown, unknown)
    check("flags that do not exist are found",
          unknown_flags(program, ["worker", "--model", "--queue-win=3"]) == ["--queue-win"])
    mounted = [volume.split(":")[0] for service in services.values()
               for volume in service.get("volumes", []) if volume.startswith("./")]
    missing = [name for name in mounted if name != "./keys.json" and not (FILES / name).exists()]
    check("files that containers are given exist", mounted and not missing, missing)

    config = FILES / "nats.conf"
    tried = subprocess.run(["nats-server", "-c", config, "-t"], capture_output=True, text=True, check=False)
    check("nats.conf is valid", tried.returncode == 0, tried.stderr.strip())
    with Fleet(program, gateways=1, workers=1) as fleet:
        [gateway], [worker], [base] = fleet.gateways, fleet.workers, fleet.bases
        copy = fleet.place / "nats.conf"
        copy.write_text(config.read_text(encoding="utf-8").replace(
            "/var/lib/nats", str(fleet.place / "store")), encoding="utf-8")
        fleet.nats.words = ["nats-server", "-c", copy]
        data = fleet.place / "data"
        key = subprocess.run([program, "keys", "add", "clients", "--data", data], capture_output=True,
                             text=True, check=True).stdout.strip()
        changes = {"nats://nats:4222": fleet.address, "/data": data}
        for node, name in [(gateway, "gateway"), (worker, "worker")]:
            node.words = [program, *(changes.get(word, word) for word in services[name]["command"])]
        fleet.start()
        check("gateways report readiness without a key", fleet.status(base, "/livez") == 200)
        status, _, body = fleet.ask(
            base, "/v1/images/generations", {"prompt": "a star", "seed": 1, "steps": 4},
            authorization=f"Bearer {key}", host="localhost")
        check("a picture is drawn with the command lines of compose.yaml", status == 200, body[:200])
        ask = "import sys, urllib.request as u; print(u.urlopen(sys.argv[1]).read().decode())"

        def monitor(path):
            words = [sys.executable, "-c", ask, f"http://127.0.0.1:8222{path}"]
            return json.loads(subprocess.run(fleet.network.command("nats", *words), text=True,
                                             capture_output=True, check=True).stdout)

        check("NATS reports on its monitoring port that it is healthy", monitor("/healthz")["status"] == "ok")
        # What KEDA asks for is called like what there is.
        [trigger] = [document["spec"]["triggers"][0]["metadata"] for document in kubernetes
                     if document["kind"] == "ScaledObject"]
        model = json.loads(fleet.ask(base, "/v1/models", authorization=f"Bearer {key}")[2])["data"][0]["id"]
        there = {(stream["name"], consumer["name"])
                 for account in monitor("/jsz?consumers=true")["account_details"]
                 for stream in account["stream_detail"]
                 for consumer in stream.get("consumer_detail") or []}
        wanted = (trigger["stream"].replace("z-image-turbo", model), trigger["consumer"])
        check("the autoscaler asks for a stream and a consumer that there are", wanted in there, wanted)
        if check.failed:
            fleet.show()
