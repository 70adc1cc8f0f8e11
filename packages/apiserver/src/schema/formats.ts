import { isIP, isIPv4, isIPv6 } from "node:net";

/**
 * Whether a text has a format of JSON Schema or OpenAPI; formats that are not known say nothing.
 * Every test is linear in the text.
 */
export function hasFormat(text: string, format: string): boolean {
  return FORMATS.get(format)?.(text) ?? true;
}

const DATE_TIME =
  /^\d{4}-\d\d-\d\d[Tt](?:[01]\d|2[0-3]):[0-5]\d:(?:[0-5]\d|60)(?:\.\d{1,9})?(?:[Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/;
const UUID = /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i;
const QUANTITY = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[KMGTPE]i|[numkMGTPE]|[eE][+-]?\d+)?$/;
/** What Go's time.ParseDuration takes, and "0". */
const DURATION = /^[+-]?(?:0|(?:(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+)$/;

const FORMATS: ReadonlyMap<string, (text: string) => boolean> = new Map([
  ["date-time", isDateTime],
  ["date-time-micro", isDateTime],
  ["date", (text: string) => /^\d{4}-\d\d-\d\d$/.test(text) && !Number.isNaN(Date.parse(text))],
  ["duration", (text: string) => DURATION.test(text)],
  ["uuid", (text: string) => UUID.test(text)],
  ["uri", (text: string) => URL.canParse(text)],
  ["ip", (text: string) => isIP(text) !== 0],
  ["ipv4", (text: string) => isIPv4(text)],
  ["ipv6", (text: string) => isIPv6(text)],
  ["cidr", isCidr],
  ["mac", (text: string) => /^[0-9a-f]{2}(?:[:-][0-9a-f]{2}){5}$/i.test(text)],
  ["byte", isBase64],
  ["quantity", (text: string) => QUANTITY.test(text)],
]);

function isDateTime(text: string): boolean {
  return DATE_TIME.test(text) && !Number.isNaN(Date.parse(text.replace(/:60/, ":59")));
}

/** `address/bits` of either family. */
function isCidr(text: string): boolean {
  const slash = text.indexOf("/");
  const address = text.slice(0, slash);
  const bits = text.slice(slash + 1);
  const family = isIP(address);
  if (slash < 0 || family === 0 || !/^\d{1,3}$/.test(bits)) return false;
  return Number(bits) <= (family === 4 ? 32 : 128);
}

/** Standard alphabet with padding, as Go's encoding/json demands; line breaks are no part of it. */
export function isBase64(text: string): boolean {
  return text.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(text);
}
