import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import type { JsonObject } from "@heddle/apiserver/json/value";
import { TestClient, type WatchEvent } from "./client.ts";
import { ServerProcess } from "./server-process.ts";

const MAPS = "/api/v1/namespaces/default/configmaps";
const LABEL = "storm";
const WRITERS = 24;

/** What a writer knows of its object: what was acknowledged, and what may have come after it. */
interface Known {
  /** Number of the acknowledged write; 0 if the object was never there, or is deleted. */
  acknowledged: number;
  /** Number of the write that is under way; undefined if none is. 0 is a delete. */
  attempted: number | undefined;
}

export interface CrashResult {
  readonly acknowledged: number;
  readonly events: number;
}

/**
 * Rounds of writes that each end in `kill -9`. Afterwards every acknowledged write must be there,
 * none half, and a watch must go on from where it was cut.
 *
 * @param random - Uniform in [0, 1).
 */
export async function crashRounds(
  dataDir: string,
  rounds: number,
  random: () => number,
  onRound: (round: number, result: CrashResult) => void,
): Promise<void> {
  const world = new Map<string, Known>();
  let server = await ServerProcess.start(dataDir);
  try {
    for (let round = 1; round <= rounds; round++) {
      const storm = new Storm(server, world, random);
      const acknowledged = await storm.run(20 + Math.floor(random() * 400));
      await storm.settled();
      server = await ServerProcess.start(dataDir);
      using client = clientOf(server);
      onRound(round, { acknowledged, events: await storm.check(client) });
    }
  } finally {
    await server.end("SIGKILL");
  }
}

class Storm {
  readonly #server: ServerProcess;
  readonly #client: TestClient;
  readonly #world: Map<string, Known>;
  readonly #random: () => number;
  readonly #replica = new Map<string, JsonObject>();
  #revision = 0;
  #acknowledged = 0;
  #isOver = false;
  #writers: Promise<void>[] = [];
  #watching: Promise<void> | undefined;

  constructor(server: ServerProcess, world: Map<string, Known>, random: () => number) {
    this.#server = server;
    this.#client = clientOf(server);
    this.#world = world;
    this.#random = random;
  }

