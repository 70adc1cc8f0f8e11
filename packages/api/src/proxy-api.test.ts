import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import {
  create,
  type DescField,
  type DescFile,
  type DescMessage,
  fromBinary,
  ScalarType,
  toBinary,
} from "@bufbuild/protobuf";
import { file_destination } from "./gen/destination_pb.ts";
import { file_grpc_route } from "./gen/grpc_route_pb.ts";
import { file_http_route } from "./gen/http_route_pb.ts";
import {
  file_http_types,
  HttpMethod_Registered,
  HttpMethodSchema,
  SchemeSchema,
} from "./gen/http_types_pb.ts";
import { file_identity } from "./gen/identity_pb.ts";
import {
  Authn_PermitMeshTLS_PermitClientIdentitiesSchema,
  Authn_PermitMeshTLSSchema,
  file_inbound,
  IdentitySchema,
} from "./gen/inbound_pb.ts";
import { file_meta } from "./gen/meta_pb.ts";
import { file_net, IPAddressSchema } from "./gen/net_pb.ts";
import { file_opaque_route } from "./gen/opaque_route_pb.ts";
import { file_outbound } from "./gen/outbound_pb.ts";
import { file_tap } from "./gen/tap_pb.ts";
import { file_tls_route } from "./gen/tls_route_pb.ts";
import { file_transport_header } from "./gen/transport_header_pb.ts";
import { file_workload } from "./gen/workload_pb.ts";

const GOLDEN = join(import.meta.dirname, "proxy-api.golden");

// Compared line by line with the descriptors of linkerd2-proxy-api v0.20.0, which differ in
// heddle_spiffe_trust_domains only. So a change here is a change of the wire: do not make it.
test("every message, field number, type and method is as it was compared with Linkerd's", () => {
  const files = [
    ...[file_destination, file_grpc_route, file_http_route, file_http_types, file_identity],
    ...[file_inbound, file_meta, file_net, file_opaque_route, file_outbound, file_tap],
    ...[file_tls_route, file_transport_header, file_workload],
  ];
  const text = `${files.flatMap(linesOf).join("\n")}\n`;
  if (process.argv.includes("--update")) writeFileSync(GOLDEN, text);
  assert.equal(text, readFileSync(GOLDEN, "utf8"));
});

test("the first value of an enum in a oneof is written, and is not the same as nothing", () => {
  const get = HttpMethod_Registered.GET;
  const method = create(HttpMethodSchema, { type: { case: "registered", value: get } });
  assert.deepEqual([...toBinary(HttpMethodSchema, method)], [0x08, 0]);
  assert.equal(fromBinary(HttpMethodSchema, Uint8Array.of(0x08, 0)).type.case, "registered");
  assert.equal(fromBinary(SchemeSchema, new Uint8Array(0)).type.case, undefined);
});

test("an IPv4 address is a number in network order, little-endian on the wire", () => {
  const ip = create(IPAddressSchema, { ip: { case: "ipv4", value: 0x0a010203 } });
  assert.deepEqual([...toBinary(IPAddressSchema, ip)], [0x0d, 3, 2, 1, 0x0a]);
});

test("a reader that does not know the field of ours reads the rest", () => {
  const schema = Authn_PermitMeshTLS_PermitClientIdentitiesSchema;
  const ours = toBinary(
    schema,
    create(schema, {
      identities: [create(IdentitySchema, { name: "a" })],
      heddleSpiffeTrustDomains: ["example.org"],
    }),
  );
  // Number 1078, length-delimited.
  const tag = [0xb2, 0x43];
  assert.deepEqual([...ours.subarray(5, 7)], tag);
  // To another message's reader it is as unknown as to a proxy of Linkerd.
  const foreign = fromBinary(Authn_PermitMeshTLSSchema, ours.subarray(5));
  assert.equal(foreign.clients.case, undefined);
  assert.deepEqual(
    foreign.$unknown?.map(({ no }) => no),
    [1078],
  );
});

function linesOf(file: DescFile): string[] {
  const methods = file.services.flatMap((service) =>
    service.methods.map(
      ({ name, methodKind, input, output }) =>
        `rpc ${service.typeName}/${name} ${methodKind} ${input.typeName} ${output.typeName}`,
    ),
  );
  return [`file ${file.proto.name}`, ...methods, ...file.messages.flatMap(messageLines)];
}

function messageLines(message: DescMessage): string[] {
  return [
    `message ${message.typeName}`,
    ...message.fields.map(fieldLine),
    ...message.nestedEnums.flatMap((each) =>
      each.values.map(({ name, number }) => `enum ${each.typeName} ${name} = ${number}`),
    ),
    ...message.nestedMessages.flatMap(messageLines),
  ];
}

function fieldLine(field: DescField): string {
  const choice = field.oneof === undefined ? "" : ` of ${field.oneof.name}`;
  return `  ${field.name} = ${field.number} ${typeOf(field)}${choice}`;
}

function typeOf(field: DescField): string {
  const one =
    field.message?.typeName ??
    field.enum?.typeName ??
    ScalarType[field.scalar as ScalarType].toLowerCase();
  if (field.fieldKind === "list") return `${one}[]`;
  if (field.fieldKind === "map") return `map<${ScalarType[field.mapKey].toLowerCase()}, ${one}>`;
  return one;
}
