"""Flask as it comes: its router merges slashes and leads to the path without them."""
import logging
import sys

from flask import Flask

app = Flask(__name__)
logging.getLogger("werkzeug").setLevel(logging.ERROR)


@app.route("/admin", strict_slashes=False)
@app.route("/admin/<path:rest>")
def admin(rest=""):
    return "secret"


@app.errorhandler(404)
def public(_):
    return "public"


app.run("127.0.0.1", int(sys.argv[1]), threaded=True)
