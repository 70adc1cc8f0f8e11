import { type DescFile, type DescMessage, type DescService, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { GrpcStatus } from "./status.ts";

/** `grpc.reflection.v1.ServerReflectionRequest`, as far as it is read. */
interface ReflectionRequest {
  readonly host: string;
  readonly messageRequest: { readonly case: string | undefined; readonly value?: unknown };
}

type ReflectionAnswer<R> = {
  readonly validHost: string;
  readonly originalRequest: R;
  readonly messageResponse:
    | { case: "fileDescriptorResponse"; value: { fileDescriptorProto: Uint8Array[] } }
    | { case: "listServicesResponse"; value: { service: { name: string }[] } }
    | { case: "errorResponse"; value: { errorCode: number; errorMessage: string } };
};

/** The handler of `grpc.reflection.v1.ServerReflection`. */
export interface ReflectionHandlers {
  readonly serverReflectionInfo: <R extends ReflectionRequest>(
    requests: AsyncIterable<R>,
  ) => AsyncIterable<ReflectionAnswer<R>>;
}

/** Describes a server's services to tools that have no .proto files. Knows no extensions. */
export function reflectionHandlers(server: {
  readonly services: readonly DescService[];
}): ReflectionHandlers {
  return {
    serverReflectionInfo: async function* (requests) {
      const files = new Files(server.services);
      for await (const request of requests) {
        const messageResponse = answer(request, server.services, files);
        yield { validHost: request.host, originalRequest: request, messageResponse };
      }
    },
  };
}

function answer(
  request: ReflectionRequest,
  services: readonly DescService[],
  files: Files,
): ReflectionAnswer<never>["messageResponse"] {
  const { case: kind, value } = request.messageRequest;
  if (kind === "listServices") {
    const service = services.map(({ typeName }) => ({ name: typeName }));
    return { case: "listServicesResponse", value: { service } };
  }
  let file: DescFile | undefined;
  if (kind === "fileByFilename") file = files.byName.get(String(value));
  else if (kind === "fileContainingSymbol") file = files.bySymbol.get(String(value));
  if (file !== undefined) {
    const fileDescriptorProto = withImports(file).map((each) =>
      toBinary(FileDescriptorProtoSchema, each.proto),
    );
    return { case: "fileDescriptorResponse", value: { fileDescriptorProto } };
  }
  const errorMessage = `Cannot answer ${kind ?? "an empty request"}: nothing is known of it`;
  return { case: "errorResponse", value: { errorCode: GrpcStatus.notFound, errorMessage } };
}

/** The files behind some services, by their names and by what they declare. */
class Files {
  readonly byName = new Map<string, DescFile>();
  readonly bySymbol = new Map<string, DescFile>();

  constructor(services: readonly DescService[]) {
    for (const service of services) {
      for (const file of withImports(service.file)) this.#add(file);
    }
  }

  #add(file: DescFile): void {
    const name = file.proto.name;
    if (this.byName.has(name)) return;
    this.byName.set(name, file);
    for (const each of file.enums) this.bySymbol.set(each.typeName, file);
    for (const message of file.messages) this.#addMessage(message, file);
    for (const service of file.services) {
      this.bySymbol.set(service.typeName, file);
      for (const method of service.methods) {
        this.bySymbol.set(`${service.typeName}.${method.name}`, file);
      }
    }
  }

  #addMessage(message: DescMessage, file: DescFile): void {
    this.bySymbol.set(message.typeName, file);
    for (const each of message.nestedEnums) this.bySymbol.set(each.typeName, file);
    for (const nested of message.nestedMessages) this.#addMessage(nested, file);
  }
}

/** The file and everything that it imports, imports first, each once. */
function withImports(file: DescFile): DescFile[] {
  const all = new Set<DescFile>();
  const visit = (each: DescFile): void => {
    if (all.has(each)) return;
    for (const imported of each.dependencies) visit(imported);
    all.add(each);
  };
  visit(file);
  return [...all];
}
