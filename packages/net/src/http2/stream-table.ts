import type { Http2Stream } from "./stream.ts";

const MIN_PLACES = 16;

/**
 * The streams of a connection by their ids. A hash table whose chains are links in the streams: ids
 * of one side count up by two, so that the places of those open at the same time hardly collide, and
 * neither adding nor removing one allocates. A `Map` of short-lived integer keys is rebuilt again and
 * again.
 */
export class StreamTable {
  #places: (Http2Stream | undefined)[] = new Array<Http2Stream | undefined>(MIN_PLACES).fill(
    undefined,
  );
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Hot. */
  get(id: number): Http2Stream | undefined {
    let stream = this.#places[(id >>> 1) & (this.#places.length - 1)];
    while (stream !== undefined && stream.id !== id) stream = stream.nextInPlace;
    return stream;
  }

  /** The id must not be in the table. */
  add(stream: Http2Stream): void {
    if (this.#size === this.#places.length * 2) this.#grow();
    this.#size++;
    this.#link(stream);
  }

  /** @returns false if it was not there. */
  remove(stream: Http2Stream): boolean {
    const place = (stream.id >>> 1) & (this.#places.length - 1);
    let before: Http2Stream | undefined;
    let at = this.#places[place];
    while (at !== undefined && at !== stream) {
      before = at;
      at = at.nextInPlace;
    }
    if (at === undefined) return false;
    if (before === undefined) this.#places[place] = stream.nextInPlace;
    else before.nextInPlace = stream.nextInPlace;
    stream.nextInPlace = undefined;
    // Many streams at once were an exception.
    if (--this.#size === 0 && this.#places.length > 1024) this.#reset(MIN_PLACES);
    return true;
  }

  /** All of them now, in the order of their ids; what is done to them does not change the list. */
  all(): Http2Stream[] {
    const out: Http2Stream[] = [];
    for (const first of this.#places) {
      for (let at = first; at !== undefined; at = at.nextInPlace) out.push(at);
    }
    return out.sort((a, b) => a.id - b.id);
  }

  #link(stream: Http2Stream): void {
    const place = (stream.id >>> 1) & (this.#places.length - 1);
    stream.nextInPlace = this.#places[place];
    this.#places[place] = stream;
  }

  #grow(): void {
    const streams = this.all();
    this.#reset(this.#places.length * 4);
    for (const stream of streams) this.#link(stream);
  }

  #reset(places: number): void {
    this.#places = new Array<Http2Stream | undefined>(places).fill(undefined);
  }
}
