import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually } from "@heddle/cli/mesh";
import { type MeshNode, NEVER } from "../mesh-node.ts";
import { client, meshed, nginx, PLAIN, service } from "./objects.ts";
import {
  authorization,
  meshTls,
  network,
  server,
  serverAuthorization,
  serverRoute,
} from "./policies.ts";

const AT = "authorization";
const SERVER = { kind: "Server", name: "web" };
const MESH = { kind: "MeshTLSAuthentication", name: "mesh" };
const NETWORK = { kind: "NetworkAuthentication", name: "network" };

/** A meshed client, one that is not, and another of these. */
const CLIENTS = ["curl", "plain", "other"] as const;

interface Case {
  readonly title: string;
  /** @param blessed - The address of `plain`. @param own - The address of `curl`. */
  readonly items: (blessed: string, own: string) => readonly object[];
  /** What each of `CLIENTS` gets. */
  readonly expected: readonly [string, string, string];
}

const EVERYBODY = meshTls(AT, { identities: ["*"] });

const CASES: readonly Case[] = [
  {
    title: "[E204] only meshed clients are allowed",
    items: () => [server(AT), EVERYBODY, authorization(AT, "one", SERVER, [MESH])],
    expected: ["200", "403", "403"],
  },
  {
    title: "[E206] a policy on the namespace applies to its Servers",
    items: () => [
      server(AT),
      EVERYBODY,
      authorization(AT, "one", { group: "", kind: "Namespace", name: AT }, [MESH]),
    ],
    expected: ["200", "403", "403"],
  },
  {
    title: "[E207] all identities of a namespace are allowed",
    items: () => [
      server(AT),
      meshTls(AT, { identityRefs: [{ kind: "Namespace", name: AT }] }),
      authorization(AT, "one", SERVER, [MESH]),
    ],
    expected: ["200", "403", "403"],
  },
  {
    title: "[E208] only one address is allowed",
    items: (ip) => [server(AT), network(AT, ip), authorization(AT, "one", SERVER, [NETWORK])],
    expected: ["403", "200", "403"],
  },
  {
    title: "[E209] network and identity are wanted together",
    items: (ip, own) => [
      server(AT),
      EVERYBODY,
      network(AT, ip, own),
      authorization(AT, "one", SERVER, [NETWORK, MESH]),
    ],
    expected: ["200", "403", "403"],
  },
  {
    title: "[E210] of two policies either suffices",
    items: (ip) => [
      server(AT),
      EVERYBODY,
      network(AT, ip),
      authorization(AT, "one", SERVER, [NETWORK]),
      authorization(AT, "two", SERVER, [MESH]),
    ],
    expected: ["200", "200", "403"],
  },
  {
    title: "[E211] empty authentications allow everybody",
    items: () => [server(AT), authorization(AT, "one", SERVER, [])],
    expected: ["200", "200", "200"],
  },
  {
    title: "[E226] a ServerAuthorization allows meshed clients only",
    items: () => [server(AT), serverAuthorization(AT, "one", { meshTLS: { identities: ["*"] } })],
    expected: ["200", "403", "403"],
  },
  {
    title: "[E227] a ServerAuthorization allows one address only",
    items: (ip) => [
      server(AT),
      serverAuthorization(AT, "one", { networks: [{ cidr: ip }], unauthenticated: true }),
    ],
    expected: ["403", "200", "403"],
  },
  {
    title: "[E228] a ServerAuthorization wants address and identity together",
    items: (ip, own) => [
      server(AT),
      serverAuthorization(AT, "one", {
        networks: [{ cidr: ip }, { cidr: own }],
        meshTLS: { identities: ["*"] },
      }),
    ],
    expected: ["200", "403", "403"],
  },
  {
    title: "[E229] of two ServerAuthorizations either suffices",
    items: (ip) => [
      server(AT),
      serverAuthorization(AT, "one", { networks: [{ cidr: ip }], unauthenticated: true }),
      serverAuthorization(AT, "two", { meshTLS: { identities: ["*"] } }),
    ],
    expected: ["200", "200", "403"],
  },
];

/** Who may, and who may not, seen from the applications. */
export function authorizationTests(mesh: () => MeshNode, skip: string | false): void {
  let started: Promise<void> | undefined;
  /** The first test that wants it makes it. */
  const start = (): Promise<void> => {
    started ??= (async () => {
      await mesh().apply(
        meshed(AT),
        ...nginx(AT, "web", { isProbed: false }),
        service(AT, "web"),
        ...client(AT, "curl"),
        ...client(AT, "plain", { annotations: PLAIN }),
        ...client(AT, "other", { annotations: PLAIN }),
      );
      await mesh().ready(AT, "web", ...CLIENTS);
    })();
    return started;
  };

  const expect = async (path: string, expected: readonly string[]): Promise<void> => {
    const url = `http://web.${AT}.svc.cluster.local${path}`;
    await eventually(`answers of ${path}`, NEVER, async () => {
      const statuses = await Promise.all(CLIENTS.map((one) => mesh().status(AT, one, url)));
      assert.deepEqual(statuses, expected);
    });
  };

  for (const { title, items, expected } of CASES) {
    test(title, { skip }, async () => {
      await start();
      const [blessed, own] = [await mesh().pod(AT, "plain"), await mesh().pod(AT, "curl")];
      const made = items(`${blessed.status?.podIP}/32`, `${own.status?.podIP}/32`);
      await mesh().with(made, () => expect("/", expected));
    });
  }

  test("[E202] a Server without policies lets nobody in, until it only audits", {
    skip,
  }, async () => {
    await start();
    await mesh().with([server(AT)], async () => {
      await expect("/", ["403", "403", "403"]);
      await mesh().apply(server(AT, { accessPolicy: "audit" }));
      await expect("/", ["200", "200", "200"]);
    });
  });

  test("[E205] a route's policy opens that route, and the Server's all of them", {
    skip,
  }, async () => {
    await start();
    const allowed = { kind: "HTTPRoute", name: "allowed" };
    const items = [
      server(AT),
      EVERYBODY,
      serverRoute(AT, "allowed", "/allowed"),
      serverRoute(AT, "closed", "/closed"),
      authorization(AT, "one", allowed, [MESH]),
    ];
    await mesh().with(items, async () => {
      await expect("/allowed", ["200", "403", "403"]);
      await expect("/closed", ["403", "403", "403"]);
      await expect("/elsewhere", ["404", "404", "404"]);
      const whole = authorization(AT, "two", SERVER, [MESH]);
      await mesh().with([whole], () => expect("/closed", ["200", "403", "403"]));
    });
  });

  test("[E203] a namespace that wants identities turns others away, until it only audits", {
    skip,
  }, async () => {
    const at = "default-policy";
    const policy = "config.linkerd.io/default-inbound-policy";
    const url = `http://web.${at}.svc.cluster.local/`;
    const answers = async (expected: readonly string[]): Promise<void> => {
      await mesh().ready(at, "web");
      await eventually("answers", NEVER, async () => {
        const statuses = ["curl", "plain"].map((one) => mesh().status(AT, one, url));
        assert.deepEqual(await Promise.all(statuses), expected);
      });
    };
    await mesh().apply(meshed(at, { [policy]: "all-authenticated" }));
    await mesh().apply(...nginx(at, "web", { isProbed: false }), service(at, "web"));
    await answers(["200", "403"]);
    await mesh().apply(meshed(at, { [policy]: "audit" }));
    await mesh().kubectl(["-n", at, "rollout", "restart", "deployment/web"]);
    await answers(["200", "200"]);
  });
}
