/** Lists of ARM, all pages of them. */
import { z } from 'zod';
import type { ArmClient } from './arm';
import { ArmError } from './errors';

/** Far more than there are; a list that goes on after so many pages leads in a circle. */
const MOST_PAGES = 1_000;

const Page = z.looseObject({ value: z.array(z.unknown()), nextLink: z.string().nullish() });

/**
 * Every item of a list. Never follows a link to another host than the cloud's ARM.
 * @throws ArmError, TokenError; ZodError when the list has another form
 */
export async function allPages<T>(
  arm: ArmClient,
  first: string,
  item: z.ZodType<T>,
  abortSignal: AbortSignal | undefined,
): Promise<T[]> {
  const items: T[] = [];
  let url: string | undefined = first;
  for (let pages = 0; url !== undefined; pages++) {
    if (pages === MOST_PAGES) throw badList(`has more than ${MOST_PAGES} pages`);
    const { body } = await arm.request({ method: 'GET', url, abortSignal });
    const page = Page.parse(body);
    items.push(...page.value.map((value) => item.parse(value)));
    const next: string | undefined = page.nextLink || undefined;
    // A stranger's URL would get our token.
    if (next !== undefined && !arm.owns(next)) throw badList(`goes on at an address that is not ARM's`);
    url = next;
  }
  return items;
}

function badList(why: string): ArmError {
  return new ArmError({
    code: 'ListNotUnderstood',
    message: `A list of Azure ${why}, so it was not read to its end.`,
    retryable: false,
  });
}
