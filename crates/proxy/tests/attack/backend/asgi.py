"""Writes down every request once its body has ended."""

import os


async def application(scope, receive, send):
    if scope["type"] != "http":
        return
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            return
        body += message.get("body", b"")
        more = message.get("more_body", False)
    target = scope["raw_path"].decode()
    if scope["query_string"]:
        target += "?" + scope["query_string"].decode()
    host = dict(scope["headers"])[b"host"].decode()
    with open(os.environ["SEEN"], "a") as file:
        file.write(f"{scope['method']} {target} HTTP/{scope['http_version']}\t{host}\t{len(body)}\n")
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain"), (b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})
