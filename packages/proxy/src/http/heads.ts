import type { RequestHead } from "@heddle/net/http";

/** A copy that shares nothing but its context: layers below may change it as they like. */
export function cloneHead(head: RequestHead): RequestHead {
  return {
    method: head.method,
    scheme: head.scheme,
    authority: head.authority,
    path: head.path,
    version: head.version,
    headers: head.headers.clone(),
    absoluteForm: head.absoluteForm,
    upgrade: head.upgrade,
    contentLength: head.contentLength,
    ...(head.context === undefined ? {} : { context: head.context }),
  };
}
