/** Linkerd's pages explain its anchors, which are ours too; docs/checks.md explains all of them. */
const PAGES = "https://linkerd.io";
const OWN_PAGE = "docs/checks.md";
/** Begins the anchors of checks that Linkerd has not. */
const OWN_PREFIX = "heddle-";

/** Where a check is explained, to users of this version of the CLI. */
export function hintFor(anchor: string, cliVersion: string): string {
  if (anchor.startsWith(OWN_PREFIX)) return `${OWN_PAGE}#${anchor}`;
  const stable = /^stable-(\d+\.\d+)\.\d+/.exec(cliVersion);
  return `${PAGES}/${stable?.[1] ?? "2"}/checks/#${anchor}`;
}
