# Part of Inkstone. Licence: see LICENSE.
"""Parts of fleet.py with other kinds of NATS: a cluster of three, and one with operators and JWT."""

import json
import random
import subprocess
import threading
import time

from fleet_jobs import alone, check, hashes, kinds, look, submit, submit_all, wait_for
from fleet_net import Fleet
from nats_keys import Key, Operator, write_credentials
from running_server import ROOT, wait


def ask_server(fleet, node, path):
    """What a NATS server's monitoring port answers; an empty answer where it does not live."""
    status, _, body = fleet.ask(f"http://{node.host}:8222", path, timeout=5)
    return json.loads(body) if status == 200 else {}


def leader(fleet):
    """The server that leads the cluster, as all others say too; none while they choose."""
    said = [ask_server(fleet, node, "/jsz").get("meta_cluster", {}).get("leader")
            for node in fleet.servers if node.is_running()]
    return next((node for node in fleet.servers if {node.name} == set(said)), None)


def missing(fleet):
    """What some server lacks of what the others have; nothing once all are alike.

    The leaders are asked: /healthz of 2.9 reports unused queues as not current for ever.
    """
    led = leader(fleet)
    if led is None:
        return ["a leader"]
    groups = {"all": [ask_server(fleet, led, "/jsz").get("meta_cluster", {})]}
    names = set()
    for node in fleet.servers:
        for account in ask_server(fleet, node, "/jsz?streams=true").get("account_details", []):
            for stream in account.get("stream_detail", []):
                names.add(stream["name"])
                if stream["cluster"].get("leader") == node.name:
                    groups.setdefault(stream["name"], []).append(stream["cluster"])
    lacks = [f"a leader of {name}" for name in names if len(groups.get(name, [])) != 1]
    return lacks + [f"{name} on {peer['name']}" for name, [group, *_] in groups.items()
                    for peer in group.get("replicas", [])
                    if not peer["current"] or peer.get("offline") or peer.get("lag")]


def differing(fleet, final):
    """Jobs for which a gateway reports another state than at their end, with that state."""
    return [(node.name, job, (now or {}).get("state"))
            for node, base in zip(fleet.gateways, fleet.bases) for job, then in final.items()
            if (now := look(fleet, job, lambda: base)) != then]


def check_the_same(fleet, final, seconds=60):
    """All gateways report the state in which each job ended, those that lag behind after some seconds."""
    begin = time.monotonic()
    while (other := differing(fleet, final)) and time.monotonic() - begin < seconds:
        time.sleep(0.5)
    check("both gateways tell the same of every job, now and when it ended", not other,
          f"{len(other)} differ: {other[:3]}" if other else f"after {time.monotonic() - begin:.1f} s")


def start_cluster(fleet):
    """Gateways and workers are there before the cluster is, as after a power cut."""
    fleet.servers[0].start()
    programs = [*fleet.workers, *fleet.gateways]
    for node in programs:
        node.start()
    # Alone a server has no leader; it says so after a while, and is silent before.
    time.sleep(15)
    for node in fleet.servers[1:]:
        node.start()
    wait("a leader of the cluster", lambda: leader(fleet) is not None)
    time.sleep(2)
    ended = [node for node in programs if not node.is_running()]
    check("gateways and workers wait for a cluster without a leader", not ended,
          [(node.name, node.process.returncode, node.text()[-300:]) for node in ended])
    for node in ended:
        node.start()
    fleet.wait_until_ready()


def cluster(program, count=60):
    """Three NATS servers: while jobs run each is killed and comes back; then one stays dead."""
    requests = list(kinds(count + 20))
    expected = alone(program, requests)
    dice = random.Random(13)
    copies = ["--queue-replicas", "3"]
    with Fleet(program, gateways=2, workers=2, jobs=3, servers=3, arguments=copies) as fleet:
        for node in fleet.workers:
            node.words += copies
        start_cluster(fleet)
        wait("three servers that have all", lambda: not missing(fleet))
        choose = lambda: dice.choice(fleet.bases)  # noqa: E731
        stop, kills, slowest = threading.Event(), [], [0.0]

        def disturb():
            while not stop.wait(2):
                led = leader(fleet)
                if led is None:
                    continue
                # The leader, then the one that was spared most often, and so on.
                victim = led if len(kills) % 2 == 0 else min(
                    fleet.servers, key=lambda node: [name for name, _ in kills].count(node.name))
                victim.kill()
                kills.append((victim.name, victim is led))
                time.sleep(3)
                victim.start()
                begin = time.monotonic()
                while (lacks := missing(fleet)) and time.monotonic() - begin < 60:
                    time.sleep(0.5)
                slowest[0] = max(slowest[0], time.monotonic() - begin)
                if lacks:
                    print(f"     {victim.name} came back without {lacks}", flush=True)

        refusals = []
        begin = time.monotonic()
        disturber = threading.Thread(target=disturb)
        disturber.start()
        # A pause, so that there are jobs in work for as long as servers are killed.
        jobs = submit_all(fleet, requests, choose, 6, 5, refusals)
        final = wait_for(fleet, jobs, choose, 300)
        took = time.monotonic() - begin
        stop.set()
        disturber.join()
        print(f"     {count} jobs in {took:.0f} s; killed: {[name for name, _ in kills]},"
              f" {sum(led for _, led in kills)} times the leader; whole again after"
              f" {slowest[0]:.1f} s at most; refusals {len(refusals)}", flush=True)
        check("each server was killed and came back, the leader too", {name for name, _ in kills} == {
            node.name for node in fleet.servers} and any(led for _, led in kills) and slowest[0] < 60)
        check_jobs(fleet, jobs, final, expected)

        # Two of three are enough.
        dead = leader(fleet)
        dead.kill()
        begin = time.monotonic()
        more = [submit(fleet, request, f"more-{number}", choose)
                for number, request in enumerate(requests[count:])]
        print(f"     leader dead: all accepted after {time.monotonic() - begin:.1f} s", flush=True)
        final = wait_for(fleet, more, choose, 180)
        print(f"     and done after {time.monotonic() - begin:.1f} s", flush=True)
        check_jobs(fleet, more, final, expected[count:])
        if check.failed:
            fleet.show()


