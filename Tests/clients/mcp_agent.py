#!/usr/bin/env python3
# Part of Inkstone. Licence: see LICENSE.
"""An agent over the Model Context Protocol: the official Python SDK (package mcp), unmodified, over HTTP and over standard
input and output, with `inkstone serve` and `inkstone mcp`.

    mcp_agent.py [--inkstone PATH]

Lists tools, models and LoRAs; generates with progress; edits an image of an earlier call by its name; cancels a call; reads
errors; is refused without a key and served with one.
"""

import argparse
import asyncio
import base64
import io
import json
import os
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))

import httpx2
from PIL import Image
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from running_server import PROGRAM, Checks, RunningServer


def pictures(result):
    return [Image.open(io.BytesIO(base64.b64decode(part.data))) for part in result.content if part.type == "image"]


def words(result):
    return " ".join(part.text for part in result.content if part.type == "text")


async def converse(check, session, kind):
    """What an agent does with a server, over one transport."""
    await session.initialize()
    tools = {tool.name for tool in (await session.list_tools()).tools}
    check(f"{kind}: tools are listed", {"generate_image", "edit_image", "list_models", "list_loras", "get_job"} <= tools)
    models = await session.call_tool("list_models", {})
    check(f"{kind}: models are listed", "emoji-nano" in words(models), words(models))
    loras = await session.call_tool("list_loras", {})
    check(f"{kind}: LoRAs are listed", "pixel" in words(loras), words(loras))

    heard = []

    async def progress(done, total, message):
        heard.append((done, total))

    request = {"prompt": "a red apple on a blue background", "seed": 7, "format": "png"}
    made = await session.call_tool("generate_image", request, progress_callback=progress)
    first = pictures(made)
    check(f"{kind}: an image is generated", not made.is_error and len(first) == 1, words(made))
    check(f"{kind}: its steps are reported", len(heard) >= 4 and heard == sorted(heard) and heard[-1][0] == heard[-1][1], str(heard))
    again = pictures(await session.call_tool("generate_image", request))
    check(f"{kind}: the same request gives the same image", again[0].tobytes() == first[0].tobytes())

    name = made.structured_content["images"][0]["name"]
    edited = await session.call_tool(
        "edit_image", {"prompt": "a green apple on a yellow background", "image": name, "strength": 0.9, "format": "png"})
    check(f"{kind}: an image of an earlier call is edited by its name",
          not edited.is_error and pictures(edited)[0].tobytes() != first[0].tobytes(), words(edited))
    stored = await session.call_tool("get_job", {"job": made.structured_content["job"], "format": "png"})
    check(f"{kind}: its job still has it", pictures(stored)[0].tobytes() == first[0].tobytes())
    wrong = await session.call_tool("generate_image", {"prompt": "a cat", "size": "13x13"})
    check(f"{kind}: a wrong size is refused in words", wrong.is_error and "13" in words(wrong), words(wrong))

    # A long call, which the client gives up.
    long = asyncio.create_task(session.call_tool(
        "generate_image", {"prompt": "a cat", "size": "256x256", "steps": 100, "guidance_scale": 4, "n": 4}))
    await asyncio.sleep(1)
    long.cancel()
    try:
        await long
        check(f"{kind}: a call is cancelled", False, "it ended")
    except asyncio.CancelledError:
        check(f"{kind}: a call is cancelled", True)


async def over_http(check, url, key=None, kind="HTTP"):
    client = httpx2.AsyncClient(headers={"Authorization": f"Bearer {key}"} if key else {}, timeout=120)
    async with client, streamable_http_client(url + "/mcp", http_client=client) as streams:
        async with ClientSession(streams[0], streams[1]) as session:
            await converse(check, session, kind)


async def over_stdio(check, program, folder):
    environment = {**os.environ, "INKSTONE_DATA": folder}
    server = StdioServerParameters(command=str(program), args=["mcp", "--", "--host", "127.0.0.1"], env=environment)
    async with stdio_client(server, errlog=open(os.devnull, "w")) as (reading, writing):
        async with ClientSession(reading, writing) as session:
            await converse(check, session, "stdio")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inkstone", default=PROGRAM)
    options = parser.parse_args()
    check = Checks()
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(over_stdio(check, options.inkstone, folder))
    with RunningServer(options.inkstone) as server:
        asyncio.run(over_http(check, server.base))
        jobs = json.loads(server.ask("/api/jobs")[2])["data"]
        states = [job["state"] for job in jobs]
        check("HTTP: the job of the cancelled call has ended", states.count("cancelled") == 1, str(states))
    with tempfile.TemporaryDirectory() as folder:
        key = subprocess.run([options.inkstone, "keys", "add", "agent", "--data", folder], capture_output=True, text=True,
                             check=True).stdout.split()[-1]
        with RunningServer(options.inkstone, data=folder) as server:
            try:
                asyncio.run(over_http(check, server.base))
                check("without a key it is refused", False)
            except Exception as error:  # a group of errors, of the transport's
                check("without a key it is refused", True, type(error).__name__)
            asyncio.run(over_http(check, server.base, key, "HTTP with a key"))
    check.end()


if __name__ == "__main__":
    main()
