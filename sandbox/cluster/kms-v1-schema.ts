/** The protocol buffer schema of KMS v1, as protobufjs JSON (see proto-schema.ts). */
import type { ServiceDefinition } from '@grpc/proto-loader';
import { loadSchema } from './proto-schema';

/** k8s.io/kms/apis/v1beta1/api.proto at v0.26.15: same package, message and field names and numbers. */
const KMS_V1_API = {
  nested: {
    v1beta1: {
      nested: {
        KeyManagementService: {
          methods: {
            Version: { requestType: 'VersionRequest', responseType: 'VersionResponse' },
            Decrypt: { requestType: 'DecryptRequest', responseType: 'DecryptResponse' },
            Encrypt: { requestType: 'EncryptRequest', responseType: 'EncryptResponse' },
          },
        },
        VersionRequest: { fields: { version: { type: 'string', id: 1 } } },
        VersionResponse: {
          fields: {
            version: { type: 'string', id: 1 },
            runtime_name: { type: 'string', id: 2 },
            runtime_version: { type: 'string', id: 3 },
          },
        },
        DecryptRequest: { fields: { version: { type: 'string', id: 1 }, cipher: { type: 'bytes', id: 2 } } },
        DecryptResponse: { fields: { plain: { type: 'bytes', id: 1 } } },
        EncryptRequest: { fields: { version: { type: 'string', id: 1 }, plain: { type: 'bytes', id: 2 } } },
        EncryptResponse: { fields: { cipher: { type: 'bytes', id: 1 } } },
      },
    },
  },
};

/** The only version that the API server takes in a {@link VersionResponse}. */
export const KMS_V1_API_VERSION = 'v1beta1';

/** The reply to Version. */
export interface VersionResponse {
  readonly version: typeof KMS_V1_API_VERSION;
  readonly runtime_name: string;
  readonly runtime_version: string;
}

/** A request to encrypt a data-encryption key: one for each write of each Secret. */
export interface EncryptRequest {
  readonly plain: Buffer;
}

/** The reply to Encrypt. There is no key id in KMS v1: what a plugin needs to find its key again is in `cipher`. */
export interface EncryptResponse {
  readonly cipher: Uint8Array;
}

/** A request to decrypt a data-encryption key. */
export interface DecryptRequest {
  readonly cipher: Buffer;
}

/** The reply to Decrypt. */
export interface DecryptResponse {
  readonly plain: Uint8Array;
}

/** The gRPC service `v1beta1.KeyManagementService`, for `Server.addService`. */
export function kmsV1Service(): ServiceDefinition {
  return loadSchema(KMS_V1_API)['v1beta1.KeyManagementService'] as ServiceDefinition;
}
