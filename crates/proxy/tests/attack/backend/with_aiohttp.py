"""Writes down every request once its body has ended."""

import asyncio
import sys

from aiohttp import web

port, log = sys.argv[1:]


async def answer(request):
    body = await request.read()
    with open(log, "a") as file:
        file.write(f"{request.method} {request.raw_path} HTTP/{request.version.major}.{request.version.minor}\t{request.headers['Host']}\t{len(body)}\n")
    return web.Response(text="ok")


async def main():
    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", int(port)).start()
    await asyncio.Event().wait()


asyncio.run(main())
