import { isDeepStrictEqual } from "node:util";

/** Our type in lists of plugins, and our executable's name. */
export const PLUGIN_TYPE = "linkerd-cni";

/** What a single plugin's configuration becomes part of when it is made a list. */
const LIST_NAME = "k8s-pod-network";
const LIST_VERSION = "0.3.1";

type Fields = Readonly<Record<string, unknown>>;

/**
 * A network configuration with our plugin last in its list, in which case it is changed by what runs
 * before. A configuration of one plugin is made a list of two.
 *
 * @returns undefined if it is so already.
 * @throws SyntaxError for what is no network configuration.
 */
export function withPlugin(text: string, plugin: object): string | undefined {
  const config = parse(text);
  if (config["type"] !== undefined) {
    const { cniVersion: _, ...single } = config;
    const list = { cniVersion: LIST_VERSION, name: LIST_NAME, plugins: [single, plugin] };
    return print(list);
  }
  const plugins = pluginsOf(config);
  const wanted = [...others(plugins), plugin];
  return isDeepStrictEqual(plugins, wanted) ? undefined : print({ ...config, plugins: wanted });
}

/**
 * A list without our plugin.
 *
 * @returns undefined if it is not in there.
 * @throws SyntaxError for what is no list.
 */
export function withoutPlugin(text: string): string | undefined {
  const config = parse(text);
  const plugins = pluginsOf(config);
  const left = others(plugins);
  return left.length === plugins.length ? undefined : print({ ...config, plugins: left });
}

/** Our plugin's configuration. @throws SyntaxError if it is none of ours. */
export function parsePlugin(text: string): object {
  const config = parse(text);
  if (config["type"] === PLUGIN_TYPE) return config;
  throw new SyntaxError(`its type is not "${PLUGIN_TYPE}"`);
}

function others(plugins: readonly Fields[]): readonly Fields[] {
  return plugins.filter(({ type }) => type !== PLUGIN_TYPE);
}

function parse(text: string): Fields {
  const value: unknown = JSON.parse(text);
  if (isFields(value)) return value;
  throw new SyntaxError("it is no object");
}

function pluginsOf(config: Fields): readonly Fields[] {
  const { plugins } = config;
  if (Array.isArray(plugins) && plugins.every(isFields)) return plugins;
  throw new SyntaxError("it has neither a type nor a list of plugins");
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function print(config: object): string {
  return JSON.stringify(config, null, 2);
}
