import assert from "node:assert/strict";
import { test } from "node:test";
import { StatusError } from "@heddle/apiserver/status-error";
import { seededInt, seededRandom } from "@heddle/testkit/seeded-random";
import { decodeEnvelope } from "./envelope.ts";

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  while (rest > 0x7fn) {
    bytes.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  return Buffer.from([...bytes, Number(rest)]);
}

/** A field: a number as varint, anything else with its length. */
function field(number: number, value: number | string | Buffer): Buffer {
  if (typeof value === "number") return Buffer.concat([varint(number * 8), varint(value)]);
  const bytes = Buffer.from(value);
  return Buffer.concat([varint(number * 8 + 2), varint(bytes.length), bytes]);
}

function message(...fields: readonly Buffer[]): Buffer {
  return Buffer.concat(fields);
}

function envelope(apiVersion: string, kind: string, raw: Buffer): Buffer {
  const meta = message(field(1, apiVersion), field(2, kind));
  return message(Buffer.from("k8s\0"), field(1, meta), field(2, raw), field(3, ""), field(4, ""));
}

const META = message(
  field(1, "web"),
  field(2, ""),
  field(7, 0),
  field(8, ""),
  field(11, message(field(1, "app"), field(2, "web"))),
  field(11, message(field(1, "__proto__"), field(2, "x"))),
);

test("decodeEnvelope() reads an object as the JSON that it would have been", () => {
  const port = message(
    field(1, "http"),
    field(2, "TCP"),
    field(3, 80),
    field(4, message(field(1, 1), field(2, 0), field(3, "web"))),
    field(5, 0),
  );
  const spec = message(
    field(1, port),
    field(2, message(field(1, "app"), field(2, "web"))),
    field(20, 0),
  );
  const raw = message(field(1, META), field(2, spec), field(3, field(1, "")), field(99, "unknown"));
  const object = decodeEnvelope(envelope("v1", "Service", raw));
  assert.deepEqual(object, {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "web", labels: JSON.parse('{"app":"web","__proto__":"x"}') },
    spec: {
      ports: [{ name: "http", protocol: "TCP", port: 80, targetPort: "web" }],
      selector: { app: "web" },
      // A pointer to false is not the same as nothing.
      allocateLoadBalancerNodePorts: false,
    },
    status: { loadBalancer: {} },
  });
});

test("decodeEnvelope() reads bytes, times, quantities and embedded messages", () => {
  const secret = message(
    field(1, field(1, "s")),
    field(2, message(field(1, "k"), field(2, Buffer.from([0, 255])))),
    field(3, "Opaque"),
  );
  assert.deepEqual(decodeEnvelope(envelope("v1", "Secret", secret))["data"], { k: "AP8=" });
  const time = message(field(1, 1_700_000_000), field(2, 123_456_000));
  const lease = message(field(1, field(1, "l")), field(2, message(field(3, time), field(2, -1))));
  assert.deepEqual(decodeEnvelope(envelope("coordination.k8s.io/v1", "Lease", lease))["spec"], {
    acquireTime: "2023-11-14T22:13:20.123456Z",
    leaseDurationSeconds: -1,
  });
  const pod = message(
    field(1, field(1, "p")),
    field(2, field(1, message(field(1, "v"), field(2, field(2, ""))))),
  );
  assert.deepEqual(decodeEnvelope(envelope("v1", "Pod", pod))["spec"], {
    volumes: [{ name: "v", emptyDir: {} }],
  });
});

test("decodeEnvelope() refuses what is no such object", () => {
  const refused = (bytes: Uint8Array, code: number): void => {
    assert.throws(
      () => decodeEnvelope(bytes),
      (error) => error instanceof StatusError && error.code === code,
    );
  };
  refused(Buffer.from(""), 400);
  refused(Buffer.from("k8s\x01"), 400);
  refused(envelope("v1", "Nothing", META), 415);
  refused(envelope("apiextensions.k8s.io/v1", "CustomResourceDefinition", field(1, META)), 415);
  refused(envelope("v1", "Service", Buffer.from([0x0a, 0x7f])), 400);
  refused(envelope("v1", "Service", field(1, 5)), 400);
  refused(envelope("v1", "Namespace", field(1, field(1, Buffer.from([0xff])))), 400);
});

test("decodeEnvelope() survives mutated bytes", () => {
  const random = seededRandom(7);
  const good = envelope("v1", "Service", message(field(1, META), field(2, field(1, field(3, 80)))));
  for (let round = 0; round < 5_000; round++) {
    const bytes = Buffer.from(good);
    for (let times = 1 + seededInt(random, 4); times > 0; times--) {
      bytes[4 + seededInt(random, bytes.length - 4)] = seededInt(random, 256);
    }
    try {
      decodeEnvelope(bytes);
    } catch (error) {
      assert.ok(error instanceof StatusError, String(error));
    }
  }
});

test("decoder reads who owns fields, whose protobuf is the text of their JSON", () => {
  const owner = (fields: string): Buffer =>
    message(
      field(1, "kubectl"),
      field(2, "Update"),
      field(3, "v1"),
      field(6, "FieldsV1"),
      field(7, message(field(1, fields))),
    );
  const map = (fields: string): Buffer =>
    envelope("v1", "ConfigMap", field(1, message(field(1, "a"), field(17, owner(fields)))));
  assert.deepEqual(decodeEnvelope(map('{"f:data":{"f:k":{}}}')), {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: {
      name: "a",
      managedFields: [
        {
          manager: "kubectl",
          operation: "Update",
          apiVersion: "v1",
          fieldsType: "FieldsV1",
          fieldsV1: { "f:data": { "f:k": {} } },
        },
      ],
    },
  });
  assert.throws(() => decodeEnvelope(map("{")), StatusError);
  assert.throws(() => decodeEnvelope(map("[".repeat(100_000))), StatusError);
});
