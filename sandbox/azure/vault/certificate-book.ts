/** The certificates inside one vault, and those that are being made. */
import type { JsonObject } from '../json';
import type { Attributes } from './attributes';
import type { MadeCertificate } from './certificate-maker';
import { NamedObjects } from './named-objects';

/** One version of a certificate. Its key and its secret have the same name and version. */
export interface CertificateVersion extends Attributes {
  /** 32 hexadecimal digits. */
  readonly version: string;
  readonly made: MadeCertificate;
  tags: Readonly<Record<string, string>>;
}

/** The creation of a version, as `…/pending` shows it. */
export interface PendingCertificate {
  readonly csr: string;
  readonly requestId: string;
  status: 'inProgress' | 'completed' | 'failed';
  error?: string;
}

/** All certificates of one vault. */
export class CertificateBook extends NamedObjects<CertificateVersion> {
  /** The last creation of each name. */
  readonly pending = new Map<string, PendingCertificate>();
  /** The policy of each name: how its next version is made. */
  readonly policies = new Map<string, JsonObject>();

  constructor() {
    super('Certificate');
  }
}
