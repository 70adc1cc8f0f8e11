import assert from "node:assert/strict";
import { test } from "node:test";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { type AuthzSchema, ServerSchema } from "@heddle/api/gen/inbound_pb";
import { authorize, type Client } from "@heddle/model/authorization";
import { type NetworkMatch, parseIp } from "@heddle/model/network";
import type { InboundPolicy } from "../inbound/policy.ts";
import { LOCALHOST, parseInboundPolicy } from "./wire-inbound.ts";

type Authz = Exclude<MessageInitShape<typeof AuthzSchema>, { readonly $typeName: string }>;
type ServerInit = Exclude<MessageInitShape<typeof ServerSchema>, { readonly $typeName: string }>;

/** 0.0.0.0/0, and 10.0.0.0/8. */
const ANYWHERE = { net: { ip: { ip: { case: "ipv4", value: 0 } as const }, prefixLen: 0 } };
const TEN = { net: { ip: { ip: { case: "ipv4", value: 0x0a000000 } as const }, prefixLen: 8 } };
const META = {
  kind: {
    case: "resource",
    value: { group: "policy.linkerd.io", kind: "authorizationpolicy", name: "authz" },
  },
} as const;

function policyOf(
  authorizations: readonly Authz[],
  more: ServerInit = {},
  localNetworks: readonly NetworkMatch[] = [],
): InboundPolicy {
  const init: ServerInit = {
    protocol: { kind: { case: "detect", value: { timeout: { seconds: 10n } } } },
    labels: { group: "policy.linkerd.io", kind: "server", name: "web" },
    authorizations: [...authorizations],
    ...more,
  };
  const message = create(ServerSchema, init);
  return parseInboundPolicy(message, { detectTimeoutMs: 10_000, nowMs: 0, localNetworks });
}

function client(ip: string, tls: boolean, tlsId?: string): Client {
  return { ip: parseIp(ip)!, tls, tlsId };
}

/** The name of what admits the client; undefined: nothing does. */
function admits(policy: InboundPolicy, who: Client): string | undefined {
  return authorize(policy.authorizations, who)?.metadata.name;
}

function identities(names: readonly string[], suffixes: readonly string[][] = []): Authz {
  return {
    metadata: META,
    networks: [ANYWHERE],
    authentication: {
      permit: {
        case: "meshTLS",
        value: {
          clients: {
            case: "identities",
            value: {
              identities: names.map((name) => ({ name })),
              suffixes: suffixes.map((parts) => ({ parts })),
            },
          },
        },
      },
    },
  };
}

const UNAUTHENTICATED: Authz = {
  metadata: META,
  networks: [TEN],
  authentication: { permit: { case: "unauthenticated", value: {} } },
};

test("an unauthenticated authorization admits plaintext clients of its networks, and nobody else", () => {
  const policy = policyOf([UNAUTHENTICATED]);
  assert.equal(admits(policy, client("10.1.2.3", false)), "authz");
  assert.equal(admits(policy, client("192.0.2.2", false)), undefined);
  assert.deepEqual(policy.server, {
    group: "policy.linkerd.io",
    kind: "server",
    namespace: "",
    name: "web",
    section: "",
    port: 0,
  });
});

test("loopback clients are admitted by a synthetic authorization, unless loopback is a network", () => {
  assert.equal(admits(policyOf([], {}, LOCALHOST), client("127.0.0.1", false)), "localhost");
  assert.equal(admits(policyOf([], {}, LOCALHOST), client("127.0.0.2", false)), undefined);
  assert.equal(admits(policyOf([]), client("127.0.0.1", false)), undefined);
});

test("[K11] [K16] a literal identity admits its bearer only", () => {
  const policy = policyOf([identities(["foo.bar.cluster.local"])]);
  assert.equal(admits(policy, client("10.0.0.1", true, "foo.bar.cluster.local")), "authz");
  assert.equal(admits(policy, client("10.0.0.1", true, "foo.baz.cluster.local")), undefined);
  assert.equal(admits(policy, client("10.0.0.1", true)), undefined);
});

test("[K12] [K17] [K18] a suffix admits names below it only", () => {
  const policy = policyOf([identities([], [["cluster", "local"]])]);
  assert.equal(admits(policy, client("10.0.0.1", true, "x.cluster.local")), "authz");
  assert.equal(admits(policy, client("10.0.0.1", true, "x.cluster.example.com")), undefined);
  assert.equal(admits(policy, client("10.0.0.1", true, "cluster.local")), undefined);
  const other = policyOf([identities([], [["id", "local"]])]);
  assert.equal(admits(other, client("10.0.0.1", true, "some.id.local")), "authz");
  const another = policyOf([identities([], [["another-id", "local"]])]);
  assert.equal(admits(another, client("10.0.0.1", true, "some.id.local")), undefined);
});

