import { SystemDns } from "@heddle/net/resolve";
import { type ExpansionRole, startExpansion } from "./expansion/main.ts";
import { type IdentityRole, startIdentity } from "./identity/main.ts";
import { OwnCertificates, type OwnIssuer } from "./identity/own-certificates.ts";
import { localIssuer, RemoteIssuer } from "./identity/own-issuer.ts";
import { isWildcard, joinAddresses, meshFacts } from "./mesh-facts.ts";
import type { ControlAddresses, Wiring } from "./wiring.ts";

export function startIdentityRole(wiring: Wiring): IdentityRole | undefined {
  const { settings, servers, parts, log } = wiring;
  const grpc = servers.get("identity");
  if (grpc === undefined) return undefined;
  const config = settings.identity;
  return parts.use(startIdentity({ ...wiring, config, grpc, log: log.child("identity") }));
}

export function startCertificates(
  wiring: Wiring,
  identity: IdentityRole | undefined,
): OwnCertificates {
  const { settings, servers, names, parts, clock } = wiring;
  const issuer =
    identity === undefined
      ? startRemoteIssuer(wiring)
      : localIssuer(identity.source, settings.identity, clock);
  const own = new Set([...servers.keys()].map((role) => names[role]));
  return parts.use(new OwnCertificates(issuer, [...own], wiring, [names.expansion]));
}

function startRemoteIssuer(wiring: Wiring): OwnIssuer {
  const { settings, names, parts } = wiring;
  const dns = new SystemDns();
  parts.defer(() => dns.close());
  return parts.use(
    new RemoteIssuer({
      ...wiring,
      controlNamespace: settings.controlNamespace,
      address: settings.identityAddress,
      serverName: names.identity,
      isPlaintext: wiring.isPlaintextAllowed,
      tokenFile: settings.identityTokenFile,
      localAddress: isWildcard(settings.ip) ? undefined : settings.ip,
      dns,
    }),
  );
}

export function startExpansionRole(
  wiring: Wiring,
  identity: IdentityRole | undefined,
  addresses: ControlAddresses,
): ExpansionRole | undefined {
  const { settings, servers, names, parts, client, clock, log } = wiring;
  const grpc = servers.get("expansion");
  if (grpc === undefined || identity === undefined) return undefined;
  return parts.use(
    startExpansion({
      client,
      issuers: identity.source,
      facts: meshFacts(settings, names, addresses),
      addresses: joinAddresses(settings, addresses.expansion!),
      serverName: names.expansion,
      lifetimeMs: settings.identity.lifetimeMs,
      skewMs: settings.identity.skewMs,
      grpc,
      holder: settings.holder,
      clock,
      log: log.child("expansion"),
    }),
  );
}
