import type { JsonObject } from "@heddle/apiserver/json/value";

/** Lists and maps of every type. */
export const CART_SCHEMA: JsonObject = {
  type: "object",
  properties: {
    spec: {
      type: "object",
      properties: {
        owner: { type: "string" },
        count: { type: "integer", default: 3 },
        maybe: { type: "string", nullable: true },
        free: { type: "object", "x-kubernetes-preserve-unknown-fields": true },
        items: {
          type: "array",
          "x-kubernetes-list-type": "map",
          "x-kubernetes-list-map-keys": ["name", "port"],
          items: {
            type: "object",
            required: ["name"],
            properties: {
              name: { type: "string" },
              port: { type: "integer", default: 80 },
              note: { type: "string" },
            },
          },
        },
        tags: { type: "array", "x-kubernetes-list-type": "set", items: { type: "string" } },
        list: {
          type: "array",
          items: { type: "object", properties: { a: { type: "string" } } },
        },
        sel: {
          type: "object",
          "x-kubernetes-map-type": "atomic",
          additionalProperties: { type: "string" },
        },
        map: {
          type: "object",
          additionalProperties: {
            type: "object",
            properties: { a: { type: "string" }, b: { type: "string" } },
          },
        },
      },
    },
    status: { type: "object", properties: { phase: { type: "string" } } },
  },
};

function rules(...list: JsonObject[]): JsonObject {
  return { "x-kubernetes-validations": list };
}

/** Rules of every kind. */
export const LIMIT_SCHEMA: JsonObject = {
  type: "object",
  ...rules({ rule: "!has(self.spec.root) || self.spec.root == 'ok'" }),
  properties: {
    spec: {
      type: "object",
      ...rules(
        { rule: "!has(self.min) || self.min <= self.max", message: "min > max" },
        {
          rule: "!has(self.min) || self.min != 7",
          messageExpression: "'seven' + (self.max > 3 ? ' and more' : '')",
          message: "seven",
        },
        {
          rule: "!has(self.min) || self.min != 8",
          reason: "FieldValueForbidden",
          fieldPath: ".min",
          message: "eight",
        },
        {
          rule: "!has(self.min) || self.min != 9",
          reason: "FieldValueRequired",
          fieldPath: ".max",
        },
        { rule: "!has(self.min) || self.min != 10", reason: "FieldValueDuplicate" },
      ),
      properties: {
        root: { type: "string" },
        min: { type: "integer" },
        max: { type: "integer" },
        number: { type: "number", ...rules({ rule: "self > 1.5" }) },
        isOn: { type: "boolean", ...rules({ rule: "self" }) },
        fixed: { type: "string", ...rules({ rule: "self == oldSelf", message: "is fixed" }) },
        error: {
          type: "object",
          properties: { a: { type: "integer" } },
          ...rules({ rule: "self.a > 1" }),
        },
        map: {
          type: "object",
          maxProperties: 10,
          additionalProperties: {
            type: "string",
            maxLength: 50,
            ...rules({ rule: "self != 'bad'" }),
          },
        },
        items: {
          type: "array",
          maxItems: 10,
          "x-kubernetes-list-type": "map",
          "x-kubernetes-list-map-keys": ["id"],
          ...rules({ rule: "self.size() < 4" }),
          items: {
            type: "object",
            required: ["id"],
            properties: { id: { type: "string" }, n: { type: "integer" } },
            ...rules(
              { rule: "!has(self.n) || self.n > 0" },
              { rule: "!has(self.n) || self.n >= oldSelf.n", message: "shrinks" },
            ),
          },
        },
      },
    },
  },
};

/** With lists that are merged by keys, and fields that have defaults. */
export const DEPLOYMENT: JsonObject = {
  metadata: { name: "web", labels: { a: "b" } },
  spec: {
    replicas: 2,
    selector: { matchLabels: { app: "web" } },
    template: {
      metadata: { labels: { app: "web" } },
      spec: {
        nodeSelector: { a: "b" },
        volumes: [{ name: "v", emptyDir: {} }],
        containers: [
          {
            name: "app",
            image: "app:1",
            ports: [{ containerPort: 80 }],
            env: [
              { name: "A", value: "1" },
              { name: "B", valueFrom: { secretKeyRef: { name: "s", key: "k" } } },
            ],
            volumeMounts: [{ name: "v", mountPath: "/v" }],
            readinessProbe: { httpGet: { port: 80, path: "/" } },
            resources: { limits: { cpu: "1" } },
            securityContext: { runAsUser: 1 },
          },
        ],
      },
    },
  },
};
