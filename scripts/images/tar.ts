/** What a file is owned by and may do, as an image's layer says it. */
interface EntryBase {
  /** Relative, without a slash at either end. */
  readonly path: string;
  readonly mode: number;
}

export interface FileEntry extends EntryBase {
  readonly type: "file";
  readonly data: Uint8Array;
  /** The value of the attribute `security.capability`, which says what a program may. */
  readonly capabilities?: Uint8Array;
}

export interface FolderEntry extends EntryBase {
  readonly type: "folder";
}

export interface LinkEntry extends EntryBase {
  readonly type: "link";
  readonly target: string;
}

/** A member of an archive. All belong to root, and none has a time. */
export type TarEntry = FileEntry | FolderEntry | LinkEntry;

const BLOCK = 512;
const NAME_BYTES = 100;
const TYPE_FLAGS = { file: "0", link: "2", folder: "5", attributes: "x" } as const;

/**
 * An archive in POSIX' pax form. The same entries always give the same bytes: they are sorted by
 * path, which also puts each folder before what is in it.
 *
 * @throws Error if a path is there twice.
 */
export function encodeTar(entries: readonly TarEntry[]): Buffer {
  const sorted = entries.toSorted((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
  const parts: Uint8Array[] = [];
  let before = "";
  for (const entry of sorted) {
    if (entry.path === before) throw new Error(`Cannot archive ${entry.path}: it is there twice`);
    before = entry.path;
    appendEntry(parts, entry);
  }
  parts.push(Buffer.alloc(2 * BLOCK));
  return Buffer.concat(parts);
}

function appendEntry(parts: Uint8Array[], entry: TarEntry): void {
  const path = entry.type === "folder" ? `${entry.path}/` : entry.path;
  const target = entry.type === "link" ? entry.target : "";
  const data = entry.type === "file" ? entry.data : new Uint8Array(0);
  const attributes = [
    ...(isLong(path) ? [attribute("path", Buffer.from(path))] : []),
    ...(isLong(target) ? [attribute("linkpath", Buffer.from(target))] : []),
    ...(entry.type === "file" && entry.capabilities !== undefined
      ? [attribute("SCHILY.xattr.security.capability", entry.capabilities)]
      : []),
  ];
  if (attributes.length > 0) {
    const body = Buffer.concat(attributes);
    parts.push(header("attributes", "attributes", 0o644, body.length, ""), ...padded(body));
  }
  parts.push(header(path, entry.type, entry.mode, data.length, target), ...padded(data));
}

function isLong(text: string): boolean {
  return Buffer.byteLength(text) > NAME_BYTES;
}

/** `LENGTH KEY=VALUE\n`, where LENGTH counts itself. */
function attribute(key: string, value: Uint8Array): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`), value, Buffer.from("\n")]);
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length) length++;
  return Buffer.concat([Buffer.from(String(length)), rest]);
}

function header(
  name: string,
  type: keyof typeof TYPE_FLAGS,
  mode: number,
  size: number,
  target: string,
): Buffer {
  const block = Buffer.alloc(BLOCK);
  const octal = (value: number, at: number, width: number): void => {
    block.write(`${value.toString(8).padStart(width - 1, "0")}\0`, at);
  };
  // What is too long stands in the attributes before it.
  block.write(name.slice(0, NAME_BYTES), 0, NAME_BYTES);
  octal(mode, 100, 8);
  octal(0, 108, 8);
  octal(0, 116, 8);
  octal(size, 124, 12);
  octal(0, 136, 12);
  block.write("        ", 148);
  block.write(TYPE_FLAGS[type], 156);
  block.write(target.slice(0, NAME_BYTES), 157, NAME_BYTES);
  block.write("ustar\0" + "00", 257);
  let sum = 0;
  for (const byte of block) sum += byte;
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return block;
}

function padded(data: Uint8Array): Uint8Array[] {
  const rest = data.length % BLOCK;
  return rest === 0 ? [data] : [data, Buffer.alloc(BLOCK - rest)];
}
