/** Services of gRPC itself, for tests of packages that may not know generated code. */
export { Health } from "@heddle/api/gen/grpc/health/v1/health_pb";
export { ServerReflection } from "@heddle/api/gen/grpc/reflection/v1/reflection_pb";