test("[K13] terminated TLS without an identity is admitted where only TLS is asked for", () => {
  const policy = policyOf([
    {
      metadata: META,
      networks: [ANYWHERE],
      authentication: {
        permit: {
          case: "meshTLS",
          value: { clients: { case: "unauthenticated", value: {} } },
        },
      },
    },
  ]);
  assert.equal(admits(policy, client("10.0.0.1", true)), "authz");
  // TLS for somebody else passes through unterminated, and proves nothing to us.
  assert.equal(admits(policy, client("10.0.0.1", false)), undefined);
});

test("[K14] [K15] [K19] [K20] [K21] a SPIFFE id is admitted as a literal, and by no suffix", () => {
  const id = "spiffe://some-root/some-workload";
  assert.equal(admits(policyOf([identities([id])]), client("10.0.0.1", true, id)), "authz");
  const other = policyOf([identities(["spiffe://some-root/another"])]);
  assert.equal(admits(other, client("10.0.0.1", true, id)), undefined);
  assert.equal(admits(policyOf([identities([], [[]])]), client("10.0.0.1", true, id)), undefined);
  const several = policyOf([identities(["a.b", id, "c.d"])]);
  assert.equal(admits(several, client("10.0.0.1", true, id)), "authz");
  assert.equal(admits(several, client("10.0.0.1", true, "c.d")), "authz");
});

test("[K33] an authorization's network is its block less the exceptions", () => {
  const except = [{ ip: { ip: { case: "ipv4", value: 0x0a0a0000 } as const }, prefixLen: 16 }];
  const policy = policyOf([{ ...UNAUTHENTICATED, networks: [{ ...TEN, except }] }]);
  for (let n = 0; n < 2_000; n++) {
    const value = (n * 2_654_435_761) >>> 0;
    const ip = [24, 16, 8, 0].map((shift) => (value >>> shift) & 0xff).join(".");
    const isIn = value >>> 24 === 10 && value >>> 16 !== 0x0a0a;
    assert.equal(admits(policy, client(ip, false)) !== undefined, isIn, ip);
  }
  assert.equal(admits(policy, client("10.10.0.1", false)), undefined);
  assert.equal(admits(policy, client("10.11.0.1", false)), "authz");
});

test("[K34] a name of the form default:foo is the default foo, as old controllers wrote it", () => {
  const policy = policyOf([], { labels: { name: "default:foo" } });
  assert.deepEqual(
    [policy.server.group, policy.server.kind, policy.server.name],
    ["", "default", "foo"],
  );
  const modern = policyOf([], { labels: { group: "", kind: "default", name: "foo" } });
  assert.deepEqual(modern.server, policy.server);
});

test("[K31] [K32] rate limits: total, per identity, and overrides for several identities", () => {
  const id = (name: string): { name: string } => ({ name });
  const policy = policyOf([], {
    protocol: {
      kind: {
        case: "http1",
        value: {
          localRateLimit: {
            total: { requestsPerSecond: 35 },
            identity: { requestsPerSecond: 5 },
            overrides: [
              { limit: { requestsPerSecond: 10 }, clients: { identities: [id("a"), id("b")] } },
              { limit: { requestsPerSecond: 15 }, clients: { identities: [id("c")] } },
            ],
          },
        },
      },
    },
  });
  const limiter = policy.rateLimit!.limiter;
  for (let window = 0; window < 5; window++) {
    const nowMs = window * 1_000;
    const take = (who: string | undefined, count: number): number => {
      let admitted = 0;
      for (let i = 0; i < count; i++) if (limiter.check(who, nowMs) === undefined) admitted++;
      return admitted;
    };
    assert.equal(take("x", 6), 5, "an identity of its own has 5");
    assert.equal(take("a", 6) + take("b", 5), 10, "two identities share an override of 10");
    assert.equal(take("c", 15), 15, "another has 15");
    // 32 cells of the total are gone, those of refused requests included.
    assert.equal(take("y", 4), 3, "the total has 3 left");
    assert.equal(limiter.check("z", nowMs), "total");
  }
});

test("what makes no sense is refused with the words that Linkerd uses", () => {
  const refused = (more: ServerInit, words: RegExp): void => {
    assert.throws(() => policyOf([], more), words);
  };
  refused({ protocol: {} }, /missing protocol detection timeout/);
  refused({ protocol: { kind: { case: "detect", value: {} } } }, /missing protocol detection/);
  refused({ labels: {} }, /missing 'name' label/);
  assert.throws(() => policyOf([{ ...UNAUTHENTICATED, networks: [] }]), /missing networks/);
  const { authentication: _, ...without } = UNAUTHENTICATED;
  assert.throws(() => policyOf([without]), /missing authentications/);
});
