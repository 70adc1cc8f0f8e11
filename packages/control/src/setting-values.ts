/** How values of settings are written. Each function throws SyntaxError on text it does not take. */

import { parseGoDuration } from "@heddle/model/go-duration";
import { parseIp } from "@heddle/model/network";
import { isLabel } from "./identity/token-review.ts";

export function list(text: string): string[] {
  return text
    .split(",")
    .map((item) => item.trim())
    .filter((item) => item !== "");
}

export function label(text: string): string {
  if (!isLabel(text)) throw new SyntaxError("not a DNS label");
  return text;
}

export function domain(text: string): string {
  if (text.length > 253 || !text.split(".").every((part) => isLabel(part))) {
    throw new SyntaxError("not a DNS name");
  }
  return text;
}

export function ip(text: string): string {
  if (parseIp(text) === undefined) throw new SyntaxError("not an IP address");
  return text;
}

export function port(text: string): number {
  if (!/^\d{1,5}$/.test(text) || Number(text) > 65_535) throw new SyntaxError("not a port");
  return Number(text);
}

export function hostPort(text: string): string {
  if (!/^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):\d{1,5}$/.test(text)) {
    throw new SyntaxError("not of the form host:port");
  }
  return text;
}

export function positive(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new SyntaxError("not a positive number");
  return Number(text);
}

export function duration(text: string): number {
  const ms = parseGoDuration(text);
  if (ms < 0) throw new SyntaxError("negative");
  return ms;
}

export function positiveDuration(text: string): number {
  const ms = duration(text);
  if (ms === 0) throw new SyntaxError("zero");
  return ms;
}

export function boolean(text: string): boolean {
  if (text === "true" || text === "1") return true;
  if (text === "false" || text === "0") return false;
  throw new SyntaxError("neither true nor false");
}
