// The contract's imports as JavaScript sees them, for TypeScript's checker. wit/ says what they mean.

declare module "windlass:rotation/secret@0.1.0" {
  type Version = "pending" | "current" | "previous" | "admin";
  export function field(of: Version, name: string): string | null | undefined;
  export function text(of: Version): string | null | undefined;
  export function raw(of: Version): Iterable<number> | null | undefined;
  export function setting(name: string): string | null | undefined;
  export function refused(of: Version): void;
}

declare module "windlass:rotation/log@0.1.0" {
  export function write(level: "debug" | "info" | "warn" | "error", line: string): void;
}

declare module "windlass:rotation/random@0.1.0" {
  export function generate(count: number): Iterable<number>;
}

declare module "windlass:rotation/http@0.1.0" {
  interface Request {
    endpoint: string;
    method: string;
    path: string;
    headers: [string, string][];
    body: Uint8Array;
  }
  interface Response {
    status: number;
    headers: [string, string][];
    body: Iterable<number>;
  }
  export function send(request: Request): Response;
}

declare module "windlass:rotation/connection@0.1.0" {
  export class Connection {
    static open(endpoint: string): Connection;
    read(max: number): ArrayLike<number>;
    write(data: Uint8Array): void;
    startTls(): void;
    [Symbol.dispose](): void;
  }
}
