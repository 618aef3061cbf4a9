/** The custom search attributes that operations are listed by: registered before the first operation, or the start fails. */
import { type Connection } from '@temporalio/client';
import { temporal } from '@temporalio/proto';
import { SearchAttributes } from '../workflows/messages';

/**
 * Registers what is missing.
 * @throws Error with the command to run, when this identity may not change the namespace
 */
export async function ensureSearchAttributes(connection: Connection, namespace: string): Promise<void> {
  const names = Object.values(SearchAttributes).map(({ name }) => name);
  const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace });
  const missing = names.filter((name) => !(name in (customAttributes ?? {})));
  if (missing.length === 0) return;
  const { INDEXED_VALUE_TYPE_KEYWORD } = temporal.api.enums.v1.IndexedValueType;
  try {
    await connection.operatorService.addSearchAttributes({
      namespace,
      searchAttributes: Object.fromEntries(missing.map((name) => [name, INDEXED_VALUE_TYPE_KEYWORD])),
    });
  } catch (error) {
    const commands = missing.map(
      (name) => `temporal operator search-attribute create --namespace ${namespace} --name ${name} --type Keyword`,
    );
    throw new Error(
      `The Temporal namespace "${namespace}" lacks search attributes, and they could not be added. Let its administrator run:\n${commands.join('\n')}`,
      { cause: error },
    );
  }
}