  /** Writes until so many writes are acknowledged, then kills the server in mid-flight. */
  async run(writes: number): Promise<number> {
    const list = (await this.#client.get(`${MAPS}?labelSelector=${LABEL}`)).body;
    this.#take(list);
    const watch = await this.#client.watch(
      `${MAPS}?labelSelector=${LABEL}&resourceVersion=${this.#revision}`,
    );
    this.#watching = (async () => {
      for (let event = await watch.next(); event !== undefined; event = await watch.next()) {
        this.#apply(event);
      }
    })();
    const reached = new Promise<void>((resolve) => {
      const onWrite = (): void => {
        if (++this.#acknowledged === writes) resolve();
      };
      for (let at = 0; at < WRITERS; at++) this.#writers.push(this.#write(`w${at}`, onWrite));
    });
    await reached;
    this.#isOver = true;
    await this.#server.end("SIGKILL");
    return this.#acknowledged;
  }

  async settled(): Promise<void> {
    this.#isOver = true;
    await Promise.all([...this.#writers, this.#watching]);
    this.#client[Symbol.dispose]();
  }

  /** Compares what the restarted server has with what was acknowledged and with the watch. */
  async check(client: TestClient): Promise<number> {
    const list = (await client.get(`${MAPS}?labelSelector=${LABEL}`)).body;
    const present = new Map(itemsOf(list).map((item) => [nameOf(item), item]));
    for (const [name, known] of this.#world) this.#checkObject(name, known, present.get(name));
    const until = Number((list["metadata"] as JsonObject)["resourceVersion"]);
    const events = await this.#resume(client, until);
    const expected = [...present.values()].sort(byName);
    assert.deepEqual([...this.#replica.values()].sort(byName), expected);
    return events;
  }

  async #write(name: string, onWrite: () => void): Promise<void> {
    const known = this.#world.get(name) ?? { acknowledged: 0, attempted: undefined };
    this.#world.set(name, known);
    let next = known.acknowledged + 1;
    while (!this.#isOver) {
      const isDelete = known.acknowledged > 0 && this.#random() < 0.1;
      known.attempted = isDelete ? 0 : next;
      try {
        const { code, text } = await this.#send(name, known.acknowledged > 0, known.attempted);
        assert.ok(code === 200 || code === 201, `${code} ${text}`);
      } catch (error) {
        // The server is dead, which is what this is about.
        if (error instanceof assert.AssertionError) throw error;
        return;
      }
      known.acknowledged = known.attempted;
      known.attempted = undefined;
      next++;
      onWrite();
    }
  }

  #send(
    name: string,
    isPresent: boolean,
    number: number,
  ): Promise<{ readonly code: number; readonly text: string }> {
    if (number === 0) return this.#client.delete(`${MAPS}/${name}`);
    const body = bodyOf(name, number);
    return isPresent ? this.#client.put(`${MAPS}/${name}`, body) : this.#client.post(MAPS, body);
  }

  #checkObject(name: string, known: Known, found: JsonObject | undefined): void {
    const possible = [known.acknowledged];
    if (known.attempted !== undefined) possible.push(known.attempted);
    const number = found === undefined ? 0 : numberIn(found);
    assert.ok(
      possible.includes(number),
      `${name} is at write ${number}, but ${possible.join(" or ")} was expected`,
    );
    if (found !== undefined) assert.deepEqual(found["data"], bodyOf(name, number)["data"]);
    known.acknowledged = number;
    known.attempted = undefined;
  }

  /** Goes on from the last event that the cut watch has seen, up to a revision. */
  async #resume(client: TestClient, until: number): Promise<number> {
    let events = 0;
    using watch = await client.watch(
      `${MAPS}?labelSelector=${LABEL}&resourceVersion=${this.#revision}&allowWatchBookmarks=true&timeoutSeconds=1`,
    );
    while (this.#revision < until) {
      const event = await watch.next();
      if (event === undefined) break;
      this.#apply(event);
      events++;
    }
    return events;
  }

  #take(list: JsonObject): void {
    for (const item of itemsOf(list)) this.#replica.set(nameOf(item), item);
    this.#revision = Number((list["metadata"] as JsonObject)["resourceVersion"]);
  }

  #apply({ type, object }: WatchEvent): void {
    const revision = Number((object["metadata"] as JsonObject)["resourceVersion"]);
    assert.ok(revision > this.#revision, `event ${revision} came behind ${this.#revision}`);
    this.#revision = revision;
    if (type === "ADDED" || type === "MODIFIED") this.#replica.set(nameOf(object), object);
    else if (type === "DELETED") this.#replica.delete(nameOf(object));
    else assert.equal(type, "BOOKMARK");
  }
}

function clientOf({ url, caPem, token }: ServerProcess): TestClient {
  return new TestClient({ url, caPem, token });
}

/** A text that cannot be half there without being seen. */
function bodyOf(name: string, number: number): JsonObject {
  const text = `${name} ${number} `.repeat(1 + ((number * 37) % 60));
  const digest = createHash("sha256").update(text).digest("hex");
  return {
    metadata: { name, labels: { [LABEL]: "1" } },
    data: { number: String(number), text, digest },
  };
}

function numberIn(object: JsonObject): number {
  return Number((object["data"] as JsonObject)["number"]);
}

function itemsOf(list: JsonObject): JsonObject[] {
  return list["items"] as JsonObject[];
}

function nameOf(object: JsonObject): string {
  return String((object["metadata"] as JsonObject)["name"]);
}

function byName(a: JsonObject, b: JsonObject): number {
  return nameOf(a) < nameOf(b) ? -1 : 1;
}