def check_jobs(fleet, jobs, final, expected):
    """Every job ended once, with the right pictures, and all gateways say so."""
    check("every job was accepted once", len(set(jobs)) == len(jobs))
    check("every job ended", len(final) == len(jobs), f"{len(final)} of {len(jobs)}")
    bad = [job for job in final.values() if job["state"] != "succeeded"]
    check("every job succeeded", not bad, [(job["state"], job.get("failure")) for job in bad[:3]])
    wrong = [number for number, job in enumerate(jobs)
             if job in final and hashes(final[job]) != expected[number]]
    check("every picture equals the one made alone", not wrong, wrong[:5])
    print("     attempts:", {n: sum(job["attempts"] == n for job in final.values())
                             for n in sorted({job["attempts"] for job in final.values()})})
    check_the_same(fleet, final)


# What Docs/fleet.md says a user needs.
SUBJECTS = ["inkstone.>", "$KV.inkstone-jobs.>", "$KV.inkstone-keys.>", "$KV.inkstone-secrets.>",
            "$KV.inkstone-workers.>", "$KV.inkstone-models.>", "$JS.API.>", "$JS.ACK.>", "$JS.FC.>", "_INBOX.>"]


def creds(program):
    """NATS with operator, accounts and JWT: `.creds` files that are right and wrong."""
    with Fleet(program, gateways=1, workers=1) as fleet:
        place, secrets = fleet.place, []
        operator = Operator(place)
        account = operator.add_account("inkstone", 6 << 30, 64 << 20)
        stranger = Key("account", place)
        (place / "nats.conf").write_text(operator.config(), encoding="utf-8")
        fleet.nats.words += ["-c", place / "nats.conf"]

        def user(name, account, **wrong):
            file = place / f"{name}.creds"
            secrets.extend(write_credentials(
                file, account, Key("user", place), SUBJECTS, **wrong))
            return file

        right = user("right", account)
        wrong = {
            "of a user of an unknown account": user("unknown", stranger),
            "with a wrong signature": user("signature", account, signer=stranger),
            "with another user's seed": user("seed", account, seed=Key("user", place).seed),
            "that does not exist": place / "nowhere.creds",
            "that holds something else": place / "nats.conf",
        }
        programs = [*fleet.gateways, *fleet.workers]
        plain = [list(node.words) for node in programs]
        for node in programs:
            node.words += ["--queue-credentials", right]
        fleet.start()
        request = {"prompt": "a star", "seed": 1, "steps": 4}
        job = submit(fleet, request, "creds", lambda: fleet.bases[0])
        [answer] = wait_for(fleet, [job], lambda: fleet.bases[0], 30).values()
        check("a job goes through", answer["state"] == "succeeded", answer.get("failure", ""))
        status, _, _ = fleet.ask(fleet.bases[0], f"/api/jobs/{job}", method="DELETE")
        check("and is removed again", status in (200, 204), status)
        said = fleet.nats.text()
        check("the user needs no more than Docs/fleet.md says", "iolation" not in said,
              said[-500:] if "iolation" in said else "")

        texts = []
        for what, file in wrong.items():
            for node, words in zip(programs, plain):
                begin = time.monotonic()
                ended = subprocess.run(
                    fleet.network.command(node.name, *words, "--queue-credentials", file),
                    capture_output=True, text=True, timeout=90, check=False, cwd=ROOT)
                texts.append(ended.stdout + ended.stderr)
                check(f"a file {what} is refused to {node.name} in a sentence",
                      ended.returncode == 64 and ended.stderr.count("\n") == 1,
                      f"{ended.returncode} after {time.monotonic() - begin:.1f} s: {ended.stderr.strip()}")
        texts += [node.text() for node in fleet.nodes]
        check("no seed and no claim is in any log", not any(
            secret in text for secret in secrets for text in texts))
        if check.failed:
            fleet.show()
