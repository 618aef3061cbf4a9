/** The secrets inside one vault, those of its certificates included. */
import { randomBytes } from 'node:crypto';
import type { Attributes } from './attributes';
import { nowInSeconds } from './key-ring';
import { NamedObjects, type NamedObject } from './named-objects';

/** One version of a secret. */
export interface SecretVersion extends Attributes {
  /** 32 hexadecimal digits. */
  readonly version: string;
  readonly value: string;
  contentType?: string;
  tags: Readonly<Record<string, string>>;
  /** The key and the chain of a certificate: its life is the certificate's. */
  readonly managed?: true;
}

/** What a new version is made from. */
export interface SecretRequest {
  readonly value: string;
  readonly contentType?: string;
  readonly tags?: Readonly<Record<string, string>>;
  readonly enabled?: boolean;
  readonly exp?: number;
  readonly nbf?: number;
}

/** All secrets of one vault. */
export class SecretBook extends NamedObjects<SecretVersion> {
  constructor() {
    super('Secret');
  }

  /** Adds a version. @throws AzureError 409 when the name is soft-deleted */
  set(name: string, request: SecretRequest): { secret: NamedObject<SecretVersion>; version: SecretVersion } {
    const now = nowInSeconds();
    const version: SecretVersion = {
      ...request,
      version: randomBytes(16).toString('hex'),
      enabled: request.enabled ?? true,
      tags: request.tags ?? {},
      created: now,
      updated: now,
    };
    return { secret: this.add(name, version), version };
  }
}
