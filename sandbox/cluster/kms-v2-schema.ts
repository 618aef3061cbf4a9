/** The two protocol buffer schemas that KMS v2 consists of, as protobufjs JSON (see proto-schema.ts). */
import type { MessageTypeDefinition, ServiceDefinition } from '@grpc/proto-loader';
import { loadSchema } from './proto-schema';

/** k8s.io/kms/apis/v2/api.proto at v0.34.1 (KEP-3299): same package, message and field names and numbers. */
const KMS_V2_API = {
  nested: {
    v2: {
      nested: {
        KeyManagementService: {
          methods: {
            Status: { requestType: 'StatusRequest', responseType: 'StatusResponse' },
            Decrypt: { requestType: 'DecryptRequest', responseType: 'DecryptResponse' },
            Encrypt: { requestType: 'EncryptRequest', responseType: 'EncryptResponse' },
          },
        },
        StatusRequest: { fields: {} },
        StatusResponse: {
          fields: {
            version: { type: 'string', id: 1 },
            healthz: { type: 'string', id: 2 },
            key_id: { type: 'string', id: 3 },
          },
        },
        DecryptRequest: {
          fields: {
            ciphertext: { type: 'bytes', id: 1 },
            uid: { type: 'string', id: 2 },
            key_id: { type: 'string', id: 3 },
            annotations: { keyType: 'string', type: 'bytes', id: 4 },
          },
        },
        DecryptResponse: { fields: { plaintext: { type: 'bytes', id: 1 } } },
        EncryptRequest: {
          fields: { plaintext: { type: 'bytes', id: 1 }, uid: { type: 'string', id: 2 } },
        },
        EncryptResponse: {
          fields: {
            ciphertext: { type: 'bytes', id: 1 },
            key_id: { type: 'string', id: 2 },
            annotations: { keyType: 'string', type: 'bytes', id: 3 },
          },
        },
      },
    },
  },
};

/**
 * k8s.io/apiserver/pkg/storage/value/encrypt/envelope/kmsv2/v2/api.proto at v0.34.1: what is stored in etcd behind the
 * prefix. Only the key id is declared: a reader that does not know the other fields skips them, ciphertext included.
 */
const ENCRYPTED_OBJECT = {
  nested: { v2: { nested: { EncryptedObject: { fields: { keyID: { type: 'string', id: 2 } } } } } },
};

/** What API servers of every version take: 1.27 knows this one alone, later ones also `v2` (apiserver's kmsv2/envelope.go). */
export const KMS_V2_API_VERSION = 'v2beta1';

/** The reply to Status. */
export interface StatusResponse {
  readonly version: typeof KMS_V2_API_VERSION;
  /** Anything but `ok` makes the API server unhealthy. */
  readonly healthz: string;
  readonly key_id: string;
}

/** A request to encrypt a data-encryption key or seed. */
export interface EncryptRequest {
  readonly plaintext: Buffer;
  readonly uid: string;
}

/** The reply to Encrypt. Annotations are left out: their names would have to be fully qualified, and none is needed. */
export interface EncryptResponse {
  readonly ciphertext: Uint8Array;
  readonly key_id: string;
}

/** A request to decrypt a data-encryption key or seed. */
export interface DecryptRequest {
  readonly ciphertext: Buffer;
  readonly uid: string;
  readonly key_id: string;
}

/** The reply to Decrypt. */
export interface DecryptResponse {
  readonly plaintext: Uint8Array;
}

/** The gRPC service `v2.KeyManagementService`, for `Server.addService`. */
export function kmsV2Service(): ServiceDefinition {
  return loadSchema(KMS_V2_API)['v2.KeyManagementService'] as ServiceDefinition;
}

/** A reader for the key id of a stored EncryptedObject. It throws when the bytes are no protocol buffer message. */
export function encryptedObjectReader(): (bytes: Buffer) => { readonly keyID: string } {
  const definition = loadSchema(ENCRYPTED_OBJECT)['v2.EncryptedObject'];
  return (definition as MessageTypeDefinition<object, { readonly keyID: string }>).deserialize;
}
