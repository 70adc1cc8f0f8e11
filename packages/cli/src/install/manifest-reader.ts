import { MeshError } from "@heddle/base/errors";
import type { ListOptions } from "@heddle/kube/client";
import {
  apiVersionOf,
  type KubeList,
  type KubeObject,
  type ObjectRef,
  type Resource,
} from "@heddle/kube/types/meta";
import { parseAllDocuments } from "yaml";
import { contentOf } from "../kube-yaml.ts";
import type { ClusterReader } from "./installed.ts";

/** Objects of a manifest, in a cluster's place. */
export class ManifestReader implements ClusterReader {
  readonly #objects: readonly KubeObject[];

  constructor(text: string) {
    const documents = parseAllDocuments(text);
    this.#objects = documents.flatMap((document) => objectsOf(readManifest(document)));
  }

  async find<T extends KubeObject>(of: Resource<T>, ref: ObjectRef): Promise<T | undefined> {
    return this.#all(of).find(
      ({ metadata }) =>
        metadata.name === ref.name && (!of.isNamespaced || metadata.namespace === ref.namespace),
    );
  }

  async list<T extends KubeObject>(
    of: Resource<T>,
    { namespace, labelSelector = "" }: ListOptions = {},
  ): Promise<KubeList<T>> {
    const items = this.#all(of).filter(
      ({ metadata }) =>
        (namespace === undefined || metadata.namespace === namespace) &&
        isSelected(metadata.labels ?? {}, labelSelector),
    );
    return { metadata: {}, items };
  }

  #all<T extends KubeObject>(of: Resource<T>): readonly T[] {
    const version = apiVersionOf(of);
    return this.#objects.filter(
      ({ apiVersion, kind }) => kind === of.kind && apiVersion === version,
    ) as T[];
  }
}

/** @throws MeshError `bad_manifests` for what is no YAML, and for aliases that multiply. */
function readManifest(document: Parameters<typeof contentOf>[0]): unknown {
  try {
    return contentOf(document);
  } catch (error) {
    const message = "Cannot read the manifests: they are not YAML";
    throw new MeshError("bad_manifests", "client", message, { cause: error });
  }
}

function objectsOf(value: unknown): readonly KubeObject[] {
  if (typeof value !== "object" || value === null) return [];
  const items = (value as { readonly items?: unknown }).items;
  if (Array.isArray(items)) return items.flatMap(objectsOf);
  const { kind, metadata } = value as Partial<KubeObject>;
  return typeof kind === "string" && typeof metadata === "object" && metadata !== null
    ? [value as KubeObject]
    : [];
}

/** As far as our own commands select: `key`, `!key` and `key=value`. */
function isSelected(labels: Readonly<Record<string, string>>, selector: string): boolean {
  return selector.split(",").every((part) => {
    const [, no = "", key = "", value] = /^(!?)([^=]*)(?:=(.*))?$/.exec(part) ?? [];
    if (key === "") return true;
    const found = Object.hasOwn(labels, key) ? labels[key] : undefined;
    if (value !== undefined) return found === value;
    return (found === undefined) === (no === "!");
  });
}
