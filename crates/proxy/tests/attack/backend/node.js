// Writes down every request once its body has ended, and every connection that was not understood.
const [port, log] = process.argv.slice(2);
const write = (line) => require("fs").appendFileSync(log, line + "\n");
const server = require("http").createServer((request, response) => {
    let length = 0;
    request.on("data", (piece) => (length += piece.length));
    request.on("end", () => {
        write(`${request.method} ${request.url} HTTP/${request.httpVersion}\t${request.headers.host}\t${length}`);
        response.end("ok");
    });
});
server.on("clientError", (error, socket) => {
    if (error.code !== "ECONNRESET" && error.code !== "HPE_INVALID_EOF_STATE") write(`refused ${error.code}\t\t0`);
    socket.destroy();
});
server.listen(Number(port), "127.0.0.1");
