import type { Member } from "@heddle/cli/member";
import type { LoadOrder, LoadResult } from "./shop/load.ts";

/** Orders for one load generator, which is a member of the mesh; its answers come as lines. */
export class LoadClient {
  readonly #waiting = new Map<
    number,
    { readonly resolve: (result: LoadResult) => void; readonly reject: (error: Error) => void }
  >();
  #member: Member | undefined;
  #next = 1;

  attach(member: Member): void {
    this.#member = member;
  }

  /** @returns whether the line was an answer. */
  onLine(line: string): boolean {
    if (!line.startsWith("{")) return false;
    const result = JSON.parse(line) as LoadResult & { readonly error?: string };
    const waiting = this.#waiting.get(result.id);
    this.#waiting.delete(result.id);
    if (result.error === undefined) waiting?.resolve(result);
    else waiting?.reject(new Error(result.error));
    return true;
  }

  async run(order: Omit<LoadOrder, "id">): Promise<LoadResult> {
    const id = this.#next++;
    return await new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      if (this.#member?.app.write(JSON.stringify({ ...order, id })) === true) return;
      this.#waiting.delete(id);
      reject(new Error("Cannot load the shop: the load generator does not run"));
    });
  }
}
