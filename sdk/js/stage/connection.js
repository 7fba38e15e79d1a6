import assert from "node:assert/strict";
import { noEndpoint, now, refusal } from "./state.js";

export class Connection {
  #service;

  /** @param {{ read(max: number): Uint8Array, write(data: Uint8Array): void, close?(): void }} service */
  constructor(service) {
    this.#service = service;
  }

  /** @param {string} endpoint */
  static open(endpoint) {
    assert.equal(typeof endpoint, "string");
    const connect = now().connections[endpoint];
    if (!connect) throw noEndpoint(endpoint);
    return new Connection(connect());
  }

  /** @param {number} max */
  read(max) {
    assert.ok(Number.isInteger(max) && max > 0);
    return this.#service.read(max);
  }

  /** @param {Uint8Array} data */
  write(data) {
    assert.ok(data instanceof Uint8Array);
    this.#service.write(data);
  }

  startTls() {
    throw refusal("denied", "unchanged", "native tests have no TLS");
  }

  [Symbol.dispose]() {
    this.#service.close?.();
  }
}
