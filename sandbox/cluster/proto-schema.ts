/**
 * Protocol buffer schemas that are data in a TypeScript file, not `.proto` files: tsc copies nothing but TypeScript to
 * dist/, and a schema that is compiled with its readers cannot be missing at run time.
 */
import { fromJSON, type PackageDefinition } from '@grpc/proto-loader';

/**
 * Definitions for gRPC from protobufjs JSON; field names stay as they are written, absent fields get their defaults.
 * @param schema an object: the types of protobufjs know no namespace within a namespace, and ask for comments, but its
 *        JSON format has the one and not the other
 */
export function loadSchema(schema: object): PackageDefinition {
  return fromJSON(schema, { keepCase: true, defaults: true });
}
