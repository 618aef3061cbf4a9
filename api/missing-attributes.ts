/** Which of the search attributes that operations are listed by a Temporal namespace lacks. */
import type { Client } from '@temporalio/client';
import { commandFor, SearchAttributes } from '../workflows/messages';

/** Each with the command that adds it. A worker adds them at its start, where it may. */
export async function missingSearchAttributes(
  client: Client,
): Promise<readonly { readonly name: string; readonly command: string }[]> {
  const { namespace } = client.options;
  const { customAttributes } = await client.connection.operatorService.listSearchAttributes({ namespace });
  return Object.values(SearchAttributes)
    .filter(({ name }) => !(name in (customAttributes ?? {})))
    .map((attribute) => ({ name: attribute.name, command: commandFor(attribute, namespace) }));
}
