/** The custom search attributes that operations are listed by: registered before the first operation, or the start fails. */
import { type Connection } from '@temporalio/client';
import { temporal } from '@temporalio/proto';
import { commandFor, SearchAttributes } from '../workflows/messages';

/**
 * Registers what is missing.
 * @throws Error with the command to run, when this identity may not change the namespace
 */
export async function ensureSearchAttributes(connection: Connection, namespace: string): Promise<void> {
  const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace });
  const missing = Object.values(SearchAttributes).filter(({ name }) => !(name in (customAttributes ?? {})));
  if (missing.length === 0) return;
  const { INDEXED_VALUE_TYPE_KEYWORD: KEYWORD, INDEXED_VALUE_TYPE_DATETIME: DATETIME } =
    temporal.api.enums.v1.IndexedValueType;
  try {
    await connection.operatorService.addSearchAttributes({
      namespace,
      searchAttributes: Object.fromEntries(missing.map(({ name, type }) => [name, { KEYWORD, DATETIME }[type]])),
    });
  } catch (error) {
    const commands = missing.map((attribute) => commandFor(attribute, namespace));
    throw new Error(
      `The Temporal namespace "${namespace}" lacks search attributes, and they could not be added. Let its administrator run:\n${commands.join('\n')}`,
      { cause: error },
    );
  }
}
