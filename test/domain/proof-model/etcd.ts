/**
 * A model of etcd, as far as the proof rule leans on it: one revision counter for everything, records that say under which
 * key they are stored, and backups whose restore takes records and counter back.
 */

/** A record as it lies in etcd. */
export interface StoredRecord {
  readonly uid: string;
  readonly revision: number;
  /** The key that it is encrypted with, or `identity` for plaintext. */
  readonly storedUnder: string;
  /** The name of the provider that wrote it: all that a record of KMS v1 says of its key. */
  readonly provider: string;
}

/** A backup. */
export interface Snapshot {
  readonly revision: number;
  readonly records: ReadonlyMap<string, StoredRecord>;
}

/** The model. */
export class Etcd {
  #revision = 1;
  #records = new Map<string, StoredRecord>();

  /** The counter: what a LIST of this moment has as its resource version. */
  get revision(): number {
    return this.#revision;
  }

  get records(): ReadonlyMap<string, StoredRecord> {
    return this.#records;
  }

  put(name: string, record: Omit<StoredRecord, 'revision'>): StoredRecord {
    const stored = { ...record, revision: ++this.#revision };
    this.#records.set(name, stored);
    return stored;
  }

  delete(name: string): void {
    if (this.#records.delete(name)) this.#revision++;
  }

  /** A write of something that is no Secret. */
  tick(): void {
    this.#revision++;
  }

  snapshot(): Snapshot {
    return { revision: this.#revision, records: new Map(this.#records) };
  }

  restore({ revision, records }: Snapshot): void {
    this.#revision = revision;
    this.#records = new Map(records);
  }
}
