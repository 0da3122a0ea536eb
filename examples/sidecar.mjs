// A desktop application's side of `mvdb serve --stdio`, as in the main process of Electron. Tauri's
// shell plugin speaks the same lines to the same command.
//
//     node sidecar.mjs        indexes a few notes, searches, and shows an error and a cancelled call
//
// MVDB in the environment is the command, by default "mvdb". Needs Node.js 18, no packages.
import { spawn } from "node:child_process";
import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

export class Sidecar {
  #calls = new Map(); // id of a request: what waits for its answer
  #lastId = 0;

  constructor(file, args = [], env = process.env) {
    const [command, ...first] = (process.env.MVDB ?? "mvdb").split(" ");
    const stdio = ["pipe", "pipe", "inherit"]; // warnings, and why it did not start
    this.process = spawn(command, [...first, "serve", file, "--stdio", ...args], { env, stdio });
    this.process.stdin.on("error", () => {}); // it has ended: told by "close"
    createInterface({ input: this.process.stdout }).on("line", (line) => this.#take(line));
    const fail = (reason) => {
      for (const { reject } of this.#calls.values()) reject(new Error(`mvdb: ${reason}`));
      this.#calls.clear();
    };
    this.ended = new Promise((resolve) => {
      this.process.on("error", (error) => (fail(error.message), resolve(null)));
      this.process.on("close", (code) => (fail(`ended with ${code}`), resolve(code)));
    });
  }

  // The result of a method. onProgress: told of {done, total} or {step}. signal: cancels the call.
  call(method, params = {}, { onProgress, signal } = {}) {
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      this.#calls.set(id, { resolve, reject, onProgress });
      this.#send({ id, method, params, progress: Boolean(onProgress) });
      const cancel = () => this.#send({ id: ++this.#lastId, method: "cancel", params: { id } });
      if (signal?.aborted) cancel();
      else signal?.addEventListener("abort", cancel, { once: true });
    });
  }

  // Lets the calls under way end, and then the process; its exit code.
  close() {
    this.process.stdin.end();
    return this.ended;
  }

  #send(request) {
    this.process.stdin.write(JSON.stringify(request) + "\n");
  }

  #take(line) {
    const { id, result, error, progress } = JSON.parse(line);
    const call = this.#calls.get(id); // none for the answer to "cancel"
    if (progress) return call?.onProgress?.(progress);
    this.#calls.delete(id);
    if (error) call?.reject(Object.assign(new Error(error.message), { code: error.code }));
    else call?.resolve(result);
  }
}

async function main() {
  const here = dirname(fileURLToPath(import.meta.url));
  const folder = mkdtempSync(join(tmpdir(), "sidecar-"));
  const notes = join(folder, "notes");
  mkdirSync(notes);
  writeFileSync(join(notes, "boat.md"), "# Boat\n\nCaulk the seams before you paint the hull.\n");
  writeFileSync(join(notes, "bread.md"), "# Bread\n\nBake it at 240 degrees for an hour.\n");
  // The encoder of the examples; an application leaves this out and takes the default one.
  const paths = [here, process.env.PYTHONPATH].filter(Boolean).join(delimiter);
  const env = { ...process.env, PYTHONPATH: paths };
  const mvdb = new Sidecar(join(folder, "notes.mvdb"), ["--encoder", "small_encoder:choose"], env);
  try {
    const onProgress = ({ step, done, total }) => console.log(step ?? `${done} of ${total}`);
    const { passages } = await mvdb.call("index", { sources: [notes] }, { onProgress });
    console.log(`passages: ${passages.written}`);
    const hits = await mvdb.call("search", { query: "painting a hull", k: 1 });
    for (const { text, highlights } of hits) {
      const characters = Array.from(text); // highlights count characters, not UTF-16 units
      const words = highlights.map(([first, last]) => characters.slice(first, last).join(""));
      console.log(`found: ${text.trim().split("\n").pop()} (${words.join(", ")})`);
    }
    await mvdb.call("search", { query: "x", k: 0 }).catch((error) => {
      console.log(`refused: ${error.code}: ${error.message}`);
    });
    const signal = AbortSignal.abort();
    const many = { queries: Array(2000).fill("hull"), fields: [] };
    await mvdb.call("search_batch", many, { signal }).catch((error) => {
      console.log(`ended early: ${error.code}`);
    });
  } finally {
    console.log(`exit code: ${await mvdb.close()}`);
    rmSync(folder, { recursive: true });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
