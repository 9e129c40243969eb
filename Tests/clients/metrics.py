#!/usr/bin/env python3
# Part of Inkstone. Licence: see LICENSE.
"""Read a running server's metrics with Prometheus' own parsers, and reconcile them with its access log.

    metrics.py [--inkstone .build/release/inkstone]

Starts a server on ports of its own with the embedded model, makes pictures in every way that a request
can end (answer, stream, refusal, a client that leaves), and checks: both text formats parse; every
histogram's buckets ascend to its count; every count equals what was asked; the log has one line for
each request, under the client's own id, with the bytes and the time that the client saw. Prints one
line a check; exits with 1 when one fails. Needs prometheus_client.
"""

import argparse
import json
import pathlib
import re
import socket
import sys
import time
import urllib.error
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from running_server import PROGRAM, RunningServer

ROUTE = "/v1/images/generations"
failures = 0


def check(name, is_right, note=""):
    global failures
    failures += not is_right
    print(f"{'ok  ' if is_right else 'FAIL'} {name} {note}", flush=True)


class MeteredServer(RunningServer):
    """A server whose metrics are read."""

    def request(self, path, body=None, **headers):
        """Status, headers, body and seconds of a request."""
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, headers)
        start = time.monotonic()
        try:
            answer = urllib.request.urlopen(request, timeout=120)
        except urllib.error.HTTPError as error:
            answer = error
        content = answer.read()
        return answer.status, answer.headers, content, time.monotonic() - start

    def leave(self, body, request_id):
        """Asks for a stream, reads its head and goes away."""
        data = json.dumps(body).encode()
        with socket.create_connection(("127.0.0.1", self.port)) as connection:
            connection.sendall(
                f"POST {ROUTE} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Request-Id: {request_id}\r\n"
                f"Content-Length: {len(data)}\r\n\r\n".encode() + data)
            connection.recv(64)

    def metrics(self):
        """All samples in the first format: {(name, labels): value}, and the families."""
        _, headers, content, _ = self.request("/metrics")
        check("content type", headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8")
        families = list(text_string_to_metric_families(content.decode()))
        samples = {}
        for family in families:
            for sample in family.samples:
                samples[sample.name, tuple(sorted(sample.labels.items()))] = sample.value
        return samples, families

    def quiet(self):
        """Waits until nothing is in flight, for a client or in the engine."""
        for _ in range(600):
            _, _, content, _ = self.request("/metrics")
            samples = {
                sample.name: sample.value
                for family in text_string_to_metric_families(content.decode())
                for sample in family.samples
                if sample.name == "inkstone_requests_in_flight"
                or sample.name == "inkstone_engine_requests" and sample.labels["state"] == "running"
            }
            if not any(samples.values()):
                return
            time.sleep(0.05)
        raise SystemExit("the server did not become quiet")


def histograms_hold(families):
    """Buckets ascend to a last one that equals the count, and there is a sum."""
    for family in families:
        if family.type != "histogram":
            continue
        groups = {}
        for sample in family.samples:
            labels = dict(sample.labels)
            bound = labels.pop("le", None)
            group = groups.setdefault(tuple(sorted(labels.items())), {"buckets": []})
            if sample.name.endswith("_bucket"):
                group["buckets"].append((float(bound), sample.value))
            else:
                group[sample.name.rsplit("_", 1)[1]] = sample.value
        for group in groups.values():
            bounds, counts = zip(*group["buckets"])
            if not (
                list(bounds) == sorted(bounds) and list(counts) == sorted(counts)
                and bounds[-1] == float("inf") and counts[-1] == group["count"]
                and group["sum"] >= 0
            ):
                return False
    return True


def log_lines(path):
    """The lines of the access log by request id."""
    pattern = re.compile(
        r'(\S+) - - \[[^]]+\] "(\S+) (\S+) HTTP/1\.1" (\d+) (\d+) "[^"]*" "[^"]*" (.*)')
    lines = {}
    for line in path.read_text().splitlines():
        match = pattern.fullmatch(line)
        if match is None:
            raise SystemExit(f"not a line of the access log: {line}")
        pairs = dict(pair.split("=", 1) for pair in match.group(6).split(" "))
        lines.setdefault(pairs["id"], []).append(
            {"path": match.group(3), "status": int(match.group(4)), "bytes": int(match.group(5))}
            | pairs)
    return lines


def run(server):
    _, headers, content, _ = server.request("/metrics", Accept="application/openmetrics-text")
    check("OpenMetrics type", headers["Content-Type"].startswith("application/openmetrics-text"))
    check("OpenMetrics parses", len(list(
        openmetrics.text_string_to_metric_families(content.decode()))) > 20)

    asked = []
    for number in range(4):
        body = {"prompt": f"a red apple {number}", "seed": number, "steps": 4, "n": 1 + number % 2}
        if number >= 2:
            body |= {"stream": True, "partial_images": 1}
        name = f"good-{number}"
        status, headers, content, seconds = server.request(ROUTE, body, X_Request_Id=name)
        check(f"answer {name}", status == 200 and headers["x-request-id"] == name)
        asked.append((name, body, len(content), seconds))
    status, headers, _, _ = server.request(ROUTE, {"prompt": "p", "n": 0}, X_Request_Id="bad")
    check("refusal", status == 400 and headers["x-request-id"] == "bad")
    server.leave({"prompt": "a cat", "steps": 200, "stream": True}, "gone")
    server.quiet()

    samples, families = server.metrics()
    check("names are unique", len({family.name for family in families}) == len(families))
    check("histograms hold", histograms_hold(families))

    def value(name, **labels):
        return samples.get((f"inkstone_{name}", tuple(sorted(labels.items()))), 0)

    model = {"model": "emoji-nano"}
    route = {"route": ROUTE, "method": "POST"}
    check("requests", value("requests_total", **route, status="200", code="ok") == 4)
    check("refusals", value("requests_total", **route, status="400", code="invalid_value") == 1)
    check("left", value("requests_total", **route, status="200", code="request_cancelled") == 1)
    check("durations", value(
        "request_duration_seconds_count", route=ROUTE, status="200", **model) == 5)
    images = sum(body["n"] for _, body, _, _ in asked)
    check("images", value("images_total", **model) == images)
    check("pixels", value("pixels_total", **model) == images * 128 * 128)
    check("decoded", value("vae_decode_seconds_count", **model) == images)
    evaluations = value("denoise_evaluations_total", **model)
    check("evaluations", 4 * images <= evaluations < 4 * images + 200, f"{evaluations:.0f}")
    check("batches", value("batch_size_sum", **model) == evaluations)
    check("passes", value("batch_size_count", **model) == value(
        "denoise_step_seconds_count", **model))
    check("first previews", value("time_to_first_preview_seconds_count", **model) >= 4)
    check("outcomes", value("generations_total", **model, outcome="ok") == 4
          and value("generations_total", **model, outcome="cancelled") == 1)
    check("queue times", value("queue_time_seconds_count", **model) == 5)
    check("cancelled", value("requests_cancelled_total", phase="running") == 1)
    check("declared cache", value(
        "cache_info", cache="prompt", keeps="prompt captions", worker="emoji-nano/1", **model) == 1)
    check("resident memory", samples["process_resident_memory_bytes", ()] > 1e7)

    lines = log_lines(server.log)
    check("one line a request", all(
        len(lines.get(name, [])) == 1 for name in ["bad", "gone"] + [row[0] for row in asked]))
    for name, body, size, seconds in asked:
        line = lines[name][0]
        check(f"line {name}", line["bytes"] == size and line["code"] == "ok"
              and line["steps"] == "4" and line["n"] == str(body["n"])
              and -0.001 <= seconds - float(line["rt"]) <= 0.05 + 0.02 * seconds,
              f"client {seconds:.3f} s, log {line['rt']} s")
    check("line of the client that left", lines["gone"][0]["code"] == "request_cancelled")
    total = sum(float(lines[name][0]["rt"]) for name, *_ in asked) + float(lines["gone"][0]["rt"])
    summed = value("request_duration_seconds_sum", route=ROUTE, status="200", **model)
    check("log and metrics agree", abs(total - summed) < 0.005, f"{total:.3f} s, {summed:.3f} s")


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--inkstone", default=str(PROGRAM))
    with MeteredServer(arguments.parse_args().inkstone) as server:
        run(server)
        server.process.terminate()
        check("the server ends well", server.process.wait(60) == 0)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
