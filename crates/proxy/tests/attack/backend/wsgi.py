"""Writes down every request once its body has ended."""

import os


def application(environ, start_response):
    body = environ["wsgi.input"].read()
    with open(os.environ["SEEN"], "a") as file:
        file.write(f"{environ['REQUEST_METHOD']} {environ['RAW_URI']} {environ['SERVER_PROTOCOL']}\t{environ['HTTP_HOST']}\t{len(body)}\n")
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "2")])
    return [b"ok"]
