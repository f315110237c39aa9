// Express as it comes: its router ignores case and a slash at the end.
const app = require("express")();
app.use("/admin", (_, response) => response.send("secret"));
app.use((_, response) => response.send("public"));
app.listen(Number(process.argv[2]), "127.0.0.1");
