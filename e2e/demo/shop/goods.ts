/** What the shop sells, computed from the id, so that a client can check every answer to the byte. */
export interface Product {
  readonly id: number;
  readonly name: string;
  readonly cents: number;
  readonly description: string;
}

const MATERIALS = ["linen", "wool", "cotton", "silk", "hemp", "ramie", "jute"] as const;
const THINGS = ["scarf", "blanket", "ribbon", "apron", "curtain", "rug", "shawl"] as const;

/** @param id - From 1 on. Descriptions have between some dozens and some thousands of bytes. */
export function product(id: number): Product {
  const material = MATERIALS[id % MATERIALS.length]!;
  const thing = THINGS[(id * 3) % THINGS.length]!;
  const sentence = `Number ${id} is a ${thing} of ${material}, woven on a loom with ${id % 24} heddles. `;
  return {
    id,
    name: `${material} ${thing} no. ${id}`,
    cents: 500 + ((id * 7919) % 20_000),
    description: sentence.repeat(1 + ((id * 31) % 40)),
  };
}

/** Pieces in the store room; never changes. */
export function stockOf(id: number): number {
  return (id * 104_729) % 97;
}

/** A dozen and more are cheaper by a tenth. */
export function totalCents(id: number, quantity: number): number {
  const full = product(id).cents * quantity;
  return quantity >= 12 ? Math.floor((full * 9) / 10) : full;
}
