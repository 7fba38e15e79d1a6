import assert from "node:assert/strict";
import { noEndpoint, now } from "./state.js";

/** @param {{ endpoint: string, method: string, path: string, headers: [string, string][], body: Uint8Array }} request */
export function send(request) {
  for (const text of [request.endpoint, request.method, request.path, ...request.headers.flat()]) {
    assert.equal(typeof text, "string");
  }
  assert.ok(request.body instanceof Uint8Array);
  const service = now().services[request.endpoint];
  if (!service) throw noEndpoint(request.endpoint);
  return service(request);
}
