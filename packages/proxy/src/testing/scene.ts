import type { TestApp } from "./apps.ts";
import type { TestWorld } from "./world.ts";

/** A proxy and the application that its connections come to. */
export interface Scene extends AsyncDisposable {
  readonly world: TestWorld;
  readonly app: TestApp;
  /** Of the side that the test is about. */
  readonly port: number;
}

/** Owns both. */
export function newScene(world: TestWorld, app: TestApp, port: number): Scene {
  return {
    world,
    app,
    port,
    async [Symbol.asyncDispose]() {
      await world[Symbol.asyncDispose]();
      await app[Symbol.asyncDispose]();
    },
  };
}
