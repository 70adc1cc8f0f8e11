/**
 * Remembers what a function says of each object, as long as the object lives. Selectors may be a
 * megabyte, and are asked about the same objects at each change around them.
 */
export function remembered<K extends object, V>(of: (key: K) => V): (key: K) => V {
  const known = new WeakMap<K, { readonly value: V }>();
  return (key) => {
    let found = known.get(key);
    if (found === undefined) {
      found = { value: of(key) };
      known.set(key, found);
    }
    return found.value;
  };
}
