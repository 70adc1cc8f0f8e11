import {
  digArray,
  digObject,
  digString,
  isObject,
  type Json,
  own,
} from "@heddle/apiserver/json/value";
import { isLabelKey, isLabelValue } from "@heddle/apiserver/objects/label-selector";
import { isBase64 } from "@heddle/apiserver/schema/formats";
import type { Cause } from "@heddle/apiserver/status-error";
import type { Strategy } from "./resource-type.ts";
import { GENERATED, invalidValue, required } from "./strategy.ts";

const OPERATIONS: readonly Json[] = ["*", "CREATE", "UPDATE", "DELETE", "CONNECT"];
const SCOPES: readonly Json[] = ["*", "Namespaced", "Cluster"];
const MAX_TIMEOUT_SECONDS = 30;
/** Three labels of DNS at least. */
const WEBHOOK_NAME = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?){2,}$/;

/** Of both configurations: what cannot be called as it is meant is refused when it is written. */
export const WEBHOOKS: Strategy = {
  ...GENERATED,
  validate: (object) => {
    const webhooks = digArray(object, "webhooks");
    const names = webhooks.map((webhook) => digString(webhook, "name") ?? "");
    return webhooks.flatMap((webhook, at) => {
      const path = `webhooks[${at}]`;
      const causes = webhookCauses(webhook, path);
      if (names.indexOf(names[at]!) === at) return causes;
      const message = `Duplicate value: ${JSON.stringify(names[at])}`;
      return [...causes, { reason: "FieldValueDuplicate", message, field: `${path}.name` }];
    });
  },
};

function webhookCauses(webhook: Json, path: string): Cause[] {
  const causes: Cause[] = [];
  const name = digString(webhook, "name") ?? "";
  if (name.length > 253 || !WEBHOOK_NAME.test(name)) {
    const why = "should be a domain with at least three segments separated by dots";
    causes.push(invalidValue(`${path}.name`, name, why));
  }
  const effects = own(webhook, "sideEffects");
  if (effects !== "None" && effects !== "NoneOnDryRun") {
    const message = `Unsupported value: ${JSON.stringify(effects)}: supported values: "None", "NoneOnDryRun"`;
    causes.push({ reason: "FieldValueNotSupported", message, field: `${path}.sideEffects` });
  }
  const seconds = own(webhook, "timeoutSeconds");
  if (typeof seconds === "number" && (seconds < 1 || seconds > MAX_TIMEOUT_SECONDS)) {
    const why = `the timeout value must be between 1 and ${MAX_TIMEOUT_SECONDS} seconds`;
    causes.push(invalidValue(`${path}.timeoutSeconds`, seconds, why));
  }
  const versions = digArray(webhook, "admissionReviewVersions");
  if (!versions.some((version) => version === "v1" || version === "v1beta1")) {
    const why = "must include at least one of v1, v1beta1";
    causes.push(invalidValue(`${path}.admissionReviewVersions`, versions, why));
  }
  if (digArray(webhook, "matchConditions").length > 0) {
    // Passing them over would call webhooks too often, or, worse, admit what they should see.
    const message = "Forbidden: this server evaluates no match conditions; use selectors and rules";
    causes.push({ reason: "FieldValueForbidden", message, field: `${path}.matchConditions` });
  }
  causes.push(...clientCauses(digObject(webhook, "clientConfig"), `${path}.clientConfig`));
  for (const [at, rule] of digArray(webhook, "rules").entries()) {
    causes.push(...ruleCauses(rule, `${path}.rules[${at}]`));
  }
  for (const key of ["namespaceSelector", "objectSelector"]) {
    causes.push(...selectorCauses(own(webhook, key), `${path}.${key}`));
  }
  return causes;
}

function clientCauses(config: Json | undefined, path: string): Cause[] {
  const causes: Cause[] = [];
  const bundle = digString(config, "caBundle") ?? "";
  if (!isBase64(bundle)) causes.push(invalidValue(`${path}.caBundle`, bundle, "not base64"));
  const url = digString(config, "url");
  const service = digObject(config, "service");
  if ((url === undefined) === (service === undefined)) {
    causes.push(required(path, "exactly one of url or service is required"));
  }
  if (url !== undefined) {
    const why = urlProblem(url);
    if (why !== undefined) causes.push(invalidValue(`${path}.url`, url, why));
  }
  if (service !== undefined) {
    const port = own(service, "port");
    if (typeof port === "number" && (port < 1 || port > 65_535)) {
      causes.push(invalidValue(`${path}.service.port`, port, "must be between 1 and 65535"));
    }
    const at = digString(service, "path") ?? "/";
    if (!/^\/[!-~]*$/.test(at) || /[?#]/.test(at)) {
      causes.push(invalidValue(`${path}.service.path`, at, "must be an absolute URL path"));
    }
  }
  return causes;
}

function urlProblem(text: string): string | undefined {
  if (!URL.canParse(text)) return "url must be a valid URL";
  const url = new URL(text);
  if (url.protocol !== "https:") return "'https' is the only allowed URL scheme";
  if (url.username !== "" || url.password !== "") return "user information is not permitted";
  if (url.hash !== "") return "fragments are not permitted";
  if (url.search !== "") return "query parameters are not permitted";
  return undefined;
}

function ruleCauses(rule: Json, path: string): Cause[] {
  const causes: Cause[] = [];
  for (const key of ["operations", "apiGroups", "apiVersions", "resources"]) {
    const values = digArray(rule, key);
    if (values.length === 0) causes.push(required(`${path}.${key}`));
    if (values.length > 1 && values.includes("*")) {
      const why = "if '*' is present, must not specify others";
      if (key !== "resources") causes.push(invalidValue(`${path}.${key}`, values, why));
    }
  }
  for (const [at, operation] of digArray(rule, "operations").entries()) {
    if (OPERATIONS.includes(operation)) continue;
    const field = `${path}.operations[${at}]`;
    causes.push(invalidValue(field, operation, `must be one of ${OPERATIONS.join(", ")}`));
  }
  const scope = own(rule, "scope") ?? "*";
  if (!SCOPES.includes(scope)) {
    causes.push(invalidValue(`${path}.scope`, scope, `must be one of ${SCOPES.join(", ")}`));
  }
  return causes;
}

function selectorCauses(selector: Json | undefined, path: string): Cause[] {
  const causes: Cause[] = [];
  const labels = own(selector, "matchLabels");
  for (const [key, value] of Object.entries(isObject(labels) ? labels : {})) {
    if (isLabelKey(key) && typeof value === "string" && isLabelValue(value)) continue;
    causes.push(invalidValue(`${path}.matchLabels`, key, "no label can be like this"));
  }
  for (const [at, expression] of digArray(selector, "matchExpressions").entries()) {
    const field = `${path}.matchExpressions[${at}]`;
    const values = digArray(expression, "values");
    const key = own(expression, "key");
    if (typeof key !== "string" || !isLabelKey(key)) {
      causes.push(invalidValue(`${field}.key`, key, "is no label's key"));
    }
    switch (own(expression, "operator")) {
      case "In":
      case "NotIn":
        if (values.length === 0) causes.push(required(`${field}.values`, "for 'In' or 'NotIn'"));
        break;
      case "Exists":
      case "DoesNotExist":
        if (values.length > 0) {
          const why = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
          causes.push(invalidValue(`${field}.values`, values, why));
        }
        break;
      default:
        causes.push(
          invalidValue(`${field}.operator`, own(expression, "operator"), "not a valid operator"),
        );
    }
  }
  return causes;
}
