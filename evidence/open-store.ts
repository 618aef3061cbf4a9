/** Opens the store that the settings name. */
import { createCredential } from '../azure/credentials';
import { createHttpClient } from '../azure/http-client';
import type { Cloud } from '../domain/clouds';
import { blobStore } from './blob-store';
import { folderStore } from './folder-store';
import type { RecordStore } from './store';

/** @param where an absolute folder, or the URL of a container; nothing is contacted yet */
export function openStore(where: string, cloud: Cloud): RecordStore {
  if (!where.startsWith('https:')) return folderStore(where);
  return blobStore(where, createCredential(cloud, createHttpClient()));
}
