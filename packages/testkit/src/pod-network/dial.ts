/** `node dial.ts UID IP PORT`: connects as that user and prints what it hears, or the error's code. */
import { connect } from "node:net";

const [uid, host = "", port] = process.argv.slice(2);
process.setgid?.(Number(uid));
process.setuid?.(Number(uid));
const socket = connect({ host, port: Number(port), timeout: 5_000 });
socket.setEncoding("utf8");
socket.on("data", (text: string) => process.stdout.write(text));
socket.on("error", (error: NodeJS.ErrnoException) => process.stdout.write(`${error.code}\n`));
socket.on("timeout", () => {
  process.stdout.write("TIMEOUT\n");
  socket.destroy();
});
