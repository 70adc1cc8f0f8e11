import { GrpcError } from "./error.ts";
import type { CallContext } from "./handlers.ts";
import { GrpcStatus } from "./status.ts";

/** `grpc.health.v1.HealthCheckResponse.ServingStatus` */
const Serving = { serving: 1, notServing: 2, serviceUnknown: 3 } as const;

interface HealthRequest {
  /** Empty for the server as a whole. */
  readonly service: string;
}

interface HealthAnswer {
  readonly status: 1 | 2 | 3;
}

/** The handlers of `grpc.health.v1.Health`, which this package does not know as a type. */
export interface HealthHandlers {
  readonly check: (request: HealthRequest) => Promise<HealthAnswer>;
  readonly watch: (request: HealthRequest, context: CallContext) => AsyncIterable<HealthAnswer>;
}

/** What a server says of its services' health. The server as a whole serves from the start. */
export class Health {
  readonly #isServing = new Map<string, boolean>([["", true]]);
  readonly #watchers = new Set<() => void>();

  /** @param service - Full name; empty for the server as a whole. */
  set(service: string, isServing: boolean): void {
    if (this.#isServing.get(service) === isServing) return;
    this.#isServing.set(service, isServing);
    for (const wake of [...this.#watchers]) wake();
  }

  handlers(): HealthHandlers {
    return {
      check: async ({ service }) => {
        const status = this.#status(service);
        if (status !== Serving.serviceUnknown) return { status };
        throw new GrpcError(GrpcStatus.notFound, `Cannot tell health of ${service}: it is unknown`);
      },
      watch: ({ service }, context) => this.#watch(service, context.signal),
    };
  }

  async *#watch(service: string, signal: AbortSignal): AsyncIterable<HealthAnswer> {
    let told: number | undefined;
    while (!signal.aborted) {
      const status = this.#status(service);
      if (status !== told) {
        told = status;
        yield { status };
      } else await this.#changed(signal);
    }
  }

  #changed(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        this.#watchers.delete(wake);
        signal.removeEventListener("abort", wake);
        resolve();
      };
      this.#watchers.add(wake);
      signal.addEventListener("abort", wake);
    });
  }

  #status(service: string): 1 | 2 | 3 {
    const isServing = this.#isServing.get(service);
    if (isServing === undefined) return Serving.serviceUnknown;
    return isServing ? Serving.serving : Serving.notServing;
  }
}
